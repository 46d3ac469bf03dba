"""Ids that tests can foresee."""

from __future__ import annotations


class CountingIds:
    """1, 2, 3 …"""

    def __init__(self) -> None:
        self._last = 0

    def _next(self) -> int:
        self._last += 1
        return self._last

    def tag(self) -> str:
        return f"tag{self._next()}"

    def branch(self) -> str:
        return f"z9hG4bK{self._next()}"

    def call_id(self) -> str:
        return f"call{self._next()}"

    def nonce(self) -> str:
        return f"nonce{self._next()}"

    def ssrc(self) -> int:
        return 0x1000 + self._next()

    def rtp_sequence(self) -> int:
        return 1 + self._next()

    def rtp_timestamp(self) -> int:
        return 0xFFFF_FF00 + self._next()

    def object_id(self, prefix: str) -> str:
        return f"{prefix}_{self._next()}"
