"""The scenario of ai_agent and help_chat_voice: an AI answers, and hands over to a human when that is better.

greeting ──▶ listening ──▶ answering ──▶ listening … ──▶ goodbye
                │              │ the caller speaks: what interrupts is answered next (intake.py)
                │              └──▶ a human (escalating.py) ──▶ over, or back to listening
                └── nothing for silence_s: "are you there?", then goodbye
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing

from kallglot_media.agent.conversation import Conversation
from kallglot_media.agent.types import Finish, HandOver, Heard, Piece, Say, ToolUsed, Waiting
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.escalating import LAST_WORDS_S, Escalation
from kallglot_media.call.intake import Input, Intake
from kallglot_media.call.leg import Leg
from kallglot_media.call.mouth import Asked, Mouth
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.session import Session
from kallglot_media.call.speaker import LAST_SENTENCE_S, Speaker
from kallglot_media.call.turn import Turn
from kallglot_media.call.voicemail import Voicemail
from kallglot_media.call.world import EndReason
from kallglot_media.modes.plan import AI_AGENT, Party

LAST_TURN_S = 3.0
Outcome = tuple[EndReason, str]


class Answering:
    """Run with `await Answering(…).run()`; returns why and how the session ended.

    referred  the caller's side has taken up to call somebody itself; joined: the caller and a human talk
    message   that the caller is leaving just now
    intake    what comes from the caller; there from run() on
    """

    def __init__(self, session: Session, caller: AnyLeg, answer_sdp: bytes | None, rules: AnsweringRules) -> None:
        self._session = session
        self._caller = caller
        self._answer_sdp = answer_sdp
        self._rules = rules
        self.mouth = Mouth(session, asyncio.get_running_loop().time, rules.redact)
        self.speaker = Speaker(session, rules, self.mouth)
        self.referred = False
        self.joined = False
        self.message: Voicemail | None = None
        self.intake: Intake
        self._conversation: Conversation

    # ── the whole call ───────────────────────────────────────────────────────────

    async def run(self) -> Outcome:
        """The whole call."""
        session = self._session
        self._conversation = await self._rules.converse(session)
        self.intake = Intake(session, self._caller, self._rules, self.mouth, self._conversation)
        ear = asyncio.create_task(self.intake.run(), name=f"{session.session_id} ear")
        try:
            self._begin()
            outcome = await self._until_over(ear)
            await self._last_turn()
            if self.message is not None:
                self.message.finish()
            return outcome
        finally:
            self.intake.close()
            ear.cancel()
            await asyncio.gather(ear, return_exceptions=True)

    def _begin(self) -> None:
        session, caller = self._session, self._caller
        self.intake.open()
        session.sound.set_plan(AI_AGENT, self._rules.gains)
        if isinstance(caller, Leg) and caller.sip_call is not None and self._answer_sdp is not None:
            session.world.signalling.answer(caller.sip_call, self._answer_sdp)
            caller.answered_by_us()
        self.intake.listen()
        session.active()

    async def _until_over(self, ear: asyncio.Task[None]) -> Outcome:
        """The dialogue, or whatever ends it first."""
        session = self._session
        dialogue = asyncio.create_task(self._dialogue(), name=f"{session.session_id} dialogue")
        waiting: set[asyncio.Future[object]] = {dialogue, ear, session.stop, self._caller.ended}  # type: ignore[arg-type]
        try:
            await asyncio.wait(waiting, timeout=self._rules.max_call_s, return_when=asyncio.FIRST_COMPLETED)
            if dialogue.done():
                return dialogue.result()
            if ear.done():
                ear.result()  # it never returns: this raises what it died of
            if session.stop.done():
                return session.stop.result()
            if self._caller.ended.done():
                if self.joined:  # what they said last is still made over for the human
                    await asyncio.wait({dialogue}, timeout=LAST_WORDS_S)
                reason = EndReason.TRANSFERRED if self.referred else EndReason.CUSTOMER_HANGUP
                return reason, self._caller.ended.result().reason
        finally:
            dialogue.cancel()
            await asyncio.gather(dialogue, return_exceptions=True)
        await self.speaker.say_and_wait("time_up")
        return EndReason.TIMEOUT, f"the call's time of {self._rules.max_call_s:g} s is over"

    async def _last_turn(self) -> None:
        """What the caller said before hanging up is written down, too."""
        self.mouth.drop()
        if not isinstance(self._caller, Leg) or not self._caller.had_media:
            return
        self._caller.close_media()
        leg_id, parties = self._caller.leg_id, self._session.parties
        await self._session.until(lambda: parties.is_media_closed(leg_id) and self.intake.is_idle, LAST_TURN_S)

    # ── the dialogue ─────────────────────────────────────────────────────────────

    async def _dialogue(self) -> Outcome:
        rules = self._rules
        await self.speaker.speak(Say(rules.greeting, rules.caller_language, phrase="greeting"), None)
        prompts = turns = 0
        while True:
            given = await self.intake.next()
            if given is None:
                if prompts >= rules.silence_prompts:
                    await self.speaker.say_and_wait("goodbye")
                    return EndReason.TIMEOUT, "the caller said nothing any more"
                prompts += 1
                await self.speaker.phrase("silence")
                continue
            prompts, turns = 0, turns + 1
            if turns > rules.max_turns:
                await self.speaker.say_and_wait("time_up")
                return EndReason.COMPLETED, f"limits.max_turns: {rules.max_turns} turns are over"
            outcome = await self._react(given)
            if outcome is not None:
                return outcome

    async def _react(self, given: Input) -> Outcome | None:
        """Answer; an interruption stops that, and what interrupted is answered next."""
        if given.human:
            return await self._hand_over("key")
        intake = self.intake
        intake.answering, self.speaker.spoke = True, False
        answer = asyncio.create_task(self._answer(given), name=f"{self._session.session_id} answer")
        answer.add_done_callback(lambda _: self._session.look_again())
        try:
            await self._session.until(lambda: answer.done() or intake.interrupted, self._rules.max_call_s)
            if answer.done():
                after = answer.result()
            else:
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)
                intake.give_floor()
                if not self.speaker.spoke and intake.join_with_next(given):
                    self._conversation.unsay()
                return None
        finally:
            intake.answering = False
            answer.cancel()
        if isinstance(after, HandOver):
            return await self._hand_over(after.why)
        if isinstance(after, Finish):
            await self.mouth.until_quiet(LAST_SENTENCE_S)
            if intake.waiting:
                return None  # one more thing, after all
            return EndReason.COMPLETED, after.why
        return None

    async def _answer(self, given: Input) -> HandOver | Finish | None:
        """Say and do what the conversation wants; what is to happen after it was said."""
        first: Asked | None = given.asked
        if given.failed:
            await self.speaker.phrase("trouble")
            return None
        pieces = self._pieces(given)
        async with aclosing(pieces) as answered:  # type: ignore[type-var]
            async for piece in answered:
                if isinstance(piece, Say):
                    if await self.speaker.speak(piece, first):
                        first = None
                elif isinstance(piece, ToolUsed):
                    self._note_tool(piece)
                elif isinstance(piece, HandOver | Finish):
                    return piece
                elif isinstance(piece, Waiting) and not self.mouth.busy:
                    await self.speaker.phrase("filler")
        return None

    async def _pieces(self, given: Input) -> AsyncIterator[Piece]:
        """The conversation's pieces, with a word of patience when the first one takes long."""
        if not given.text:
            for one in self._conversation.not_understood():
                yield one
            return
        inner = await self.speaker.translated(given.text, self._rules.caller_language, self._rules.inner_language)
        stream = self._conversation.respond(Heard(given.text, inner, given.via))
        try:
            first = asyncio.ensure_future(anext(stream, None))
            try:
                done, _ = await asyncio.wait({first}, timeout=self._rules.filler_ms / 1000)
                if not done:
                    yield Say(self._rules.phrase("filler", self._rules.caller_language), self._rules.caller_language,
                              phrase="filler")  # fmt: skip
                piece = await first
            finally:
                if not first.done():
                    first.cancel()
                    await asyncio.gather(first, return_exceptions=True)
            while piece is not None:
                yield piece
                piece = await anext(stream, None)
        finally:
            await stream.aclose()  # type: ignore[attr-defined]

    def _note_tool(self, used: ToolUsed) -> None:
        """A line of the transcript, and an event without words."""
        session = self._session
        worked = used.error is None
        session.event("tool.called", name=used.name, worked=worked, took_ms=used.took_ms)
        said = f"[{used.name}: {'done' if worked else used.error}]"
        action = {"type": "tool.call", "name": used.name, "arguments": used.arguments,
                  "output": used.output, "error": used.error}  # fmt: skip
        self.write_action(said, action)

    def write_action(self, text: str, action: dict[str, object]) -> None:
        """Something that the AI did, as a line of the transcript."""
        now_ms = self._session.now_ms()
        self._session.turn_done(
            Turn(
                self._session.next_sequence(),
                str(Party.AI),
                self._rules.inner_language,
                self._rules.redact(text),
                None,
                now_ms,
                now_ms,
                1.0,
                action=action,
            )
        )

    async def _hand_over(self, why: str) -> Outcome | None:
        """To a human. None: the AI goes on."""
        self.intake.pause()
        try:
            return await Escalation(self._session, self._caller, self._rules, self, self._conversation).run(why)
        finally:
            self.intake.forget()
            if not self._caller.ended.done() and not self._session.stop.done():
                self._session.sound.set_plan(AI_AGENT, self._rules.gains)
                self.intake.listen()
