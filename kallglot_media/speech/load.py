"""How busy the engines are, what is given up when they are too busy, and whether one more call has room. No clock.

    ALL ──▶ NO_PARTIALS ──▶ SMALLER ──▶ CAPTIONS ──▶ THROUGH        busy for raise_after_s: one step up
      ◀──             ◀──         ◀──          ◀──                  calm for lower_after_s: one step down

Each step gives up what can best be missed: partial transcripts; then the large recogniser, where there is a smaller
one; then voices (words are still written down, and the original voice is let through); then words as well.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import IntEnum

from kallglot_media.speech.settings import EngineKind


class Step(IntEnum):
    """What the engines still do."""

    ALL = 0
    NO_PARTIALS = 1
    SMALLER = 2
    CAPTIONS = 3
    THROUGH = 4


@dataclass(frozen=True, slots=True)
class LoadRules:
    """Shares are of the workers' time.

    busy            above this, the engines cannot keep up
    calm            below this, they could do more
    raise_after_s   busy for so long: a step up
    lower_after_s   calm for so long: a step down; twice as long each time that it did not last
    longest_s       but never longer than this
    room_below      a call is taken when its share would keep the engines below this
    first_call      share of one worker that a call is expected to take before one was measured
    memory_s        how far back shares are measured
    smaller_takes   of the larger recogniser's time the smaller one is expected to take so much, before it was measured
    doubt_s         that expectation counts as much as so long a measurement
    """

    busy: float = 0.92
    calm: float = 0.65
    raise_after_s: float = 3.0
    lower_after_s: float = 8.0
    longest_s: float = 120.0
    room_below: float = 0.85
    first_call: float = 0.04
    memory_s: float = 10.0
    smaller_takes: float = 0.5
    doubt_s: float = 1.0


LOAD_RULES = LoadRules()


@dataclass(frozen=True, slots=True)
class Work:
    """What one kind of engine has done since its start, summed over its workers. must_s: without what can wait."""

    busy_s: float
    must_s: float
    workers: int

    def and_also(self, other: Work) -> Work:
        """Of two groups of which only one works at a time."""
        return Work(self.busy_s + other.busy_s, self.must_s + other.must_s, self.workers)


class Load:
    """take() once a second; then `step`, `shares` and `has_room` are of now.

    smaller  whether there is a smaller recogniser to change to; without one that step is left out
    """

    def __init__(self, rules: LoadRules = LOAD_RULES, *, smaller: bool = False) -> None:
        self._rules = rules
        self._steps = tuple(step for step in Step if smaller or step is not Step.SMALLER)
        self.step = Step.ALL
        self.shares: dict[EngineKind, float] = {}
        self._must: dict[EngineKind, float] = {}
        self._must_known_s: dict[EngineKind, float] = {}  # how much measuring stands behind it, where that is little
        self._now: dict[EngineKind, float] = {}  # of the time since the last look alone
        self._last: dict[EngineKind, Work] = {}
        self._last_s: float | None = None
        self._busy_since_s: float | None = None
        self._calm_since_s: float | None = None
        self._lowered_at_s: float | None = None
        self._patience_s = rules.lower_after_s

    def take(self, now_s: float, work: Mapping[EngineKind, Work]) -> Step:
        """What was done up to now; returns the step that is right from here on."""
        if self._last_s is not None and now_s > self._last_s:
            self._measure(now_s - self._last_s, work)
            self._decide(now_s)
        self._last, self._last_s = dict(work), now_s
        return self.step

    def has_room(self, calls: int) -> bool:
        """Whether one call more than `calls` could be served in time. What can wait does not count."""
        for kind, share in self._must.items():
            workers = max(1, self._last[kind].workers)
            one_more = max(share / calls if calls else 0.0, self._rules.first_call / workers)
            if share + one_more > self._rules.room_below:
                return False
        return True

    def give_up(self, at_least: Step) -> bool:
        """Go to a step at once, because of what is foreseen; whether that was one up."""
        if at_least not in self._steps or self.step >= at_least:
            return False
        self._calm_since_s = None
        self._go_to(at_least)
        return True

    def _go_to(self, step: Step) -> None:
        """Where that changes the recogniser, what the other one took says little of this one: it is measured anew."""
        had_smaller, has_smaller = self.step >= Step.SMALLER, step >= Step.SMALLER
        self.step = step
        kind = EngineKind.RECOGNIZER
        if has_smaller is had_smaller or Step.SMALLER not in self._steps or kind not in self._must:
            return
        takes = self._rules.smaller_takes
        self._must[kind] = min(1.0, self._must[kind] * (takes if has_smaller else 1 / takes))
        self._must_known_s[kind] = self._rules.doubt_s

    def _measure(self, elapsed_s: float, work: Mapping[EngineKind, Work]) -> None:
        memory_s = self._rules.memory_s
        for kind, now in work.items():
            before = self._last.get(kind, now)
            time_s = elapsed_s * max(1, now.workers)
            busy, must = (
                min(1.0, max(0.0, done_s) / time_s)
                for done_s in (now.busy_s - before.busy_s, now.must_s - before.must_s)
            )
            self._now[kind] = busy
            _blend(self.shares, kind, busy, elapsed_s / memory_s)
            known_s = min(memory_s, self._must_known_s.get(kind, memory_s) + elapsed_s)
            self._must_known_s[kind] = known_s
            _blend(self._must, kind, must, elapsed_s / known_s)

    def _decide(self, now_s: float) -> None:
        busiest = max(self._now.values(), default=0.0)
        rules = self._rules
        self._busy_since_s = _since(self._busy_since_s, now_s, holds=busiest > rules.busy)
        self._calm_since_s = _since(self._calm_since_s, now_s, holds=busiest < rules.calm)
        if self._busy_since_s is not None and now_s - self._busy_since_s >= rules.raise_after_s:
            self._raise(now_s)
        elif self._calm_since_s is not None and now_s - self._calm_since_s >= self._patience_s:
            self._lower(now_s)

    def _raise(self, now_s: float) -> None:
        rules, self._busy_since_s = self._rules, now_s
        if self.step is Step.THROUGH:
            return
        self._go_to(self._steps[self._steps.index(self.step) + 1])
        if self._lowered_at_s is not None and now_s - self._lowered_at_s < self._patience_s + 2 * rules.raise_after_s:
            self._patience_s = min(rules.longest_s, 2 * self._patience_s)

    def _lower(self, now_s: float) -> None:
        self._calm_since_s = now_s
        if self.step is Step.ALL:
            self._patience_s = self._rules.lower_after_s
            return
        self._go_to(self._steps[self._steps.index(self.step) - 1])
        self._lowered_at_s = now_s


def _blend(shares: dict[EngineKind, float], kind: EngineKind, now: float, weight: float) -> None:
    """The newest measurement with its weight, all that were before with the rest."""
    before = shares.get(kind, now)
    shares[kind] = before + min(1.0, weight) * (now - before)


def _since(since_s: float | None, now_s: float, *, holds: bool) -> float | None:
    if not holds:
        return None
    return now_s if since_s is None else since_s
