"""When ticks are due: start + n · 20 ms, so that lateness never adds up."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

FRAME_S = 0.020
MOST_LATE_FRAMES = 5
"""Up to this many late frames are caught up; after a longer standstill they are given up."""

LATE_KINDS: Mapping[str, float] = MappingProxyType({"over_1ms": 0.001, "over_5ms": 0.005, "over_20ms": 0.020})


class TickClock:
    """Counts ticks and how late they were. Time comes in as `now_s`."""

    def __init__(self) -> None:
        self.ticks = 0
        self.skipped = 0
        self.late_ticks = dict.fromkeys(LATE_KINDS, 0)
        self._start_s = 0.0
        self._frame = 0
        self._lateness_s: list[float] = []

    @property
    def due_s(self) -> float:
        """When the next tick is due."""
        return self._start_s + self._frame * FRAME_S

    def start(self, now_s: float) -> None:
        """The next tick is due now; what was before does not count as late."""
        self._start_s = now_s
        self._frame = 0

    def begin(self, now_s: float) -> int:
        """A tick begins; returns how many frames to give up before it (0 unless we stood still)."""
        late_s = max(0.0, now_s - self.due_s)
        late_frames = int(late_s / FRAME_S)
        skipped = late_frames if late_frames > MOST_LATE_FRAMES else 0
        self._frame += skipped + 1
        self.skipped += skipped
        self.ticks += 1
        self._lateness_s.append(late_s)
        if late_s > LATE_KINDS["over_1ms"]:
            for kind, bound_s in LATE_KINDS.items():
                self.late_ticks[kind] += late_s > bound_s
        return skipped

    def take_lateness_ms(self) -> tuple[float, float]:
        """The 99th percentile and the most of lateness since the last call, in ms; zeros without ticks."""
        ordered, self._lateness_s = sorted(self._lateness_s), []
        if not ordered:
            return 0.0, 0.0
        return 1000 * ordered[(len(ordered) * 99 - 1) // 100], 1000 * ordered[-1]
