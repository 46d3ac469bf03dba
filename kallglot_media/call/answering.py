"""The scenario of ai_agent and help_chat_voice: an AI answers, and hands over to a human when that is better.

greeting ──▶ listening ──▶ answering ──▶ listening … ──▶ goodbye
                │              │ the caller speaks: silence within a tick; a "mhm" or a cough: it goes on
                │              └──▶ a human (escalating.py) ──▶ over, or back to listening
                └── nothing for silence_s: "are you there?", then goodbye
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import aclosing
from dataclasses import dataclass

from kallglot_media.agent.conversation import Conversation
from kallglot_media.agent.intents import is_backchannel
from kallglot_media.agent.types import Finish, HandOver, Heard, Piece, Say, ToolUsed, Via, Waiting
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.ear import Ear, Said
from kallglot_media.call.escalating import LAST_WORDS_S, Escalation
from kallglot_media.call.keys import KeyPad
from kallglot_media.call.leg import Leg
from kallglot_media.call.mouth import Asked, Mouth
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.session import Session
from kallglot_media.call.speaker import LAST_SENTENCE_S, Speaker
from kallglot_media.call.turn import Turn
from kallglot_media.call.voicemail import Voicemail
from kallglot_media.call.world import EndReason
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import AI_AGENT, Party

MOST_WAITING = 8
"""Things said, typed or pressed that may wait to be answered; the oldest gives way."""

LAST_TURN_S = 3.0
Outcome = tuple[EndReason, str]


@dataclass(frozen=True, slots=True)
class Input:
    """Something to be answered. failed: the recogniser did; human: the key for a human."""

    text: str
    via: Via
    asked: Asked
    failed: bool = False
    human: bool = False


class Answering:
    """Run with `await Answering(…).run()`; returns why and how the session ended.

    referred  the caller's side has taken up to call somebody itself; joined: the caller and a human talk
    message   that the caller is leaving just now
    """

    def __init__(self, session: Session, caller: AnyLeg, answer_sdp: bytes | None, rules: AnsweringRules) -> None:
        self._session = session
        self._caller = caller
        self._answer_sdp = answer_sdp
        self._rules = rules
        self._loop = asyncio.get_running_loop()
        self.mouth = Mouth(session, self._loop.time, rules.redact)
        self.speaker = Speaker(session, rules, self.mouth)
        self._ear = Ear(session, rules.caller_language, rules.patience, rules.redact, self._on_text, self._on_said)
        self._keys = KeyPad(rules.keys_ms, rules.handoff.key if rules.handoff else None, self._on_keys)
        self._inputs: list[Input] = []
        self._interrupted = False
        self._answering = False
        self._listening = True
        self._active_s = self._loop.time()
        self.referred = False
        self.joined = False
        self.message: Voicemail | None = None
        self._conversation: Conversation

    # ── the whole call ───────────────────────────────────────────────────────────

    async def run(self) -> Outcome:
        """The whole call."""
        session = self._session
        self._conversation = await self._rules.converse(session)
        ear = asyncio.create_task(self._ear.run(), name=f"{session.session_id} ear")
        try:
            self._begin()
            outcome = await self._until_over(ear)
            await self._last_turn()
            if self.message is not None:
                self.message.finish()
            return outcome
        finally:
            session.attendant = lambda event: None
            session.on_key = lambda party, digit: None
            session.clients.on_chat = None
            self._keys.close()
            ear.cancel()
            await asyncio.gather(ear, return_exceptions=True)

    def _begin(self) -> None:
        session, caller = self._session, self._caller
        session.attendant = self._on_media
        session.on_key = self._on_key
        session.clients.on_chat = self._on_chat
        session.sound.set_plan(AI_AGENT, self._rules.gains)
        if isinstance(caller, Leg) and caller.sip_call is not None and self._answer_sdp is not None:
            session.world.signalling.answer(caller.sip_call, self._answer_sdp)
            caller.answered_by_us()
        self.listen()
        session.active()

    def listen(self) -> None:
        """Cut the caller's voice into utterances, for us."""
        self._listening = True
        self._caller.listen(self._rules.segment)

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
        await self._session.until(lambda: parties.is_media_closed(leg_id) and self._ear.idle, LAST_TURN_S)

    # ── the dialogue ─────────────────────────────────────────────────────────────

    async def _dialogue(self) -> Outcome:
        rules = self._rules
        await self.speaker.speak(Say(rules.greeting, rules.caller_language, phrase="greeting"), None)
        prompts = turns = 0
        while True:
            given = await self._next_input()
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

    async def _next_input(self) -> Input | None:
        """What comes next; None after silence_s in which neither of the two said anything."""
        session, silence_s = self._session, self._rules.silence_s
        self._active_s = self._loop.time()
        while not self._inputs:
            left_s = self._active_s + silence_s - self._loop.time()
            if await session.until(lambda: bool(self._inputs), max(left_s, 0.05)):
                break
            if self.mouth.busy or self._ear.busy or self._keys.pressed:
                self._active_s = self._loop.time()
            elif self._loop.time() - self._active_s >= silence_s:
                return None
        self._interrupted = False
        return self._inputs.pop(0)

    async def _react(self, given: Input) -> Outcome | None:
        """Answer; an interruption stops that, and what interrupted is answered next."""
        if given.human:
            return await self._hand_over("key")
        self._answering, self.speaker.spoke = True, False
        answer = asyncio.create_task(self._answer(given), name=f"{self._session.session_id} answer")
        answer.add_done_callback(lambda _: self._session.look_again())
        try:
            await self._session.until(lambda: answer.done() or self._interrupted, self._rules.max_call_s)
            if answer.done():
                after = answer.result()
            else:
                answer.cancel()
                await asyncio.gather(answer, return_exceptions=True)
                self._give_up_speaking()
                self._join_with_next(given)
                return None
        finally:
            self._answering = False
            answer.cancel()
        if isinstance(after, HandOver):
            return await self._hand_over(after.why)
        if isinstance(after, Finish):
            await self.mouth.until_quiet(LAST_SENTENCE_S)
            if self._inputs:
                return None  # one more thing, after all
            return EndReason.COMPLETED, after.why
        return None

    def _join_with_next(self, given: Input) -> None:
        """Who goes on speaking before a word of the answer was said had not finished asking."""
        if self.speaker.spoke or not self._inputs or not given.text or self._inputs[0].human:
            return
        after = self._inputs[0]
        if given.via is after.via is Via.VOICE:
            self._conversation.unsay()
            self._inputs[0] = Input(f"{given.text} {after.text}", Via.VOICE, after.asked, after.failed)

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
        self._listening = False
        try:
            return await Escalation(self._session, self._caller, self._rules, self, self._conversation).run(why)
        finally:
            self._inputs.clear()
            self._interrupted = False
            if not self._caller.ended.done() and not self._session.stop.done():
                self._session.sound.set_plan(AI_AGENT, self._rules.gains)
                self.listen()

    def listen_anew(self) -> None:
        """From now on what the caller says counts; what they said before does not."""
        self._inputs.clear()
        self.listen()

    @property
    def hears_something(self) -> bool:
        """The caller speaks, or what they said is not dealt with yet."""
        return self._ear.busy

    def no_more_comes(self) -> None:
        """A sentence that was to go on is said to its end."""
        self._ear.finish()

    def take_inputs(self) -> list[Input]:
        """What waits to be answered, for whoever deals with it instead."""
        taken, self._inputs[:] = list(self._inputs), []
        return taken

    async def next_words(self, limit_s: float) -> str | None:
        """What the caller says or types next, for whoever has asked them something; None when nothing comes."""
        await self._session.until(lambda: bool(self._inputs), limit_s)
        return self._inputs.pop(0).text if self._inputs else None

    # ── what comes in ────────────────────────────────────────────────────────────

    def _on_media(self, event: m.FromMedia) -> None:
        if isinstance(event, m.PlayoutStarted | m.PlayoutFinished):
            self._active_s = self._loop.time()
            heard = self.mouth.on_media(event)
            if heard is not None:
                self._conversation.spoken(heard)
            return
        if not self._listening or getattr(event, "leg_id", None) != self._caller.leg_id:
            return
        if isinstance(event, m.SpeechStarted):
            self._ear.speech_started()
            if self._rules.barge_in and self.mouth.audible:
                self.mouth.pause()
        elif isinstance(event, m.SpeechDropped):
            self._ear.speech_dropped()
            self.mouth.resume()
        elif isinstance(event, m.Utterance):
            self._ear.hear(event)

    def _on_text(self, text: str) -> None:
        """A piece of what the caller says. While the AI speaks it decides whether that was an interruption."""
        if not self.mouth.busy:
            return
        if not text or is_backchannel(text, self._rules.caller_language) or not self._rules.barge_in:
            self.mouth.resume()
        else:
            self._give_up_speaking()

    def _on_said(self, said: Said) -> None:
        speaking = self.mouth.busy or (self._answering and not self._inputs)
        ignorable = not said.text or is_backchannel(said.text, self._rules.caller_language)
        if speaking and ignorable and not said.failed:
            self._session.event("interruption.false")
            return
        if speaking and not self._rules.barge_in and self.mouth.busy:
            return
        self._put(Input(said.text, Via.VOICE, said.asked, said.failed))

    def _on_chat(self, text: str) -> None:
        text = " ".join(text.split())
        if not text:
            return
        now_ms, now_s = self._session.now_ms(), self._loop.time()
        self._session.turn_done(
            Turn(
                self._session.next_sequence(),
                str(Party.CUSTOMER),
                self._rules.caller_language,
                self._rules.redact(text),
                None,
                now_ms,
                now_ms,
                1.0,
            )
        )
        self._give_up_speaking()
        self._put(Input(text, Via.CHAT, Asked(None, now_s, now_s)))

    def _on_key(self, party: Party, digit: str) -> None:
        if party is Party.CUSTOMER and self._listening:
            self._give_up_speaking()
            self._keys.press(digit)

    def _on_keys(self, keys: str, asks_for_human: bool) -> None:
        """A number that was keyed in, or the key for a human."""
        now_s = self._loop.time()
        self._put(Input(keys, Via.KEYS, Asked(None, now_s, now_s), human=asks_for_human))

    def _put(self, given: Input) -> None:
        if len(self._inputs) >= MOST_WAITING:
            self._inputs.pop(0)
            self._session.event("input.dropped")
        self._inputs.append(given)
        self._interrupted = True
        self._session.look_again()

    def _give_up_speaking(self) -> None:
        """The caller has the floor; the history keeps what they really heard."""
        if self.mouth.busy:
            if (heard := self.mouth.drop()) is not None:
                self._conversation.spoken(heard, cut=True)
            self._session.event("interruption")
            self._session.look_again()
