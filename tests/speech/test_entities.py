"""What must come through translation unchanged, by value and not by writing."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import example, given
from hypothesis import strategies as some

from kallglot_media.speech.entities import entities, in_digits, missing, number_value, surplus
from kallglot_media.speech.lock import Lock
from kallglot_media.speech.types import Translator


def values(text: str, language: str) -> list[str]:
    return [one.value for one in entities(text, language)]


@pytest.mark.parametrize(
    ("text", "language", "expected"),
    [
        ("Das sind zwölf Euro, Nummer AB-4711.", "de", ["12", "¤eur", "ab4711"]),
        ("one eight eight three nine nine", "en", ["188399"]),
        ("eins, acht, acht, drei", "de", ["1883"]),
        ("um vierzehn Uhr dreißig am 3. Mai 2024", "de", ["14", "30", "3", "2024"]),
        ("at 2:30 pm on May 3rd, 2024", "en", ["14", "30", "3", "2024"]),
        ("1.234,50 €", "de", ["1234.5", "¤eur"]),
        ("$1,234.50", "en", ["¤usd", "1234.5"]),
        ("max punkt meier at firma punkt de", "de", ["max.meier@firma.de"]),
        ("192.168.0.1", "en", ["192.168.0.1"]),
        ("die Vorwahl 0049", "de", ["0049"]),
        ("09:05", "de", ["9", "5"]),
        ("veintiuno", "es", ["21"]),
        ("quatre-vingt-dix-neuf", "fr", ["99"]),
        ("", "de", []),
    ],
)
def test_what_is_found(text: str, language: str, expected: list[str]) -> None:
    assert values(text, language) == expected


def test_small_numbers_may_be_words() -> None:
    wanted = entities("I have one question", "en")
    assert missing(wanted, "Ich habe eine Frage", "de") == []
    assert [one.value for one in missing(entities("I have 17 questions", "en"), "Fragen", "de")] == ["17"]


@pytest.mark.parametrize(
    ("text", "source", "translation", "target"),
    [
        ("Wir treffen uns um halb drei.", "de", "We meet at half past two.", "en"),
        ("at a quarter to seven", "en", "um Viertel vor sieben", "de"),
        ("um halb eins", "de", "at 12:30", "en"),
        ("Lei sei gentile", "it", "You are kind", "en"),
        ("un appareil neuf", "fr", "a new device", "en"),
        ("a third party", "en", "ein anderer", "de"),
        ("Das dritte Paket fehlt.", "de", "The last parcel is missing.", "en"),
        ("zwei Pfund Äpfel", "de", "a kilogram of apples", "en"),
        ("deux livres", "fr", "two books", "en"),
    ],
)
def test_what_is_right_is_left_alone(text: str, source: str, translation: str, target: str) -> None:
    """Putting "right" a time or a word that only looks like a number is worse than doing nothing."""
    made = Lock(text, source, target).hold(translation, str.upper)
    assert (made.text, made.repaired, made.missing) == (translation, 0, 0)


def test_a_wrong_time_is_not_right() -> None:
    assert Lock("um halb drei", "de", "en").hold("at half past three", str.upper).text != "at half past three"


def test_invented_numbers_are_noticed() -> None:
    wanted = entities("um 14 Uhr", "de")
    assert [one.value for one in surplus(wanted, "at 14 on the 5th", "en")] == ["5"]


@given(some.integers(0, 10**9), some.sampled_from(["de", "en", "es", "fr"]))
def test_a_number_is_the_same_in_every_writing(number: int, language: str) -> None:
    mark = "," if language == "en" else "."
    grouped = f"{number:,}".replace(",", mark)
    assert number_value(grouped, language) == str(number) == number_value(str(number), language)


@given(some.text(max_size=80), some.sampled_from(["de", "en", "fr", "xx"]))
@example("0¹", "de")
@example("٣ Uhr", "de")
def test_no_text_is_too_strange(text: str, language: str) -> None:
    plain = in_digits(text, language)
    for one in entities(text, language):
        assert 0 <= one.start < one.end <= len(plain)
    assert missing(entities(text, language), text, language) == []


# ── holding them ─────────────────────────────────────────────────────────────────


def test_the_hypothesis_with_the_fewest_mistakes_is_taken() -> None:
    lock = Lock("um 14 Uhr 30", "de", "en")
    assert lock.best(["at two", "at 14", "at 14:30"]) == "at 14:30"
    assert lock.best(["at 14:30 sharp", "at 14:30"]) == "at 14:30 sharp"
    assert Lock("ja", "de", "en").best(["yes 17", "yes"]) == "yes", "and not one with invented numbers"


def test_one_wrong_number_is_put_right_in_its_place() -> None:
    made = Lock("Ihre Nummer ist 4711.", "de", "en").hold("Your number is 4171.", str.upper)
    assert (made.text, made.repaired, made.missing) == ("Your number is 4711.", 1, 0)


def test_else_the_words_around_are_translated_by_themselves() -> None:
    made = Lock("Am 3. Mai zahle ich 1.250,50 Euro.", "de", "en").hold("I pay in May.", lambda text: f"<{text}>")
    assert made.text == "<Am> 3 <. Mai zahle ich> 1250.50 euros."
    assert (made.repaired, made.missing) == (3, 0)


def test_terms_are_held_as_the_glossary_says() -> None:
    lock = Lock("Mein Router ist kaputt.", "de", "en", [("Router", "gateway")])
    assert lock.best(["My router is broken.", "My gateway is broken."]) == "My gateway is broken."
    assert lock.hold("My router is broken.", lambda text: f"<{text}>").text == "<Mein> gateway <ist kaputt.>"


TEMPLATES = {
    "de": [
        "Die Bestellnummer ist {id}.", "Das kostet {money} Euro.", "Ich komme am {day}. Mai um {hour} Uhr {minute}.",
        "Meine E-Mail-Adresse ist {mail}.", "Ich habe {count} Pakete bestellt.", "Meine Kundennummer ist {spelled}.",
    ],
    "en": [
        "The order number is {id}.", "That costs {money} euros.", "I will come on May {day} at {hour}:{minute}.",
        "My email address is {mail}.", "I ordered {count} packages.", "My customer number is {spelled}.",
    ],
}  # fmt: skip
DIGITS = {
    "de": ["null", "eins", "zwei", "drei", "vier", "fünf", "sechs", "sieben", "acht", "neun"],
    "en": ["zero", "one", "two", "three", "four", "five", "six", "seven", "eight", "nine"],
}  # fmt: skip


def three_hundred() -> list[tuple[str, str, str]]:
    """(text, source, target): 25 times six sentences each way, no two alike."""
    made = []
    for n, (source, target) in itertools.product(range(25), (("de", "en"), ("en", "de"))):
        spelled = " ".join(DIGITS[source][int(digit)] for digit in str(10_007 * (n + 11)))
        euros = f"{37 * n + 12},{n:02}" if source == "de" else f"{37 * n + 12}.{n:02}"
        facts = {
            "id": f"AB-{4711 + 13 * n}", "money": euros, "day": n + 4, "hour": 8 + n % 12, "minute": 10 + 2 * n,
            "mail": f"max{n}.meier@firma.de", "count": 17 + n, "spelled": spelled,
        }  # fmt: skip
        made += [(template.format(**facts), source, target) for template in TEMPLATES[source]]
    return made


@pytest.mark.engines
def test_of_three_hundred_sentences_ninety_nine_percent_keep_all(translator: Translator) -> None:
    sentences = three_hundred()
    assert len({text for text, _, _ in sentences}) == 300
    wrong = []
    for text, source, target in sentences:
        made = translator.translate(text, source, target).text
        wanted = entities(text, source)
        if missing(wanted, made, target) or surplus(wanted, made, target):
            wrong.append((text, made))
    assert len(wrong) <= 3, wrong
