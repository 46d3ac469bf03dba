"""Keywords, compliance and sentiment without a model."""

from __future__ import annotations

from typing import Any

import pytest

from kallglot_media.analysis import compliance, sentiment
from kallglot_media.analysis.compliance import Rule, rules_from, says
from kallglot_media.analysis.keywords import keywords
from kallglot_media.analysis.words import LANGUAGES, lexicon, stop_words
from tests.support.talk import talk

ORDER = talk("""
    0-1 agent    en Good morning, how can I help you?
    1-2 customer en My washing machine is broken, the washing machine does not drain.
    2-3 agent    en Is there an error code on the washing machine's display?
    3-4 customer en Yes, the display shows error code seven.
    4-5 agent    en Error code seven means the drain pump is blocked. I will send a technician.
    5-6 customer en When does the technician come?
""")


def test_keywords_are_what_it_was_about() -> None:
    found = {word.text.lower(): word for word in keywords(ORDER)}
    assert {"washing machine", "error code", "technician"} <= set(found)
    assert found["washing machine"].count == 3
    assert found["washing machine"].speakers == ("customer", "agent")
    assert found["technician"].count == 2
    assert not {"the", "good morning", "washing", "machine", "code"} & set(found)
    assert next(iter(found.values())).score == 1.0


def test_forms_of_a_word_are_one_keyword() -> None:
    found = keywords(
        talk("0-1 customer de Meine Rechnungen!\n1-2 agent de Welche Rechnung?\n2-3 agent de Die Rechnung.")
    )
    assert [(word.text, word.count) for word in found] == [("Rechnung", 3)]


def test_each_language_has_its_own() -> None:
    found = keywords(talk("0-1 customer de Rechnung Rechnung\n1-2 agent en invoice invoice"))
    assert {(word.text, word.language) for word in found} == {("Rechnung", "de"), ("invoice", "en")}


def test_unknown_languages_and_nothing() -> None:
    assert keywords([]) == ()
    assert keywords(talk("0-1 customer xx ab kwatemala kwatemala"))[0].text == "kwatemala"
    assert keywords(talk("0-1 customer en 4711 yes the")) == ()
    assert len(keywords(ORDER, most=2)) == 2


@pytest.mark.parametrize("language", sorted(LANGUAGES))
def test_lexica_are_whole_and_do_not_contradict_themselves(language: str) -> None:
    words = lexicon(language)
    assert words is not None
    assert min(len(words.good), len(words.bad)) > 35
    assert not words.good & words.bad
    assert len(stop_words(language)) > 150
    assert lexicon("xx") is None
    assert stop_words("xx") == frozenset()


@pytest.mark.parametrize(
    ("language", "text", "label"),
    [
        ("en", "This is terrible, I am very disappointed and I want a refund.", "negative"),
        ("en", "Thank you, that was excellent and very friendly.", "positive"),
        ("en", "The parcel is at the counter.", "neutral"),
        ("en", "That is not good at all, it never works.", "negative"),
        ("de", "Das ist eine Frechheit, ich bin total verärgert und enttäuscht.", "negative"),
        ("de", "Wunderbar, vielen Dank, Sie waren sehr hilfsbereit.", "positive"),
        ("es", "Estoy muy decepcionada, el servicio es pésimo y lento.", "negative"),
        ("es", "Muchas gracias, excelente servicio, muy amable.", "positive"),
        ("fr", "C'est inacceptable, je suis très déçu et en colère.", "negative"),
        ("fr", "Merci beaucoup, c'est parfait, vous êtes très gentil.", "positive"),
        ("xx", "Terrible terrible.", "unknown"),
    ],
)
def test_feelings(language: str, text: str, label: str) -> None:
    found = sentiment.by_speaker(talk(f"0-1 customer {language} {text}"))
    assert found["customer"].label == label


def test_a_complaint_that_was_mended_has_a_rising_trend() -> None:
    found = sentiment.by_speaker(
        talk("""
            0-1 customer en This is horrible and I am furious.
            1-2 agent    en I understand.
            2-3 customer en Oh great, thank you, that is perfect.
        """)
    )
    assert found["customer"].trend > 0.5
    assert found["agent"].label == "neutral"
    assert -1 <= found["customer"].score <= 1


def test_a_negated_word_counts_half_and_the_other_way_round() -> None:
    good, not_good, very_good = (
        sentiment.by_speaker(talk(f"0-1 customer en {text}"))["customer"].score
        for text in ("It is great", "It is not great", "It is really great")
    )
    assert not_good < 0 < good < very_good
    assert abs(not_good) < good


RECORDED = Rule("recording notice", ("call may be recorded", "calls are recorded"), "say", "agent", within_ms=30_000)
PROMISE = Rule("no promises", ("I guarantee",), "avoid")


def test_what_must_be_said_in_time_and_what_must_not() -> None:
    good, bad = compliance.check(
        talk("5-8 agent en Hello, this call may also be recorded.\n9-10 agent en I guarantee it."), (RECORDED, PROMISE)
    )
    assert good.passed
    assert (good.found[0].phrase, good.found[0].start_ms) == ("call may be recorded", 5000)
    assert not bad.passed
    late, fine = compliance.check(talk("31-32 agent en Our calls are recorded."), (RECORDED, PROMISE))
    assert not late.passed
    assert late.found, "it was said, but too late"
    assert fine.passed
    (wrong_speaker,) = compliance.check(talk("0-1 customer en Calls are recorded."), (RECORDED,))
    assert not wrong_speaker.passed


def test_a_translation_counts_as_said() -> None:
    rule = Rule("notice", ("Anruf wird aufgezeichnet",), speaker="agent")
    (verdict,) = compliance.check(talk("0-1 agent en We record. | de Der Anruf wird heute aufgezeichnet."), (rule,))
    assert verdict.passed
    assert verdict.found[0].text == "Der Anruf wird heute aufgezeichnet."


@pytest.mark.parametrize(
    ("text", "phrase", "language", "said"),
    [
        ("Calls may also be recorded", "call may be recorded", "en", True),
        ("The call that you made is recorded", "call recorded", "en", False),
        ("recorded call", "call recorded", "en", False),
        ("call call one two recorded", "call recorded", "en", True),
        ("anything", "", "en", False),
        ("", "word", "en", False),
        ("Ihre Verträge", "Ihr Vertrag", "de", True),
        ("Kündigungen", "Kündigung", "de", True),
    ],
)
def test_phrases(text: str, phrase: str, language: str, said: bool) -> None:
    assert says(text, phrase, language) is said


def test_rules_as_a_client_writes_them() -> None:
    rule = {"name": "n", "phrases": ["a b"], "must": "avoid", "speaker": "agent", "within_seconds": 1.5}
    assert rules_from([rule]) == (Rule("n", ("a b",), "avoid", "agent", 1500),)


@pytest.mark.parametrize(
    ("change", "mend"),
    [
        ({"name": ""}, r"rules\[0\]\.name is missing; write"),
        ({"phrases": []}, "write a list of phrases"),
        ({"phrases": "x"}, "write a list of phrases"),
        ({"phrases": [" "]}, "write a list of phrases"),
        ({"must": "shout"}, "write say or avoid"),
        ({"speaker": "boss"}, "write agent, customer or ai"),
        ({"within_seconds": -1}, "write a number of seconds"),
        ({"within_seconds": True}, "write a number of seconds"),
    ],
)
def test_wrong_rules_are_named(change: dict[str, Any], mend: str) -> None:
    with pytest.raises(ValueError, match=mend):
        rules_from([{"name": "n", "phrases": ["x"]} | change])
    with pytest.raises(ValueError, match="is no object"):
        rules_from(["x"])  # type: ignore[list-item]
