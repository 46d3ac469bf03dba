"""One signed POST to somebody else's server, within a time limit."""

from __future__ import annotations

import asyncio
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Protocol

import httpcore2

from kallglot_media import __version__
from kallglot_media.webhooks.guard import Guard, GuardedBackend, Refused

TIME_LIMIT_S = 30.0
LONGEST_ANSWER_BYTES = 64 * 1024
_CONNECTIONS = 100


@dataclass(frozen=True, slots=True)
class Answer:
    """status: None when there was no answer, then error says why; body: at most the first 64 KiB."""

    status: int | None
    body: bytes = b""
    error: str | None = None


class Post(Protocol):
    """Sends. Never raises for what the other side does."""

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer: ...


class HttpPost:
    """HTTP/1.1 with kept connections, no redirects, no proxies, no cookies."""

    def __init__(self, guard: Guard, *, time_limit_s: float = TIME_LIMIT_S, tls: ssl.SSLContext | None = None) -> None:
        self._guard = guard
        self._time_limit_s = time_limit_s
        self._pool = httpcore2.AsyncConnectionPool(
            ssl_context=tls or ssl.create_default_context(),
            max_connections=_CONNECTIONS,
            max_keepalive_connections=10,
            keepalive_expiry=15.0,
            network_backend=GuardedBackend(guard),
        )

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        try:
            self._guard.check_url(url)
            async with asyncio.timeout(self._time_limit_s):
                return await self._send(url, headers, body)
        except TimeoutError:
            return Answer(None, error=f"no answer within {self._time_limit_s:g} s")
        except Refused as error:
            return Answer(None, error=f"{url} {error}")
        except (httpcore2.TimeoutException, httpcore2.NetworkError, httpcore2.ProtocolError, OSError) as error:
            return Answer(None, error=f"{type(error).__name__}: {error}".rstrip(": "))

    async def _send(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        own = {"User-Agent": f"kallglot-media/{__version__}", "Content-Type": "application/json"}
        async with self._pool.stream("POST", url, headers=[*(own | dict(headers)).items()], content=body) as response:
            kept = bytearray()
            async for part in response.aiter_stream():
                kept += part
                if len(kept) >= LONGEST_ANSWER_BYTES:
                    break  # leaving the block closes the connection
            return Answer(response.status, bytes(kept[:LONGEST_ANSWER_BYTES]))

    async def close(self) -> None:
        """Close the connections that were kept."""
        await self._pool.aclose()
