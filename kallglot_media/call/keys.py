"""Keys that the caller presses, taken together: a number ends with `#` or a pause; one key asks for a human."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

LONE_KEY_MS = 900
"""The key for a human counts when no other follows within this time: a number may begin with it."""
MOST_KEYS = 64


class KeyPad:
    """press() keys; on_keys(keys, asks_for_human) is called with what they make."""

    def __init__(self, pause_ms: int, human_key: str | None, on_keys: Callable[[str, bool], None]) -> None:
        self._pause_ms = pause_ms
        self._human_key = human_key
        self._on_keys = on_keys
        self._keys = ""
        self._timer: asyncio.TimerHandle | None = None
        self._loop = asyncio.get_running_loop()

    @property
    def pressed(self) -> bool:
        """Whether a number is being keyed in."""
        return bool(self._keys)

    def press(self, key: str) -> None:
        """One key."""
        self.close()
        if key == "#" and self._keys:
            self._done()
            return
        self._keys = (self._keys + key)[:MOST_KEYS]
        alone = self._keys == self._human_key
        self._timer = self._loop.call_later((LONE_KEY_MS if alone else self._pause_ms) / 1000, self._done)

    def _done(self) -> None:
        self.close()
        keys, self._keys = self._keys, ""
        if keys:
            self._on_keys(keys, keys == self._human_key)

    def close(self) -> None:
        """Wait for no more keys."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
