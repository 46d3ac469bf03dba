"""Ears that measure: is this sound in that one, where, how loud, and with which holes.

All sound is int16 mono at `rate_hz` (8000 unless said). Correlation is normalised: 1.0 is the same
sound at any gain, about 0.04 is another sentence by another speaker.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from tests.support.waves import RATE_HZ, Pcm16

Samples = npt.NDArray[np.float64]

QUIET_DBFS = -50.0
_TINY = 1e-9


@dataclass(frozen=True, slots=True)
class Match:
    """How `sent` is found in `heard`.

    lag_samples     where sent[0] lies in heard; negative: its start was not heard
    correlation     over the whole overlap at that one lag
    window_median   median over 1 s windows, each allowed its own lag near the common one:
                    the number to judge where a jitter buffer or concealment moved the sound
    window_min      the worst of those windows
    gain_db         level of `sent` inside `heard`, by projection: other sound in `heard` does not count
    overlap_s       how much of `sent` was compared
    """

    lag_samples: int
    correlation: float
    window_median: float
    window_min: float
    gain_db: float
    overlap_s: float


def match(sent: Pcm16, heard: Pcm16, *, rate_hz: int = RATE_HZ, search_ms: int = 60) -> Match:
    """Look for `sent` anywhere in `heard`."""
    a, b = sent.astype(np.float64), heard.astype(np.float64)
    lag = best_lag(a, b)
    start, end = max(0, lag), min(len(b), lag + len(a))
    if end <= start:
        return Match(lag, 0.0, 0.0, 0.0, -np.inf, 0.0)
    part, there = a[start - lag : end - lag], b[start:end]
    windows = _windows(part, b, start, rate_hz, rate_hz * search_ms // 1000)
    return Match(
        lag_samples=lag,
        correlation=correlation(part, there),
        window_median=float(np.median(windows)) if windows else 0.0,
        window_min=min(windows, default=0.0),
        gain_db=gain_db(part, there),
        overlap_s=len(part) / rate_hz,
    )


def best_lag(a: Samples, b: Samples) -> int:
    """The lag of `a` in `b` with the largest cross-correlation, by FFT."""
    size = 1 << int(np.ceil(np.log2(len(a) + len(b))))
    cross = np.fft.irfft(np.fft.rfft(b, size) * np.conj(np.fft.rfft(a, size)), size)
    peak = int(np.argmax(cross))
    return peak if peak < size - len(a) else peak - size


def correlation(a: Samples, b: Samples) -> float:
    """Normalised dot product of two sounds of equal length; 0.0 when either is silent."""
    return float(a @ b / np.sqrt((a @ a) * (b @ b) + _TINY))


def gain_db(a: Samples, b: Samples) -> float:
    """By how many dB the part of `b` that is `a` is louder than `a`: 20·log10(a·b / a·a).

    An original 18 dB under a made voice measures -18, however loud the made voice is.
    """
    amount = float(a @ b / (a @ a + _TINY))
    return 20 * float(np.log10(amount)) if amount > 0 else -np.inf


def _windows(part: Samples, heard: Samples, start: int, rate_hz: int, search: int) -> list[float]:
    """Best correlation of each loud 1 s window of `part` within ±search samples of its place."""
    found = []
    for at in range(0, len(part) - rate_hz + 1, rate_hz):
        window = part[at : at + rate_hz]
        if level_dbfs(window) < QUIET_DBFS:
            continue
        low = max(0, start + at - search)
        there = heard[low : start + at + rate_hz + search]
        if len(there) >= rate_hz:
            found.append(_best_within(window, there))
    return found


def _best_within(window: Samples, there: Samples) -> float:
    """The largest normalised correlation of `window` with any stretch of `there`."""
    size = 1 << int(np.ceil(np.log2(len(window) + len(there))))
    cross = np.fft.irfft(np.fft.rfft(there, size) * np.conj(np.fft.rfft(window, size)), size)
    power = np.concatenate([[0.0], np.cumsum(there**2)])
    lags = len(there) - len(window) + 1
    energy = power[len(window) : len(window) + lags] - power[:lags]
    return float(np.max(cross[:lags] / np.sqrt(energy * (window @ window) + _TINY)))


def level_dbfs(pcm: Samples | Pcm16) -> float:
    """RMS level; -inf for silence. A full-scale sine is -3.01."""
    rms = float(np.sqrt(np.mean(np.square(pcm.astype(np.float64))))) if len(pcm) else 0.0
    return 20 * float(np.log10(rms / 32768)) if rms > 0 else -np.inf


def frame_levels_dbfs(pcm: Pcm16, *, rate_hz: int = RATE_HZ) -> Samples:
    """Level of each whole 20 ms frame."""
    size = rate_hz // 50
    frames = pcm[: len(pcm) // size * size].reshape(-1, size).astype(np.float64)
    rms = np.sqrt(np.mean(frames**2, axis=1))
    return np.asarray(20 * np.log10(np.maximum(rms, 1e-3) / 32768), np.float64)


def active_level_dbfs(pcm: Pcm16, *, rate_hz: int = RATE_HZ, floor_dbfs: float = QUIET_DBFS) -> float:
    """Level over the frames louder than the floor, as one would say "how loud is the voice"."""
    levels = frame_levels_dbfs(pcm, rate_hz=rate_hz)
    loud = levels[levels > floor_dbfs]
    return 10 * float(np.log10(np.mean(10 ** (loud / 10)))) if len(loud) else -np.inf


def active_s(pcm: Pcm16, *, rate_hz: int = RATE_HZ, floor_dbfs: float = QUIET_DBFS) -> float:
    """How many seconds of it are louder than the floor."""
    return float(np.count_nonzero(frame_levels_dbfs(pcm, rate_hz=rate_hz) > floor_dbfs)) / 50


@dataclass(frozen=True, slots=True)
class Stretch:
    """A stretch of sound or silence, in seconds."""

    start_s: float
    end_s: float

    @property
    def length_s(self) -> float:
        """How long it is."""
        return self.end_s - self.start_s


def gaps(
    pcm: Pcm16, *, rate_hz: int = RATE_HZ, floor_dbfs: float = QUIET_DBFS, shortest_s: float = 0.04
) -> list[Stretch]:
    """Silent stretches between the first and the last sound."""
    loud = frame_levels_dbfs(pcm, rate_hz=rate_hz) > floor_dbfs
    inside = np.flatnonzero(loud)
    if not len(inside):
        return []
    return [gap for gap in _runs(~loud, int(inside[0]), int(inside[-1]) + 1) if gap.length_s >= shortest_s]


def sounds(pcm: Pcm16, *, rate_hz: int = RATE_HZ, floor_dbfs: float = QUIET_DBFS, join_s: float = 0.4) -> list[Stretch]:
    """Stretches of sound; pauses shorter than `join_s` inside a sentence do not part it."""
    found: list[Stretch] = []
    for run in _runs(frame_levels_dbfs(pcm, rate_hz=rate_hz) > floor_dbfs):
        if found and run.start_s - found[-1].end_s < join_s:
            found[-1] = Stretch(found[-1].start_s, run.end_s)
        else:
            found.append(run)
    return found


def _runs(marks: npt.NDArray[np.bool_], first: int = 0, last: int | None = None) -> list[Stretch]:
    """Stretches of True frames within [first, last)."""
    part = marks[first:last]
    edges = np.flatnonzero(np.diff(np.concatenate([[False], part, [False]]).astype(np.int8)))
    return [Stretch((first + a) / 50, (first + b) / 50) for a, b in zip(edges[::2], edges[1::2], strict=True)]


def cut(pcm: Pcm16, stretch: Stretch, *, around_s: float = 0.2, rate_hz: int = RATE_HZ) -> Pcm16:
    """The sound of a stretch with a little around it."""
    start = max(0, round((stretch.start_s - around_s) * rate_hz))
    return pcm[start : round((stretch.end_s + around_s) * rate_hz)]


def tone_share(pcm: Pcm16, *, hz: tuple[float, ...], rate_hz: int = RATE_HZ, width_hz: float = 12.0) -> float:
    """Which share of the power lies within `width_hz` of the given frequencies: near 1.0 for a pure tone."""
    spectrum = np.abs(np.fft.rfft(pcm.astype(np.float64) * np.hanning(len(pcm)))) ** 2
    bins = np.fft.rfftfreq(len(pcm), 1 / rate_hz)
    near = np.any([np.abs(bins - centre) <= width_hz for centre in hz], axis=0)
    return float(spectrum[near].sum() / (spectrum.sum() + _TINY))
