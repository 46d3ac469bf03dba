"""Packet loss concealment in the manner of ITU-T G.711 Appendix I.

What is missing is the last pitch periods, repeated: one period for 10 ms, two until 20 ms,
three from then on, so that it does not buzz. After 10 ms it fades by a fifth every 10 ms and is
silent from 60 ms on. The first good samples are overlapped with the continued repetition.

One thing differs: Appendix I delays all sound by 3.75 ms so that it can still change the
sound before a loss. Here nothing is delayed; the step at the seam is spread over a quarter
period instead.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence
from functools import lru_cache
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import FRAME_MS, Pcm16, as_pcm16, samples_of

_Sound = npt.NDArray[np.float32]


class _Sizes(NamedTuple):
    """Lengths in samples at one rate."""

    step: int  # 10 ms
    shortest_pitch: int  # 5 ms, 200 Hz
    longest_pitch: int  # 15 ms, 66 Hz
    window: int  # 20 ms, compared with itself one pitch earlier
    history: int  # three of the longest pitch and a quarter
    rejoin: int  # 4 ms, by which the overlap at the end grows every 10 ms
    gains: _Sound  # of each sample of an erasure, until 60 ms


@lru_cache
def _sizes(rate_hz: int) -> _Sizes:
    step = samples_of(10, rate_hz)
    longest = samples_of(15, rate_hz)
    gains = np.clip(1.0 - 0.2 * (np.arange(6 * step) - step) / step, 0.0, 1.0).astype(np.float32)
    return _Sizes(
        step, samples_of(5, rate_hz), longest, 2 * step, 3 * longest + -(-longest // 4), samples_of(4, rate_hz), gains
    )


@lru_cache
def _falling(samples: int) -> _Sound:
    """A straight line from nearly 1 to nearly 0."""
    line = (np.arange(samples, 0, -1) / (samples + 1)).astype(np.float32)
    line.setflags(write=False)
    return line


def history_samples(rate_hz: int) -> int:
    """How much sound before a loss `Erasure` looks at: 390 samples at 8 kHz."""
    return _sizes(rate_hz).history


class Erasure:
    """One stretch of lost sound, from the last good sample to the first one after it.

    It exists only while sound is missing, so a batch of legs pays nothing for the good ones.
    """

    def __init__(self, history: Pcm16, rate_hz: int = 8000) -> None:
        """history: what was heard last, newest at the end; what it lacks to history_samples() counts as silence."""
        self._sizes = _sizes(rate_hz)
        wanted = self._sizes.history
        sound = history[-wanted:].astype(np.float32)
        if len(sound) < wanted:
            sound = np.concatenate([np.zeros(wanted - len(sound), np.float32), sound])
        self._history = sound
        self._pitch = _pitch_period(sound, self._sizes)
        self._quarter = self._pitch // 4
        self._made = 0
        self._offset = 0
        # The step between the last sample and the repetition, levelled out over a quarter period.
        step = sound[-1] - sound[-1 - self._pitch]
        self._blend = step * _falling(self._quarter)
        self._cycle = sound[:0]
        self._use_periods(1)

    def more(self, samples: int) -> Pcm16:
        """The next `samples` that are missing."""
        sizes, gains = self._sizes, self._sizes.gains
        if self._made >= len(gains):
            self._made += samples
            return np.zeros(samples, np.int16)
        out = np.zeros(samples, np.float32)
        filled = 0
        while filled < samples and self._made < len(gains):
            steps, into_step = divmod(self._made, sizes.step)
            if into_step == 0 and steps in (1, 2):
                self._lengthen(steps + 1)
            size = min(samples - filled, sizes.step - into_step)
            out[filled : filled + size] = self._repeat(size) * gains[self._made : self._made + size]
            filled += size
            self._made += size
        self._made += samples - filled
        return as_pcm16(out)

    def join(self, frame: Pcm16) -> Pcm16:
        """The first good samples, overlapped with the repetition they take over from. The erasure ends."""
        sizes = self._sizes
        steps = -(-self._made // sizes.step)
        size = min(self._quarter + max(0, steps - 1) * sizes.rejoin, sizes.step, len(frame))
        gain = float(sizes.gains[self._made]) if self._made < len(sizes.gains) else 0.0
        falling = _falling(size)
        out = frame.copy()
        out[:size] = as_pcm16(frame[:size] * (1.0 - falling) + self._repeat(size) * (falling * gain))
        return out

    def _repeat(self, samples: int) -> _Sound:
        """The cycle, from where it stands, with what is left of a blend laid over it."""
        places = np.arange(self._offset, self._offset + samples) % len(self._cycle)
        self._offset = (self._offset + samples) % len(self._cycle)
        sound = self._cycle[places]
        blended = min(samples, len(self._blend))
        if blended:
            sound[:blended] += self._blend[:blended]
            self._blend = self._blend[blended:]
        return sound

    def _use_periods(self, periods: int) -> None:
        """Repeat the last `periods` pitch periods, the end of them faded into what led up to their start."""
        length, quarter = periods * self._pitch, self._quarter
        cycle = self._history[-length:].copy()
        lead_up = self._history[len(self._history) - length - quarter : len(self._history) - length]
        falling = _falling(quarter)
        cycle[length - quarter :] = cycle[length - quarter :] * falling + lead_up * (1.0 - falling)
        self._cycle = cycle

    def _lengthen(self, periods: int) -> None:
        """Go over to a longer cycle at the same phase, blending over a quarter period."""
        phase = self._offset % self._pitch
        before = self._repeat(self._quarter)
        self._use_periods(periods)
        self._offset = phase
        self._blend = self._blend[:0]
        after = self._repeat(self._quarter)
        self._offset = phase
        self._blend = (before - after) * _falling(self._quarter)


class Concealer:
    """Concealment for one leg that keeps its own history.

        frame = concealer.good(frame) if frame is not None else concealer.conceal()

    A batch with a history of its own uses `Erasure` directly.
    """

    def __init__(self, rate_hz: int = 8000) -> None:
        self._rate_hz = rate_hz
        self._frame_samples = samples_of(FRAME_MS, rate_hz)
        self._recent: deque[Pcm16] = deque(maxlen=-(-history_samples(rate_hz) // self._frame_samples))
        self._erasure: Erasure | None = None

    @property
    def concealing(self) -> bool:
        """Whether the last frame was made up."""
        return self._erasure is not None

    def good(self, frame: Pcm16) -> Pcm16:
        """What is to be heard of a frame that came: itself, its start smoothed after a loss."""
        if self._erasure is not None:
            frame = self._erasure.join(frame)
            self._erasure = None
            self._recent.append(frame)
        else:
            self._recent.append(frame.copy())  # the caller may use its array again
        return frame

    def conceal(self) -> Pcm16:
        """20 ms in place of a frame that did not come."""
        frame = self._lost().more(self._frame_samples)
        self._recent.append(frame)
        return frame

    def patch(self, pieces: Sequence[tuple[int, Pcm16]]) -> Pcm16:
        """A frame of which only `pieces`, (offset, samples) in order, came; the rest is made up."""
        frame = np.empty(self._frame_samples, np.int16)
        position = 0
        for offset, pcm in pieces:
            if offset > position:
                frame[position:offset] = self._lost(frame[:position]).more(offset - position)
            end = offset + len(pcm)
            frame[offset:end] = pcm if self._erasure is None else self._erasure.join(pcm)
            self._erasure = None
            position = end
        if position < len(frame):
            frame[position:] = self._lost(frame[:position]).more(len(frame) - position)
        self._recent.append(frame.copy())
        return frame

    def _lost(self, before: Pcm16 | None = None) -> Erasure:
        """The erasure under way, or a new one; before: heard since the last whole frame."""
        if self._erasure is None:
            heard = [*self._recent] if before is None else [*self._recent, before]
            history = np.concatenate(heard) if heard else np.zeros(0, np.int16)
            self._erasure = Erasure(history, self._rate_hz)
        return self._erasure


def _pitch_period(sound: _Sound, sizes: _Sizes) -> int:
    """The lag at which the last 20 ms are most like what came before, by normalised correlation."""
    last = sound[-sizes.window :]
    earlier = sound[-sizes.window - sizes.longest_pitch : -sizes.shortest_pitch]  # windows by falling lag
    likeness = np.correlate(earlier, last)
    power = np.cumsum(np.concatenate([np.zeros(1), earlier.astype(np.float64) ** 2]))
    energy = power[sizes.window :] - power[: -sizes.window]
    score = likeness / np.sqrt(np.maximum(energy, sizes.window))
    return sizes.longest_pitch - int(np.argmax(score))
