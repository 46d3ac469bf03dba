"""Answers from documents without a language model: how many are right, and how few are wrong with confidence."""

from __future__ import annotations

import pytest

from kallglot_media.agent.extract import LONGEST_ANSWER_CHARACTERS, answer
from kallglot_media.agent.knowledge import Knowledge, read_question
from kallglot_media.agent.types import Source
from kallglot_media.config.answering import Knowledge as Settings
from tests.agent.bases import Question, base, questions

THRESHOLD = Settings().threshold


@pytest.fixture(scope="module")
def bases() -> dict[str, Knowledge]:
    return {name: base(name) for name in ("webshop", "hotel", "helpdesk")}


def outcomes(bases: dict[str, Knowledge]) -> list[tuple[Question, bool, bool]]:
    """(question, answered with confidence, rightly)."""
    found = []
    for question in questions():
        given = answer(bases[question.base], question.text, question.language)
        sure = given is not None and given.confidence >= THRESHOLD
        right = given is not None and question.wanted is not None and question.wanted.lower() in given.text.lower()
        found.append((question, sure, right))
    return found


def test_at_most_2_percent_of_the_confident_answers_are_wrong(bases: dict[str, Knowledge]) -> None:
    all_of = outcomes(bases)
    assert len(all_of) >= 150
    assert {(one.base, one.language) for one, _, _ in all_of} == {
        ("webshop", "de"), ("hotel", "en"), ("helpdesk", "de"), ("helpdesk", "en"),
    }  # fmt: skip
    sure = [(question, right) for question, is_sure, right in all_of if is_sure]
    wrong = [question.text for question, right in sure if not right]
    assert len(wrong) <= 0.02 * len(sure), wrong


def test_nine_of_ten_questions_that_have_an_answer_get_it(bases: dict[str, Knowledge]) -> None:
    asked = [(sure and right) for question, sure, right in outcomes(bases) if question.wanted is not None]
    assert sum(asked) >= 0.9 * len(asked)


def test_a_question_that_the_documents_do_not_answer_is_not_answered(bases: dict[str, Knowledge]) -> None:
    invented = [question.text for question, sure, _ in outcomes(bases) if question.wanted is None and sure]
    assert invented == []


def test_an_answer_is_word_for_word_from_its_document_and_short(bases: dict[str, Knowledge]) -> None:
    for question in questions():
        given = answer(bases[question.base], question.text, question.language)
        if given is not None:
            assert len(given.text) <= LONGEST_ANSWER_CHARACTERS
            assert " ".join(given.text.split()) in " ".join(given.source.text.split()), question.text


def test_passages_in_another_language_are_not_looked_at(bases: dict[str, Knowledge]) -> None:
    given = answer(bases["helpdesk"], "Where is the wifi password?", "en")
    assert given is not None
    assert given.source.language == "en"


@pytest.mark.parametrize("text", ["", "?!", "und oder aber", "🙂"])
def test_nothing_to_look_for_finds_nothing(bases: dict[str, Knowledge], text: str) -> None:
    assert answer(bases["webshop"], text, "de") is None


def test_an_empty_base_finds_nothing() -> None:
    assert answer(Knowledge(()), "Was kostet der Versand?", "de") is None
    assert Knowledge(()).find("Was kostet der Versand?", "de", 3) == []


def test_a_document_without_headings_and_sentences_is_no_trouble() -> None:
    odd = Knowledge([Source("x", "versand " * 400, "de"), Source("y", "", "de")])
    given = answer(odd, "Was kostet der Versand?", "de")
    assert given is None or len(given.text) <= 4000


def test_a_word_inside_a_compound_counts_in_german() -> None:
    assert read_question("Was kostet die Lieferung?", "de").kind == "money"
    shop = Knowledge([Source("x", "Die Großgerätelieferung kostet 40 Euro.", "de", "Großgerätelieferung")])
    given = answer(shop, "Was kostet eine Lieferung?", "de")
    assert given is not None
    assert given.confidence > 0.5
