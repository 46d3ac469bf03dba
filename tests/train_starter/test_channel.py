"""The telephone line that starter models are trained on, and the voices' split."""

from __future__ import annotations

import itertools
import json
import random
from pathlib import Path

import numpy as np
from train_starter import channel
from train_starter.speakers import (
    ACCENTS,
    FLITE,
    HELD_OUT_FLITE,
    HELD_OUT_PICO,
    HELD_OUT_VARIANTS,
    PICO,
    VARIANTS,
    Said,
    held_out_voice,
    trained_voice,
    with_head,
)
from train_starter.splits import must_not_meet


def tone(seconds: float = 1.0, hz: float = 440.0, rate_hz: int = 16_000) -> channel.Pcm16:
    return channel.as_pcm(
        (8000 * np.sin(2 * np.pi * hz * np.arange(int(seconds * rate_hz)) / rate_hz)).astype(np.float32)
    )


def power_db(sound: channel.Pcm16 | channel.Sound) -> float:
    return 10 * float(np.log10(np.mean(np.square(sound.astype(np.float64))) + 1e-9))


def test_a_line_is_as_long_as_what_goes_into_it_and_the_same_for_a_seed() -> None:
    sound = tone(1.3)
    for seed in range(40):
        heard = channel.line(sound, random.Random(seed))
        assert heard.shape == sound.shape
        assert heard.dtype == np.int16
    assert np.array_equal(channel.line(sound, random.Random(3)), channel.line(sound, random.Random(3)))


def test_the_telephone_takes_away_what_is_above_4_khz() -> None:
    assert power_db(channel.telephone(tone(hz=6000), random.Random(1))) < power_db(tone(hz=6000)) - 30
    assert abs(power_db(channel.telephone(tone(hz=1000), random.Random(1))) - power_db(tone(hz=1000))) < 1


def test_a_handset_takes_away_rumble() -> None:
    low, high = tone(hz=80).astype(np.float32), tone(hz=1000).astype(np.float32)
    assert power_db(channel.handset(low, 16_000)) < power_db(low) - 20
    assert abs(power_db(channel.handset(high, 16_000)) - power_db(high)) < 1


def test_noise_is_as_loud_as_asked() -> None:
    sound = tone().astype(np.float32)
    added = channel.with_noise(sound, np.random.default_rng(1), 20.0) - sound
    assert abs(power_db(sound) - power_db(added) - 20) < 1


def test_echo_comes_later() -> None:
    sound = np.zeros(1000, dtype=np.float32)
    sound[10] = 100
    assert np.flatnonzero(channel.with_echo(sound, 400, 0.5)).tolist() == [10, 410]


def test_lost_frames_are_concealed() -> None:
    sound = tone(4.0, rate_hz=8000)
    heard = channel.with_loss(sound, random.Random(1), 0.1)
    frames = (heard != sound)[: len(sound) // 160 * 160].reshape(-1, 160).any(axis=1)
    assert 0.04 < frames.mean() < 0.35
    assert power_db(heard) > power_db(sound) - 3
    assert np.array_equal(channel.with_loss(sound, random.Random(1), 0.0), sound)


def test_no_voice_is_trained_on_and_judged_with() -> None:
    must_not_meet((*VARIANTS, *FLITE), (*HELD_OUT_VARIANTS, *HELD_OUT_FLITE), "voice")
    rng = random.Random(1)
    for language in ACCENTS:
        trained = {trained_voice(rng, language).speaker for _ in range(400)}
        judged = {held_out_voice(rng, language).speaker for _ in range(100)}
        must_not_meet(trained, judged, "voice")


def test_a_greater_head_speaks_lower_and_its_words_and_phones_begin_later() -> None:
    said = Said(tone(1.0, 440.0), (0, 500), (("a", 0), ("b", 250)))
    heard = with_head(said, 1.1)
    assert abs(len(heard.pcm) - 17_600) <= 2
    assert heard.word_starts_ms == (0, 550)
    assert heard.phones == (("a", 0), ("b", 275))
    spectrum = np.abs(np.fft.rfft(heard.pcm[:16_000].astype(np.float64)))
    assert int(np.argmax(spectrum)) == 400


def test_most_lines_are_trained_on_in_a_head_of_another_size() -> None:
    rng = random.Random(1)
    heads = [trained_voice(rng, language).head for language in ACCENTS for _ in range(200)]
    assert 0.5 < sum(head != 1.0 for head in heads) / len(heads) < 0.7
    assert all(held_out_voice(rng, language).head == 1.0 for language in ACCENTS for _ in range(50))


def test_the_voices_of_the_recordings_are_held_out() -> None:
    listed = json.loads((Path(__file__).parents[1] / "data" / "speech" / "manifest.json").read_text(encoding="utf-8"))
    named = {one["voice"].split("+")[-1].lower() for one in listed if one["voice"].startswith("espeak")}
    assert named <= {name.lower() for name in HELD_OUT_VARIANTS}


def test_a_bad_mobile_line_has_few_bits_and_says_frames_twice() -> None:
    noise = channel.as_pcm(np.random.default_rng(1).normal(0, 3000, 32_000).astype(np.float32))
    for seed in range(6):
        heard = channel.bad_mobile(noise, random.Random(seed))
        assert heard.shape == noise.shape
        assert power_db(heard) > power_db(noise) - 12
        frames = heard[: len(heard) // 320 * 320].reshape(-1, 320).astype(np.float64)
        again = [np.corrcoef(a, b)[0, 1] > 0.99 for a, b in itertools.pairwise(frames)]
        assert 3 <= sum(again) <= len(frames) / 8


def test_a_voice_of_pico_that_is_held_out_is_never_trained_on() -> None:
    assert not set(PICO.values()) & set(HELD_OUT_PICO)
    rng = random.Random(1)
    spoken = {trained_voice(rng, language).name for language in PICO for _ in range(300)}
    assert set(PICO.values()) <= spoken
    assert not spoken & set(HELD_OUT_PICO)
