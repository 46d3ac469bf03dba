"""What happens around every endpoint: authentication and rate limit before the body is read, then idempotency."""

from __future__ import annotations

from collections.abc import Callable, Coroutine
from typing import Any

from fastapi.routing import APIRoute
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.auth import authenticate
from kallglot_media.api.body import BodyRequest
from kallglot_media.api.idempotency import HEADER, LONGEST_KEY, PATTERN, once

Handler = Callable[[Request], Coroutine[Any, Any, Response]]

_IDEMPOTENCY_KEY = {
    "name": "Idempotency-Key",
    "in": "header",
    "required": False,
    "schema": {"type": "string", "minLength": 1, "maxLength": LONGEST_KEY, "pattern": PATTERN},
    "description": "The same key and body within 24 hours: the same answer, and nothing is done again.",
}


def needs(scope: str, *, idempotent: bool = False, most_bytes: int | None = None) -> dict[str, Any]:
    """What an endpoint is declared with: `@router.post(…, openapi_extra=needs("sessions:write"))`."""
    extra: dict[str, Any] = {"x-scope": scope, "x-idempotent": idempotent, "x-most-bytes": most_bytes}
    if idempotent:
        extra["parameters"] = [_IDEMPOTENCY_KEY]
    return extra


class ApiRoute(APIRoute):
    """A route whose requests are authenticated before anything else is looked at."""

    def get_route_handler(self) -> Handler:
        """The endpoint with all that is around it."""
        handle: Handler = super().get_route_handler()
        extra = self.openapi_extra or {}
        scope, idempotent = extra.get("x-scope"), bool(extra.get("x-idempotent"))

        async def guarded(request: Request) -> Response:
            request = BodyRequest(request.scope, request.receive)
            request.most_bytes = extra.get("x-most-bytes")
            await authenticate(request, scope)
            if idempotent and HEADER in request.headers:
                return await once(request, handle)
            return await handle(request)

        return guarded
