"""The documentation says what the program does: settings, defaults, commands and targets that are named exist."""

from __future__ import annotations

import ast
import re
from dataclasses import fields
from fnmatch import fnmatchcase
from pathlib import Path

import pytest
import yaml
from typer.main import get_command

from kallglot_media.api.stream.native import EVENTS
from kallglot_media.cli import app
from kallglot_media.config.announcements import DEFAULT_TEXTS
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.explain import setting_names
from kallglot_media.config.mode import Mode
from kallglot_media.config.reference import page
from kallglot_media.config.routes import Routes
from kallglot_media.config.schema import FILES, schema_of
from kallglot_media.config.server import Server
from kallglot_media.rtp.dtmf import DtmfStats
from kallglot_media.rtp.jitter import JitterStats
from kallglot_media.store.endpoints import EVENT_TYPES

ROOT = Path(__file__).parents[2]
PAGES = [ROOT / "README.md", *sorted((ROOT / "docs").glob("*.md"))]
ANNOUNCED = ("announcements.", "routes.announcements.", "phrases.")
READING = (
    "load.py",
    "server.py",
    "mode.py",
    "store.py",
    "routes.py",
    "hours.py",
    "answering.py",
    "crosscheck.py",
    "tools.py",
)
"""Files of the configuration that do something with it."""
NAMES = {name for model in (Server, Routes, Mode, AnsweringMode) for name in setting_names(model)}


def test_the_page_of_settings_is_what_the_models_say() -> None:
    """When this fails: python -m kallglot_media.config.reference > docs/configuration.md"""
    assert (ROOT / "docs" / "configuration.md").read_text("utf-8") == page()


def test_every_setting_has_a_meaning() -> None:
    for line in page().splitlines():
        if line.startswith("| `"):
            assert not line.endswith("|  |"), line
            assert line.split(" | ")[1].strip(), line


@pytest.mark.parametrize("kind", sorted(FILES))
def test_schemas_are_whole(kind: str) -> None:
    schema = schema_of(FILES[kind])
    assert schema["title"]
    assert "$ref" in str(schema)


@pytest.mark.parametrize("document", PAGES, ids=[document.name for document in PAGES])
def test_settings_that_a_page_names_exist(document: Path) -> None:
    """`sip.max_calls` in backquotes: a section of a configuration file, a dot, and what is in it."""
    sections = {name.split(".")[0] for name in NAMES}
    named = set(re.findall(r"`((?:[a-z_]+\.)+[a-z_]+)`", document.read_text("utf-8")))
    files = ("yaml", "md", "py", "txt", "json", "jsonl", "wav", "sh", "unfinished")
    known = NAMES | {*EVENTS, *EVENT_TYPES}
    unknown = {
        name
        for name in named
        if name.split(".")[0] in sections and name.split(".")[-1] not in files and name not in known
    }
    assert not unknown


@pytest.mark.parametrize("document", PAGES, ids=[document.name for document in PAGES])
def test_commands_and_targets_that_a_page_names_exist(document: Path) -> None:
    text = document.read_text("utf-8")
    commands = set(getattr(get_command(app), "commands", {}))
    targets = set(re.findall(r"^([a-z-]+):", (ROOT / "Makefile").read_text("utf-8"), re.M))
    assert set(re.findall(r"^ {4}kallglot-media ([a-z]+)|`kallglot-media ([a-z]+)", text)) <= {
        pair for command in commands for pair in ((command, ""), ("", command))
    }
    assert set(re.findall(r"(?:^ {4}|`)make ([a-z-]+)", text, re.M)) <= targets


@pytest.mark.parametrize("document", PAGES, ids=[document.name for document in PAGES])
def test_files_that_a_page_links_to_exist(document: Path) -> None:
    links = re.findall(r"\]\((?!https?:|#)([^)#]+)", document.read_text("utf-8"))
    assert [link for link in links if not (document.parent / link).exists()] == []


@pytest.mark.parametrize("document", PAGES, ids=[document.name for document in PAGES])
def test_yaml_in_a_page_is_yaml(document: Path) -> None:
    for block in re.findall(r"```yaml\n(.*?)```", document.read_text("utf-8"), re.S):
        yaml.safe_load(block)


def test_every_setting_is_read_by_somebody() -> None:
    """A setting that nothing reads is a lie to whoever writes it."""
    read = {
        node.attr
        for path in (ROOT / "kallglot_media").rglob("*.py")
        if path.parent.name != "config" or path.name in READING
        for node in ast.walk(ast.parse(path.read_text("utf-8")))
        if isinstance(node, ast.Attribute)
    }
    # base: is read before there are models
    last = {name.split(".")[-1] for name in NAMES - {"base"} if not name.startswith(("segment.", *ANNOUNCED))}
    assert {"from_" if name == "from" else name for name in last} - read == set()


def test_every_announcement_is_made_by_somebody() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "kallglot_media" / "call").glob("*.py"))
    assert [name for name in DEFAULT_TEXTS if f'"{name}"' not in source] == []


def test_every_counter_of_a_leg_is_explained() -> None:
    source = "".join(path.read_text("utf-8") for path in (ROOT / "kallglot_media" / "media").glob("*.py"))
    names = set(re.findall(r'counters\["(\w+)"\]|_peer\["(\w+)"\]', source))
    counted = {name for pair in names for name in pair if name}
    counted |= {field.name for field in fields(JitterStats)} | {f"dtmf_{field.name}" for field in fields(DtmfStats)}
    explained = re.findall(r"`(\w+\*?)`", (ROOT / "docs" / "media.md").read_text("utf-8"))
    assert [name for name in sorted(counted) if not any(fnmatchcase(name, one) for one in explained)] == []
