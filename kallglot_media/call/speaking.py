"""The last step of one direction: a translation becomes made speech in the listener's line, never further behind.

The backlog of the line decides how fast each piece is spoken (lag.py). What the turn took is
told when its first sample is on the wire.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kallglot_media.call.clauses import speakable
from kallglot_media.call.direction import Direction
from kallglot_media.call.floor import Floor
from kallglot_media.call.lag import LAG_RULES, Backlog, LagController, LagRules
from kallglot_media.call.turn import TurnTimings
from kallglot_media.media.messages import PlayoutStarted
from kallglot_media.speech.types import SpeechEngines, Translation

TOLD_STEP = 0.05
"""A change of speed smaller than this is no event."""


@dataclass(slots=True)
class Progress:
    """The clock readings of one turn on its way, in seconds of the loop's clock.

    speed, backlog_s  how fast its first piece is spoken, and what was still to be heard before it
    """

    sequence: int
    speech_end_sample: int
    rate_hz: int
    heard_s: float
    text_s: float = 0.0
    words_s: float = 0.0
    sound_s: float = 0.0
    engine_ms: float = 0.0
    speed: float = 1.0
    backlog_s: float = 0.0


class Speaking:
    """One direction's made speech."""

    def __init__(
        self,
        direction: Direction,
        engines: SpeechEngines,
        floor: Floor,
        now_s: Callable[[], float],
        deadline_s: float,
        rules: LagRules = LAG_RULES,
    ) -> None:
        self._direction = direction
        self._engines = engines
        self._floor = floor
        self._now_s = now_s
        self._deadline_s = deadline_s
        self._backlog = Backlog()
        self._lag = LagController(rules)
        self._told_speed = 1.0
        self._playing: dict[str, Progress] = {}

    @property
    def is_far_behind(self) -> bool:
        """Whether words that carry nothing are to be left out."""
        return self._backlog.seconds(self._now_s()) > self._lag.rules.condense_s

    def playout_started(self, started: PlayoutStarted) -> None:
        """The first sample of a play is on the wire: if it is a turn's first, its timings are complete."""
        now_s = self._now_s()
        self._backlog.started(started.play_id, now_s)
        progress = self._playing.pop(started.play_id, None)
        if progress is None:
            return
        # Counted in samples the whole is exact, so it is the end-pointing that is found by subtraction.
        total_ms = 1000 * (started.at_sample - progress.speech_end_sample) / progress.rate_hz
        timings = TurnTimings(
            endpoint_ms=max(0.0, total_ms - 1000 * (now_s - progress.heard_s)),
            recognize_ms=1000 * (progress.text_s - progress.heard_s),
            translate_ms=1000 * (progress.words_s - progress.text_s),
            synthesize_ms=1000 * (progress.sound_s - progress.words_s),
            playout_wait_ms=1000 * (now_s - progress.sound_s),
            speech_end_to_first_sample_ms=total_ms,
            engine_ms=progress.engine_ms,
            speed=progress.speed,
            backlog_ms=1000 * progress.backlog_s,
        )
        first_sample_ms = round(1000 * started.at_sample / progress.rate_hz)
        self._floor.turn_played(progress.sequence, first_sample_ms, timings)

    def playout_finished(self, play_id: str) -> None:
        """A play is over; if it was cleared before it started, it has no timings."""
        self._playing.pop(play_id, None)
        self._backlog.finished(play_id)

    async def speak(self, translation: Translation, progress: Progress, is_over: Callable[[], bool]) -> None:
        """Make the words piece by piece: the first plays while the next is being made. Raises SpeechError."""
        voice = self._direction.voices.get(translation.target)
        progress.backlog_s = self._backlog.seconds(self._now_s())
        if progress.backlog_s > self._lag.rules.skip_s:
            self._floor.event(
                "interpreter.skipped",
                progress.speech_end_sample,
                speaker=self._direction.talker,
                sequence=progress.sequence,
                backlog_ms=round(1000 * progress.backlog_s),
            )
            return
        for index, piece in enumerate(speakable(translation.text)):
            speed = self._next_speed(progress)
            speech = await self._engines.synthesize(
                piece, translation.target, voice, deadline_s=self._deadline_s, speed=speed
            )
            if is_over():
                return
            play_id = f"{progress.sequence}.{index}"
            if index == 0:
                progress.sound_s = self._now_s()
                progress.engine_ms += speech.engine_ms
                progress.speed = speed
                self._playing[play_id] = progress
            self._backlog.put(play_id, len(speech.pcm) / speech.rate_hz)
            self._floor.play(self._direction.listener, play_id, speech.pcm, speech.rate_hz)

    def _next_speed(self, progress: Progress) -> float:
        backlog_s = self._backlog.seconds(self._now_s())
        speed = self._lag.next_speed(backlog_s)
        if abs(speed - self._told_speed) >= TOLD_STEP or (speed == 1.0 != self._told_speed):
            self._told_speed = speed
            self._floor.event(
                "lag",
                progress.speech_end_sample,
                speaker=self._direction.talker,
                backlog_ms=round(1000 * backlog_s),
                speed=round(speed, 3),
            )
        return speed
