"""A message for whoever cannot be had: asked for, a beep, what the caller says until they are done, told to everybody.

The sound is a stretch of the session's own recording, so it is offered only where one is kept. It ends at `#`, after
silence, at its longest, or when the caller hangs up, which is how most of them end; what they said last counts.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING

from kallglot_media.audio.tones import beep
from kallglot_media.call.answering_rules import AnsweringRules, VoicemailRules
from kallglot_media.call.clock import RATE_HZ
from kallglot_media.call.events import MessageLeft
from kallglot_media.call.session import Session
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import Speech

if TYPE_CHECKING:
    from kallglot_media.call.answering import Answering

DONE_KEY = "#"
FIRST_WORDS_S = 8.0
"""So long may somebody think before they begin."""
LOOK_EVERY_S = 0.2


class Voicemail:
    """One message. run() takes it, finish() ends it and tells; whoever is gone before run() returns is finished too."""

    def __init__(self, session: Session, rules: AnsweringRules, host: Answering) -> None:
        self._session = session
        self._rules = rules
        self._host = host
        self._settings: VoicemailRules = rules.handoff.voicemail if rules.handoff is not None else VoicemailRules()
        self._loop = asyncio.get_running_loop()
        self._start_ms: int | None = None
        self._texts: list[str] = []
        self._done = self._spoke = False

    async def run(self) -> bool:
        """Ask for it and take it. Whether there is one."""
        session, host = self._session, self._host
        await host.speaker.say_and_wait("voicemail")
        await session.sound.say(Party.CUSTOMER, Speech(beep(RATE_HZ), RATE_HZ, 0.0))
        self._start_ms = session.now_ms()
        host.message = self
        session.event("voicemail.started")
        host.intake.listen_anew()
        on_key, session.on_key = session.on_key, self._on_key
        try:
            await self._until_done()
        finally:
            session.on_key = on_key
            self._spoke = self._take() or self._spoke  # also when the caller hung up just now
        return self.finish()

    def _on_key(self, party: Party, digit: str) -> None:
        if party is Party.CUSTOMER and digit == DONE_KEY:
            self._done = True
            self._session.look_again()

    async def _until_done(self) -> None:
        host, began_s = self._host, self._loop.time()
        quiet_since_s, limit_s = began_s, FIRST_WORDS_S
        while not self._done and (now_s := self._loop.time()) - began_s < self._settings.longest_s:
            if self._take() or host.intake.hears_something:
                self._spoke, quiet_since_s, limit_s = True, now_s, self._settings.silence_s
            elif now_s - quiet_since_s >= limit_s:
                return
            await self._session.until(lambda: self._done, min(LOOK_EVERY_S, self._settings.silence_s))

    def _take(self) -> bool:
        """What the caller has said since the last time; whether it was anything."""
        said = self._host.intake.take_all()
        self._texts += [one.text for one in said if one.text]
        return bool(said)

    def finish(self) -> bool:
        """What was said by now is the message, if anything was. Once."""
        host, session = self._host, self._session
        if host.message is not self or self._start_ms is None:
            return self._spoke
        host.message = None
        host.intake.no_more_comes()
        self._spoke = self._take() or self._spoke
        if not self._spoke:
            session.event("voicemail.empty")
            return False
        text, end_ms = self._rules.redact(" ".join(self._texts)), session.now_ms()
        session.event("voicemail.left", start_ms=self._start_ms, end_ms=end_ms)
        host.write_action(
            "[voicemail]", {"type": "voicemail", "text": text, "start_ms": self._start_ms, "end_ms": end_ms}
        )
        session.world.bus.publish(MessageLeft(session.session_id, "voicemail.left", text, self._start_ms, end_ms))
        return True
