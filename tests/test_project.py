"""The project's own files agree with each other: pins, extras, scripts, targets."""

from __future__ import annotations

import ast
import importlib.metadata
import os
import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

from kallglot_media import __version__

ROOT = Path(__file__).parents[1]
PROJECT = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]
PIN = re.compile(r"([A-Za-z0-9-]+)==([0-9][0-9A-Za-z.]*)")


def pins() -> dict[str, str]:
    lines = (ROOT / "constraints.txt").read_text("utf-8").splitlines()
    found = [PIN.fullmatch(line) for line in lines if line and not line.startswith("#")]
    assert None not in found, "every line is name==version"
    return {match[1].lower(): match[2] for match in found if match}


def name_of(requirement: str) -> str:
    match = re.match(r"[A-Za-z0-9-]+", requirement)
    assert match
    return match.group().lower()


def test_everything_that_is_asked_for_is_pinned() -> None:
    asked = [*PROJECT["dependencies"], *(one for extra in PROJECT["optional-dependencies"].values() for one in extra)]
    assert {name_of(requirement) for requirement in asked} | {"argostranslate", "setuptools"} <= set(pins())


BROUGHT_ALONG = {
    "annotated_types": "pydantic",
    "pydantic_core": "pydantic",
    "onnxruntime": "piper-tts",
    "tokenizers": "faster-whisper",
    "tqdm": "faster-whisper",
}
"""Modules that belong to the package that brings them."""

ONLY_TO_MEASURE = {"kallglot_media/speech/evaluate.py: sacrebleu", "kallglot_media/measure/scores.py: sacrebleu"}
"""Imported where scores are made, never by a server."""


@pytest.mark.parametrize("folder", ["kallglot_media", "tests", "scripts"])
def test_everything_that_is_imported_is_asked_for(folder: str) -> None:
    """What only this machine's environment has would be missing in a fresh one."""
    extras = PROJECT["optional-dependencies"]
    wanted = [*PROJECT["dependencies"], *extras["tts"], *extras["denoise"], "argostranslate"]
    if folder != "kallglot_media":
        wanted += [*extras["dev"], *extras["ear"], *extras["fuzz"]]
    if folder == "scripts":
        wanted += for_training()
    asked = {name_of(requirement) for requirement in wanted}
    provided_by = importlib.metadata.packages_distributions()
    beside = {path.stem for path in (ROOT / "scripts").glob("*.py")} if folder != "kallglot_media" else set()
    ours = {"kallglot_media", "tests", "train_starter", *sys.stdlib_module_names, *beside}
    missing = {
        f"{path.relative_to(ROOT)}: {module}"
        for path in (ROOT / folder).rglob("*.py")
        for module in imported(path) - ours
        if asked.isdisjoint(name.lower().replace("_", "-") for name in (*provided_by.get(module, ()), module))
        and BROUGHT_ALONG.get(module) not in asked
    }
    assert missing <= ONLY_TO_MEASURE


def for_training() -> list[str]:
    """What the recipes of the starter models need beside the product, in an environment of its own."""
    lines = (ROOT / "scripts" / "train_starter" / "requirements.txt").read_text("utf-8").splitlines()
    return [line for line in lines if line and not line.startswith("#")]


def imported(path: Path) -> set[str]:
    """The top names of all imports of a file."""
    nodes = list(ast.walk(ast.parse(path.read_text("utf-8"))))
    plain = {alias.name.split(".")[0] for node in nodes if isinstance(node, ast.Import) for alias in node.names}
    return plain | {str(node.module).split(".")[0] for node in nodes if isinstance(node, ast.ImportFrom)}


def test_nothing_big_that_serves_no_call_is_pinned() -> None:
    """argostranslate's own dependencies bring 5.9 GB of CUDA, minisbd AGPL-3."""
    assert {"torch", "stanza", "spacy", "minisbd", "aiortc"}.isdisjoint(pins())
    assert not [name for name in pins() if name.startswith("nvidia")]


def test_the_gpl_voice_is_an_extra() -> None:
    assert "piper-tts" not in {name_of(requirement) for requirement in PROJECT["dependencies"]}
    assert [name_of(requirement) for requirement in PROJECT["optional-dependencies"]["tts"]] == ["piper-tts"]


def test_there_is_one_version() -> None:
    assert PROJECT["version"] == __version__
    assert f"## {__version__}" in (ROOT / "CHANGELOG.md").read_text("utf-8")


def test_scripts_can_be_run_and_have_no_syntax_errors() -> None:
    for path in (*(ROOT / "scripts").rglob("*.sh"), ROOT / ".ci" / "run"):
        assert os.access(path, os.X_OK), path
        shell = path.read_text("utf-8").splitlines()[0].removeprefix("#!")
        subprocess.run([shell, "-n", path], check=True)


def test_targets_call_scripts_that_exist() -> None:
    makefile = (ROOT / "Makefile").read_text("utf-8")
    assert [name for name in re.findall(r"scripts/[\w./]+", makefile) if not (ROOT / name).exists()] == []


def test_setup_leaves_a_foreign_environment_alone(tmp_path: Path) -> None:
    for name in ("pyproject.toml", "constraints.txt", "scripts/setup.sh"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes((ROOT / name).read_bytes())
    (tmp_path / ".venv").mkdir()
    done = subprocess.run(["/bin/sh", tmp_path / "scripts/setup.sh"], capture_output=True, text=True, check=True)
    assert done.stderr == "setup: using .venv as it is: it was not made by scripts/setup.sh\n"
    assert list((tmp_path / ".venv").iterdir()) == []
