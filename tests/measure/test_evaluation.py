"""`kallglot-media eval`: sets with mistakes, what calls are made of, and what of a call belongs to which recording."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner

from kallglot_media.audio.wav import wav_bytes
from kallglot_media.cli import app
from kallglot_media.config import load_config
from kallglot_media.errors import SetupError
from kallglot_media.measure.in_call import _given, _Place, parts_of, scripts
from kallglot_media.measure.outcome import Outcome, Way, score
from kallglot_media.measure.samples import Sample, pairs, read_samples
from kallglot_media.phone.demo_setup import Staging, prepare
from kallglot_media.phone.session_folder import STAGES, Timings, Turn
from kallglot_media.phone.verdict import Line

SHIPPED = Path(__file__).parents[1] / "data" / "speech"
SECOND = np.zeros(16_000, np.int16)


def sample(text: str, translation: str = "", *, language: str = "de", target: str = "en", seconds: int = 2) -> Sample:
    return Sample(f"{text}.wav", np.resize(SECOND, seconds * 16_000), language, target, text, translation)


def write_set(folder: Path, *entries: dict[str, str]) -> Path:
    (folder / "a.wav").write_bytes(wav_bytes(SECOND, 16_000))
    (folder / "manifest.json").write_text(json.dumps(entries))
    return folder


def test_a_set_is_read_with_what_it_is_translated_to(tmp_path: Path) -> None:
    german = {"file": "a.wav", "language": "de", "text": "Guten Tag.", "translation": "Hello."}
    french = {"file": "a.wav", "lang": "fr", "text": "", "target": "en"}
    english = {"file": "a.wav", "language": "en", "text": "Hello.", "target": "de"}
    found = read_samples(write_set(tmp_path, german | {"target": "en"}, french, english, english), limit=1)
    assert [(one.pair, one.text, one.translation) for one in found] == [
        ("de→en", "Guten Tag.", "Hello."),
        ("fr→en", "", ""),
        ("en→de", "Hello.", ""),
    ]
    assert pairs(found) == [("de", "en"), ("fr", "en")]


@pytest.mark.parametrize(
    ("manifest", "wrong", "mend"),
    [
        ("[", "is no JSON", "write a list"),
        ("{}", "is no list", "write a list"),
        ('[{"file": "a.wav", "text": "x"}]', "has no language", "write a list"),
        ('[{"file": "b.wav", "language": "de", "text": "x", "target": "en"}]', "there is no file", "put it there"),
        ('[{"file": "a.wav", "language": "de", "text": "x"}]', "into what de is translated", '"target": "en"'),
        ('[{"file": "no.wav", "language": "de", "text": "x", "target": "en"}]', "cannot be decoded", "sound file"),
    ],
)
def test_a_mistake_in_a_set_is_named(tmp_path: Path, manifest: str, wrong: str, mend: str) -> None:
    write_set(tmp_path)
    (tmp_path / "manifest.json").write_text(manifest)
    (tmp_path / "no.wav").write_text("no sound")
    with pytest.raises(SetupError) as error:
        read_samples(tmp_path)
    assert wrong in error.value.wrong
    assert mend in error.value.mend


def test_no_folder_is_one_line() -> None:
    ran = CliRunner().invoke(app, ["eval", "/nowhere", "--bare"])
    assert ran.exit_code == 2
    assert "/nowhere/manifest.json: cannot be read" in ran.stderr
    ran = CliRunner().invoke(app, ["eval", str(SHIPPED), "--loss", "3,200"])
    assert ran.exit_code == 2
    assert "--loss: is '3,200'" in ran.stderr


def test_a_set_that_is_too_long_for_one_call_is_held_in_several() -> None:
    german = [sample(f"{n}", seconds=100) for n in range(5)]
    english = [sample(f"{n}", language="en", target="de", seconds=10) for n in range(6)]
    parts = parts_of([*german, *english, sample("x", language="fr")], ("de", "en"), 10.0)
    assert [len(part["customer"]) for part in parts] == [3, 2]
    assert sum(len(part["agent"]) for part in parts) == 6
    assert all(one.language == "en" for part in parts for one in part["agent"])


def test_both_phones_speak_at_once_and_the_customer_stays_to_the_end() -> None:
    sound = np.zeros(8000, np.int16)
    lines = [
        Line(f"/{n}.wav", speaker, "de", "", "", sound) for n, speaker in enumerate(["customer", "agent", "agent"])
    ]
    steps = scripts(lines, 1.5)
    assert steps["customer"] == "pause 600ms\nplay /0.wav\npause 1500ms\npause 7500ms\nhangup\n"
    assert steps["agent"].startswith("pause 600ms\nplay /1.wav\npause 1500ms\nplay /2.wav\n")
    assert "wait hangup" in steps["agent"]


def test_a_call_is_held_with_the_models_and_languages_that_are_measured(tmp_path: Path) -> None:
    staging = Staging(
        server={"speech": {"recognizer": {"model": "small", "smaller": "tiny"}, "most_at_once": 2}},
        scripts={"customer": "hangup\n", "agent": "wait hangup\n"},
    )
    mode = {"source_language": "fr", "target_language": "es", "interpret": "clause"}
    setup = prepare(tmp_path, (), mode, staging)
    loaded = load_config(setup.config)
    assert (loaded.engines().recognizer, loaded.engines().smaller, loaded.engines().most_at_once) == (
        "small",
        "tiny",
        2,
    )
    assert loaded.languages() == ("es", "fr")
    assert setup.scripts["agent"].read_text() == "wait hangup\n"


def turn(sequence: int, start_ms: float, end_ms: float, text: str, made: str, *, known: bool = True) -> Turn:
    stages = dict.fromkeys(STAGES, 100.0 if known else None)
    return Turn(sequence, "customer", "de", text, made, "en", start_ms, end_ms, Timings(stages, None, None), None)


def test_turns_belong_to_what_was_spoken_when_they_were() -> None:
    places = [
        _Place(sample("eins zwei", "one two"), 1000, 1000, 3000),
        _Place(sample("drei vier", "three four"), 4000, 4000, 6000),
    ]
    clauses = [
        turn(1, 1000, 1900, "eins", "one"),
        turn(2, 2000, 3000, "zwei", "two"),
        turn(3, 4100, 6000, "drei", "so"),
    ]
    found, lost = _given(places, [*clauses, turn(4, 9000, 9500, "Untertitel der", "Subtitles by")])
    assert [words.heard for words in found] == [["eins", "zwei"], ["drei"]]
    assert [words.made for words in found] == [["one", "two"], ["so"]]
    assert found[0].ready_ms == [2200, 3300]
    assert [one.sequence for one in lost] == [4]


def test_a_turn_over_two_recordings_is_cut_where_their_references_meet() -> None:
    places = [
        _Place(sample("eins zwei", "one two"), 1000, 1000, 3000),
        _Place(sample("drei vier", "three four"), 3300, 3300, 5300),
    ]
    both = turn(1, 1000, 5300, "eins zwei vier", "one two four", known=False)
    found, _ = _given(places, [both])
    assert [words.heard for words in found] == [["eins", "zwei"], ["vier"]]
    assert [words.made for words in found] == [["one", "two"], ["four"]]
    assert found[0].ready_ms == [None, None]


def test_a_score_counts_what_was_invented_per_hour() -> None:
    outcomes = [
        Outcome(
            sample("Es sind 20 Euro.", "It is 20 euros."), "Es sind 20 Euro.", "It is 20 euros.", (2500.0,) * 4, 2000
        ),
        Outcome(sample("", ""), "Vielen Dank", "Many thanks", (), 2000),
    ]
    found = score("de→en", Way("a call", "turn"), outcomes, stray_words=3)
    assert (found.invented, found.unheard) == (5, 0)
    assert found.invented_per_hour == pytest.approx(5 * 3600 / 4)
    assert (found.entities_kept, found.entities) == (2, 2)
    assert found.lagging_ms == found.stream_laal_ms == 2500
    assert found.erasure is None
    assert json.loads(json.dumps(found.to_json()))["way"]["policy"] == "turn"


@pytest.mark.engines
def test_the_bare_engines_are_measured_and_drawn(tmp_path: Path) -> None:
    ran = CliRunner().invoke(app, ["eval", str(SHIPPED), "--bare", "--limit", "2", "--out", str(tmp_path), "--json"])
    assert ran.exit_code == 0, ran.output
    scores = json.loads(ran.stdout)["scores"]
    assert [one["pair"] for one in scores] == ["de→en", "en→de"]
    assert all(one["word_errors"] < 10 for one in scores)
    assert all(one["erasure"] is not None for one in scores)
    assert (tmp_path / "scores.png").stat().st_size > 10_000
    assert json.loads((tmp_path / "scores.json").read_text())["scores"] == scores
