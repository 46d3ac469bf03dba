"""A bad network between a phone and whom it speaks to: packets that never arrive, late, or out of order. No clock."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np


@dataclass(frozen=True, slots=True)
class PathRules:
    """What becomes of the packets that a phone sends.

    loss       the part that never arrives, 0–1
    jitter_ms  each is late by anything between nothing and this; more than a packet's 20 ms reorders
    seed       the same packets are lost in every run with the same seed
    """

    loss: float = 0.0
    jitter_ms: int = 0
    seed: int = 1


SMOOTH = PathRules()


class RoughPath:
    """delay_s() for each packet in turn; lost counts those that got None."""

    def __init__(self, rules: PathRules = SMOOTH) -> None:
        self.lost = 0
        self._rules = rules
        self._chance = np.random.default_rng(rules.seed)

    def delay_s(self) -> float | None:
        """How long the next packet is on its way besides the real path; None: it is lost."""
        lot, late = self._chance.random(2)
        if lot < self._rules.loss:
            self.lost += 1
            return None
        return float(late) * self._rules.jitter_ms / 1000
