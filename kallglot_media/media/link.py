"""The handle that control holds on a media process."""

from __future__ import annotations

import asyncio
import contextlib
import os
import socket
import sys
from collections.abc import Callable

from kallglot_media.media import wire
from kallglot_media.media.messages import (
    CloseLeg,
    FromMedia,
    LegOpened,
    LegRefused,
    OpenLeg,
    PlaneStats,
    StreamAudioIn,
    ToMedia,
)
from kallglot_media.media.settings import MediaSettings

__all__ = ["MediaError", "MediaLink", "MediaSettings"]

START_DEADLINE_S = 15.0
OPEN_DEADLINE_S = 5.0
STOP_DEADLINE_S = 15.0
SILENCE_DEADLINE_S = 10.0
"""PlaneStats come every two seconds, so a process that says nothing for this long hangs."""

GATHER_S = 0.004
"""Sound of streams is gathered for so long: each write wakes the media process, and a tick needs it every 20 ms."""

_LONGEST_LINE_BYTES = 64 * 1024 * 1024
_READ_BYTES = 256 * 1024
_ONE_THREAD = {"OPENBLAS_NUM_THREADS": "1"}  # threads that help with a product of small matrices hold up the tick


class MediaError(Exception):
    """The media process gave no leg, or is not there."""


class MediaLink:
    """Starts a media process, talks to it, and tells when it dies.

    on_event  called for every message but the answers to `open_leg`
    on_dead   called once when the process ends or hangs without being asked to; why
    """

    def __init__(
        self,
        settings: MediaSettings | None = None,
        *,
        on_event: Callable[[FromMedia], None],
        on_dead: Callable[[str], None],
    ) -> None:
        self.settings = settings or MediaSettings()
        self.unsent = 0  # messages for a process that was gone
        self._on_event = on_event
        self._on_dead = on_dead
        self._process: asyncio.subprocess.Process | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._reading: asyncio.Task[None] | None = None
        self._ready = asyncio.Event()
        self._opening: dict[str, asyncio.Future[LegOpened]] = {}
        self._waiting: list[bytes] = []
        self._flushing: asyncio.TimerHandle | None = None
        self._stopping = False

    @property
    def alive(self) -> bool:
        """Whether a process is there and answered."""
        return self._writer is not None and self._ready.is_set()

    @property
    def pid(self) -> int | None:
        """The process, for tests and the log; None when there is none."""
        return None if self._process is None else self._process.pid

    async def start(self) -> None:
        """Start the process; returns when it answers. Raises MediaError."""
        if self._writer is not None:
            raise MediaError("the media process is running already")
        ours, theirs = socket.socketpair()
        command = ["-m", "kallglot_media.media.process", "--socket", str(theirs.fileno())]
        with theirs:
            self._process = await asyncio.create_subprocess_exec(
                sys.executable,
                *command,
                "--settings",
                self.settings.to_json(),
                pass_fds=[theirs.fileno()],
                env=os.environ | _ONE_THREAD,
            )
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._stopping = False
        self._ready = asyncio.Event()
        self._reading = asyncio.create_task(self._read(reader), name="media-link")
        ready = asyncio.create_task(self._ready.wait())
        await asyncio.wait({ready, self._reading}, timeout=START_DEADLINE_S, return_when=asyncio.FIRST_COMPLETED)
        if not ready.done():
            ready.cancel()
            await self._kill()
            raise MediaError("the media process does not start; run `python -m kallglot_media.media.process --help`")

    async def stop(self) -> None:
        """Let the process finish its recordings and end; last events still arrive. Kills it after a deadline."""
        if self._writer is None or self._reading is None:
            return
        self._stopping = True
        self._flush()
        with contextlib.suppress(OSError):
            self._writer.write_eof()
        await asyncio.wait({self._reading}, timeout=STOP_DEADLINE_S)
        await self._kill()

    async def restart(self) -> None:
        """End what is there and start anew. Sessions and legs do not live on."""
        self._stopping = True
        await self._kill()
        await self.start()

    async def open_leg(self, message: OpenLeg) -> LegOpened:
        """The leg's address. Raises MediaError with the reason when there is none within 5 s."""
        if self._writer is None:
            raise MediaError("there is no media process")
        future: asyncio.Future[LegOpened] = asyncio.get_running_loop().create_future()
        self._opening[message.leg_id] = future
        self.send(message)
        try:
            async with asyncio.timeout(OPEN_DEADLINE_S):
                return await future
        except TimeoutError:
            self.send(CloseLeg(message.leg_id))
            raise MediaError(
                f"the media process gave leg {message.leg_id} no port in {OPEN_DEADLINE_S:.0f} s"
            ) from None
        except asyncio.CancelledError:
            self.send(CloseLeg(message.leg_id))
            raise
        finally:
            self._opening.pop(message.leg_id, None)

    def send(self, message: ToMedia) -> None:
        """Send and forget. To a process that is gone: counted in `unsent`, for `on_dead` has told all."""
        if self._writer is None or self._writer.is_closing():
            self.unsent += 1
            return
        if self._writer.transport.get_write_buffer_size() > _LONGEST_LINE_BYTES:
            self._fail(f"does not read: {_LONGEST_LINE_BYTES >> 20} MB wait for it")
            return
        self._waiting.append(wire.encode(message))
        if not isinstance(message, StreamAudioIn):
            self._flush()
        elif self._flushing is None:
            self._flushing = asyncio.get_running_loop().call_later(GATHER_S, self._flush)

    def _flush(self) -> None:
        """Write what waits, in its order and at once."""
        if self._flushing is not None:
            self._flushing.cancel()
            self._flushing = None
        waiting, self._waiting = self._waiting, []
        if waiting and self._writer is not None:
            self._writer.write(b"".join(waiting))

    async def _read(self, reader: asyncio.StreamReader) -> None:
        """Until the process is gone, whatever the reason."""
        frames = wire.FrameReader()
        why = "closed its socket"
        try:
            while True:
                async with asyncio.timeout(SILENCE_DEADLINE_S if self._ready.is_set() else START_DEADLINE_S):
                    data = await reader.read(_READ_BYTES)
                if not data:
                    break
                for body in frames.feed(data):
                    self._take(wire.decode(body))
        except TimeoutError:
            why = f"says nothing for {SILENCE_DEADLINE_S:.0f} s"
        except OSError:  # reset: it died with something of ours unread
            why = "closed its socket"
        except wire.WireError as error:
            why = f"says what nobody understands: {error}"
        await self._gone(why)

    def _take(self, message: FromMedia | ToMedia) -> None:
        if isinstance(message, PlaneStats):
            self._ready.set()
        if isinstance(message, LegOpened | LegRefused):
            self._answer(message)
            return
        try:
            self._on_event(message)  # type: ignore[arg-type]
        except Exception as error:
            # ours: it must not take the other calls of this process with it
            context = {"message": f"handling {type(message).__name__} failed", "exception": error}
            asyncio.get_running_loop().call_exception_handler(context)

    def _answer(self, message: LegOpened | LegRefused) -> None:
        future = self._opening.get(message.leg_id)
        if future is None or future.done():
            return  # whoever asked has gone, and sent a CloseLeg
        if isinstance(message, LegOpened):
            future.set_result(message)
        else:
            future.set_exception(MediaError(message.why))

    def _fail(self, why: str) -> None:
        if self._process is not None and self._process.returncode is None:
            self._process.kill()
        if self._writer is not None:
            self._writer.close()
        for future in self._opening.values():
            if not future.done():
                future.set_exception(MediaError(f"the media process {why}"))

    async def _gone(self, why: str) -> None:
        """The socket is closed or the process hangs: end it for sure, then tell."""
        process, stopping, was_there = self._process, self._stopping, self._ready.is_set()
        if process is not None and (stopping or why == "closed its socket"):
            with contextlib.suppress(TimeoutError):  # wait_for: asyncio.timeout misleads a cancelled task on 3.11.2
                await asyncio.wait_for(process.wait(), 2)
        if process is not None and process.returncode is not None:
            why = f"{why} and ended with code {process.returncode}"
        self._fail(why)
        if process is not None:
            await process.wait()
        self._writer = None
        self._ready.clear()
        if was_there and not stopping:  # one that never answered: start() raises
            self._on_dead(f"the media process {why}")

    async def _kill(self) -> None:
        """Whatever is left of the process, at once."""
        self._stopping = True
        self._fail("was ended")
        if self._reading is not None:
            await asyncio.wait({self._reading}, timeout=5)
            self._reading.cancel()
            self._reading = None
        if self._process is not None:
            await self._process.wait()
            self._process = None
        self._writer = None
        self._flush()  # nowhere: what waited was for the process that is gone
