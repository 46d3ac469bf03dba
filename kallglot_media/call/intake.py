"""What comes in while an AI answers: said, typed or pressed, put in line, and whether it interrupts.

    said ──▶ ear.py: text, joined until the caller has finished ──┐
    typed ────────────────────────────────────────────────────────┼──▶ in line, one Input each
    pressed ─▶ keys.py: a number, or the key for a human ─────────┘

What is said while the AI speaks makes it pause at once. Words make it stop; a "mhm" or a cough lets it go on.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kallglot_media.agent.conversation import Conversation
from kallglot_media.agent.intents import is_backchannel
from kallglot_media.agent.types import Via
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.ear import Ear, Said
from kallglot_media.call.keys import KeyPad
from kallglot_media.call.mouth import Asked, Mouth
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.session import Session
from kallglot_media.call.turn import Turn
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party

MOST_WAITING = 8
"""Things said, typed or pressed that may wait to be answered; the oldest gives way."""


@dataclass(frozen=True, slots=True)
class Input:
    """Something to be answered. failed: the recogniser did; human: the key for a human."""

    text: str
    via: Via
    asked: Asked
    failed: bool = False
    human: bool = False


class Intake:
    """Between open() and close() everything that comes from the caller comes here; run() in a task.

    waiting      to be answered, in order
    interrupted  something has come in since the last input was taken
    answering    somebody makes an answer now: a "mhm" is none of its own
    """

    def __init__(
        self, session: Session, caller: AnyLeg, rules: AnsweringRules, mouth: Mouth, conversation: Conversation
    ) -> None:
        self.waiting: list[Input] = []
        self.interrupted = False
        self.answering = False
        self._session = session
        self._caller = caller
        self._rules = rules
        self._mouth = mouth
        self._conversation = conversation
        self._loop = asyncio.get_running_loop()
        self._ear = Ear(session, rules.caller_language, rules.patience, rules.redact, self._on_text, self._on_said)
        self._keys = KeyPad(rules.keys_ms, rules.handoff.key if rules.handoff else None, self._on_keys)
        self._listening = True
        self._active_s = self._loop.time()

    def open(self) -> None:
        """Take what comes to the session."""
        session = self._session
        session.attendant = self._on_media
        session.on_key = self._on_key
        session.clients.on_chat = self._on_chat

    def close(self) -> None:
        """Leave it to others."""
        session = self._session
        session.attendant = lambda event: None
        session.on_key = lambda party, digit: None
        session.clients.on_chat = None
        self._keys.close()

    async def run(self) -> None:
        """Make text of what is said, for ever."""
        await self._ear.run()

    # ── listening ────────────────────────────────────────────────────────────────

    def listen(self) -> None:
        """Cut the caller's voice into utterances, for us."""
        self._listening = True
        self._caller.listen(self._rules.segment)

    def listen_anew(self) -> None:
        """From now on what the caller says counts; what they said before does not."""
        self.waiting.clear()
        self.listen()

    def pause(self) -> None:
        """The caller talks with somebody else."""
        self._listening = False

    def forget(self) -> None:
        """What has come in meanwhile is not to be answered."""
        self.waiting.clear()
        self.interrupted = False

    @property
    def hears_something(self) -> bool:
        """The caller speaks, or what they said is not dealt with yet."""
        return self._ear.busy

    @property
    def is_idle(self) -> bool:
        """All that was said is text."""
        return self._ear.idle

    def no_more_comes(self) -> None:
        """A sentence that was to go on is said to its end."""
        self._ear.finish()

    # ── what waits ───────────────────────────────────────────────────────────────

    async def next(self) -> Input | None:
        """What comes next; None after silence_s in which neither of the two said anything."""
        session, silence_s = self._session, self._rules.silence_s
        self._active_s = self._loop.time()
        while not self.waiting:
            left_s = self._active_s + silence_s - self._loop.time()
            if await session.until(lambda: bool(self.waiting), max(left_s, 0.05)):
                break
            if self._mouth.busy or self._ear.busy or self._keys.pressed:
                self._active_s = self._loop.time()
            elif self._loop.time() - self._active_s >= silence_s:
                return None
        self.interrupted = False
        return self.waiting.pop(0)

    async def next_words(self, limit_s: float) -> str | None:
        """What the caller says or types next, for whoever has asked them something; None when nothing comes."""
        await self._session.until(lambda: bool(self.waiting), limit_s)
        return self.waiting.pop(0).text if self.waiting else None

    def take_all(self) -> list[Input]:
        """What waits to be answered, for whoever deals with it instead."""
        taken, self.waiting[:] = list(self.waiting), []
        return taken

    def join_with_next(self, given: Input) -> bool:
        """Who goes on speaking had not finished asking: the next input begins with this one. False: they did not."""
        if not self.waiting or not given.text or self.waiting[0].human:
            return False
        after = self.waiting[0]
        if not (given.via is after.via is Via.VOICE):
            return False
        self.waiting[0] = Input(f"{given.text} {after.text}", Via.VOICE, after.asked, after.failed)
        return True

    def _put(self, given: Input) -> None:
        if len(self.waiting) >= MOST_WAITING:
            self.waiting.pop(0)
            self._session.event("input.dropped")
        self.waiting.append(given)
        self.interrupted = True
        self._session.look_again()

    # ── what comes in ────────────────────────────────────────────────────────────

    def _on_media(self, event: m.FromMedia) -> None:
        if isinstance(event, m.PlayoutStarted | m.PlayoutFinished):
            self._active_s = self._loop.time()
            heard = self._mouth.on_media(event)
            if heard is not None:
                self._conversation.spoken(heard)
            return
        if not self._listening or getattr(event, "leg_id", None) != self._caller.leg_id:
            return
        if isinstance(event, m.SpeechStarted):
            self._ear.speech_started()
            if self._rules.barge_in and self._mouth.audible:
                self._mouth.pause()
        elif isinstance(event, m.SpeechDropped):
            self._ear.speech_dropped()
            self._mouth.resume()
        elif isinstance(event, m.Utterance):
            self._ear.hear(event)

    def _on_text(self, text: str) -> None:
        """A piece of what the caller says. While the AI speaks it decides whether that was an interruption."""
        if not self._mouth.busy:
            return
        if not text or is_backchannel(text, self._rules.caller_language) or not self._rules.barge_in:
            self._mouth.resume()
        else:
            self.give_floor()

    def _on_said(self, said: Said) -> None:
        speaking = self._mouth.busy or (self.answering and not self.waiting)
        ignorable = not said.text or is_backchannel(said.text, self._rules.caller_language)
        if speaking and ignorable and not said.failed:
            self._session.event("interruption.false")
            return
        if speaking and not self._rules.barge_in and self._mouth.busy:
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
        self.give_floor()
        self._put(Input(text, Via.CHAT, Asked(None, now_s, now_s)))

    def _on_key(self, party: Party, digit: str) -> None:
        if party is Party.CUSTOMER and self._listening:
            self.give_floor()
            self._keys.press(digit)

    def _on_keys(self, keys: str, asks_for_human: bool) -> None:
        """A number that was keyed in, or the key for a human."""
        now_s = self._loop.time()
        self._put(Input(keys, Via.KEYS, Asked(None, now_s, now_s), human=asks_for_human))

    def give_floor(self) -> None:
        """The caller has the floor; the history keeps what they really heard."""
        if self._mouth.busy:
            if (heard := self._mouth.drop()) is not None:
                self._conversation.spoken(heard, cut=True)
            self._session.event("interruption")
            self._session.look_again()
