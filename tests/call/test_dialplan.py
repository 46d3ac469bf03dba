"""Which numbers may be called, and how often."""

from __future__ import annotations

import pytest

from kallglot_media.call.dialplan import Dialplan, DialRules


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
