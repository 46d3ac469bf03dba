"""Which numbers may be called, and how often."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.call.day_counts import DayCounts
from kallglot_media.call.dialplan import Dialplan, DialRules
from kallglot_media.call.trunks import Trunks
from kallglot_media.config.trunks import Trunk


def test_nothing_may_be_called_unless_it_is_listed() -> None:
    assert Dialplan(DialRules()).objection("+4930123", 0) is not None


@pytest.mark.parametrize(
    ("number", "allowed"),
    [
        ("+4930123456", True),
        ("+49900123456", False),
        ("+43123", False),
        ("201", True),
        ("2011", False),
        ("", False),
        ("*", False),
        ("+49*", True),  # a dialled star is a key, no wildcard
    ],
)
def test_what_is_covered_and_not_denied(number: str, allowed: bool) -> None:
    plan = Dialplan(DialRules(allow=("+49*", "2??"), deny=("+49900*",)))
    assert plan.allows(number) == allowed
    assert (plan.objection(number, 0) is None) == allowed


def test_a_day_has_so_many_calls() -> None:
    plan = Dialplan(DialRules(allow=("*",), max_per_day=2))
    for call in "ab":
        assert plan.objection("1", 5) is None
        plan.began(call, 5)
        plan.ended(call)
    assert plan.objection("1", 5) == "dial.max_per_day: 2 calls were made today"
    assert plan.objection("1", 6) is None


def test_so_many_calls_at_the_same_time() -> None:
    plan = Dialplan(DialRules(allow=("*",), max_calls=1))
    plan.began("a", 0)
    assert plan.objection("1", 0) == "dial.max_calls: 1 calls are open"
    plan.ended("a")
    plan.ended("a")
    assert plan.objection("1", 0) is None


def counts(path: Path, trunks: Trunks, day: int = 5) -> DayCounts:
    return DayCounts(trunks, path, lambda: day)


def a_trunk(limit: int | None = 2) -> Trunks:
    dial = {"allow": ("*",), "max_per_day": limit}
    return Trunks([Trunk.model_validate({"name": "t", "hosts": ("sip:192.0.2.1",), "dial": dial, "qualify_s": None})])


def test_a_restart_gives_nobody_a_new_day(tmp_path: Path) -> None:
    path, before = tmp_path / "calls.json", a_trunk()
    for call in "ab":
        before.began(call, "t", day=5)
    counts(path, before).save(0.0)
    after = a_trunk()
    counts(path, after).load(0.0)
    assert after.lines["t"].dialplan.objection("1", 5) == "dial.max_per_day: 2 calls were made today"
    assert after.lines["t"].dialplan.objection("1", 6) is None


@pytest.mark.parametrize("text", ["", "[]", '{"t": 1}', '{"t": ["a", 2]}', '{"other": [5, 9]}', "{"])
def test_a_file_that_cannot_be_read_stops_nothing(tmp_path: Path, text: str) -> None:
    path, trunks = tmp_path / "calls.json", a_trunk()
    path.write_text(text)
    counts(path, trunks).load(0.0)
    assert trunks.lines["t"].dialplan.objection("1", 5) is None


def test_the_file_is_written_when_something_changed_and_a_full_disk_stops_nothing(tmp_path: Path) -> None:
    path, trunks = tmp_path / "calls.json", a_trunk()
    kept = counts(path, trunks)
    kept.save(0.0)
    written = path.stat().st_mtime_ns
    kept.save(1.0)
    assert path.stat().st_mtime_ns == written
    counts(tmp_path / "nowhere" / "calls.json", trunks).save(0.0)


def test_without_limits_there_is_no_file(tmp_path: Path) -> None:
    kept = counts(tmp_path / "calls.json", a_trunk(None))
    kept.save(0.0)
    assert list(tmp_path.iterdir()) == []
