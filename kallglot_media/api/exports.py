"""Recordings as one file, made while a client waits, each only once, a few at a time.

What is made of plain files stays beside them. What is made of sealed ones is plain too, so it lies in a folder apart
for some minutes and no longer: that folder is emptied when the server starts and when it stops.
"""

from __future__ import annotations

import asyncio
import shutil
from contextlib import suppress
from pathlib import Path

from kallglot_media.log import logger
from kallglot_media.media.export import ExportChannel, ExportError, ExportFormat, export_recording
from kallglot_media.media.track_files import SealedTrack, TrackError, open_file

AT_ONCE = 2
MOST_WAITING = 32
PATIENCE_S = 20.0
"""How long a client waits; a longer export goes on, and the client asks again."""

KEPT_S = 600.0
"""How long the plain sound of a sealed recording is kept: whoever listens asks for it in many parts."""

SCRATCH = "plain-sound"
"""Of the data directory."""

Key = tuple[Path, ExportChannel, ExportFormat]

log = logger("export")


class StillMaking(Exception):
    """It is not there yet; ask again in a few seconds."""


class TooMany(Exception):
    """Too many wait already."""


class Exports:
    """The exports that are being made. scratch: where those of sealed recordings lie; nothing else may."""

    def __init__(self, scratch: Path, *, patience_s: float = PATIENCE_S, kept_s: float = KEPT_S) -> None:
        self._scratch = scratch
        self._patience_s = patience_s
        self._kept_s = kept_s
        self._timers: dict[Path, asyncio.TimerHandle] = {}
        shutil.rmtree(scratch, ignore_errors=True)
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

    async def forget(self, folder: Path) -> None:
        """Wait for all of a folder that are being made, and delete those that lie in the scratch."""
        running = [task for key, task in self._making.items() if key[0] == folder]
        await asyncio.gather(*running, return_exceptions=True)
        for path in [path for path in self._timers if path.name.startswith(f"{folder.name}-")]:
            self._remove(path)

    async def close(self) -> None:
        """Give up those that wait; those that run end by themselves, in their threads."""
        running = list(self._making.values())
        for task in running:
            task.cancel()
        await asyncio.gather(*running, return_exceptions=True)
        for path in list(self._timers):
            self._remove(path)

    async def _make(self, key: Key) -> Path:
        async with self._room:
            folder, channel, file_format = key
            if not await asyncio.to_thread(is_sealed, folder):
                return await asyncio.to_thread(export_recording, folder, channel, file_format)
            path = self._scratch / f"{folder.name}-{channel}.{file_format}"
            if path not in self._timers:
                self._scratch.mkdir(mode=0o700, parents=True, exist_ok=True)
                await asyncio.to_thread(export_recording, folder, channel, file_format, out=path)
            else:
                self._timers[path].cancel()
            self._timers[path] = asyncio.get_running_loop().call_later(self._kept_s, self._remove, path)
            return path

    def _remove(self, path: Path) -> None:
        timer = self._timers.pop(path, None)
        if timer is not None:
            timer.cancel()
        with suppress(OSError):
            path.unlink(missing_ok=True)

    def _done(self, key: Key, task: asyncio.Task[Path]) -> None:
        self._making.pop(key, None)
        error = None if task.cancelled() else task.exception()
        if error is not None:
            log.warning("not exported", call=key[0].name, channel=key[1], format=key[2], why=type(error).__name__)
            if not isinstance(error, ExportError):
                log.error("bug", exc_info=error)


def is_sealed(folder: Path) -> bool:
    """Whether a session's recordings are under a key. Raises ExportError when there are none. Blocking."""
    for path in sorted(folder.glob("*.wav")):
        try:
            with open_file(path) as track:
                return isinstance(track, SealedTrack)
        except TrackError as error:
            raise ExportError(str(error)) from None
    raise ExportError(f"{folder}: has no recording")
