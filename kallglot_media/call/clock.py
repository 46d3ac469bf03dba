"""A session's clock: samples of its recording since it was opened."""

from __future__ import annotations

RATE_HZ = 8000
"""Of every session's clock and recording."""


def ms_of(sample: int) -> int:
    """A place on the clock in ms."""
    return round(1000 * sample / RATE_HZ)
