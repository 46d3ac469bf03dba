"""Translation with the starter packages, in this process."""

from __future__ import annotations

import json
import zipfile
from dataclasses import replace
from pathlib import Path

import pytest

from kallglot_media.speech.argos import ArgosTranslator, stutters
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.models import Installed, Model
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from kallglot_media.speech.types import Translation, Translator, UnknownPair

pytestmark = pytest.mark.engines


@pytest.mark.parametrize(
    ("source", "target", "text", "meant"),
    [
        ("de", "en", "Ich habe am Mittwoch bestellt.", "I ordered on Wednesday."),
        ("en", "de", "What is your address?", "Wie lautet Ihre Adresse?"),
    ],
)
def test_known_sentences(translator: Translator, source: str, target: str, text: str, meant: str) -> None:
    made = translator.translate(text, source, target)
    assert (made.text, made.source, made.target) == (meant, source, target)


def test_several_sentences_are_translated_one_by_one(translator: Translator) -> None:
    made = translator.translate("Ich wohne in Paris. Ich brauche eine SIM-Karte.", "de", "en")
    assert made.text == "I live in Paris. I need a SIM card."


@pytest.mark.parametrize("text", ["", "   ", "\n"])
def test_nothing_stays_nothing(translator: Translator, text: str) -> None:
    assert translator.translate(text, "de", "en").text == ""


def test_the_same_language_is_left_as_it_is(translator: Translator) -> None:
    assert translator.translate("Guten Tag. Ja.", "de", "de").text == "Guten Tag. Ja."


def test_an_unknown_pair_names_what_is_there_and_the_mend(translator: Translator) -> None:
    with pytest.raises(UnknownPair) as refused:
        translator.translate("hei", "fi", "de")
    assert str(refused.value) == (
        "no package translates fi→de (installed: de→en, en→de); put translate-fi_de.argosmodel "
        "into the models folder's argos/, or fi→en and en→de"
    )


def spanish(package: Model, folder: Path) -> Model:
    """The German package under a Spanish name, unpacked: what a second language looks like."""
    with zipfile.ZipFile(package.path) as zipped:
        zipped.extractall(folder)
    (inside,) = folder.iterdir()
    (inside / "metadata.json").write_text(json.dumps({"from_code": "es", "to_code": "en"}))
    return replace(package, path=inside, languages=("es", "en"))


def test_a_pair_without_a_package_goes_through_english(starter: Installed, tmp_path: Path) -> None:
    packages = starter.packages()
    translator = ArgosTranslator([*packages, spanish(packages[0], tmp_path)], SpeechSettings())
    assert translator.translate("Ich wohne in Paris.", "es", "de").text == "Ich wohne in Paris."


def test_a_long_text_comes_back_whole(translator: Translator) -> None:
    made = translator.translate("Ich wohne in Paris. " * 50, "de", "en")
    assert made.text == " ".join(["I live in Paris."] * 50)


def test_a_sentence_that_goes_on_is_translated_from_where_it_was_left(starter: Installed) -> None:
    translator = ArgosTranslator(starter.packages(), SpeechSettings())
    began = translator.translate("Ich möchte meine Waschmaschine ändern,", "de", "en").text
    alone = translator.translate("weil sie nicht funktioniert.", "de", "en").text
    went_on = translator.translate(
        "weil sie nicht funktioniert.", "de", "en", "Ich möchte meine Waschmaschine ändern,", began
    ).text
    assert went_on.startswith("because"), "the conjunction only makes sense behind its beginning"
    assert not alone.startswith("because")
    assert began not in went_on


@pytest.mark.parametrize(
    ("source", "text", "expected"),
    [
        ("Ich komme,", "I come, I come.", True),
        ("Ihre E-Mail", "Ihre E-Mail-Mail-Mail-Adresse", True),
        ("nein nein, das nicht", "no no, not that", False),
        ("eins eins acht", "one one eight", False),
        ("Guten Tag.", "Good morning.", False),
    ],
)
def test_saying_the_same_twice_is_noticed(source: str, text: str, expected: bool) -> None:
    assert stutters(source, text) is expected


def test_a_clause_gets_no_full_stop_and_does_not_stutter(translator: Translator) -> None:
    assert translator.translate("Guten Tag, mein Name ist", "de", "en").text == "Hello, my name is"
    assert translator.translate("Ich habe am Mittwoch bestellt,", "de", "en").text == "I ordered on Wednesday,"


def repackaged(package: Path, folder: Path, about: dict[str, object]) -> Model:
    """The package unpacked, with more in its metadata."""
    with zipfile.ZipFile(package) as packed:
        packed.extractall(folder)
    (inside,) = folder.iterdir()
    known = json.loads((inside / "metadata.json").read_text("utf-8"))
    (inside / "metadata.json").write_text(json.dumps({**known, **about}), encoding="utf-8")
    return Model(EngineKind.TRANSLATOR, inside.name, inside, (known["from_code"], known["to_code"]), 0, starter=False)


def test_a_package_may_say_how_long_its_translations_like_to_be(starter: Installed, tmp_path: Path) -> None:
    """Of all hypotheses the shortest is likeliest; the penalty is what makes up for that."""
    package = next(one for one in starter.packages() if one.languages == ("de", "en")).path
    text = "Ich hätte gern zwei große Pizzen mit Schinken und Ananas, und dazu bitte noch einen Salat und zwei Cola."
    made = {}
    for penalty in (0.0, 4.0):
        model = repackaged(package, tmp_path / str(penalty), {"length_penalty": penalty})
        made[penalty] = ArgosTranslator([model], SpeechSettings()).translate(text, "de", "en").text
    assert len(made[4.0]) > len(made[0.0])


def test_a_length_penalty_that_is_none_is_refused(starter: Installed, tmp_path: Path) -> None:
    package = starter.packages()[0].path
    for number, wrong in enumerate(("1", -1, True, None)):
        model = repackaged(package, tmp_path / str(number), {"length_penalty": wrong})
        with pytest.raises(SpeechSetupError, match=r"length_penalty .*write a number from 0 to 5"):
            ArgosTranslator([model], SpeechSettings())


def test_several_at_once_are_translated_as_each_alone(translator: ArgosTranslator) -> None:
    texts = ["Ich wohne in Paris.", "Guten Tag. Ich brauche eine SIM-Karte.", "", "Es sind 4711 Euro."]
    found = translator.translate_all([[text, "de", "en", "", "", []] for text in texts])
    assert [one.text for one in found if isinstance(one, Translation)] == [
        translator.translate(text, "de", "en").text for text in texts
    ]
    with pytest.raises(ValueError, match="one direction"):
        translator.translate_all([["Ja.", "de", "en"], ["Yes.", "en", "de"]])
