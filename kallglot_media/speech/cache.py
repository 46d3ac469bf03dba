"""What was made before and may come again: "One moment, please." is translated and spoken once."""

from __future__ import annotations

from collections import OrderedDict
from typing import Generic, TypeVar

K = TypeVar("K")
V = TypeVar("V")


class Cache(Generic[K, V]):
    """Values by key, the least recently used forgotten first. Bounded by bytes; 0 keeps nothing.

    hits, misses  since the start
    """

    def __init__(self, most_bytes: int) -> None:
        self._most_bytes = most_bytes
        self._kept: OrderedDict[K, tuple[V, int]] = OrderedDict()
        self._bytes = 0
        self.hits = 0
        self.misses = 0

    def get(self, key: K) -> V | None:
        """The value, which is the most recently used one from now on."""
        found = self._kept.get(key)
        if found is None:
            self.misses += 1
            return None
        self._kept.move_to_end(key)
        self.hits += 1
        return found[0]

    def put(self, key: K, value: V, size_bytes: int) -> None:
        """Keep it; one that would take more than a tenth of the room is not worth what it drives out."""
        if size_bytes > self._most_bytes // 10:
            return
        if key in self._kept:
            self._bytes -= self._kept.pop(key)[1]
        self._kept[key] = (value, size_bytes)
        self._bytes += size_bytes
        while self._bytes > self._most_bytes:
            self._bytes -= self._kept.popitem(last=False)[1][1]
