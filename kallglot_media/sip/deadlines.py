"""Many named deadlines in one heap, so that the shell needs one timer."""

from __future__ import annotations

import heapq
from collections.abc import Hashable
from typing import Generic, TypeVar

Key = TypeVar("Key", bound=Hashable)


class Deadlines(Generic[Key]):
    """What is due when. Moving and cancelling are cheap: stale heap entries are skipped when they surface."""

    def __init__(self) -> None:
        self._at_s: dict[Key, float] = {}
        self._heap: list[tuple[float, int, Key]] = []
        self._count = 0

    def __len__(self) -> int:
        return len(self._at_s)

    def set(self, key: Key, at_s: float | None) -> None:
        """Let `key` be due then and only then; None: not at all."""
        if at_s is None:
            self._at_s.pop(key, None)
        elif self._at_s.get(key) != at_s:
            self._at_s[key] = at_s
            self._count += 1
            heapq.heappush(self._heap, (at_s, self._count, key))
        if len(self._heap) > 64 + 4 * len(self._at_s):
            self._sweep()

    def next_s(self) -> float | None:
        """When the earliest deadline is, None when there is none."""
        heap = self._heap
        while heap and self._at_s.get(heap[0][2]) != heap[0][0]:
            heapq.heappop(heap)
        return heap[0][0] if heap else None

    def pop_due(self, now_s: float) -> Key | None:
        """One key that is due, forgotten with this; None when nothing is."""
        due_s = self.next_s()
        if due_s is None or due_s > now_s:
            return None
        key = heapq.heappop(self._heap)[2]
        del self._at_s[key]
        return key

    def _sweep(self) -> None:
        self._heap = [entry for entry in self._heap if self._at_s.get(entry[2]) == entry[0]]
        heapq.heapify(self._heap)
