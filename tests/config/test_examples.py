"""What is shipped to start from is right: mode files, and the desks of configs/examples."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kallglot_media.config import check_file, load_config
from kallglot_media.config.answering import AnsweringMode

CONFIGS = Path(__file__).parents[2] / "configs"
DESKS = sorted(CONFIGS.glob("examples/*/desk.yaml"))


@pytest.mark.parametrize("path", sorted(CONFIGS.glob("modes/*.yaml")), ids=lambda path: path.stem)
def test_a_shipped_mode_has_no_mistakes(path: Path) -> None:
    assert check_file(path) == ()


def test_all_four_modes_are_shipped() -> None:
    assert {path.stem for path in CONFIGS.glob("modes/*.yaml")} == {
        "bidirectional_translation", "assistive_translation", "ai_agent", "help_chat_voice",
    }  # fmt: skip


@pytest.mark.parametrize("path", DESKS, ids=lambda path: path.parent.name)
def test_a_desk_can_be_called(path: Path) -> None:
    desk = yaml.safe_load(path.read_text("utf-8"))
    config = load_config(path.parent / "server.yaml")
    route = config.route_for(desk["called"])
    assert route is not None
    mode = config.mode_of(route)
    assert isinstance(mode, AnsweringMode)
    assert desk["customer"]["language"] == mode.source_language
    if "human" in desk:
        assert desk["human"]["language"] == mode.human_language
    assert {"say", "listen", "wait", "keys"} >= {name for step in desk["customer"]["steps"] for name in step}
