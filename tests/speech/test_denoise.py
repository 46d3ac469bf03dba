"""Noise is taken off before recognition by choice, and only where the package for it is there."""

from __future__ import annotations

import sys
import types

import numpy as np
import pytest

from kallglot_media.speech.denoise import denoiser, untouched
from kallglot_media.speech.errors import SpeechSetupError


def test_by_default_sound_goes_as_it_came() -> None:
    assert denoiser(0) is untouched
    pcm = np.arange(10, dtype=np.int16)
    assert untouched(pcm) is pcm


def test_without_the_package_it_is_said_what_to_install(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "webrtc_noise_gain", None)
    with pytest.raises(SpeechSetupError, match="webrtc-noise-gain is not installed") as caught:
        denoiser(2)
    assert "kallglot-media[denoise]" in caught.value.mend


def test_whole_pieces_of_10_ms_go_through_and_as_many_samples_come_out(monkeypatch: pytest.MonkeyPatch) -> None:
    """The end is filled up with silence for the suppressor and cut off again; gain is left alone."""
    made: list[tuple[int, int]] = []

    class Processor:
        def __init__(self, gain_dbfs: int, level: int) -> None:
            made.append((gain_dbfs, level))

        def Process10ms(self, data: bytes) -> types.SimpleNamespace:  # noqa: N802  the package's name
            assert len(data) == 320
            return types.SimpleNamespace(audio=(np.frombuffer(data, np.int16) // 2).astype(np.int16).tobytes())

    monkeypatch.setitem(sys.modules, "webrtc_noise_gain", types.SimpleNamespace(AudioProcessor=Processor))
    denoise = denoiser(3)
    pcm = np.arange(1000, dtype=np.int16)
    assert np.array_equal(denoise(pcm), pcm // 2)
    assert len(denoise(pcm[:0])) == 0
    assert made == [(0, 3), (0, 3)], "each utterance by itself"


def test_the_real_one_takes_noise_off() -> None:
    pytest.importorskip("webrtc_noise_gain")
    rng = np.random.default_rng(1)
    noise = (400 * rng.standard_normal(64_000)).astype(np.int16)
    out = denoiser(2)(noise)
    assert len(out) == len(noise)
    before, after = (float(np.sqrt(np.mean(part[32_000:].astype(float) ** 2))) for part in (noise, out))
    assert after < 0.4 * before
