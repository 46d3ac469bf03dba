"""One worker process as the pool sees it: start, ask, end. Never two requests at once."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from kallglot_media.speech import wire
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.types import SpeechError

ONE_THREAD = dict.fromkeys(("OMP_NUM_THREADS", "OPENBLAS_NUM_THREADS", "MKL_NUM_THREADS", "NUMEXPR_NUM_THREADS"), "1")
OFFLINE = {"HF_HUB_OFFLINE": "1", "TOKENIZERS_PARALLELISM": "false"}
PACKAGE_ROOT = Path(__file__).parents[2]

Command = Callable[[int], Sequence[str]]
"""The command line of a worker, given the number of the socket it inherits."""


class WorkerDied(Exception):
    """The process ended, or closed its socket, or said something it never should."""


def python_worker(spec: Callable[[int], str]) -> Command:
    """The command that runs `kallglot_media.speech.worker` with this Python."""
    return lambda fd: (sys.executable, "-m", "kallglot_media.speech.worker", spec(fd))


class Child:
    """A worker process and the socket to it.

    child = await Child.spawn(command)
    facts = await child.ready()
    answer = await child.ask(["Guten Tag.", "de", "en"])
    await child.end(grace_s=2.0)
    """

    def __init__(
        self, process: asyncio.subprocess.Process, reader: asyncio.StreamReader, writer: asyncio.StreamWriter
    ) -> None:
        self._process = process
        self._reader = reader
        self._writer = writer
        self._frames = wire.FrameReader()
        self._next_id = 0

    @property
    def pid(self) -> int:
        return self._process.pid

    @classmethod
    async def spawn(cls, command: Command) -> Child:
        """Start a worker. Its threads are limited to one before it imports anything."""
        ours, theirs = socket.socketpair()
        try:
            process = await asyncio.create_subprocess_exec(
                *command(theirs.fileno()),
                pass_fds=(theirs.fileno(),),
                stdin=asyncio.subprocess.DEVNULL,
                env=_environment(),
            )
        except BaseException:
            ours.close()
            raise
        finally:
            theirs.close()
        try:
            reader, writer = await asyncio.open_unix_connection(sock=ours)
        except BaseException:
            ours.close()
            process.kill()
            await process.wait()
            raise
        return cls(process, reader, writer)

    async def ready(self) -> dict[str, Any]:
        """Wait until the model is loaded; returns the facts that the worker tells of it.

        Raises SpeechSetupError with the worker's own words when it cannot load, WorkerDied when it says nothing.
        """
        message = await self._receive()
        if "failed" in message:
            raise SpeechSetupError(*message["failed"])
        facts: dict[str, Any] = message["ready"]
        return facts

    async def ask(self, arguments: list[Any]) -> dict[str, Any]:
        """The result of one request as plain data. Raises SpeechError (the engine's) or WorkerDied."""
        (answer,) = await self.ask_all([arguments])
        if isinstance(answer, SpeechError):
            raise answer
        return answer

    async def ask_all(self, requests: list[list[Any]]) -> list[dict[str, Any] | SpeechError]:
        """The results of several requests that the worker may do in one go. Raises WorkerDied."""
        self._next_id += 1
        request_id = self._next_id
        asked = {"args": requests[0]} if len(requests) == 1 else {"all": requests}
        self._writer.write(wire.frame({"id": request_id, **asked}))
        with contextlib.suppress(ConnectionError):  # what came of it shows when reading
            await self._writer.drain()
        message = await self._receive()
        if message.get("id") != request_id:
            raise WorkerDied(f"answer {message.get('id')} to request {request_id}")
        answers = [message] if len(requests) == 1 else message.get("all")
        if not isinstance(answers, list) or len(answers) != len(requests):
            raise WorkerDied(f"not {len(requests)} answers: {sorted(message)}")
        return [_result(answer) for answer in answers]

    async def gone(self) -> None:
        """Return when an idle worker's socket closes (or it speaks unasked, which is as bad)."""
        with contextlib.suppress(WorkerDied):
            await self._receive()

    async def end(self, grace_s: float = 0.0) -> int:
        """Close the socket, wait `grace_s` for the process to leave by itself, then kill it. Its exit status."""
        self._writer.close()
        if grace_s > 0:
            # Not asyncio.timeout: in a task that is being cancelled it gives CancelledError on CPython 3.11.2.
            with contextlib.suppress(TimeoutError):
                await asyncio.wait_for(self._process.wait(), grace_s)
        if self._process.returncode is None:
            with contextlib.suppress(ProcessLookupError):
                self._process.kill()
        status = await self._process.wait()
        with contextlib.suppress(ConnectionError):
            await self._writer.wait_closed()
        return status

    async def _receive(self) -> dict[str, Any]:
        while True:
            try:
                data = await self._reader.read(1 << 16)
            except ConnectionError as error:
                raise WorkerDied(str(error)) from None
            if not data:
                raise WorkerDied("the worker's socket closed")
            try:
                messages = self._frames.feed(data)
            except wire.WireError as error:
                raise WorkerDied(str(error)) from None
            if messages:
                return messages[0]


def _result(answer: dict[str, Any]) -> dict[str, Any] | SpeechError:
    if "error" in answer:
        return wire.unpack_error(answer)
    result = answer.get("ok")
    if not isinstance(result, dict):
        raise WorkerDied(f"an answer without a result: {sorted(answer)}")
    return result


def _environment() -> dict[str, str]:
    """One thread per library, no hub, and this very package first on the path, wherever we were started from."""
    path = [str(PACKAGE_ROOT), *filter(None, [os.environ.get("PYTHONPATH")])]
    return {**os.environ, **ONE_THREAD, **OFFLINE, "PYTHONPATH": os.pathsep.join(path)}
