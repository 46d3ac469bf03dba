"""Faster, at the same pitch; and pauses cut short."""

import numpy as np
import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.stretch import WINDOW_MS, faster, shorter_pauses

RATE_HZ = 16_000


def vowel(seconds: float, hz: float = 120.0) -> Pcm16:
    """A voice: a buzz whose loudness comes and goes four times a second."""
    at = np.arange(int(seconds * RATE_HZ)) / RATE_HZ
    buzz = sum(np.sin(2 * np.pi * hz * k * at) / (1 + abs(k - 5)) for k in range(1, 25))
    return np.asarray(buzz * 4000 * (0.6 + 0.4 * np.sin(2 * np.pi * 4 * at)), np.float64).astype(np.int16)


def pitch_hz(pcm: Pcm16) -> float:
    """By autocorrelation, in the middle of the sound."""
    middle = pcm[len(pcm) // 2 - 2000 : len(pcm) // 2 + 2000].astype(np.float64)
    likeness = np.correlate(middle, middle, "full")[len(middle) - 1 :]
    shortest = RATE_HZ // 300
    return RATE_HZ / (shortest + int(np.argmax(likeness[shortest : RATE_HZ // 70])))


@pytest.mark.parametrize("speed", [1.05, 1.2, 1.35])
@pytest.mark.parametrize("hz", [90.0, 120.0, 220.0])
def test_time_is_shorter_and_pitch_the_same(speed: float, hz: float) -> None:
    sound = vowel(2.0, hz)
    made = faster(sound, RATE_HZ, speed)
    assert len(made) == pytest.approx(len(sound) / speed, abs=RATE_HZ * WINDOW_MS // 1000)
    assert pitch_hz(made) == pytest.approx(hz, rel=0.02)


def test_it_is_as_loud_as_before() -> None:
    sound = vowel(2.0)
    made = faster(sound, RATE_HZ, 1.3)
    level = [20 * np.log10(np.sqrt(np.mean(each.astype(np.float64) ** 2))) for each in (sound, made)]
    assert level[1] == pytest.approx(level[0], abs=1.0)


def test_its_own_pace_costs_nothing() -> None:
    sound = vowel(0.5)
    assert faster(sound, RATE_HZ, 1.0) is sound


@given(some.integers(0, 3000), some.floats(1.0, 1.35), some.sampled_from([8000, 16_000, 22_050]))
@example(1300, 1.0001, 22_050)
def test_no_length_is_too_short(samples: int, speed: float, rate_hz: int) -> None:
    made = faster(np.full(samples, 1000, np.int16), rate_hz, speed)
    assert made.dtype == np.int16
    assert len(made) <= samples
    assert (len(made) > 0) == (samples > 0)


def test_a_pause_is_cut_to_its_longest_and_speech_is_kept() -> None:
    silence = np.zeros(RATE_HZ // 2, np.int16)
    word = vowel(0.3)
    made = shorter_pauses(np.concatenate([word, silence, word, silence[:800], word]), RATE_HZ, 80)
    assert len(made) == pytest.approx(3 * len(word) + RATE_HZ * 80 // 1000 + 800, abs=RATE_HZ * 40 // 1000)
    assert np.array_equal(made[: len(word)], word)


def test_silence_alone_and_the_ends_stay() -> None:
    silence = np.zeros(RATE_HZ, np.int16)
    assert np.array_equal(shorter_pauses(silence, RATE_HZ, 80), silence)
    sound = np.concatenate([silence, vowel(0.3), silence])
    assert np.array_equal(shorter_pauses(sound, RATE_HZ, 80), sound)


def test_joins_do_not_click() -> None:
    word = vowel(0.3)
    made = shorter_pauses(np.concatenate([word, np.zeros(8000, np.int16), word]), RATE_HZ, 80).astype(np.int32)
    assert np.abs(np.diff(made)).max() <= np.abs(np.diff(word.astype(np.int32))).max() + 1
