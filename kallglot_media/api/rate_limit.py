"""How much one key may ask: a bucket that refills steadily, so that no burst waits for a full minute."""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Allowance:
    """What one request left. reset_s: until the bucket is full again; wait_s: until the next request fits, 0: now."""

    limit: int
    remaining: int
    reset_s: float
    wait_s: float

    @property
    def granted(self) -> bool:
        """Whether the request may go on."""
        return self.wait_s == 0.0


class RateLimit:
    """One bucket for each name. per_minute: how much a full one holds, and how fast it refills; 0: no limit."""

    def __init__(self, per_minute: int, *, most_names: int = 10_000) -> None:
        self.per_minute = per_minute
        self._most_names = most_names
        self._buckets: OrderedDict[str, tuple[float, float]] = OrderedDict()  # name -> tokens, as of

    def ask(self, name: str, now_s: float) -> Allowance:
        """Take one request out of the name's bucket."""
        limit = self.per_minute
        if limit <= 0:
            return Allowance(0, 0, 0.0, 0.0)
        per_s = limit / 60
        tokens, then_s = self._buckets.pop(name, (float(limit), now_s))
        tokens = min(float(limit), tokens + (now_s - then_s) * per_s)
        granted = tokens >= 1.0
        if granted:
            tokens -= 1.0
        self._buckets[name] = tokens, now_s
        if len(self._buckets) > self._most_names:
            self._buckets.popitem(last=False)
        wait_s = 0.0 if granted else (1.0 - tokens) / per_s
        return Allowance(limit, int(tokens), (limit - tokens) / per_s, wait_s)
