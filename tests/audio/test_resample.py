from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.audio.resample import resample


@pytest.mark.parametrize(("from_hz", "to_hz"), [(8000, 16_000), (16_000, 8000), (22_050, 8000), (24_000, 8000)])
def test_a_tone_keeps_its_length_place_and_level(from_hz: int, to_hz: int) -> None:
    def tone(rate_hz: int) -> np.ndarray[tuple[int], np.dtype[np.int16]]:
        return (8000 * np.sin(2 * np.pi * 500 * np.arange(rate_hz) / rate_hz)).astype(np.int16)

    changed = resample(tone(from_hz), from_hz, to_hz)
    assert abs(len(changed) - to_hz) <= 1
    assert changed.dtype == np.int16
    middle = slice(to_hz // 10, -to_hz // 10)
    assert (
        np.abs(changed[: to_hz - 1][middle] - tone(to_hz)[: len(changed)][: to_hz - 1][middle].astype(int)).max() < 40
    )


def test_nothing_to_do_gives_the_same_array() -> None:
    pcm = np.arange(10, dtype=np.int16)
    assert resample(pcm, 8000, 8000) is pcm
    assert len(resample(pcm[:0], 8000, 16_000)) == 0
