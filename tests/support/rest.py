"""Clients of a running server's control API: a key made on the command line, requests, and sound in real time."""

from __future__ import annotations

import asyncio
import json
import subprocess
import sys
from collections.abc import Callable, Sequence
from typing import Any

import httpx2
import numpy as np

from kallglot_media.audio import g711
from tests.support.processes import until
from tests.support.server import REPOSITORY, Server
from tests.support.stream_client import StreamClient
from tests.support.waves import Pcm16, to_rate

Json = dict[str, Any]


def make_key(server: Server, *, prefix: Sequence[str] = ()) -> str:
    """A key with every scope, made as people make it. prefix: before the command, as `enter` has it."""
    command = [*prefix, sys.executable, "-m", "kallglot_media.cli", "keys", "create", "test", "--json"]
    done = subprocess.run(
        [*command, "--config", str(server.config)], cwd=REPOSITORY, capture_output=True, text=True, check=True
    )
    made: Json = json.loads(done.stdout)
    return str(made["token"])


def api_url(server: Server) -> str:
    """Where a server listens that was started with api.port 0."""
    found: list[str] = []

    def there() -> bool:
        lines = [json.loads(line) for line in server.log.splitlines() if line.startswith("{")]
        found[:] = [str(line["url"]) for line in lines if line.get("part") == "api" and "url" in line]
        return bool(found)

    until("the control API listens", there, 10.0)
    return found[-1]


class Rest:
    """The REST side, with every scope."""

    def __init__(self, server: Server, key: str) -> None:
        self._client = httpx2.Client(base_url=api_url(server), headers={"Authorization": f"Bearer {key}"}, timeout=30)

    def ask(self, method: str, path: str, body: Any = None) -> httpx2.Response:
        """A request, whatever comes of it."""
        return self._client.request(method, path, json=body)

    def call(self, method: str, path: str, body: Any = None) -> Json:
        """A request that must succeed; its JSON."""
        response = self.ask(method, path, body)
        assert response.status_code < 300, response.text
        answer: Json = response.json()
        return answer

    def fetch(self, path: str) -> httpx2.Response:
        """A file that must be there."""
        response = self._client.get(path)
        assert response.status_code == 200, response.text
        return response

    def session(self, **fields: Any) -> Json:
        """A new session, German to English."""
        body = {"mode": "bidirectional_translation", "source_language": "de", "target_language": "en", **fields}
        return self.call("POST", "/v1/sessions", body)

    async def ended(self, session_id: str, limit_s: float = 20.0) -> Json:
        """The session, as soon as it has ended."""
        await eventually(lambda: self.call("GET", f"/v1/sessions/{session_id}")["status"] == "ended", limit_s)
        return self.call("GET", f"/v1/sessions/{session_id}")

    def close(self) -> None:
        """Close its connections."""
        self._client.close()


async def eventually(ready: Callable[[], object], limit_s: float) -> None:
    """Wait for what another process does, which nobody here can be woken by. Raises TimeoutError."""
    async with asyncio.timeout(limit_s):
        while not ready():  # noqa: ASYNC110
            await asyncio.sleep(0.05)


async def speak(
    client: StreamClient, speaker: str, pcm: Pcm16, *, chunk_ms: int = 100, encoding: str = "mulaw", rate_hz: int = 8000
) -> None:
    """Say 8 kHz sound at the speed at which time goes, in pieces of chunk_ms."""
    wide = to_rate(pcm, 8000, rate_hz)
    loop = asyncio.get_running_loop()
    step, due_s = rate_hz * chunk_ms // 1000, loop.time()
    for start in range(0, len(wide), step):
        piece = np.ascontiguousarray(wide[start : start + step])
        sound = g711.ulaw_encode(piece).tobytes() if encoding == "mulaw" else piece.astype("<i2").tobytes()
        await client.say(speaker, sound, encoding, rate_hz)
        due_s += chunk_ms / 1000
        await asyncio.sleep(due_s - loop.time())


async def listen(client: StreamClient) -> None:
    """Hear all that comes until the connection is closed."""
    while await client.next() is not None:
        pass
