"""A small HTTP client for bench_api: one connection, one request at a time, little CPU of its own."""

from __future__ import annotations

import asyncio
import json
import re
from collections.abc import Sequence
from typing import Any, Self
from urllib.parse import urlsplit


def percentile(values: Sequence[float], share: float) -> float:
    """percentile(values, 99); 0.0 of none."""
    ordered = sorted(values)
    return ordered[min(len(ordered) - 1, int(share / 100 * len(ordered)))] if ordered else 0.0


class Http:
    """See the module. last_id: for whoever follows up."""

    def __init__(self, url: str, key: str) -> None:
        parts = urlsplit(url)
        self._host, self._port = parts.hostname or "", parts.port or 80
        self._head = f" HTTP/1.1\r\nHost: {self._host}\r\nAuthorization: Bearer {key}\r\n"
        self.last_id = ""
        self._reader: asyncio.StreamReader
        self._writer: asyncio.StreamWriter

    async def open(self) -> None:
        """Connect."""
        self._reader, self._writer = await asyncio.open_connection(self._host, self._port, limit=1 << 24)

    def close(self) -> None:
        """Disconnect."""
        self._writer.close()

    async def __aenter__(self) -> Self:
        await self.open()
        return self

    async def __aexit__(self, *_: object) -> None:
        self.close()

    async def call(self, method: str, path: str, body: object = None) -> Any:
        """The JSON of an answer that must be 2xx."""
        return json.loads(await self._ask(method, path, b"" if body is None else json.dumps(body).encode()))

    async def metrics(self) -> dict[str, float]:
        """Every number of /metrics without labels."""
        text = (await self._ask("GET", "/metrics", b"")).decode()
        return {name: float(value) for name, value in re.findall(r"^(\w+) (\S+)$", text, re.M)}

    async def _ask(self, method: str, path: str, body: bytes) -> bytes:
        length = f"Content-Type: application/json\r\nContent-Length: {len(body)}\r\n" if method == "POST" else ""
        self._writer.write(f"{method} {path}{self._head}{length}\r\n".encode() + body)
        head = await self._reader.readuntil(b"\r\n\r\n")
        found = re.search(rb"(?i)content-length: *(\d+)", head)
        answer = await self._reader.readexactly(int(found[1]) if found else 0)
        if not head.startswith(b"HTTP/1.1 2"):
            raise SystemExit(
                f"{method} {path}: {head.splitlines()[0].decode()} {answer[:300].decode(errors='replace')}"
            )
        return answer
