"""Passages: complete, in order, cut between sentences, never across a heading."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.knowledge.chunks import ChunkRules, Passage, cut
from kallglot_media.knowledge.sections import Section

SMALL = ChunkRules(full_chars=40, longest_chars=60, overlap_chars=0)


def texts(text: str, rules: ChunkRules = SMALL) -> list[str]:
    return [passage.text for passage in cut([Section(text)], rules)]


def test_short_sections_stay_whole_and_apart() -> None:
    sections = [Section("One.\n\nTwo.", "A", 1), Section("Three.", "B", 2)]
    assert cut(sections) == [Passage("One.\n\nTwo.", "A", 1), Passage("Three.", "B", 2)]


def test_a_long_one_is_cut_between_sentences() -> None:
    assert texts('He said "no." Then he left the shop. Nobody paid. All was well.') == [
        'He said "no." Then he left the shop.',
        "Nobody paid. All was well.",
    ]


def test_whole_sentences_overlap() -> None:
    rules = ChunkRules(full_chars=30, longest_chars=60, overlap_chars=12)
    assert texts("First of all. Second one. Third one here. Fourth.", rules) == [
        "First of all. Second one.",
        "Second one. Third one here.",
        "Fourth.",
    ]


def test_a_sentence_without_end_is_cut_between_words_and_a_word_without_end_anywhere() -> None:
    assert texts("word " * 20) == [("word " * 12).strip(), ("word " * 8).strip()]
    assert texts("x" * 130) == ["x" * 60, "x" * 60, "x" * 10]


def test_sentences_of_scripts_without_spaces() -> None:
    assert texts("返品は三十日以内です。" * 5) == [
        "返品は三十日以内です。 返品は三十日以内です。 返品は三十日以内です。",
        "返品は三十日以内です。 返品は三十日以内です。",
    ]


@given(some.text(alphabet='ab .!")\n漢。', max_size=500))
def test_nothing_but_white_space_is_lost(text: str) -> None:
    assert "".join("".join(texts(text)).split()) == "".join(text.split())


@given(some.text(alphabet='ab .!")\n漢。', max_size=500), some.integers(0, 30))
def test_no_passage_is_too_long_or_empty(text: str, overlap: int) -> None:
    rules = ChunkRules(40, 60, overlap)
    assert all(0 < len(one) <= 64 for one in texts(text, rules))
