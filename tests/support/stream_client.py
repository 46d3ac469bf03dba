"""A real WebSocket client for the stream, with what tests look for."""

from __future__ import annotations

import asyncio
import json
from base64 import b64decode, b64encode
from collections.abc import Callable
from types import TracebackType
from typing import Any, Self

from websockets.asyncio.client import ClientConnection, connect
from websockets.exceptions import ConnectionClosed

WAIT_S = 10.0
Json = dict[str, Any]


class StreamClient:
    """One connection.

    async with StreamClient(session["stream"]["url"], session["stream"]["token"]) as client:
        await client.until("session.ready")

    heard  every message so far; code, reason: of the server's close frame; 0 without one
    """

    def __init__(self, url: str, token: str | None = None, *, query: str = "", **options: Any) -> None:
        parts = [f"token={token}"] if token else []
        parts += [query] if query else []
        self._url = url + ("?" + "&".join(parts) if parts else "")
        self._options = {"compression": None, "ping_interval": None, **options}
        self.heard: list[Json] = []
        self.code = 0
        self.reason = ""
        self.socket: ClientConnection

    async def __aenter__(self) -> Self:
        self.socket = await connect(self._url, **self._options)
        return self

    async def __aexit__(self, kind: type[BaseException] | None, error: object, at: TracebackType | None) -> None:
        await self.socket.close()

    async def send(self, kind: str, **fields: Any) -> None:
        """One message of our own framing."""
        await self.socket.send(json.dumps({"type": kind, **fields}))

    async def say(self, speaker: str | None, sound: bytes, encoding: str = "mulaw", rate_hz: int = 8000) -> None:
        """audio.input."""
        who = {"speaker": speaker} if speaker else {}
        audio = {"encoding": encoding, "sample_rate_hz": rate_hz, "payload": b64encode(sound).decode()}
        await self.send("audio.input", **who, audio=audio)

    async def next(self) -> Json | None:
        """The next message; None when the connection was closed."""
        try:
            async with asyncio.timeout(WAIT_S):
                message: Json = json.loads(await self.socket.recv())
        except ConnectionClosed as closed:
            if closed.rcvd is not None:
                self.code, self.reason = closed.rcvd.code, closed.rcvd.reason
            return None
        self.heard.append(message)
        return message

    async def until(self, kind: str, where: Callable[[Json], bool] = lambda message: True) -> Json:
        """The next message of this type (or, of a carrier's framing, event) for which `where` holds."""
        while (message := await self.next()) is not None:
            if kind in (message.get("type"), message.get("event")) and where(message):
                return message
        raise AssertionError(f"closed with {self.code} {self.reason!r} before {kind}; heard {self.heard}")

    async def until_closed(self) -> int:
        """Read to the end; the close code."""
        while await self.next() is not None:
            pass
        return self.code

    def sound_for(self, party: str) -> bytes:
        """All audio.output for one party so far."""
        pieces = [m["audio"]["payload"] for m in self.heard if m["type"] == "audio.output" and m["for"] == party]
        return b"".join(map(b64decode, pieces))
