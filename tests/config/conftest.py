"""A configuration folder that tests change one thing in."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from kallglot_media.config import ConfigErrors, load_config

SERVER = "routes: routes.yaml\n"
ROUTES = "routes:\n  - {called: support, mode: modes/m.yaml}\n"
MODE = """\
mode: bidirectional_translation
source_language: de
target_language: en
agent: {to: "sip:agent@127.0.0.1:5070"}
"""

Write = Callable[..., Path]
Mistakes = Callable[..., list[str]]


def patched(right: str, change: str) -> str:
    """`change` behind `right`; or, when its first line is `-text`, its rest in the place of that text."""
    first, _, rest = change.partition("\n")
    if not first.startswith("-") or first.startswith("- "):
        return right + change
    assert first[1:] in right
    return right.replace(first[1:], rest, 1)


@pytest.fixture
def write(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Write:
    """Write the server, routes and mode file (s, r, m), those not given being right; returns server.yaml's path."""
    monkeypatch.chdir(tmp_path)

    def _write(*, s: str = SERVER, r: str = ROUTES, m: str = "") -> Path:
        (tmp_path / "modes").mkdir(exist_ok=True)
        (tmp_path / "server.yaml").write_text(s, encoding="utf-8")
        (tmp_path / "routes.yaml").write_text(r, encoding="utf-8")
        (tmp_path / "modes" / "m.yaml").write_text(patched(MODE, m), encoding="utf-8")
        return Path("server.yaml")

    return _write


@pytest.fixture
def mistakes(write: Write) -> Mistakes:
    """Load the three files and give the mistakes as "where: wrong → mend"; an empty list when there are none."""

    def _mistakes(**files: str) -> list[str]:
        try:
            load_config(write(**files))
        except ConfigErrors as errors:
            return [f"{error.where}: {error.wrong} → {error.mend}" for error in errors.errors]
        return []

    return _mistakes
