"""What the recogniser gets: level, rumble, peaks, and what was cut off before."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.audio.condition import TARGET_DBFS, clipped_samples, for_recognition, high_passed
from kallglot_media.audio.level import active_level_dbfs
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.wav import read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech_en_8k.wav"


def speech(level_db: float) -> Pcm16:
    pcm, rate_hz = read_wav(SPEECH.read_bytes())
    assert rate_hz == 8000
    scale = 10 ** ((level_db - active_level_dbfs(pcm, rate_hz)) / 20)
    return np.asarray(np.clip(pcm * scale, -32768, 32767), np.int16)


@pytest.mark.parametrize("level_db", [-40.0, -30.0, -22.0])
def test_every_voice_is_as_loud_as_the_next(level_db: float) -> None:
    assert active_level_dbfs(for_recognition(speech(level_db), 8000), 8000) == pytest.approx(TARGET_DBFS, abs=0.7)


def test_peaks_stay_whole() -> None:
    """A level that its peaks forbid is not forced."""
    click = np.zeros(8000, np.int16)
    click[::400] = 20_000
    made = for_recognition(click, 8000)
    assert np.abs(made.astype(int)).max() < 32_700
    assert clipped_samples(made) == 0


def test_noise_is_not_made_into_a_voice() -> None:
    hiss = np.random.default_rng(1).normal(0, 15, 16_000).astype(np.int16)
    assert np.abs(for_recognition(hiss, 8000).astype(int)).max() <= np.abs(hiss.astype(int)).max() + 10


@pytest.mark.parametrize(("hz", "gain_db"), [(50, -24.6), (100, -6.0), (300, -0.1), (1000, 0.0)])
def test_the_high_pass_is_one(hz: int, gain_db: float) -> None:
    wave = np.asarray(10_000 * np.sin(2 * np.pi * hz * np.arange(16_000) / 8000), np.int16)
    hum = np.asarray(9_000 * np.sin(2 * np.pi * 20 * np.arange(16_000) / 8000), np.int16)
    passed = (high_passed(wave + hum, 8000) - high_passed(hum, 8000))[4000:12_000].astype(float)
    assert 20 * np.log10(np.std(passed) / np.std(wave[4000:12_000])) == pytest.approx(gain_db, abs=0.4)


def test_a_voice_without_rumble_is_left_alone() -> None:
    clean = speech(-22.0)
    assert high_passed(clean, 8000) is clean
    hum = np.asarray(3000 * np.sin(2 * np.pi * 50 * np.arange(len(clean)) / 8000), np.int16)
    mended = high_passed(clean // 2 + hum, 8000).astype(float)
    assert np.std(mended - clean // 2) < 0.1 * np.std(hum)


def test_what_was_cut_off_is_counted() -> None:
    loud = np.array([0, 32_124, -32_124, 32_767, -32_768, 31_000], np.int16)
    assert clipped_samples(loud) == 4


@given(some.lists(some.integers(-32768, 32767), max_size=400))
def test_any_sound_keeps_its_length(samples: list[int]) -> None:
    pcm: npt.NDArray[np.int16] = np.array(samples, np.int16)
    assert len(for_recognition(pcm, 8000)) == len(pcm)
