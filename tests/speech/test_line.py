"""The line in front of an engine."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.speech.group import LONGEST_PAUSE_S, pause_before_restart_s
from kallglot_media.speech.line import Line
from kallglot_media.speech.types import EngineBusy


def test_earliest_deadline_first_and_equal_ones_in_order_of_arrival() -> None:
    line: Line[str] = Line("recognizer", longest=9)
    for name, due_s in (("late", 9.0), ("early", 5.0), ("early too", 5.0)):
        line.join(name, due_s)
    assert [line.next(), line.next(), line.next(), line.next()] == ["early", "early too", "late", None]


def test_what_is_alike_is_taken_together_in_its_order() -> None:
    line: Line[str] = Line("recognizer", longest=20)
    for name, due_s in (("b3", 3.0), ("a1", 1.0), ("b1", 1.5), ("b2", 2.0), ("b4", 4.0)):
        line.join(name, due_s)
    line.join("b partial", 0.5, can_wait=True)
    gone = line.join("b gone", 0.1)
    line.leave(gone)
    assert line.next() == "a1"
    assert line.alike(lambda name: name.startswith("b"), 2, can_wait=False) == ["b1", "b2"]
    assert (len(line), line.next(), line.next()) == (3, "b3", "b4")
    assert line.alike(lambda name: True, 5, can_wait=True) == ["b partial"]
    assert line.next() is None


def test_who_leaves_frees_the_place_and_is_never_called() -> None:
    line: Line[str] = Line("recognizer", longest=1)
    place = line.join("gives up", 1.0)
    with pytest.raises(EngineBusy, match="1 jobs wait for the recognizer"):
        line.join("one too many", 0.5)
    line.leave(place)
    line.leave(place)
    line.join("comes later", 2.0)
    assert (len(line), line.next(), line.next()) == (1, "comes later", None)


def test_leaving_after_ones_turn_changes_nothing() -> None:
    line: Line[str] = Line("recognizer", longest=2)
    place = line.join("a", 1.0)
    line.join("b", 2.0)
    assert line.next() == "a"
    line.leave(place)
    assert len(line) == 1


@given(some.lists(some.tuples(some.floats(0, 100), some.booleans()), max_size=30))
def test_everybody_who_stays_is_called_once_in_order(people: list[tuple[float, bool]]) -> None:
    line: Line[float] = Line("recognizer", longest=30)
    places = [(line.join(due_s, due_s), leaves) for due_s, leaves in people]
    for place, leaves in places:
        if leaves:
            line.leave(place)
    stay = sorted(due_s for due_s, leaves in people if not leaves)
    assert len(line) == len(stay)
    assert [line.next() for _ in stay] == stay
    assert line.next() is None


def test_restarts_wait_longer_and_longer_up_to_a_limit() -> None:
    assert [pause_before_restart_s(failures) for failures in (0, 1, 2, 3, 4)] == [0.0, 0.0, 0.5, 1.0, 2.0]
    assert pause_before_restart_s(1000) == LONGEST_PAUSE_S


def test_what_can_wait_goes_last_whatever_its_deadline() -> None:
    line: Line[str] = Line("recognizer", longest=4)
    line.join("partial", due_s=1.0, can_wait=True)
    line.join("final", due_s=9.0)
    assert [line.next(), line.next()] == ["final", "partial"]


def test_half_of_the_line_is_not_for_what_can_wait() -> None:
    line: Line[str] = Line("recognizer", longest=4)
    line.join("a", due_s=1.0)
    line.join("b", due_s=1.0)
    with pytest.raises(EngineBusy):
        line.join("partial", due_s=1.0, can_wait=True)
    line.join("c", due_s=1.0)
