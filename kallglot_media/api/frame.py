"""Around every request: an id, the headers that all answers have, counting, one log line, and 500 for our mistakes."""

from __future__ import annotations

import json
import time
from typing import Any

from starlette.types import ASGIApp, Message, Receive, Scope, Send
from structlog.contextvars import bound_contextvars

from kallglot_media.api.errors import mistake
from kallglot_media.api.health import Metrics
from kallglot_media.api.parts import Parts
from kallglot_media.log import logger

NO_ROUTE = "none"

log = logger("api")


class Frame:
    """Pure ASGI, so that it costs little and sees every answer."""

    def __init__(self, app: ASGIApp, parts: Parts, metrics: Metrics) -> None:
        self._app = app
        self._parts = parts
        self._metrics = metrics

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """One request, from the first byte of it to the last of its answer."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        request_id = self._parts.ids.object_id("req")
        state: dict[str, Any] = scope.setdefault("state", {})
        state["request_id"] = request_id
        began_s = time.perf_counter()
        status = 0

        async def send_framed(message: Message) -> None:
            nonlocal status
            if message["type"] == "http.response.start":
                status = message["status"]
                message["headers"] = [*message.get("headers", ()), *_headers(state, request_id)]
            await send(message)

        with bound_contextvars(request=request_id):
            try:
                await self._app(scope, receive, send_framed)
            except Exception as error:
                log.error("bug", sign="x", exc_info=error, method=scope["method"], path=scope["path"])
                if status == 0:
                    await _send_error(request_id, send_framed)
            self._note(scope, status, time.perf_counter() - began_s)

    def _note(self, scope: Scope, status: int, took_s: float) -> None:
        route = scope.get("route")
        path = getattr(route, "path", NO_ROUTE)
        self._metrics.requests.labels(scope["method"], path, str(status)).inc()
        self._metrics.seconds.labels(path).observe(took_s)
        # The path, never the query: it may hold a token.
        say = log.debug if status < 400 else log.info
        say(scope["method"], sign="<", path=scope["path"], status=status, took_ms=round(1000 * took_s, 1))


def _headers(state: dict[str, Any], request_id: str) -> list[tuple[bytes, bytes]]:
    headers = [(b"x-request-id", request_id.encode())]
    allowance = state.get("allowance")
    if allowance is not None and allowance.limit:
        headers += [
            (b"x-ratelimit-limit", b"%d" % allowance.limit),
            (b"x-ratelimit-remaining", b"%d" % allowance.remaining),
            (b"x-ratelimit-reset", b"%d" % int(time.time() + allowance.reset_s + 1)),
        ]
    return headers


async def _send_error(request_id: str, send: Send) -> None:
    body = json.dumps(mistake().body(request_id)).encode()
    headers = [(b"content-type", b"application/json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": 500, "headers": headers})
    await send({"type": "http.response.body", "body": body})
