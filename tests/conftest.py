"""For all tests."""

from __future__ import annotations

from hypothesis import settings

# A slow machine is not a failing test: pytest's own time limit is the deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")
