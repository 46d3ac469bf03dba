"""Word errors against jiwer, lagging against numbers worked out by hand."""

from __future__ import annotations

import jiwer
import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.measure.scores import (
    Errors,
    average_lagging,
    entities_kept,
    erased,
    segmented,
    translation_scores,
    word_errors,
)

TEXTS = some.lists(some.sampled_from(["ja", "nein", "vielleicht", "nie", "doch"]), min_size=1, max_size=12).map(
    " ".join
)


@given(TEXTS, TEXTS)
def test_word_errors_are_those_of_jiwer(said: str, heard: str) -> None:
    found, theirs = word_errors(said, heard), jiwer.process_words(said, heard)
    assert found.percent == pytest.approx(100 * theirs.wer)
    assert found.left_out - found.put_in == theirs.deletions - theirs.insertions


def test_errors_of_several_texts_add_up() -> None:
    both = word_errors("Ja, bitte!", "nein bitte") + word_errors("Guten Tag.", "guten schönen Tag")
    assert both == Errors(replaced=1, left_out=0, put_in=1, said=4)
    assert both.percent == 50.0
    assert word_errors("", "Thanks for watching!").put_in == 3


@pytest.mark.parametrize(
    ("references", "words", "places"),
    [
        (["a b", "c d"], "a b c d", [[0, 1], [2, 3]]),
        (["a b", "c d"], "A, x c", [[0, 1], [2]]),
        (["a b", "c d"], "c d", [[], [0, 1]]),
        (["a b", "c d"], "", [[], []]),
        (["a b"], "a b c", [[0, 1, 2]]),
    ],
    ids=["as said", "one wrong", "first left out", "nothing", "more"],
)
def test_a_stream_of_words_is_cut_at_its_references(references: list[str], words: str, places: list[list[int]]) -> None:
    assert segmented(references, words.split()) == places


def test_lagging_is_the_mean_distance_to_an_ideal_interpreter() -> None:
    # four words for 4 s of speech: the ideal has them at 0, 1, 2 and 3 s
    assert average_lagging([1000, 2000, 3000, 4000], 4000, 4) == 1000
    # all at the end and the engines' 500 ms: the first word is later than the speech is long
    assert average_lagging([4500] * 4, 4000, 4) == 4500
    # what is made after the end of speech is counted once
    assert average_lagging([2000, 4100, 4100, 4100], 4000, 4) == (2000 + 3100) / 2
    # LAAL: who says more than the reference gains nothing by it
    assert average_lagging([1000] * 6 + [4000] * 2, 4000, 4) == pytest.approx((6000 - 15_000 - 2000) / 7)
    assert average_lagging([1000] * 6 + [4000] * 2, 4000, 8) == pytest.approx((6000 - 7500 + 1000) / 7)
    assert average_lagging([], 4000, 4) is None


def test_words_that_are_taken_back_are_counted() -> None:
    assert erased(["ich", "ich habe", "ich habe eine Frage"]) == 0
    assert erased(["ich", "ich hab", "ich habe eine", "du"]) == 1 + 3
    assert erased([]) == 0


def test_numbers_that_come_through_are_counted() -> None:
    assert entities_kept("Es sind 1.234,50 € am 3. Mai.", "It is 1,234.50 euros.", "de", "en") == (2, 3)
    assert entities_kept("Guten Tag.", "Hello.", "de", "en") == (0, 0)


def test_translations_are_scored_by_sacrebleu() -> None:
    assert min(translation_scores(["The cat sat on the mat."], ["The cat sat on the mat."])) > 99
    assert max(translation_scores(["The cat sat on the mat."], ["A dog."])) < 20
