"""How many are connected to streams, and how many may be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager

MOST_STRANGERS = 500
"""Connections that have not yet shown a token."""

MOST_CLIENTS_A_SESSION = 50
"""Those that carry sound and those that listen."""


class HallFull(Exception):
    """Nobody else can be let in now."""


class Hall:
    """One for each server."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()
        self._strangers = 0
        self._clients: Counter[str] = Counter()

    @property
    def connected(self) -> int:
        """Clients now."""
        return self._clients.total()

    @contextmanager
    def stranger(self) -> Iterator[None]:
        """Somebody is at the door while the block lasts. Raises HallFull."""
        if self._strangers >= MOST_STRANGERS:
            raise HallFull("too many connections without a token wait here; try again later")
        self._strangers += 1
        try:
            yield
        finally:
            self._strangers -= 1

    @contextmanager
    def client(self, session_id: str) -> Iterator[None]:
        """A client of a session is connected while the block lasts. Raises HallFull."""
        if self._clients[session_id] >= MOST_CLIENTS_A_SESSION:
            raise HallFull(f"{MOST_CLIENTS_A_SESSION} clients are connected to this session already")
        self._clients[session_id] += 1
        self.counters["stream_clients"] += 1
        try:
            yield
        finally:
            self._clients[session_id] -= 1
            if not self._clients[session_id]:
                del self._clients[session_id]
