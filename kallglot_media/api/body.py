"""Reading a request's body: not too large, JSON, UTF-8, not too deep, only numbers that JSON has."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import Any

import pydantic_core
from starlette.requests import ClientDisconnect, Request

from kallglot_media.api.errors import ApiError
from kallglot_media.api.parts import parts_of

DEEPEST = 32
DISCARD_BYTES = 64 * 1024 * 1024
DISCARD_S = 5.0
_KB = 1024


class BodyRequest(Request):
    """A request whose body is read by our rules. `most_bytes`: set for endpoints that take larger ones."""

    most_bytes: int | None = None

    async def body(self) -> bytes:
        """The whole body. Raises ApiError when it is too large."""
        if not hasattr(self, "_body"):
            most = self.most_bytes or parts_of(self).settings.largest_body_kb * _KB
            declared = self.headers.get("content-length", "")
            if declared.isdecimal() and int(declared) > most:
                await self._discard()
                raise _too_large(most)
            chunks: list[bytes] = []
            size = 0
            async for chunk in self.stream():
                size += len(chunk)
                if size > most:
                    chunks.clear()
                    await self._discard()
                    raise _too_large(most)
                chunks.append(chunk)
            self._body = b"".join(chunks)
        return self._body

    async def _discard(self) -> None:
        """Let a client finish that sends too much: one that is cut off in the middle never reads why."""
        size = 0
        with suppress(TimeoutError, ClientDisconnect):
            async with asyncio.timeout(DISCARD_S):
                while size < DISCARD_BYTES:
                    message = await self.receive()
                    if message["type"] == "http.disconnect" or not message.get("more_body", False):
                        return
                    size += len(message.get("body", b""))

    async def json(self) -> Any:
        """The body as JSON. Raises ApiError when it is none."""
        if not hasattr(self, "_json"):
            self._json = parse(await self.body())
        return self._json


def parse(body: bytes) -> Any:
    """Strict JSON (RFC 8259): UTF-8, no NaN. Raises ApiError 400."""
    try:
        value = pydantic_core.from_json(body, allow_inf_nan=False, cache_strings="keys")
    except ValueError as error:
        raise ApiError(400, "invalid_field_value", f"the body is not JSON: {error}") from None
    if _too_deep(value):
        raise ApiError(400, "invalid_field_value", f"the body is nested deeper than {DEEPEST} levels")
    return value


def _too_large(most: int) -> ApiError:
    return ApiError(
        400,
        "invalid_field_value",
        f"the body is larger than {most} bytes; send less, or raise the limit in server.yaml (section api)",
        headers={"Connection": "close"},
    )


def _too_deep(value: object, room: int = DEEPEST) -> bool:
    if isinstance(value, dict):
        return room == 0 or any(_too_deep(inner, room - 1) for inner in value.values())
    if isinstance(value, list):
        return room == 0 or any(_too_deep(inner, room - 1) for inner in value)
    return False
