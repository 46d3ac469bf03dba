"""How loud sound is, in dBFS: 0 dBFS RMS is a square wave at full scale, a full-scale sine has -3."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of

SILENCE_DBFS = -100.0
_FULL_SCALE = 32768.0
_TINY = 1e-10  # power of SILENCE_DBFS


def rms_dbfs(pcm: Pcm16) -> npt.NDArray[np.float32]:
    """RMS level along the last axis: a number for one frame, [n_legs] for [n_legs, samples].

    Digital silence, and no samples at all, are SILENCE_DBFS.
    """
    return power_to_dbfs(mean_power(pcm))


def mean_power(pcm: Pcm16) -> npt.NDArray[np.float32]:
    """Mean square along the last axis, 1.0 at full scale."""
    sound = pcm.astype(np.float32)
    power = np.vecdot(sound, sound)
    return np.asarray(power / np.float32(_FULL_SCALE * _FULL_SCALE * max(1, pcm.shape[-1])), dtype=np.float32)


def power_to_dbfs(power: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
    """10 log10, not below SILENCE_DBFS."""
    return np.asarray(np.maximum(10.0 * np.log10(np.maximum(power, _TINY)), SILENCE_DBFS), dtype=np.float32)


def peak_dbfs(pcm: Pcm16) -> float:
    """The largest sample of all."""
    if pcm.size == 0:
        return SILENCE_DBFS
    peak = max(int(pcm.max()), -int(pcm.min()))
    return max(SILENCE_DBFS, float(20.0 * np.log10(max(peak, 1e-5) / _FULL_SCALE)))


def active_level_dbfs(pcm: Pcm16, rate_hz: int, *, margin_db: float = 15.9, hang_over_ms: int = 200) -> float:
    """The level while there is speech, without the pauses.

    As ITU-T P.56 method B defines it (active is what lies less than margin_db under the active
    level, and hang_over_ms after that), on 20 ms frames instead of a sample-wise envelope, which
    agrees within 1 dB on speech. SILENCE_DBFS where nothing is active.
    """
    size = samples_of(FRAME_MS, rate_hz)
    frames = len(pcm) // size
    if frames == 0:
        return float(rms_dbfs(pcm))
    power = mean_power(pcm[: frames * size].reshape(frames, size)).astype(np.float64)
    hang_over = hang_over_ms // FRAME_MS
    # The threshold and the level that follows from it approach each other as the threshold rises: the first to meet.
    for threshold_db in np.arange(-80.0, 0.0, 0.5):
        loud = power >= 10.0 ** (threshold_db / 10.0)
        if not loud.any():
            return SILENCE_DBFS
        active = np.convolve(loud, np.ones(hang_over + 1))[:frames] > 0
        level_db = 10.0 * float(np.log10(power[loud | active].sum() / np.count_nonzero(active)))
        if level_db - threshold_db <= margin_db:
            return level_db
    return SILENCE_DBFS
