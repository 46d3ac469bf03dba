"""Words that all audio code shares: the sample array and the 20 ms frame."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]
FRAME_MS = 20


def samples_of(duration_ms: int, rate_hz: int) -> int:
    """How many samples `duration_ms` takes, rounded down.

    samples_of(20, 8000) == 160
    """
    return duration_ms * rate_hz // 1000


def as_pcm16(sound: npt.NDArray[np.floating] | npt.NDArray[np.integer]) -> Pcm16:
    """Rounded to the nearest int16 and saturated: 40_000.0 becomes 32_767."""
    whole: Pcm16 = np.clip(np.rint(sound), -32768, 32767).astype(np.int16)
    return whole
