"""Comfort noise, RFC 3389: what a listener hears while the other side sends no sound, lest the line seem dead."""

from __future__ import annotations

import numpy as np

from kallglot_media.audio.pcm import Pcm16

_POOL_SAMPLES = 1 << 14
_STEP = 4_099  # a prime, so that the same pieces do not follow each other soon
_SQUARE_WAVE_DBFS = 20 * np.log10(32767.0)

_POOL = np.random.default_rng(3389).standard_normal(2 * _POOL_SAMPLES).astype(np.float32)


def comfort_noise(level_dbov: int, samples: int, number: int) -> Pcm16:
    """White noise. Its spectrum, which a peer may describe, is not followed.

    level_dbov  RMS below that of the loudest square wave (RFC 3389 section 3.1); -127 is silence
    number      of the frame: another one, other noise
    """
    if level_dbov <= -127:
        return np.zeros(samples, np.int16)
    start = number * _STEP % _POOL_SAMPLES
    gain = 10 ** ((level_dbov + _SQUARE_WAVE_DBFS) / 20)
    noise: Pcm16 = np.clip(np.rint(gain * _POOL[start : start + samples]), -32768, 32767).astype(np.int16)
    return noise
