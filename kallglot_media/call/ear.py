"""What the caller says to an AI: utterances into text, joined while they are not finished; each is a turn."""

from __future__ import annotations

import asyncio
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from kallglot_media.agent.endpoint import Patience, more_silence_ms
from kallglot_media.audio.resample import resample
from kallglot_media.call.mouth import Asked
from kallglot_media.call.session import Session
from kallglot_media.call.turn import Turn
from kallglot_media.media.messages import Utterance
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, SpeechError, Transcript

LONGEST_LINE = 4


@dataclass(frozen=True, slots=True)
class Said:
    """The caller has finished. text "": nothing was understood in it. failed: the recogniser did."""

    text: str
    asked: Asked
    failed: bool = False


class Ear:
    """hear() utterances, run() in a task; on_text for each piece at once, on_said when the caller has finished.

    on_text  on_text(text) is called before anybody knows whether more follows
    """

    def __init__(
        self,
        session: Session,
        language: str,
        patience: Patience,
        redact: Callable[[str], str],
        on_text: Callable[[str], None],
        on_said: Callable[[Said], None],
    ) -> None:
        self._session = session
        self._language = language
        self._patience = patience
        self._redact = redact
        self._on_text = on_text
        self._on_said = on_said
        self._loop = asyncio.get_running_loop()
        self._line: deque[tuple[Utterance, float]] = deque()
        self._wake = asyncio.Event()
        self._working = False
        self._parts: list[str] = []
        self._speaking = False
        self._asked: Asked | None = None
        self._timer: asyncio.TimerHandle | None = None

    def hear(self, utterance: Utterance) -> None:
        """An utterance of the caller; never waits. When four wait, the oldest is given up."""
        self._speaking = False
        if len(self._line) >= LONGEST_LINE:
            lost, _ = self._line.popleft()
            self._session.event("utterance.dropped", lost.speech_end_sample, speaker=Party.CUSTOMER)
        self._line.append((utterance, self._loop.time()))
        self._wake.set()

    def speech_started(self) -> None:
        """The caller speaks (again): what they have said so far is not all."""
        self._speaking = True
        self._stop_timer()

    def speech_dropped(self) -> None:
        """It was a click."""
        self._speaking = False
        if self._parts and self.idle:
            self.finish()

    @property
    def idle(self) -> bool:
        """Nothing waits and nothing is being recognised."""
        return not self._line and not self._working

    @property
    def busy(self) -> bool:
        """The caller speaks, or what they said is not dealt with yet."""
        return self._speaking or bool(self._parts) or not self.idle

    async def run(self) -> None:
        """Work the line off, for ever."""
        while True:
            while self._line:
                self._working = True
                utterance, heard_s = self._line.popleft()
                transcript = await self._recognise(utterance)
                self._working = False
                self._take(utterance, transcript, heard_s)
            self._session.became_idle()
            self._wake.clear()
            await self._wake.wait()

    async def _recognise(self, utterance: Utterance) -> Transcript | None:
        world = self._session.world
        pcm = np.frombuffer(utterance.pcm, dtype=np.int16)
        try:
            return await world.engines.transcribe(
                resample(pcm, utterance.rate_hz, RECOGNIZER_RATE_HZ),
                self._language,
                deadline_s=world.deadlines.transcribe_s,
            )
        except SpeechError as error:
            self._session.event("recognizer.failed", utterance.speech_end_sample, why=type(error).__name__)
            return None

    def _take(self, utterance: Utterance, transcript: Transcript | None, heard_s: float) -> None:
        engine_ms = transcript.engine_ms if transcript is not None else 0.0
        asked = Asked(utterance.speech_end_sample, heard_s, self._loop.time(), engine_ms)
        text = transcript.text.strip() if transcript is not None else ""
        if not text:
            self._session.event("utterance.empty", utterance.speech_end_sample, speaker=Party.CUSTOMER)
            self._on_text("")
            if self._parts:
                self.finish()
            elif transcript is None:
                self._on_said(Said("", asked, failed=True))
            elif _is_long(utterance):
                self._on_said(Said("", asked))
            return
        assert transcript is not None
        self._write(utterance, transcript, text)
        self._parts.append(text)
        self._asked = asked
        self._on_text(" ".join(self._parts))
        if self._speaking or self._line:
            return  # they go on already
        wait_ms = more_silence_ms(text, self._language, self._patience)
        if wait_ms:
            self._stop_timer()
            self._timer = self._loop.call_later(wait_ms / 1000, self.finish)
        else:
            self.finish()

    def finish(self) -> None:
        """What was said so far is all of it."""
        self._stop_timer()
        if self._parts and self._asked is not None:
            text, self._parts = " ".join(self._parts), []
            self._on_said(Said(text, self._asked))

    def _stop_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None

    def _write(self, utterance: Utterance, transcript: Transcript, text: str) -> None:
        session = self._session
        start_ms = 1000 * utterance.first_sample // utterance.rate_hz
        start_ms += transcript.words[0].start_ms if transcript.words else 0
        end_ms = 1000 * utterance.speech_end_sample // utterance.rate_hz
        session.turn_done(
            Turn(
                sequence=session.next_sequence(),
                speaker=str(Party.CUSTOMER),
                language=transcript.language,
                text=self._redact(text),
                translation=None,
                start_ms=min(start_ms, end_ms),
                end_ms=end_ms,
                confidence=transcript.confidence,
            )
        )


def _is_long(utterance: Utterance) -> bool:
    """A cough is not a question: nothing is asked back for it."""
    return len(utterance.pcm) // 2 > utterance.rate_hz
