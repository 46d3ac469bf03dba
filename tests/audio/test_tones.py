from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.tones import LEVEL_DBFS, TONES, tone


@pytest.mark.parametrize("region", list(TONES))
@pytest.mark.parametrize("name", ["ringback", "busy", "congestion"])
@pytest.mark.parametrize("rate_hz", [8000, 16_000])
def test_the_loop_has_its_cadence_level_and_frequencies(region: str, name: str, rate_hz: int) -> None:
    wanted = TONES[region][name]
    loop = tone(name, rate_hz, region)
    assert len(loop) == sum(wanted.cadence_ms) * rate_hz // 1000
    on = loop[: wanted.cadence_ms[0] * rate_hz // 1000]
    assert float(rms_dbfs(on)) == pytest.approx(LEVEL_DBFS, abs=0.6)
    spectrum = np.abs(np.fft.rfft(on * np.hanning(len(on))))
    loudest = np.argsort(spectrum)[-1] * rate_hz / len(on)
    assert min(abs(loudest - frequency) for frequency in wanted.frequencies_hz) < 8
    assert not loop[len(on) : len(on) + wanted.cadence_ms[1] * rate_hz // 1000].any()


def test_it_neither_clicks_nor_steps_when_looped() -> None:
    loop = tone("busy")
    assert loop[0] == loop[-1] == 0
    assert np.abs(np.diff(np.tile(loop, 2).astype(int))).max() < 2000


def test_an_unknown_tone_is_named_with_those_there_are() -> None:
    with pytest.raises(KeyError, match="no tone 'dial'; there are ringback, busy, congestion"):
        tone("dial")
    with pytest.raises(KeyError, match="no tones for region 'fr'; there are eu, uk, us"):
        tone("busy", region="fr")
