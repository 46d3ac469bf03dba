"""The heap of named deadlines."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.sip.deadlines import Deadlines


def due(deadlines: Deadlines[str], now_s: float) -> list[str]:
    found = []
    while (key := deadlines.pop_due(now_s)) is not None:
        found.append(key)
    return found


def test_moved_and_cancelled_deadlines() -> None:
    deadlines: Deadlines[str] = Deadlines()
    deadlines.set("a", 1.0)
    deadlines.set("b", 2.0)
    deadlines.set("a", 3.0)
    assert deadlines.next_s() == 2.0
    deadlines.set("b", None)
    assert due(deadlines, 2.5) == []
    assert due(deadlines, 3.0) == ["a"]
    assert (deadlines.next_s(), len(deadlines)) == (None, 0)


@given(some.lists(some.tuples(some.sampled_from("abcdef"), some.none() | some.integers(0, 20))))
def test_it_agrees_with_a_plain_dict(steps: list[tuple[str, int | None]]) -> None:
    deadlines: Deadlines[str] = Deadlines()
    plain: dict[str, int] = {}
    for key, at_s in steps * 20:
        deadlines.set(key, at_s)
        if at_s is None:
            plain.pop(key, None)
        else:
            plain[key] = at_s
    assert deadlines.next_s() == min(plain.values(), default=None)
    assert len(deadlines._heap) <= 64 + 4 * len(plain) + 1
    assert sorted(due(deadlines, 10)) == sorted(key for key, at_s in plain.items() if at_s <= 10)
