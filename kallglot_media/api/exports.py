"""Recordings as one file, made while a client waits, each only once, a few at a time."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kallglot_media.log import logger
from kallglot_media.media.export import ExportChannel, ExportError, ExportFormat, export_recording

AT_ONCE = 2
MOST_WAITING = 32
PATIENCE_S = 20.0
"""How long a client waits; a longer export goes on, and the client asks again."""

Key = tuple[Path, ExportChannel, ExportFormat]

log = logger("export")


class StillMaking(Exception):
    """It is not there yet; ask again in a few seconds."""


class TooMany(Exception):
    """Too many wait already."""


class Exports:
    """The exports that are being made. make: a session's folder → the path of the file; blocking."""

    def __init__(self, *, patience_s: float = PATIENCE_S) -> None:
        self._patience_s = patience_s
        self._room = asyncio.Semaphore(AT_ONCE)
        self._making: dict[Key, asyncio.Task[Path]] = {}

    async def get(self, folder: Path, channel: ExportChannel, file_format: ExportFormat) -> Path:
        """The file. Raises ExportError, StillMaking, TooMany."""
        key = folder, channel, file_format
        task = self._making.get(key)
        if task is None:
            if len(self._making) >= MOST_WAITING:
                raise TooMany(f"{len(self._making)} exports are being made")
            task = asyncio.create_task(self._make(key), name=f"export {folder.name} {channel}.{file_format}")
            self._making[key] = task
            task.add_done_callback(lambda done: self._done(key, done))
        done, _ = await asyncio.wait({task}, timeout=self._patience_s)
        if not done:
            raise StillMaking(f"{channel}.{file_format} of {folder.name} is being made")
        return task.result()

    async def settle(self, folder: Path) -> None:
        """Wait for all of a folder that are being made: what they write may then be deleted."""
        running = [task for key, task in self._making.items() if key[0] == folder]
        await asyncio.gather(*running, return_exceptions=True)

    async def close(self) -> None:
        """Give up those that wait; those that run end by themselves, in their threads."""
        running = list(self._making.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)

    async def _make(self, key: Key) -> Path:
        async with self._room:
            return await asyncio.to_thread(export_recording, *key)

    def _done(self, key: Key, task: asyncio.Task[Path]) -> None:
        self._making.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.warning("not exported", call=key[0].name, channel=key[1], format=key[2], why=type(error).__name__)
            if not isinstance(error, ExportError):
                log.error("bug", exc_info=error)
