"""Changing the sample rate of whole utterances. Streams belong to av.AudioResampler: soxr holds back 10–120 ms."""

from __future__ import annotations

import numpy as np
import soxr

from kallglot_media.audio.pcm import Pcm16


def resample(pcm: Pcm16, from_hz: int, to_hz: int) -> Pcm16:
    """int16 mono at another rate, as long in time to within a sample; the same array when nothing is to do."""
    if from_hz == to_hz or pcm.size == 0:
        return pcm
    changed = soxr.resample(pcm, from_hz, to_hz, quality="HQ")
    return np.asarray(changed, dtype=np.int16)
