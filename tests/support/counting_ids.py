"""Identifiers that tests can foresee: t1, t2, … and so on for each kind."""

from __future__ import annotations

from collections import Counter


class CountingIds:
    """Implements kallglot_media.ids.Ids. prefix: tells two agents of one test apart."""

    def __init__(self, prefix: str = "") -> None:
        self._prefix = prefix
        self._counts: Counter[str] = Counter()

    def _next(self, kind: str) -> int:
        self._counts[kind] += 1
        return self._counts[kind]

    def tag(self) -> str:
        return f"{self._prefix}tag{self._next('tag')}"

    def branch(self) -> str:
        return f"z9hG4bK-{self._prefix}{self._next('branch')}"

    def call_id(self) -> str:
        return f"{self._prefix}call{self._next('call_id')}@test"

    def nonce(self) -> str:
        return f"{self._prefix}nonce{self._next('nonce')}"

    def ssrc(self) -> int:
        return self._next("ssrc")

    def rtp_sequence(self) -> int:
        return self._next("rtp_sequence")

    def rtp_timestamp(self) -> int:
        return self._next("rtp_timestamp")

    def object_id(self, prefix: str) -> str:
        return f"{prefix}_{self._prefix}{self._next(prefix)}"
