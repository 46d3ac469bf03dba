"""What a recogniser gets: without rumble, and as loud as those voices that it was trained on.

A high-pass at 100 Hz takes off mains hum and handling noise where there is some (a clean voice is better left alone);
one gain for the whole utterance brings its active level (ITU-T P.56) to −19 dBFS. One gain, not one that follows the
voice: a recogniser has no trouble with loud and soft words, but with pumping.
"""

from __future__ import annotations

import numpy as np

from kallglot_media.audio.level import active_level_dbfs
from kallglot_media.audio.pcm import Pcm16

TARGET_DBFS = -19.0
CUTOFF_HZ = 100.0
RUMBLE_SHARE = 0.05
"""Of the energy under the cutoff: with less there is nothing to take off."""

MOST_GAIN_DB = 24.0
QUIETEST_DBFS = -60.0
"""Softer than this is no voice: it is left as it is, lest noise become words."""

HIGHEST_PEAK = 0.97 * 32768
CLIPPED_AT = 32_000
"""µ-law's loudest code is 32124, A-law's 32256: what stands there was cut off."""


def clipped_samples(pcm: Pcm16) -> int:
    """How many samples stand at the end of the scale."""
    return int(np.count_nonzero((pcm >= CLIPPED_AT) | (pcm <= -CLIPPED_AT)))


def high_passed(pcm: Pcm16, rate_hz: int, cutoff_hz: float = CUTOFF_HZ) -> Pcm16:
    """Without what lies under `cutoff_hz`: 24 dB an octave, without phase shift; `pcm` itself where nothing does."""
    if pcm.size == 0:
        return pcm
    frequencies = np.fft.rfftfreq(len(pcm), 1 / rate_hz)
    spectrum = np.fft.rfft(pcm.astype(np.float32))
    energy = np.square(np.abs(spectrum))
    if energy[frequencies < cutoff_hz].sum() <= RUMBLE_SHARE * energy.sum():
        return pcm
    ratio = (frequencies / cutoff_hz) ** 4
    spectrum *= ratio / (1 + ratio)
    return np.asarray(np.clip(np.rint(np.fft.irfft(spectrum, len(pcm))), -32768, 32767), dtype=np.int16)


def for_recognition(pcm: Pcm16, rate_hz: int) -> Pcm16:
    """int16 mono, as long as before. Never louder than what keeps its peaks whole."""
    sound = high_passed(pcm, rate_hz)
    level = active_level_dbfs(sound, rate_hz)
    if level < QUIETEST_DBFS:
        return sound
    peak = max(1, int(np.abs(sound.astype(np.int32)).max()))
    gain = min(10 ** (min(TARGET_DBFS - level, MOST_GAIN_DB) / 20), max(1.0, HIGHEST_PEAK / peak))
    return np.asarray(np.rint(sound * np.float32(gain)), dtype=np.int16)
