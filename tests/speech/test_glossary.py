"""One file for all three engines, and how what is written is said."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.glossary import GlossaryFile, read_glossary
from kallglot_media.speech.spoken_form import spoken_form
from kallglot_media.speech.types import Transcript, Word

TEXT = """
terms:
  - term: Kallglot
    heard: [call clot, Kollglott]
    say: {de: Koll-Glott}
  - term: Router
    translations: {en: gateway}
"""


def glossary_file(folder: Path, text: str = TEXT) -> Path:
    path = folder / "glossary.yaml"
    path.write_text(text, "utf-8")
    return path


def test_what_is_heard_becomes_what_is_written(tmp_path: Path) -> None:
    glossary = read_glossary(glossary_file(tmp_path))
    words = (Word("Kollglott.", 0, 300, 0.9),)
    heard = Transcript("Mein Call clot und Kollglott.", "de", 1.0, 0.9, 0.0, words, 5.0)
    corrected = glossary.corrected(heard)
    assert corrected.text == "Mein Kallglot und Kallglot."
    assert corrected.words[0].text == "Kallglot"
    assert glossary.words == ("Kallglot", "Router")


def test_terms_of_a_text_are_translated_as_they_must_be(tmp_path: Path) -> None:
    glossary = read_glossary(glossary_file(tmp_path))
    assert glossary.pairs("Mein Kallglot-Router", "de", "en") == [("Kallglot", "Kallglot"), ("Router", "gateway")]
    assert glossary.pairs("my gateway", "en", "de") == [("gateway", "Router")]
    assert glossary.pairs("Routers", "de", "en") == []
    assert glossary.said("Hier ist Kallglot.", "de") == "Hier ist Koll-Glott."


def test_it_is_read_anew_when_it_changes_and_a_mistake_leaves_the_last_good_one(tmp_path: Path) -> None:
    path = glossary_file(tmp_path)
    file = GlossaryFile(path)
    file.load()
    assert len(file.now().terms) == 2
    path.write_text("terms: [{term: Modem}]", "utf-8")
    assert [one.term for one in file.now().terms] == ["Modem"]
    path.write_text("terms: [{trem: Modem}]", "utf-8")
    assert [one.term for one in file.now().terms] == ["Modem"]
    path.unlink()
    assert [one.term for one in file.now().terms] == ["Modem"]
    path.write_text(TEXT, "utf-8")
    os.utime(path, ns=(1, 1))
    assert len(file.now().terms) == 2


@pytest.mark.parametrize(
    ("text", "where"),
    [
        ("terms: {a: b}", ""),
        ("words: []", ""),
        ("terms:\n  - term: [", ":2"),
        ("terms: [{term: 12}]", " terms.0.term"),
        ("terms: [{term: a, heard: b}]", " terms.0.heard"),
        ("terms: [{term: a, say: [b]}]", " terms.0.say"),
        ("terms: [a]", " terms.0"),
    ],
)
def test_a_mistake_is_named_with_its_place(tmp_path: Path, text: str, where: str) -> None:
    path = glossary_file(tmp_path, text)
    with pytest.raises(SpeechSetupError) as told:
        read_glossary(path)
    assert told.value.where.startswith(f"{path}{where}")
    assert told.value.mend


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("AB-47 kostet 12,50 €.", "de", "A B 4 7 kostet zwölf Euro fünfzig."),
        ("It is $1,234.", "en", "It is one thousand, two hundred and thirty-four dollars."),
        ("um 14:30 Uhr", "de", "um vierzehn Uhr dreißig"),
        ("at 09:05", "en", "at nine oh five"),
        ("am 03.05.2024", "de", "am dritten Mai zweitausendvierundzwanzig"),
        ("on 2024-05-03", "en", "on May third, twenty twenty-four"),
        ("max.meier@firma.de", "de", "max Punkt meier at firma Punkt de"),
        ("Rufen Sie 030123456 an", "de", "Rufen Sie 0 3 0 1 2 3 4 5 6 an"),
        ("order 12345678", "en", "order 1 2 3 4 5 6 7 8"),
        ("1 € um 1:00", "de", "ein Euro um ein Uhr"),
        ("25 %", "fr", "25 pour cent"),
        ("am 99.99.2024 um 25:99", "de", "am 99.99.2024 um 25:99"),
        ("12,50 €", "xx", "12,50 €"),
        ("Ich wohne in Paris.", "de", "Ich wohne in Paris."),
    ],
)
def test_how_it_is_said(text: str, language: str, said: str) -> None:
    assert spoken_form(text, language) == said
