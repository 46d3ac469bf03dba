"""Is this sound in that recording, where, and how well: normalised correlation at every lag, by FFT."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of

_FAINTEST_DB = -24.0
"""A stretch this far below the sound that is looked for cannot be it, however alike its shape."""


@dataclass(frozen=True, slots=True)
class Found:
    """The best place of a sound in a recording.

    at_sample    where its first sample lies
    correlation  1.0 is the same sound at any gain; another sentence measures about 0.05
    """

    at_sample: int
    correlation: float


def find(sound: Pcm16, recording: Pcm16, *, first: int = 0, last: int | None = None) -> Found:
    """The place between `first` and `last` (both for sound[0]) where `sound` fits best.

    A recording that is too short, or a silent sound, gives correlation 0.0.
    """
    part = recording[max(0, first) : None if last is None else last + len(sound)].astype(np.float64)
    wanted = sound.astype(np.float64)
    energy = float(wanted @ wanted)
    if len(part) < len(wanted) or energy == 0.0:
        return Found(max(0, first), 0.0)
    size = 1 << (len(part) + len(wanted)).bit_length()
    cross = np.fft.irfft(np.fft.rfft(part, size) * np.conj(np.fft.rfft(wanted, size)), size)
    lags = len(part) - len(wanted) + 1
    power = np.concatenate([[0.0], np.cumsum(part**2)])
    there = power[len(wanted) :] - power[:lags]
    floor = energy * 10 ** (_FAINTEST_DB / 10)
    fits = cross[:lags] / np.sqrt(np.maximum(there, floor) * energy)
    best = int(np.argmax(fits))
    return Found(max(0, first) + best, float(fits[best]))


_PIECE_MS = 500
_SHIFT_MS = 120
_LOUD_PIECE_DB = 15.0


@dataclass(frozen=True, slots=True)
class FoundInPieces:
    """Where a sound lies that came through a jitter buffer, which may move it by some frames in the middle.

    at_sample    where its first sample lies
    end_shift    by how many samples its last piece is later than its first
    correlation  the median over its loud pieces, each at its own place near the common one
    """

    at_sample: int
    end_shift: int
    correlation: float


def find_in_pieces(sound: Pcm16, recording: Pcm16, rate_hz: int, *, first: int = 0) -> FoundInPieces:
    """Like `find`, but half a second at a time: a frame lost or repeated in the middle of it does not hide it."""
    about = find(sound, recording, first=first).at_sample
    size, shift = samples_of(_PIECE_MS, rate_hz), samples_of(_SHIFT_MS, rate_hz)
    starts = range(0, max(1, len(sound) - size + 1), size)
    levels = {at: float(rms_dbfs(sound[at : at + size])) for at in starts}
    loud = [at for at in starts if levels[at] > max(levels.values()) - _LOUD_PIECE_DB]
    places = [
        (at, find(sound[at : at + size], recording, first=max(first, about + at - shift), last=about + at + shift))
        for at in loud
    ]
    shifts = [place.at_sample - at for at, place in places]
    fits = float(np.median([place.correlation for _, place in places]))
    return FoundInPieces(shifts[0], shifts[-1] - shifts[0], fits)


def sound_end(pcm: Pcm16, rate_hz: int, below_db: float = 35.0) -> int:
    """Where the last frame ends that is not `below_db` quieter than the loudest: the end of speech."""
    size = samples_of(FRAME_MS, rate_hz)
    levels = [float(rms_dbfs(pcm[at : at + size])) for at in range(0, len(pcm), size)]
    loud = [number for number, level in enumerate(levels) if level > max(levels) - below_db]
    return min(len(pcm), (loud[-1] + 1) * size) if loud else 0
