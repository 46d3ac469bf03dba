"""What is said of a sound before a model hears it."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.speech.sound import (
    frame_levels_dbfs,
    may_be_speech,
    pieces,
    quietest_ms,
    unheard_from_ms,
    voice_end_ms,
)
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16

SECONDS = np.arange(2 * RECOGNIZER_RATE_HZ) / RECOGNIZER_RATE_HZ


def tone(hz: float, peak: float = 0.3) -> Pcm16:
    return (np.sin(2 * np.pi * hz * SECONDS) * peak * 32767).astype(np.int16)


def noise(level: float) -> Pcm16:
    return (np.random.default_rng(1).normal(0, level, len(SECONDS)) * 32767).astype(np.int16)


def syllables() -> Pcm16:
    return (tone(200) * (np.sin(2 * np.pi * 4 * SECONDS) > 0)).astype(np.int16)


def test_levels_are_those_of_whole_20_ms() -> None:
    assert frame_levels_dbfs(tone(400)[:330]).round(1).tolist() == [-13.5]
    assert frame_levels_dbfs(np.zeros(320, dtype=np.int16)).tolist() == [-100.0]


@pytest.mark.parametrize(
    "sound",
    [np.zeros(0, np.int16), np.zeros(32_000, np.int16), noise(0.0005), noise(0.1), tone(425), tone(50)],
    ids=["nothing", "silence", "line noise", "hiss", "dial tone", "hum"],
)
def test_silence_and_even_sounds_are_no_speech(sound: Pcm16) -> None:
    assert not may_be_speech(sound)


@pytest.mark.parametrize("background", [0.0, 0.001, 0.02])
def test_what_rises_and_falls_may_be_speech(background: float) -> None:
    assert may_be_speech(syllables() + noise(background))


def test_a_long_sound_is_cut_where_it_is_quietest() -> None:
    sound = noise(0.1)
    sound[14_000:15_000] = 0
    first, rest = pieces(sound, 16_000 * 6 // 5)
    assert 14_000 <= len(first) <= 15_000
    assert len(first) + len(rest) == len(sound)


@given(some.integers(0, 100_000), some.integers(8_000, 48_000))
def test_no_piece_is_longer_than_asked_and_none_is_lost(samples: int, longest: int) -> None:
    sound = np.arange(samples, dtype=np.int64).astype(np.int16)
    cut = pieces(sound, longest)
    assert all(len(piece) <= longest for piece in cut)
    assert np.array_equal(np.concatenate(cut), sound)


def test_a_voice_ends_with_its_last_loud_frame_and_is_cut_where_it_is_quietest() -> None:
    pause = np.zeros(RECOGNIZER_RATE_HZ, dtype=np.int16)
    said = np.concatenate([noise(0.1), pause, noise(0.1), noise(0.0005), pause])
    assert voice_end_ms(said) == 5000
    assert 2000 <= quietest_ms(said, 1500, 2600) < 2600
    assert voice_end_ms(pause[:0]) == 0


@pytest.mark.parametrize(
    ("last_word_ms", "letters", "again"), [(2000, 20, True), (2000, 60, False), (4200, 20, False), (100, 5, False)]
)
def test_where_a_voice_goes_on_behind_the_last_word_it_is_listened_to_again(
    last_word_ms: int, letters: int, again: bool
) -> None:
    pause = np.zeros(RECOGNIZER_RATE_HZ, dtype=np.int16)
    from_ms = unheard_from_ms(np.concatenate([noise(0.1), pause, noise(0.1)]), last_word_ms, letters)
    assert (from_ms is not None) is again
    assert from_ms is None or 2000 <= from_ms <= 2500
