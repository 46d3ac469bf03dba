"""Trunks in pure time: hosts up and down, whom to try, and limits."""

from __future__ import annotations

import pytest

from kallglot_media.sip.trunk import TABLE, HostChanged, On, State, Trunk, TrunkRules

A, B = "sip:a.example", "sip:b.example"


def trunk(**more: object) -> Trunk:
    rules: dict[str, object] = {"name": "t", "hosts": (A, B), "qualify_s": 30.0}
    return Trunk(TrunkRules(**(rules | more)))  # type: ignore[arg-type]


def play(one: Trunk, answers: str, host: str = A) -> list[tuple[float, str]]:
    """Ask `host` as often as there are answers ("." answered, "x" silent); (when, state) after each."""
    told = []
    one.start(0.0)
    for answer in answers:
        due_s = one.next_time_s()
        assert due_s is not None
        now_s = due_s
        for uri in one.take_pings(now_s):
            one.ponged(uri, 200 if uri != host or answer == "." else 408, now_s)
        told.append((now_s, str(one.states()[host])))
    return told


def test_one_silence_moves_no_calls_and_two_do() -> None:
    one = trunk(hosts=(A,))
    assert play(one, "..x.xx") == [
        (0.0, "up"),
        (30.0, "up"),
        (60.0, "doubtful"),
        (65.0, "up"),
        (95.0, "doubtful"),
        (100.0, "down"),
    ]
    assert one.take_events() == [HostChanged("t", A, True, 1), HostChanged("t", A, False, 0)]


def test_a_host_comes_back_after_two_answers() -> None:
    one = trunk(hosts=(A,))
    assert play(one, "x..") == [(0.0, "down"), (30.0, "returning"), (35.0, "up")]
    assert one.take_events() == [HostChanged("t", A, False, 0), HostChanged("t", A, True, 1)]
    two = trunk(hosts=(A,))
    assert play(two, "x.x")[-1] == (35.0, "down")


def test_hosts_that_are_down_are_left_out_until_all_are() -> None:
    one = trunk()
    assert one.order() == [A, B]
    one.start(0.0)
    for uri in one.take_pings(0.0):
        one.ponged(uri, 408 if uri == A else 404, 0.0)
    assert (one.usable(), one.order()) == ([B], [B])
    for _ in range(2):
        now_s = one.next_time_s() or 0.0
        for uri in one.take_pings(now_s):
            one.ponged(uri, 503, now_s)
    now_s = one.next_time_s() or 0.0
    for uri in one.take_pings(now_s):
        one.ponged(uri, 503, now_s)
    assert (one.usable(), one.order()) == ([], [A, B])


def test_without_questions_every_host_is_up() -> None:
    one = trunk(qualify_s=None)
    one.start(0.0)
    assert one.next_time_s() is None
    one.ponged(A, 408, 0.0)
    assert one.order() == [A, B]


def test_an_answer_that_nobody_waits_for_changes_nothing() -> None:
    one = trunk()
    one.start(0.0)
    one.ponged(A, 408, 0.0)
    assert one.states()[A] is State.UNKNOWN
    one.take_pings(0.0)
    assert one.take_pings(0.0) == []


def test_a_limit_of_calls_at_the_same_time() -> None:
    one = trunk(max_calls=2)
    for call in "ab":
        assert one.take_turn(0.0) is None
        one.began(call)
    assert one.objection() == one.take_turn(0.0) == "2 calls"
    one.ended("a")
    one.ended("nobody")
    assert one.objection() is None
    assert one.open_calls == 1


@pytest.mark.parametrize(("rate", "burst", "after_s"), [(2.0, 2, 0.5), (0.1, 1, 10.0)])
def test_so_many_calls_a_second(rate: float, burst: int, after_s: float) -> None:
    one = trunk(calls_per_s=rate)
    assert [one.take_turn(100.0) for _ in range(burst)] == [None] * burst
    assert one.take_turn(100.0) == f"{rate:g} calls per second"
    assert one.take_turn(100.0 + after_s * 0.99) is not None
    assert one.take_turn(100.0 + after_s * 1.01) is None


def test_the_table_has_no_holes() -> None:
    assert set(TABLE) == {(state, event) for state in State for event in On}
