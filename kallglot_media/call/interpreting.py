"""Whose words a session makes over for whom: an interpreter for each talker, and the last words of who hangs up."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.direction import Direction
from kallglot_media.call.interpreter import Interpreter
from kallglot_media.call.listening import told_meanwhile
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.modes.policy import TURN_BY_TURN, Policy

if TYPE_CHECKING:
    from kallglot_media.call.session import Session


class Interpreting:
    """One session's. What the media plane says of talkers and plays reaches their interpreters through it."""

    def __init__(self, session: Session) -> None:
        self._session = session
        self._segment = SegmentRules()
        self._interpreters: dict[Party, Interpreter] = {}

    def start(self, directions: Sequence[Direction], rules: SegmentRules, policy: Policy = TURN_BY_TURN) -> None:
        """Make words over from now on, and cut the talkers' voices into utterances."""
        session = self._session
        self._segment = told_meanwhile(rules, policy)
        for direction in directions:
            interpreter = Interpreter(
                direction,
                session.world.engines,
                session,
                asyncio.get_running_loop().time,
                session.world.deadlines,
                session.world.longest_line,
                policy,
            )
            self._interpreters[direction.talker] = interpreter
            session.own(interpreter.run(), f"interpreter {direction.talker}")
            session.own(interpreter.glimpse(), f"glimpses {direction.talker}")
            self.listen_to(direction.talker)

    def listen_to(self, party: Party) -> None:
        """A party has a new leg: if its words are made over, cut its voice into utterances."""
        legs = self._session.legs
        if party in self._interpreters and party in legs:
            legs[party].listen(self._segment)

    def close(self) -> None:
        """Words are made over no longer; what is in line is still written down."""
        for interpreter in self._interpreters.values():
            interpreter.close()

    def stop(self) -> None:
        """The same where the session goes on: nobody is let through any more, and others may be made over later."""
        self.close()
        self._interpreters = {}
        self._session.sound.forget_through()

    async def last_words(self, talker: Party, limit_s: float) -> None:
        """Let what a party said before hanging up be made over and heard, within a limit."""
        session = self._session
        interpreter = self._interpreters.get(talker)
        leg = session.legs[talker]
        leg.close_media()
        if interpreter is None:
            return
        listener = session.legs.get(interpreter.direction.listener)

        def all_said() -> bool:
            if session.sound.is_dead or listener is None or listener.ended.done():
                return True
            heard = session.sound.is_all_heard(listener.leg_id)
            return session.parties.is_media_closed(leg.leg_id) and interpreter.idle and heard

        if not await session.until(lambda: all_said() or session.stop.done(), limit_s):
            session.event("last_words.cut", speaker=talker)

    # ── what the media plane says ────────────────────────────────────────────────

    def grow(self, talker: Party, piece: m.SpeechGrew) -> None:
        """A talker goes on speaking."""
        if (interpreter := self._interpreters.get(talker)) is not None:
            interpreter.grow(piece)

    def hear(self, talker: Party, utterance: m.Utterance) -> None:
        """A talker has said something."""
        if (interpreter := self._interpreters.get(talker)) is not None:
            interpreter.hear(utterance)

    def playout_started(self, started: m.PlayoutStarted) -> None:
        """The first sample of a play is on the wire; whose it is the interpreters know."""
        for interpreter in self._interpreters.values():
            interpreter.playout_started(started)

    def playout_finished(self, play_id: str) -> None:
        """A play is over, heard or thrown away."""
        for interpreter in self._interpreters.values():
            interpreter.playout_finished(play_id)
