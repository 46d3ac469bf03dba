"""base: what a mode file takes over, and where its mistakes stand."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.config import check_file, load_config
from kallglot_media.config.mode import Mode
from tests.config.conftest import Mistakes, Write

CHILD = "-agent: {to"


def base(folder: Path, text: str, name: str = "base.yaml") -> None:
    path = folder / name
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text(text, encoding="utf-8")


def mode_of(path: Path) -> Mode:
    config = load_config(path)
    mode = config.mode_of(config.routes[0])
    assert isinstance(mode, Mode)
    return mode


def test_what_the_file_does_not_say_its_base_says(write: Write, tmp_path: Path) -> None:
    base(tmp_path, "gains: {original_level_db: -30, attack_ms: 5}\nvoices: {de: low}\nmode: assistive_translation\n")
    mode = mode_of(write(m="base: ../base.yaml\ngains: {attack_ms: 7}\n"))
    assert (mode.gains.original_level_db, mode.gains.attack_ms) == (-30, 7)
    assert (mode.voices, mode.mode) == ({"de": "low"}, "bidirectional_translation")


def test_a_list_is_taken_instead_not_added_to(write: Write, tmp_path: Path) -> None:
    base(tmp_path, "transfer: {allow: ['1*', '2*']}\n")
    assert mode_of(write(m="base: ../base.yaml\ntransfer: {allow: ['3*']}\n")).transfer.allow == ("3*",)


def test_null_takes_back_what_the_base_says(write: Write, tmp_path: Path) -> None:
    base(tmp_path, "hold: {music: nowhere.wav}\n")
    assert mode_of(write(m="base: ../base.yaml\nhold: {music: null}\n")).hold.music is None


def test_a_base_may_have_a_base_and_its_paths_start_in_its_own_folder(write: Write, tmp_path: Path) -> None:
    from tests.support.waves import silence, write_wav

    (tmp_path / "far").mkdir()
    write_wav(tmp_path / "far" / "hold.wav", silence(1.0))
    base(tmp_path, f"hold: {{music: {tmp_path}/far/hold.wav}}\n", "far/deep.yaml")
    base(tmp_path, "base: far/deep.yaml\nanswer: at_once\n")
    mode = mode_of(write(m="base: ../base.yaml\n"))
    assert (mode.answer, mode.hold.music) == ("at_once", tmp_path / "far" / "hold.wav")
    config = load_config(write(m="base: ../base.yaml\n"))
    assert {path.name for path in config.files} >= {"server.yaml", "routes.yaml", "m.yaml", "base.yaml", "deep.yaml"}


def test_a_mistake_is_named_in_the_file_it_stands_in(mistakes: Mistakes, tmp_path: Path) -> None:
    base(tmp_path, "\n\ngains:\n  attack_ms: soon\n")
    (found,) = mistakes(m="base: ../base.yaml\n")
    assert found.startswith("base.yaml:4 gains.attack_ms: is 'soon', a str → write a whole number")
    (found,) = mistakes(m="base: ../base.yaml\ngains: {attack_ms: later}\n")
    assert found.startswith("modes/m.yaml:6 gains.attack_ms: is 'later', a str →")


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("base: base.yaml\n", "base.yaml:1 base: leads back to base.yaml → let the last base have no base: of its own"),
        ("base: modes/m.yaml\n", "base.yaml:1 base: leads back to modes/m.yaml → let the last base"),
        ("- a\n", "base.yaml:1: is no mapping of settings → write settings as in any mode file"),
        ("a: [\n", "base.yaml:2: is not YAML"),
        ("colour: red\n", "base.yaml:1 colour: no such setting →"),
    ],
)
def test_a_base_that_is_wrong(mistakes: Mistakes, tmp_path: Path, text: str, said: str) -> None:
    base(tmp_path, text)
    found = mistakes(m="base: ../base.yaml\n")
    assert any(one.startswith(said) for one in found), found


def test_a_base_that_is_not_there(mistakes: Mistakes) -> None:
    (found,) = mistakes(m="base: ../base.yaml\n")
    assert found == "modes/m.yaml:5 base: names base.yaml, which is no file → write that file, or leave base: out"


def test_one_file_is_checked_with_its_base(write: Write, tmp_path: Path) -> None:
    base(tmp_path, "gains: {attack_ms: 9999}\n")
    write(m="base: ../base.yaml\n")
    (found,) = check_file(tmp_path / "modes" / "m.yaml")
    assert (found.where, found.mend) == ("base.yaml:1 gains.attack_ms", "write a number from 0 to 5000")
