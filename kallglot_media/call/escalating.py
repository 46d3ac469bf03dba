"""From the AI to a human: called, told what it is about, joined in two languages if need be; or back to the AI.

   started ──▶ answered ──▶ summary ──▶ joined ──▶ the caller hangs up: over · the human hangs up: back to the AI
      │  busy, no answer, declined, unreachable, closed
      └──▶ failed ──▶ said so ──▶ a callback or voicemail is offered ──▶ goodbye

Every step is an event, a webhook and a line of the transcript.
"""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime
from typing import TYPE_CHECKING, Any

from kallglot_media.agent.intents import Intent, intent_of
from kallglot_media.call.answering_rules import AnsweringRules, HandoffRules
from kallglot_media.call.dialling import DialFailed, PartyBusy, dial_party
from kallglot_media.call.direction import Direction
from kallglot_media.call.events import Escalated, MessageLeft
from kallglot_media.call.holding import Holding
from kallglot_media.call.leg import Leg
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.session import Session
from kallglot_media.call.voicemail import Voicemail
from kallglot_media.call.world import EndReason
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, BRIDGED, SILENT, Party
from kallglot_media.sip.events import TransferProgress
from kallglot_media.speech.types import SpeechError

if TYPE_CHECKING:
    from kallglot_media.agent.conversation import Conversation
    from kallglot_media.call.answering import Answering

LAST_WORDS_S = 8.0
CALLBACK_S = 12.0
REFER_S = 40.0
BUSY, DECLINED, NO_ANSWER = frozenset({486, 600}), frozenset({603, 607, 403}), frozenset({408, 480, 487})

Outcome = tuple[EndReason, str]


def why_not(status: int) -> str:
    """What a SIP status says of the human: "busy", "declined", "no_answer" or "unreachable"."""
    for name, statuses in (("busy", BUSY), ("declined", DECLINED), ("no_answer", NO_ANSWER)):
        if status in statuses:
            return name
    return "unreachable"


class Escalation:
    """One attempt. `await Escalation(…).run(why)`: how the session ended, or None: the AI goes on."""

    def __init__(
        self, session: Session, caller: AnyLeg, rules: AnsweringRules, host: Answering, conversation: Conversation
    ) -> None:
        self._session = session
        self._caller = caller
        self._rules = rules
        self._host = host
        self._conversation = conversation
        self._open = False

    async def run(self, why: str) -> Outcome | None:
        """The whole way. why: "asked", "key", "failures", "tool", "keyword", "upset"."""
        handoff, host = self._rules.handoff, self._host
        if handoff is None:
            await host.speaker.say_and_wait("no_human")
            return None
        if not handoff.is_open(datetime.now(UTC)):
            self._tell("failed", "closed")
            await host.speaker.say_and_wait("closed")
            return await self._offer()
        await host.speaker.say_and_wait("handing_over")
        self._open = True
        self._tell("started", why)
        try:
            if handoff.refer_to is not None and isinstance(self._caller, Leg) and self._caller.sip_call is not None:
                return await self._refer(self._caller, handoff.refer_to)
            return await self._attended(handoff)
        finally:
            if self._open:
                self._tell("failed", "the caller hung up" if self._caller.ended.done() else "the session ended")

    # ── attended ─────────────────────────────────────────────────────────────────

    async def _attended(self, handoff: HandoffRules) -> Outcome | None:
        try:
            human = await self._dial(handoff)
        except (DialFailed, PartyBusy) as failed:
            status = failed.status if isinstance(failed, DialFailed) else 486
            return await self._not_reached(why_not(status), status)
        session = self._session
        session.sound.set_plan(SILENT)
        if handoff.summary:
            self._entertain(handoff)
            await self._brief()
            session.sound.tone(Party.CUSTOMER, None)
        if human.ended.done():
            return await self._not_reached("declined", 0)
        self._open = False
        self._tell("answered")
        self._join(human, handoff)
        self._host.joined = True
        try:
            return await self._until_one_leaves(human)
        finally:
            self._host.joined = False

    async def _dial(self, handoff: HandoffRules) -> Leg:
        """Call the human while the caller hears it ring, or music. Raises DialFailed, PartyBusy."""
        target = handoff.target
        dialling = asyncio.create_task(
            dial_party(
                self._session,
                Party.AGENT,
                target.to,
                target.from_,
                headers=target.headers,
                credentials=target.credentials,
                ring_s=target.ring_s,
            )
        )
        try:
            await asyncio.sleep(0)  # it starts the ringing tone, which the music takes the place of
            if handoff.hold.music is not None:
                self._entertain(handoff)
            return await dialling
        finally:
            if not dialling.done():
                dialling.cancel()
                await asyncio.gather(dialling, return_exceptions=True)

    def _entertain(self, handoff: HandoffRules) -> None:
        """What the caller hears while the human is called or told."""
        if handoff.hold.music is not None:
            self._session.sound.music(Party.CUSTOMER, handoff.hold.music, handoff.hold.rate_hz)
        else:
            self._session.sound.tone(Party.CUSTOMER, "ringback")

    async def _brief(self) -> None:
        """What it is about, into the human's ear, in their language."""
        rules, world = self._rules, self._session.world
        language = rules.human_language
        about = self._conversation.summary()
        if about and rules.inner_language != language:
            try:
                made = await world.engines.translate(
                    about, rules.inner_language, language, deadline_s=world.deadlines.translate_s
                )
                about = made.text
            except SpeechError:
                about = ""  # words that the human does not understand would only cost the caller time
        text = " ".join(filter(None, (rules.phrase("summary", language) if about else "", about)))
        try:
            speech = await world.engines.synthesize(
                text, language, rules.voices.get(language), deadline_s=world.deadlines.synthesize_s
            ) if text else None  # fmt: skip
        except SpeechError:
            speech = None
        await self._session.sound.say(Party.AGENT, speech)
        self._session.event("escalation.briefed", said=speech is not None)

    def _join(self, human: Leg, handoff: HandoffRules) -> None:
        """Both talk: as they are when they share a language, else each hears the other translated."""
        rules, session = self._rules, self._session
        translated = rules.caller_language != rules.human_language
        session.sound.set_plan(BIDIRECTIONAL_TRANSLATION if translated else BRIDGED, rules.gains)
        Holding(session, handoff.hold).watch(human)
        languages = {Party.CUSTOMER: rules.caller_language, Party.AGENT: rules.human_language}
        ways = ((Party.CUSTOMER, Party.AGENT), (Party.AGENT, Party.CUSTOMER))
        session.interpreting.start(
            [
                Direction(talker, listener, languages[talker], languages[listener], voices=dict(rules.voices),
                          aloud=translated)
                for talker, listener in ways
            ],
            rules.segment,
        )  # fmt: skip

    async def _until_one_leaves(self, human: Leg) -> Outcome | None:
        session = self._session
        waiting: set[asyncio.Future[Any]] = {human.ended, self._caller.ended, session.stop}
        await asyncio.wait(waiting, return_when=asyncio.FIRST_COMPLETED)
        if session.stop.done():
            return session.stop.result()
        if self._caller.ended.done():
            await session.interpreting.last_words(Party.CUSTOMER, LAST_WORDS_S)
            return EndReason.CUSTOMER_HANGUP, self._caller.ended.result().reason or "the caller hung up"
        await session.interpreting.last_words(Party.AGENT, LAST_WORDS_S)
        session.interpreting.stop()
        session.parties.drop(Party.AGENT, "the human hung up")
        self._note("left", "the human hung up")
        await self._host.speaker.say_and_wait("human_left")
        await self._host.speaker.say_and_wait("anything_else")
        return None

    # ── cold ─────────────────────────────────────────────────────────────────────

    async def _refer(self, caller: Leg, to: str) -> Outcome | None:
        """Ask the caller's side to call the human itself; when that works, we are out of it."""
        session = self._session
        news: asyncio.Future[TransferProgress] = asyncio.get_running_loop().create_future()

        def told(leg: Leg, progress: TransferProgress) -> None:
            self._host.referred = self._host.referred or progress.status < 300
            if (progress.over or progress.status >= 200) and not news.done():
                news.set_result(progress)

        caller.on_refer = told
        assert caller.sip_call is not None
        session.world.signalling.refer(caller.sip_call, to)
        waiting: set[asyncio.Future[Any]] = {news, caller.ended, session.stop}
        await asyncio.wait(waiting, timeout=REFER_S, return_when=asyncio.FIRST_COMPLETED)
        if session.stop.done():
            return session.stop.result()
        status = news.result().status if news.done() else 200 if caller.ended.done() and self._host.referred else 408
        if status >= 300:
            self._host.referred = False
            return await self._not_reached(why_not(status), status)
        self._open = False
        self._tell("answered", "transferred")
        return EndReason.TRANSFERRED, f"the caller was sent to {to}"

    # ── nobody there ─────────────────────────────────────────────────────────────

    async def _not_reached(self, name: str, status: int) -> Outcome | None:
        self._open = False
        self._session.sound.set_plan(SILENT)
        self._session.sound.tone(Party.CUSTOMER, None)
        self._tell("failed", name, status=status)
        await self._host.speaker.say_and_wait(f"human_{name}")
        return await self._offer()

    async def _offer(self) -> Outcome | None:
        """What there is instead of a human. None: nothing, and the AI goes on."""
        handoff = self._rules.handoff
        nobody = handoff.nobody if handoff is not None else "nothing"
        if nobody == "nothing":
            return None
        if nobody == "callback" or not self._session.facts.keep:  # a message is a piece of the recording
            return await self._callback()
        left = await Voicemail(self._session, self._rules, self._host).run()
        if left:
            await self._host.speaker.say_and_wait("voicemail_taken")
        await self._host.speaker.say_and_wait("goodbye")
        return EndReason.COMPLETED, "a message was left" if left else "no human could be had"

    async def _callback(self) -> Outcome | None:
        """Offer to call back, write down what they say, and end. Without such a phrase the AI goes on."""
        rules, host = self._rules, self._host
        if not rules.phrase("callback", rules.caller_language):
            return None
        host.intake.listen_anew()
        await host.speaker.say_and_wait("callback")
        words = await host.intake.next_words(CALLBACK_S)
        wanted = words is not None and intent_of(words, rules.caller_language) not in (Intent.NO, Intent.GOODBYE)
        if wanted:
            self._session.event("callback.wanted")
            about = rules.redact(words or "")
            host.write_action("[callback]", {"type": "callback", "about": about})
            self._session.world.bus.publish(MessageLeft(self._session.session_id, "callback.wanted", about))
            await host.speaker.say_and_wait("callback_taken")
        await host.speaker.say_and_wait("goodbye")
        return EndReason.COMPLETED, "a callback was asked for" if wanted else "no human could be had"

    # ── telling ──────────────────────────────────────────────────────────────────

    def _tell(self, step: str, detail: str = "", *, status: int = 0) -> None:
        """To the stream, webhooks, events.jsonl and the transcript."""
        to = self._rules.handoff.target.to if self._rules.handoff is not None else ""
        self._session.world.bus.publish(Escalated(self._session.session_id, step, to, detail))
        self._note(step, detail, status=status)

    def _note(self, step: str, detail: str, *, status: int = 0) -> None:
        more = {"status": status} if status else {}
        self._session.event(f"escalation.{step}", why=detail, **more)
        said = f"[handing over: {step}{f', {detail}' if detail else ''}]"
        self._host.write_action(said, {"type": f"escalation.{step}", "detail": detail, **more})
