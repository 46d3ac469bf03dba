"""What is known of made speech stays true through delays, joins and cuts: where its words and phones are."""

from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest
from train_starter.mix import FULL
from train_starter.speakers import RATE_HZ, Said, trained_voice
from train_starter.speech_data import BREATH_MS, begun_late, cut_off, delayed, joined

HALF_S = RATE_HZ // 2


def said(*starts_ms: int) -> Said:
    phones = tuple(("ab"[number % 2], start) for number, start in enumerate(starts_ms))
    return Said(np.ones(RATE_HZ, dtype=np.int16), starts_ms, phones)


def test_speech_that_begins_later_has_a_pause_before_and_after() -> None:
    later = delayed(said(0, 400), HALF_S)
    assert later.word_starts_ms == (500, 900)
    assert later.phones == (("_", 0), ("a", 500), ("b", 900), ("_", 1500))


def test_two_sentences_are_one_after_the_other() -> None:
    both = joined(said(0, 400), HALF_S, said(100, 300))
    assert len(both.pcm) == 2 * RATE_HZ + HALF_S
    assert not both.pcm[RATE_HZ : RATE_HZ + HALF_S].any()
    assert both.word_starts_ms == (0, 400, 1600, 1800)
    assert both.phones == (("a", 0), ("b", 400), ("_", 1000), ("a", 1600), ("b", 1800), ("_", 2500))


def test_what_is_not_known_of_one_is_known_of_neither() -> None:
    dumb = Said(np.ones(RATE_HZ, dtype=np.int16))
    for both in (joined(said(0, 400), 0, dumb), joined(dumb, 0, said(0, 400))):
        assert both.word_starts_ms == ()
        assert both.phones == ()
        assert len(both.pcm) == 2 * RATE_HZ


def test_what_is_cut_off_has_the_words_and_phones_that_are_left() -> None:
    whole = Said(np.ones(RATE_HZ, dtype=np.int16), (0, 200, 500, 800), (("a", 0), ("b", 450), ("a", 480), ("b", 700)))
    text, cut = cut_off("one two, three four.", whole, random.Random(1))
    kept = len(text.split())
    assert kept in (2, 3)
    assert not text.endswith(",")
    end_ms = len(cut.pcm) * 1000 // RATE_HZ
    assert end_ms < whole.word_starts_ms[kept]
    assert cut.word_starts_ms == whole.word_starts_ms[:kept]
    assert cut.phones == tuple(one for one in whole.phones if one[1] < end_ms)


def test_further_voices_speak_their_own_language_now_and_then(tmp_path: Path) -> None:
    (tmp_path / "de_DE-somebody-low.onnx").touch()
    mix, rng = FULL.with_voices(tmp_path), random.Random(1)
    german = [trained_voice(rng, "de", mix) for _ in range(400)]
    further = [voice for voice in german if voice.engine == "piper"]
    assert 50 < len(further) < 110
    assert {voice.speaker for voice in further} == {"piper:de_DE-somebody-low.onnx"}
    assert all(trained_voice(rng, "en", mix).engine != "piper" for _ in range(100))


def test_a_folder_without_further_voices_is_named(tmp_path: Path) -> None:
    with pytest.raises(FileNotFoundError, match=r"has no Piper voices; name a folder with files such as de\.onnx"):
        FULL.with_voices(tmp_path)
    assert FULL.with_voices(None) is FULL


@pytest.mark.parametrize("seed", range(4))
def test_what_begins_late_has_the_words_and_phones_that_are_left(seed: int) -> None:
    whole = Said(np.ones(RATE_HZ, dtype=np.int16), (0, 200, 500, 800), (("a", 0), ("b", 450), ("a", 480), ("b", 700)))
    text, late = begun_late("one two, three four.", whole, random.Random(seed))
    kept = len(text.split())
    assert kept in (2, 3)
    assert text.endswith("three four.")
    gone_ms = whole.word_starts_ms[4 - kept] - BREATH_MS
    assert late.word_starts_ms == tuple(start - gone_ms for start in whole.word_starts_ms[4 - kept :])
    assert late.word_starts_ms[0] == BREATH_MS
    assert len(late.pcm) == RATE_HZ - gone_ms * RATE_HZ // 1000
    assert late.phones[0][1] == 0
    assert [start for _, start in late.phones[1:]] == [s - gone_ms for _, s in whole.phones if s > gone_ms]
