"""What `make bench-interpreter` says of its numbers: each target with whether it is met."""

import json
import sys
from pathlib import Path
from typing import Any

import pytest

SCRIPTS = Path(__file__).parents[1] / "scripts"
sys.path.insert(0, str(SCRIPTS))

from interpreter_report import Report, numbers  # noqa: E402 - lies beside the product

GOOD: dict[str, Any] = {
    "calls": {
        "turn": {"added_ms": [300, 340], "chrf": 91.0},
        "clause": {"added_ms": [250, 280], "chrf": 90.0},
    },
    "long-calls": {
        "turn": {"ear_voice_ms": [4000], "chrf": 70.0, "overlap_s": 0.0},
        "clause": {"ear_voice_ms": [2000], "chrf": 75.0, "overlap_s": 9.0},
    },
    "texts": {"turn": {"chrf": 80.0}, "clause": {"chrf": 79.0}},
    "lag": {"minutes": 30, "paces": {"1.00": {"slope_ms_per_s": 0.1}, "1.30": {"slope_ms_per_s": -0.4}}},
    "noise": {"de": {"wer": [0.0, 2.0], "chrf": [90.0, 94.0]}},
    "loss-calls": [
        {"pair": "de→en", "policy": "", "loss_percent": 0.0, "wer": 0.0, "chrf": 94.0},
        {"pair": "de→en", "policy": "turn", "loss_percent": 0.0, "wer": 2.0, "chrf": 91.0},
        {"pair": "de→en", "policy": "turn", "loss_percent": 5.0, "wer": 30.0, "chrf": 40.0},
    ],
    "nobody": {"minutes": 10, "words": 0},
    "entities": {"sentences": 300, "right": 298},
    "cores": {
        "pool": [{"calls": 6, "served": True}, {"calls": 60, "served": False}],
        "per call": [{"calls": 6, "served": True}],
    },
}

BAD: list[tuple[str, dict[str, Any], str]] = [
    ("calls", {"turn": {"added_ms": [400], "chrf": 1.0}, "clause": {"added_ms": [1], "chrf": 1.0}}, "turn, p50"),
    ("calls", {"turn": {"added_ms": [1], "chrf": 91.7}, "clause": {"added_ms": [1], "chrf": 85.5}}, "single sentences"),
    ("texts", {"turn": {"chrf": 80.0}, "clause": {"chrf": 77.0}}, "texts alone"),
    ("lag", {"minutes": 30, "paces": {"1.00": {"slope_ms_per_s": -0.7}}}, "lag slope"),
    ("nobody", {"minutes": 10, "words": 1}, "words in 10 min"),
    ("entities", {"sentences": 300, "right": 290}, "entities kept"),
    ("noise", {"de": {"wer": [0.0], "chrf": [94.0]}}, "WER of a call"),
]


def test_what_is_as_it_should_be_is_met() -> None:
    assert {one.name: one.met for one in numbers(GOOD) if not one.met} == {}


@pytest.mark.parametrize(("part", "result", "name"), BAD)
def test_what_is_not_is_said(part: str, result: dict[str, Any], name: str) -> None:
    assert any(name in one.name for one in numbers({**GOOD, part: result}) if one.met is False)


def test_what_was_not_measured_is_neither() -> None:
    assert {one.met for one in numbers({})} == {None}


def test_a_report_is_on_disk_after_each_part(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    report = Report(tmp_path / "out")
    report.table("a", "b")
    report.row(1, "two")
    report.results["entities"] = GOOD["entities"]
    report.write()
    assert (
        (tmp_path / "out" / "report.md").read_text("utf-8")
        == capsys.readouterr().out
        == "| a | b |\n|---|---|\n| 1 | two |\n"
    )
    kept = json.loads((tmp_path / "out" / "results.json").read_text("utf-8"))
    assert kept["results"] == report.results
    assert [one["met"] for one in kept["targets"] if one["name"].startswith("entities")] == [True]
