"""The tick's clock: lateness never adds up, and is told by kind."""

from __future__ import annotations

import pytest

from kallglot_media.media.ticks import FRAME_S, TickClock


def test_lateness_does_not_add_up() -> None:
    clock = TickClock()
    clock.start(10.0)
    for n in range(1000):
        assert clock.due_s == pytest.approx(10.0 + n * FRAME_S)
        assert clock.begin(clock.due_s + 0.003) == 0
    assert clock.ticks == 1000
    assert clock.late_ticks == {"over_1ms": 1000, "over_5ms": 0, "over_20ms": 0}


def test_up_to_five_late_frames_are_caught_up() -> None:
    clock = TickClock()
    clock.start(0.0)
    now_s = 0.119
    caught_up = 0
    while clock.due_s <= now_s:
        assert clock.begin(now_s) == 0
        caught_up += 1
    assert caught_up == 6
    assert clock.skipped == 0
    assert clock.late_ticks == {"over_1ms": 6, "over_5ms": 6, "over_20ms": 5}


def test_after_a_standstill_frames_are_given_up_not_rushed() -> None:
    clock = TickClock()
    clock.start(0.0)
    assert clock.begin(1.003) == 50
    assert clock.skipped == 50
    assert clock.due_s == pytest.approx(1.02)
    assert clock.begin(clock.due_s) == 0


def test_p99_is_of_the_last_period_only() -> None:
    clock = TickClock()
    clock.start(0.0)
    assert clock.take_lateness_ms() == (0.0, 0.0)
    for n in range(100):
        clock.begin(clock.due_s + (0.004 if n < 2 else 0.0))
    assert clock.take_lateness_ms() == pytest.approx((4.0, 4.0))
    for _ in range(100):
        clock.begin(clock.due_s)
    assert clock.take_lateness_ms() == pytest.approx((0.0, 0.0), abs=1e-6)


def test_being_early_is_not_late() -> None:
    clock = TickClock()
    clock.start(5.0)
    assert clock.begin(4.9) == 0
    assert clock.take_lateness_ms() == (0.0, 0.0)
