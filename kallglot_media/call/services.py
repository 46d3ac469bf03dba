"""Numbers to call by oneself: `echo` (hear yourself) and `interpreter` (hear yourself in the other language)."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import Any

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.direction import Direction
from kallglot_media.call.leg import Leg
from kallglot_media.call.session import Session
from kallglot_media.call.world import EndReason
from kallglot_media.config.announcements import Announcements
from kallglot_media.media.messages import Gains
from kallglot_media.modes.plan import ECHO, INTERPRETER, Party

_FULL = Gains(original_level_db=0.0, original_idle_db=0.0)
_NOT_HEARD = Gains(original_level_db=None, original_idle_db=None)


@dataclass(frozen=True, slots=True)
class ServiceRules:
    """One call to a service.

    languages     the interpreter's two languages; None for echo
    only_starter  the interpreter has nothing but starter models, and says so
    """

    languages: tuple[str, str] | None
    only_starter: bool
    max_call_s: float
    segment: SegmentRules
    announcements: Announcements


class Service:
    """Run with `await Service(…).run()`; returns why and how the session ended."""

    def __init__(self, session: Session, caller: Leg, answer_sdp: bytes, rules: ServiceRules) -> None:
        self._session = session
        self._caller = caller
        self._answer_sdp = answer_sdp
        self._rules = rules
        self._interrupted = False

    async def run(self) -> tuple[EndReason, str]:
        """The whole call."""
        assert self._caller.sip_call is not None
        self._session.world.signalling.answer(self._caller.sip_call, self._answer_sdp)
        self._caller.answered_by_us()
        self._session.active()
        if self._rules.languages is None:
            self._session.sound.set_plan(ECHO, _FULL)
        else:
            self._start_interpreter(self._rules.languages)
        waiting: set[asyncio.Future[Any]] = {self._caller.ended, self._session.stop}
        await asyncio.wait(waiting, timeout=self._rules.max_call_s, return_when=asyncio.FIRST_COMPLETED)
        if self._caller.ended.done():
            return EndReason.CUSTOMER_HANGUP, self._caller.ended.result().reason
        if self._session.stop.done():
            return self._session.stop.result()
        return EndReason.TIMEOUT, f"limits.max_call_s: {self._rules.max_call_s:g} s are over"

    def _start_interpreter(self, languages: tuple[str, str]) -> None:
        """Listen at once, and say in both languages what this is until the caller starts to speak."""
        self._session.sound.set_plan(INTERPRETER, _NOT_HEARD)
        direction = Direction(Party.CUSTOMER, Party.CUSTOMER, None, languages[1], pair=languages)
        self._session.interpreting.start([direction], self._rules.segment)
        self._session.on_speech_started = self._caller_speaks
        self._session.own(self._explain(languages), "explain")

    async def _explain(self, languages: tuple[str, str]) -> None:
        names = ["interpreter", "starter_only"] if self._rules.only_starter else ["interpreter"]
        for language in languages:
            for name in names:
                if self._interrupted:
                    return
                text = self._rules.announcements.text(name, language)
                await self._session.sound.say(
                    Party.CUSTOMER, await self._session.world.announcer.speech(text, language, None)
                )

    def _caller_speaks(self, party: Party) -> None:
        """Whoever starts to speak has understood: the explanation stops in mid-word."""
        if not self._interrupted:
            self._interrupted = True
            self._session.sound.hush(party)
