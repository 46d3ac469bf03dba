"""How busy the engines are, in pure time: what is given up, what comes back, and who still has room."""

from itertools import groupby

import pytest

from kallglot_media.speech.load import LOAD_RULES, Load, Step, Work
from kallglot_media.speech.settings import EngineKind

R, T = EngineKind.RECOGNIZER, EngineKind.TRANSLATOR


class Machine:
    """Two recognisers and a translator, looked at once a second."""

    def __init__(self, *, smaller: bool = False) -> None:
        self.load = Load(smaller=smaller)
        self.now_s = 100.0
        self.done = {R: Work(0, 0, 2), T: Work(0, 0, 1)}
        self.load.take(self.now_s, self.done)

    def run(self, seconds: int, share: float, *, partials: float = 0.0) -> list[Step]:
        """The recognisers are busy for this share of the time, and for `partials` of it with what can wait."""
        steps = []
        for _ in range(seconds):
            self.now_s += 1
            before = self.done[R]
            self.done[R] = Work(before.busy_s + 2 * (share + partials), before.must_s + 2 * share, 2)
            steps.append(self.load.take(self.now_s, self.done))
        return steps


def seen(steps: list[Step]) -> list[Step]:
    """Without what repeats."""
    return [step for step, _ in groupby(steps)]


def test_engines_that_keep_up_give_nothing_up() -> None:
    assert set(Machine().run(60, 0.8)) == {Step.ALL}


def test_the_first_thing_given_up_is_what_can_wait_and_it_comes_back() -> None:
    machine = Machine()
    steps = machine.run(60, 0.3, partials=0.7)
    first = steps.index(Step.NO_PARTIALS)
    assert first >= LOAD_RULES.raise_after_s, "not for a moment's load"
    machine = Machine()
    machine.run(first + 1, 0.3, partials=0.7)
    assert machine.run(40, 0.3)[-1] is Step.ALL


def test_one_thing_after_the_other_is_given_up_and_taken_up_again() -> None:
    for smaller in (True, False):
        machine = Machine(smaller=smaller)
        in_order = [step for step in Step if smaller or step is not Step.SMALLER]
        assert seen(machine.run(60, 1.0)) == in_order
        assert seen(machine.run(180, 0.1)) == in_order[::-1]


def test_a_foreseen_load_goes_to_the_smaller_recogniser_at_once_and_it_comes_back() -> None:
    machine = Machine(smaller=True)
    assert machine.load.give_up(Step.SMALLER)
    assert not machine.load.give_up(Step.SMALLER), "it is there already"
    assert seen(machine.run(60, 0.8)) == [Step.SMALLER], "neither too busy nor calm"
    assert machine.run(60, 0.1)[-1] is Step.ALL
    assert not Machine().load.give_up(Step.SMALLER), "there is none"


@pytest.mark.parametrize("foreseen", [True, False])
def test_the_smaller_recogniser_is_not_judged_by_what_the_larger_one_took(foreseen: bool) -> None:
    machine = Machine(smaller=True)
    machine.run(60, 0.84)
    assert not machine.load.has_room(10)
    if foreseen:
        assert machine.load.give_up(Step.SMALLER)
    else:
        while machine.load.step < Step.SMALLER:
            machine.run(1, 1.0)
    assert machine.load.has_room(10), "at once: it is expected to take less"
    machine.run(2, 0.2)
    assert machine.load.has_room(10)


def test_a_smaller_recogniser_that_takes_as_long_is_found_out_within_seconds() -> None:
    machine = Machine(smaller=True)
    machine.run(60, 0.84)
    machine.load.give_up(Step.SMALLER)
    machine.run(6, 0.84)
    assert not machine.load.has_room(10)


def test_the_larger_recogniser_is_not_judged_by_what_the_smaller_one_took() -> None:
    machine = Machine(smaller=True)
    machine.load.give_up(Step.SMALLER)
    machine.run(7, 0.6)
    assert machine.load.has_room(10)
    while machine.load.step is not Step.NO_PARTIALS:
        machine.run(1, 0.6)
    assert not machine.load.has_room(10), "it is expected to take twice as much"


def test_what_did_not_last_is_tried_less_and_less_often() -> None:
    machine = Machine()
    step, waits, calm = Step.ALL, [], 0
    for _ in range(900):
        now = machine.run(1, 1.0 if step < Step.CAPTIONS else 0.2)[0]
        calm += 1
        if now < step:
            waits.append(calm)
        if now != step:
            calm = 0
        step = now
    assert waits == sorted(waits)
    assert waits[-1] > 3 * waits[0]


@pytest.mark.parametrize(
    ("share", "calls", "room"),
    [
        (0.0, 0, True),
        (0.4, 10, True),
        (0.8, 10, False),
        (0.8, 40, True),
        (0.84, 40, False),
        (0.4, 1, True),
        (0.5, 1, False),
    ],
)
def test_room_is_foreseen_from_what_a_call_takes(share: float, calls: int, room: bool) -> None:
    machine = Machine()
    machine.run(120, share)
    assert machine.load.has_room(calls) is room


def test_what_can_wait_does_not_take_room_from_calls() -> None:
    machine = Machine()
    machine.run(120, 0.2, partials=0.6)
    assert machine.load.has_room(4)


def test_restarted_engines_do_not_count_backwards() -> None:
    machine = Machine()
    machine.run(30, 0.5)
    machine.done = {R: Work(0, 0, 2), T: Work(0, 0, 1)}
    machine.now_s += 1
    machine.load.take(machine.now_s, machine.done)
    assert 0 <= machine.load.shares[R] <= 1
