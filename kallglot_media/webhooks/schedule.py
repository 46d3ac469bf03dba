"""When a delivery is tried again."""

from __future__ import annotations

MINUTE_MS = 60_000
HOUR_MS = 60 * MINUTE_MS

WAITS_MS = (0, MINUTE_MS, 5 * MINUTE_MS, 30 * MINUTE_MS, 2 * HOUR_MS, 5 * HOUR_MS, 10 * HOUR_MS, 24 * HOUR_MS)
"""Before each attempt, since the one before it failed."""

JITTER = 0.1
"""Each wait is up to a tenth longer, so that a thousand deliveries do not come back in the same second."""


def next_due_ms(attempts: int, now_ms: int, chance: float) -> int | None:
    """When the next attempt is due after `attempts` failed; None: never.

    chance  0 to 1, from whoever rolls the dice
    """
    if attempts >= len(WAITS_MS):
        return None
    return now_ms + round(WAITS_MS[attempts] * (1 + JITTER * chance))
