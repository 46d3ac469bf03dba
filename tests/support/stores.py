"""Opened stores for tests, on a clock that only the test moves."""

from __future__ import annotations

from dataclasses import dataclass, field
from itertools import count

NOON_MS = 1_780_000_000_000
"""Some noon in 2026."""


@dataclass
class HandClock:
    """A clock that stands still until it is told to go on."""

    now_ms: int = NOON_MS

    def __call__(self) -> int:
        return self.now_ms

    def go_on(self, *, ms: int = 0, s: float = 0, days: float = 0) -> None:
        """Let time pass."""
        self.now_ms += round(ms + 1000 * s + 86_400_000 * days)


@dataclass
class CountingIds:
    """sess_00000000000000000000000001, then …2: sorted like ULIDs, and foreseeable."""

    _next: count[int] = field(default_factory=lambda: count(1))

    def object_id(self, prefix: str) -> str:
        return f"{prefix}_{next(self._next):026d}"
