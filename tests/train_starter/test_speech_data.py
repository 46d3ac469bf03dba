"""What is known of made speech stays true through delays, joins and cuts: where its words and phones are."""

from __future__ import annotations

import random

import numpy as np
from train_starter.speakers import RATE_HZ, Said
from train_starter.speech_data import cut_off, delayed, joined

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
