"""The configuration while the server runs: read again when a file changes, taken only when it is right.

Each good reading is a generation. Calls that are there keep the one they started with; a bad reading
changes nothing and is logged, mistake by mistake. Routes and modes are taken at once; what server.yaml
itself says needs a restart, and the log says so.
"""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from contextlib import AsyncExitStack
from dataclasses import replace
from pathlib import Path

from kallglot_media.config import Config, ConfigErrors, load_config
from kallglot_media.config.errors import ConfigError
from kallglot_media.log import logger

LOOK_EVERY_S = 1.0

log = logger("config")

Stamp = tuple[tuple[int, int], ...]


class Generations:
    """See the module. `take(config, number)` is called with each new generation."""

    def __init__(self, config: Config, take: Callable[[Config, int], None]) -> None:
        self.current = config
        self.number = 1
        self.counters = {"reloads": 0, "reloads_refused": 0}
        self._started = config
        self._take = take
        self._asked = asyncio.Event()
        self._seen = _stamp(config.files)

    def ask(self) -> None:
        """Read again now (SIGHUP), changed or not."""
        self._asked.set()

    async def run(self) -> None:
        """Look at the files again and again; never returns."""
        while True:
            try:
                async with asyncio.timeout(LOOK_EVERY_S):
                    await self._asked.wait()
            except TimeoutError:
                stamp = await asyncio.to_thread(_stamp, self.current.files)
                if stamp == self._seen:
                    continue
            self._asked.clear()
            # taken before reading: what is written meanwhile is seen the next time
            self._seen = await asyncio.to_thread(_stamp, self.current.files)
            await self.read()

    async def read(self) -> bool:
        """Read the files; whether there is a new generation."""
        try:
            config = await asyncio.to_thread(load_config, self._started.path)
            self._check_languages(config)
        except ConfigErrors as errors:
            self.counters["reloads_refused"] += 1
            for error in errors.errors:
                log.error("not reloaded", sign="x", where=error.where, wrong=error.wrong, mend=error.mend,
                          generation=self.number)  # fmt: skip
            return False
        if config.server != self._started.server:
            log.warning("server.yaml changed", mend="restart to have it; routes and modes are taken now")
        self.number += 1
        self.counters["reloads"] += 1
        # the new list of files is watched from now on: a base or mode may have been added
        self.current = replace(config, server=self._started.server)
        self._seen = await asyncio.to_thread(_stamp, self.current.files)
        self._take(self.current, self.number)
        log.info("reloaded", sign="=", generation=self.number)
        return True

    def _check_languages(self, config: Config) -> None:
        """The engines have what they were started with."""
        missing = sorted(set(config.languages()) - set(self._started.languages()))
        if missing:
            raise ConfigErrors(
                [
                    ConfigError(
                        str(config.path),
                        f"needs {', '.join(missing)}, which the engines were not started with",
                        "restart the server, or name them in speech.languages before the start",
                    )
                ]
            )


def watch(stack: AsyncExitStack, config: Config, take: Callable[[Config, int], None]) -> Generations:
    """Generations of `config` for as long as the stack lasts; SIGHUP reads at once."""
    loop = asyncio.get_running_loop()
    generations = Generations(config, take)
    loop.add_signal_handler(signal.SIGHUP, generations.ask)
    stack.callback(loop.remove_signal_handler, signal.SIGHUP)
    stack.callback(asyncio.create_task(generations.run(), name="config").cancel)
    return generations


def _stamp(files: tuple[Path, ...]) -> Stamp:
    """Changes when one of them does."""
    found = []
    for path in files:
        try:
            stat = path.stat()
            found.append((stat.st_mtime_ns, stat.st_size))
        except OSError:
            found.append((0, 0))
    return tuple(found)
