"""docs/connect.md: our half of each snippet is taken by the program, the other side's is what the interop tests run."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from kallglot_media.config.load import load_config

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs" / "connect.md").read_text("utf-8")
OURS = re.findall(r"```yaml\n(.*?)```", PAGE, re.DOTALL)


@pytest.mark.parametrize("text", OURS)
def test_our_half_is_a_configuration(text: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in re.findall(r"KALLGLOT_\w+", text):
        monkeypatch.setenv(name, "secret")
    for name in ("server.pem", "server.key"):
        (tmp_path / name).write_text("")
    (tmp_path / "routes.yaml").write_text("routes: [{called: echo, service: echo}]\n")
    written: dict[str, Any] = yaml.safe_load(text)
    (tmp_path / "server.yaml").write_text(yaml.safe_dump({**written, "routes": "routes.yaml"}))
    assert load_config(tmp_path / "server.yaml").server.sip is not None


def test_there_are_snippets() -> None:
    assert len(OURS) >= 7


def _lines(*names: str) -> set[str]:
    texts = [(ROOT / "tests" / "interop" / name).read_text("utf-8") for name in names]
    return {line.strip() for text in texts for line in text.replace("@SERVER@", "192.0.2.10").splitlines()}


def test_the_asterisk_half_is_what_the_tests_run() -> None:
    """Templates are written out on the page, so a section's name and type stand there and not in the file."""
    run = _lines("asterisk/pjsip.conf", "asterisk/extensions.conf")
    shown = {line.strip() for block in re.findall(r"```ini\n(.*?)```", PAGE, re.DOTALL) for line in block.splitlines()}
    assert {line for line in shown if line and not line.startswith("[")} <= run


def test_the_kamailio_half_is_what_the_tests_run() -> None:
    shown = set(re.findall(r"^modparam\(.*$", PAGE, re.MULTILINE))
    assert len(shown) == 3
    assert shown <= _lines("kamailio/kamailio.cfg")
