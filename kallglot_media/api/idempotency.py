"""`Idempotency-Key`: a request that is sent twice is done once and answered alike, for 24 hours.

What is kept is the answer of a request that was done (2xx). One that failed may be sent again with the same key.
"""

from __future__ import annotations

import re
from collections.abc import Awaitable, Callable

from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.errors import ApiError
from kallglot_media.api.parts import parts_of
from kallglot_media.store import idempotency
from kallglot_media.store.idempotency import Mismatch, Replay, Running

HEADER = "idempotency-key"
REPLAYED = "Idempotency-Replayed"
LONGEST_KEY = 255
PATTERN = "^[ -~]+$"
_KEY = re.compile(rf"[ -~]{{1,{LONGEST_KEY}}}")


async def once(request: Request, do: Callable[[Request], Awaitable[Response]]) -> Response:
    """Do it, or answer as the first time. Raises ApiError 400 and 409, StoreUnavailable."""
    key = request.headers[HEADER]
    if not _KEY.fullmatch(key):
        raise ApiError(
            400,
            "invalid_field_value",
            f"Idempotency-Key: has {len(key)} characters; write 1 to {LONGEST_KEY} printable ASCII ones, like a UUID",
            param="Idempotency-Key",
        )
    parts = parts_of(request)
    where = request.url.path + (f"?{request.url.query}" if request.url.query else "")
    fingerprint = idempotency.fingerprint(request.method, where, await request.body())
    begun = await parts.store.write(idempotency.begin, key, fingerprint, parts.node)
    if isinstance(begun, Replay):
        return Response(begun.body, begun.status, {REPLAYED: "true"}, "application/json")
    if isinstance(begun, Running):
        raise ApiError(
            409,
            "idempotency_conflict",
            "the first request with this Idempotency-Key is not answered yet; send it again in a moment",
            param="Idempotency-Key",
            retry_after_s=1,
        )
    if isinstance(begun, Mismatch):
        raise ApiError(
            400,
            "idempotency_mismatch",
            "this Idempotency-Key was used for another request; use a new one for each request",
            param="Idempotency-Key",
        )
    try:
        response = await do(request)
    except BaseException:
        parts.store.soon(idempotency.abandon, key)
        raise
    body = bytes(response.body).decode("utf-8")
    await parts.store.write(idempotency.finish, key, response.status_code, body)
    return response
