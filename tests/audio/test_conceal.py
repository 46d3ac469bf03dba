"""Concealment is judged by numbers: how near it comes to the lost sound, and that it does not click."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.audio.conceal import Concealer, Erasure, history_samples
from kallglot_media.audio.pcm import Pcm16, as_pcm16
from kallglot_media.audio.wav import read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech_en_8k.wav"


def voice(seconds: float, pitch_hz: float, rate_hz: int = 8000) -> Pcm16:
    """A vowel: harmonics with formant-like weights and a slow swell."""
    time = np.arange(int(seconds * rate_hz)) / rate_hz
    waves = sum(
        np.sin(2 * np.pi * pitch_hz * k * time + k * k) / (1 + abs(k * pitch_hz - 600) / 300)
        for k in range(1, int(3400 / pitch_hz))
    )
    return as_pcm16(4000 * waves * (1 + 0.2 * np.sin(2 * np.pi * 3 * time)))


def through(sound: Pcm16, lost: set[int], rate_hz: int = 8000) -> Pcm16:
    concealer = Concealer(rate_hz)
    frames = sound.reshape(-1, rate_hz // 50)
    return np.concatenate([concealer.conceal() if n in lost else concealer.good(f) for n, f in enumerate(frames)])


def snr_db(wanted: Pcm16, got: Pcm16) -> float:
    error = wanted.astype(float) - got
    return float(10 * np.log10(np.sum(wanted.astype(float) ** 2) / max(1.0, np.sum(error**2))))


def spectral_distance_db(wanted: Pcm16, got: Pcm16) -> float:
    """Log-spectral distance over 20 ms frames."""
    spectra = [
        20 * np.log10(np.abs(np.fft.rfft(sound.reshape(-1, 160) * np.hanning(160))) + 100) for sound in (wanted, got)
    ]
    return float(np.sqrt(np.mean((spectra[0] - spectra[1]) ** 2)))


@pytest.mark.parametrize("pitch_hz", [85.0, 120.0, 190.0, 260.0])
def test_a_lost_20_ms_of_a_vowel_is_nearly_restored(pitch_hz: float) -> None:
    sound = voice(0.4, pitch_hz)
    lost = slice(10 * 160, 11 * 160)
    assert snr_db(sound[lost], through(sound, {10})[lost]) > 5


def test_it_works_at_16_khz() -> None:
    sound = voice(0.4, 120.0, 16_000)
    lost = slice(10 * 320, 11 * 320)
    assert snr_db(sound[lost], through(sound, {10}, 16_000)[lost]) > 5


def test_real_speech_with_8_percent_loss_is_nearer_than_with_zeros() -> None:
    pcm, _ = read_wav(SPEECH.read_bytes())
    sound = pcm[: len(pcm) // 160 * 160]
    frames = len(sound) // 160
    lost = {int(n) for n in np.flatnonzero(np.random.default_rng(0).random(frames) < 0.08) if n > 4}
    zeroed = sound.copy().reshape(-1, 160)
    zeroed[sorted(lost)] = 0
    concealed = through(sound, lost)
    assert snr_db(sound, concealed) > snr_db(sound, zeroed.ravel()) + 1.0
    assert spectral_distance_db(sound, concealed) < 0.5 * spectral_distance_db(sound, zeroed.ravel())


def test_there_is_no_click_at_either_end() -> None:
    sound = voice(0.6, 120.0)
    heard = through(sound, {10, 11, 20})
    steps, wanted = np.abs(np.diff(heard.astype(int))), np.abs(np.diff(sound.astype(int))).max()
    assert steps.max() <= 1.3 * wanted


def test_it_fades_after_10_ms_and_is_silent_after_60() -> None:
    erasure = Erasure(voice(0.4, 100.0)[: 8 * 160 * 2])
    made = erasure.more(720)
    level = [float(np.sqrt(np.mean(made[n * 80 : n * 80 + 80].astype(float) ** 2))) for n in range(9)]
    assert level[6:] == [0.0, 0.0, 0.0]
    assert all(later < earlier for earlier, later in pairwise(level[1:6]))
    assert 0.35 < level[3] / level[0] < 0.65  # 50 % in the middle of the fourth 10 ms


def test_sound_that_comes_back_after_silence_fades_in() -> None:
    sound = np.full(160 * 20, 8000, np.int16)
    heard = through(sound, set(range(8, 16)))
    assert not heard[11 * 160 : 16 * 160].any()
    assert np.abs(np.diff(heard[16 * 160 - 1 : 17 * 160].astype(int))).max() < 200


def test_good_frames_pass_untouched_and_undelayed() -> None:
    sound = voice(0.4, 120.0)
    assert np.array_equal(through(sound, set()), sound)


def test_a_loss_before_any_sound_is_silence() -> None:
    assert not Concealer().conceal().any()
    assert history_samples(8000) == 390


def test_only_the_missing_part_of_a_frame_is_made_up() -> None:
    sound = voice(0.4, 120.0)
    frames = sound.reshape(-1, 160)
    concealer = Concealer()
    for frame in frames[:10]:
        concealer.good(frame)
    patched = concealer.patch([(0, frames[10][:80])])
    assert np.array_equal(patched[:80], frames[10][:80])
    assert snr_db(frames[10][80:], patched[80:]) > 5
    after = concealer.patch([(80, frames[11][80:])])
    assert snr_db(frames[11], after) > 5
    assert not concealer.concealing


@given(some.lists(some.booleans(), max_size=40), some.sampled_from([np.int16(0), np.int16(32767), np.int16(-32768)]))
def test_no_pattern_of_loss_can_overflow(pattern: list[bool], extreme: np.int16) -> None:
    concealer = Concealer()
    frame = np.full(160, extreme, np.int16)
    for is_lost in pattern:
        heard = concealer.conceal() if is_lost else concealer.good(frame)
        assert heard.shape == (160,)
        assert heard.dtype == np.int16
        assert (heard == 0).all() or np.sign(heard[heard != 0]).min() == np.sign(extreme)


@pytest.mark.parametrize(("loss", "at_least", "better_by"), [(0.05, 2.9, 0.3), (0.10, 2.5, 0.5), (0.20, 2.0, 0.4)])
def test_people_would_hear_the_difference(loss: float, at_least: float, better_by: float) -> None:
    """PESQ (ITU-T P.862) of what is made up against silence in its place, for the same losses."""
    pesq = pytest.importorskip("pesq", reason="pesq is not installed: run scripts/install_peers.sh").pesq
    pcm, rate_hz = read_wav(SPEECH.read_bytes())
    assert rate_hz == 8000
    sound = pcm[: len(pcm) // 160 * 160][: 8 * 8000]
    gone = np.random.default_rng(7).random(len(sound) // 160) < loss
    bare = sound.reshape(-1, 160).copy()
    bare[gone] = 0
    made_up = pesq(8000, sound, through(sound, set(np.flatnonzero(gone).tolist())), "nb")
    nothing = pesq(8000, sound, bare.reshape(-1), "nb")
    assert made_up >= at_least
    assert made_up >= nothing + better_by
