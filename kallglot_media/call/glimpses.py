"""Recognising what is being said while it is said: at most one glimpse of one talker is with the engines."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from kallglot_media.audio.resample import resample
from kallglot_media.call.listening import Heard, Listening, Rest
from kallglot_media.media.messages import SpeechGrew, Utterance
from kallglot_media.modes.policy import Policy
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Hints, SpeechEngines, SpeechError

GLIMPSE_DEADLINE_S = 2.0
"""Later than this there is a newer one to be had."""


class Glimpses:
    """run() asks the engines for as long as the call lasts; what is understood goes to `tell`.

    expects   which language is spoken, None when that is to be found out, and what else is known of it
    wanted    whether anybody takes partial transcripts now
    missed    how many the engines had no time for
    """

    def __init__(
        self,
        policy: Policy,
        engines: SpeechEngines,
        expects: Callable[[], tuple[str | None, Hints]],
        wanted: Callable[[], bool],
        tell: Callable[[Heard], None],
    ) -> None:
        self._policy = policy
        self._engines = engines
        self._expects = expects
        self._wanted = wanted
        self._tell = tell
        self._listening = Listening(policy)
        self._news = asyncio.Event()
        self._closed = False
        self.missed = 0

    def grow(self, piece: SpeechGrew) -> None:
        """Somebody goes on speaking; never waits."""
        self._listening.grow(piece)
        self._news.set()

    def rest_of(self, utterance: Utterance) -> Rest | None:
        """What of a finished utterance was not passed on; None: nothing."""
        return self._listening.rest_of(utterance)

    def close(self) -> None:
        """The call is over: no more glimpses."""
        self._closed = True
        self._news.set()

    async def run(self) -> None:
        """One glimpse after the other; sound that comes meanwhile is in the next."""
        while True:
            await self._news.wait()
            self._news.clear()
            if self._closed:
                return
            await self._look()

    def _must_look(self) -> bool:
        """By turns, what nobody watches is recognised where its speaker pauses, and mostly only there."""
        return self._policy.interpret == "clause" or self._policy.partials == "always" or self._wanted()

    async def _look(self) -> None:
        snapshot = self._listening.sound()
        if snapshot is None or not (snapshot.paused or self._must_look()):
            return
        language, hints = self._expects()
        try:
            transcript = await self._engines.transcribe(
                resample(snapshot.pcm, snapshot.rate_hz, RECOGNIZER_RATE_HZ),
                language,
                deadline_s=GLIMPSE_DEADLINE_S,
                partial=True,
                hints=hints,
            )
        except SpeechError:
            self.missed += 1  # the utterance as a whole is still to come, and says what is wrong
            return
        heard = self._listening.heard(snapshot, transcript)
        if heard is not None:
            self._tell(heard)
