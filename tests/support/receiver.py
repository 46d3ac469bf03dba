"""A real HTTP server on 127.0.0.1 that writes down what it is sent and answers what it is told to."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Iterable
from dataclasses import dataclass, field

STALL = 0
"""As a status: take the request and never answer."""


@dataclass(frozen=True)
class Received:
    """One request; header names in lower case."""

    target: str
    headers: dict[str, str]
    body: bytes


@dataclass
class Receiver:
    """answers: the statuses to come, 200 after them; body: of every answer."""

    answers: list[int] = field(default_factory=list)
    body: bytes = b"thanks"
    extra: str = ""
    requests: list[Received] = field(default_factory=list)
    port: int = 0
    tls: ssl.SSLContext | None = None
    connections: int = 0

    async def __aenter__(self) -> Receiver:
        self._tasks: set[asyncio.Task[None]] = set()
        self._server = await asyncio.start_server(self._serve, "127.0.0.1", self.port, ssl=self.tls)
        self.port = self._server.sockets[0].getsockname()[1]
        return self

    async def __aexit__(self, *_: object) -> None:
        self._server.close()
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._server.wait_closed()

    def will(self, *answers: int) -> None:
        """Answer these next."""
        self.answers.extend(answers)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._tasks.add(task)
        self.connections += 1
        try:
            while await self._one(reader, writer):
                pass
        except (asyncio.IncompleteReadError, ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()
            self._tasks.discard(task)

    async def _one(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> bool:
        head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
        headers = dict(_fields(head[1:]))
        body = await reader.readexactly(int(headers.get("content-length", "0")))
        self.requests.append(Received(head[0].split()[1], headers, body))
        status = self.answers.pop(0) if self.answers else 200
        if status == STALL:
            await asyncio.Event().wait()
        answer = f"HTTP/1.1 {status} X\r\nContent-Length: {len(self.body)}\r\n{self.extra}\r\n"
        writer.write(answer.encode() + self.body)
        await writer.drain()
        return True


def _fields(lines: Iterable[str]) -> Iterable[tuple[str, str]]:
    for line in lines:
        name, colon, value = line.partition(":")
        if colon:
            yield name.lower(), value.strip()
