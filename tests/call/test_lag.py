"""How far behind, and what is done about it; half an hour is simulated in no time."""

import numpy as np
import pytest

from kallglot_media.call.fillers import without_fillers
from kallglot_media.call.lag import LAG_RULES, Backlog, LagController


def test_the_backlog_is_what_is_still_to_be_heard() -> None:
    backlog = Backlog()
    backlog.put("1.0", 2.0)
    backlog.put("1.1", 1.0)
    assert backlog.seconds(10.0) == 3.0
    backlog.started("1.0", 10.0)
    assert backlog.seconds(10.5) == 2.5
    assert backlog.seconds(99.0) == 1.0, "one that should be over counts for nothing, the next one does"
    backlog.finished("1.0")
    assert backlog.seconds(99.0) == 1.0


def test_what_was_cleared_before_it_began_is_not_waited_for() -> None:
    backlog = Backlog()
    backlog.put("1.0", 2.0)
    backlog.finished("1.0")
    assert backlog.seconds(10.0) == 0.0


def test_speed_rises_in_steps_and_stays_in_its_range() -> None:
    lag = LagController(LAG_RULES)
    speeds = [lag.next_speed(30.0) for _ in range(10)]
    assert speeds[0] == pytest.approx(1.0 + LAG_RULES.step)
    assert max(speeds) == speeds[-1] == pytest.approx(LAG_RULES.fastest)
    assert max(np.diff([1.0, *speeds])) <= LAG_RULES.step + 1e-9


def test_between_calm_and_hurry_it_goes_on_as_it_was() -> None:
    between_s = (LAG_RULES.calm_s + LAG_RULES.hurry_s) / 2
    calm = LagController(LAG_RULES)
    assert calm.next_speed(between_s) == 1.0
    hurried = LagController(LAG_RULES)
    for _ in range(5):
        hurried.next_speed(LAG_RULES.full_s)
    assert hurried.next_speed(between_s) > 1.0
    for _ in range(9):
        last = hurried.next_speed(LAG_RULES.calm_s)
    assert last == 1.0


def lag_slope_ms_per_s(expansion: float, rng: np.random.Generator, *, minutes: int = 30) -> tuple[float, float]:
    """Somebody speaks without a pause; each clause of 1.5 to 4.5 s takes `expansion` times as long in translation.

    Returns the slope of the lag over the second half, in ms a second, and the longest backlog in seconds.
    """
    lag, free_at_s, now_s = LagController(LAG_RULES), 0.0, 0.0
    places, behind = [], []
    while now_s < 60 * minutes:
        clause_s = rng.uniform(1.5, 4.5)
        now_s += clause_s
        backlog_s = max(0.0, free_at_s - now_s)
        speed = lag.next_speed(backlog_s)
        starts_s = max(now_s + 0.1, free_at_s)
        free_at_s = starts_s + clause_s * expansion * rng.uniform(0.85, 1.15) / speed
        places.append(now_s)
        behind.append(1000 * (starts_s - now_s))
    half = len(places) // 2
    return float(np.polyfit(places[half:], behind[half:], 1)[0]), max(behind) / 1000


@pytest.mark.parametrize("expansion", [0.8, 1.0, 1.15, 1.25])
def test_half_an_hour_of_continuous_speech_does_not_fall_behind(expansion: float) -> None:
    slope, longest_s = lag_slope_ms_per_s(expansion, np.random.default_rng(7))
    assert abs(slope) <= 0.5
    assert longest_s < LAG_RULES.skip_s


def test_without_hurrying_it_would() -> None:
    """The test above can fail: speech that takes a quarter longer falls behind by 250 ms a second."""
    slow = LagController(LAG_RULES)
    slow.next_speed = lambda backlog_s: 1.0  # type: ignore[method-assign]
    free_at_s = now_s = 0.0
    for _ in range(600):
        now_s += 3.0
        free_at_s = max(now_s, free_at_s) + 3.0 * 1.25 / slow.next_speed(free_at_s - now_s)
    assert free_at_s - now_s > 400


@pytest.mark.parametrize(
    ("text", "language", "shorter"),
    [
        ("Also, ähm, die Nummer ist acht.", "de", "Die Nummer ist acht."),
        ("I would, you know, like to cancel.", "en", "I would, like to cancel."),
        ("Ähm.", "de", "Ähm."),
        ("Also gut", "xx", "Also gut"),
        ("Der Umzug ist im Halter.", "de", "Der Umzug ist im Halter."),
    ],
)
def test_words_that_carry_nothing(text: str, language: str, shorter: str) -> None:
    assert without_fillers(text, language) == shorter
