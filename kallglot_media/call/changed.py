"""Wait until something holds, looked at again whenever somebody says that things changed."""

from __future__ import annotations

import asyncio
from collections.abc import Callable


class Changed:
    """A condition variable for one event loop: notify() is an ordinary call and needs no lock."""

    def __init__(self) -> None:
        self._waiters: set[asyncio.Future[None]] = set()

    def notify(self) -> None:
        """Let every waiter look again."""
        for waiter in self._waiters:
            if not waiter.done():
                waiter.set_result(None)

    async def until(self, holds: Callable[[], bool], limit_s: float) -> bool:
        """Wait until `holds()`; False when it still does not after `limit_s`."""
        try:
            async with asyncio.timeout(limit_s):
                while not holds():
                    waiter = asyncio.get_running_loop().create_future()
                    self._waiters.add(waiter)
                    try:
                        await waiter
                    finally:
                        self._waiters.discard(waiter)
        except TimeoutError:
            return holds()
        return True
