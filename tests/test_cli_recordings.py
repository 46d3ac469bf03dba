"""`recordings check`: a changed recording is named, and the exit code says so."""

from __future__ import annotations

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from typer.testing import CliRunner, Result

from kallglot_media import cli
from kallglot_media.media import chain
from kallglot_media.media.recorder import Recording


@pytest.fixture
def root(tmp_path: Path) -> Path:
    """The sessions of a server, two of them recorded, and its configuration."""
    (tmp_path / "routes.yaml").write_text("routes: [{called: '*', service: echo}]", encoding="utf-8")
    (tmp_path / "server.yaml").write_text("data_dir: data\n", encoding="utf-8")
    sessions = tmp_path / "data" / "sessions"
    for name in ("sess_1", "sess_2"):
        (sessions / name).mkdir(parents=True)
        recording = Recording(name, sessions / name, 8000)
        recording.write(0, np.full((2, 4000, 2), 7, np.int16))
        recording.finish(4000)
    return sessions


@pytest.fixture
def check(root: Path) -> Callable[..., Result]:
    config = str(root.parent.parent / "server.yaml")
    return lambda *words: CliRunner().invoke(cli.app, ["recordings", "check", *words, "--config", config])


def test_all_is_well_and_the_last_hash_is_said(check: Callable[..., Result], root: Path) -> None:
    result = check()
    last = chain.links(root)[-1].hash
    assert result.exit_code == 0, result.output
    assert result.output.strip() == f"2 recordings in the chain, no problems; last hash {last}"
    assert check("--expect", last).exit_code == 0
    assert check(str(root)).exit_code == 0


def test_a_changed_recording_is_named(check: Callable[..., Result], root: Path) -> None:
    path = root / "sess_1" / "agent.wav"
    path.write_bytes(path.read_bytes()[:-1] + b"x")
    result = check()
    assert result.exit_code == 1
    assert f"{path}: was changed after it was recorded" in result.output
    assert "1 problem;" in result.output
    told = json.loads(check("--json").output)
    assert told["recordings"] == 2
    assert told["problems"] == [f"{path}: was changed after it was recorded"]


def test_a_chain_that_was_written_anew_does_not_have_the_hash_that_was_noted_down(
    check: Callable[..., Result], root: Path
) -> None:
    noted = chain.links(root)[-1].hash
    (root / chain.NAME).write_text((root / chain.NAME).read_text().splitlines()[0] + "\n")
    shorter = check()
    assert shorter.exit_code == 0, "a shorter chain is whole in itself"
    assert shorter.output.startswith("1 recording in the chain, no problems;")
    result = check("--expect", noted)
    assert result.exit_code == 1
    assert "written anew, or cut short" in result.output


def test_a_folder_that_is_not_there_is_said(check: Callable[..., Result], root: Path) -> None:
    result = check(str(root / "nowhere"))
    assert result.exit_code == 2
    assert f"{root / 'nowhere'}: there is no such folder" in result.output + str(result.stderr)


def test_nothing_recorded_yet_is_no_problem(check: Callable[..., Result], root: Path) -> None:
    (root / chain.NAME).unlink()
    result = check()
    assert (result.exit_code, result.output.strip()) == (0, "0 recordings in the chain, no problems")
