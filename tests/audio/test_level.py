from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.audio.level import SILENCE_DBFS, active_level_dbfs, peak_dbfs, rms_dbfs


def sine(amplitude: float, seconds: float = 1.0) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
    return np.rint(amplitude * np.sin(2 * np.pi * 440 * np.arange(int(8000 * seconds)) / 8000)).astype(np.int16)


def test_full_scale_is_0_and_a_sine_3_below() -> None:
    assert float(rms_dbfs(np.full(160, -32768, np.int16))) == pytest.approx(0.0, abs=0.01)
    assert float(rms_dbfs(sine(32767))) == pytest.approx(-3.01, abs=0.01)
    assert peak_dbfs(sine(32767)) == pytest.approx(0.0, abs=0.05)


def test_silence_has_a_number() -> None:
    assert float(rms_dbfs(np.zeros(160, np.int16))) == SILENCE_DBFS
    assert float(rms_dbfs(np.zeros(0, np.int16))) == SILENCE_DBFS
    assert peak_dbfs(np.zeros(0, np.int16)) == SILENCE_DBFS
    assert peak_dbfs(np.zeros(5, np.int16)) == SILENCE_DBFS
    assert active_level_dbfs(np.zeros(8000, np.int16), 8000) == SILENCE_DBFS


def test_a_batch_gives_a_level_per_leg() -> None:
    batch = np.stack([np.full(160, 3277, np.int16), np.zeros(160, np.int16)])
    assert rms_dbfs(batch).tolist() == pytest.approx([-20.0, SILENCE_DBFS], abs=0.01)


def test_the_active_level_does_not_see_the_pauses() -> None:
    talk = sine(3000)
    pauses = np.concatenate([talk, np.zeros(3 * 8000, np.int16), talk, np.zeros(3 * 8000, np.int16)])
    assert active_level_dbfs(pauses, 8000) == pytest.approx(active_level_dbfs(talk, 8000), abs=1.0)
    assert float(rms_dbfs(pauses)) < active_level_dbfs(pauses, 8000) - 5
    assert active_level_dbfs(talk[:50], 8000) == pytest.approx(float(rms_dbfs(talk[:50])))
