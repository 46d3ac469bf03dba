"""Who asks, and whether they may: `Authorization: Bearer sk_…` or `X-API-Key: sk_…`."""

from __future__ import annotations

import math
from dataclasses import dataclass

from starlette.datastructures import Headers
from starlette.requests import Request

from kallglot_media.api.errors import ApiError
from kallglot_media.api.parts import parts_of
from kallglot_media.api.rate_limit import Allowance
from kallglot_media.store.keys import ApiKey

_CHALLENGE = {"WWW-Authenticate": 'Bearer realm="kallglot"'}
_REFUSALS = {
    "invalid": ("invalid_api_key", "the API key is not known; make one with `kallglot-media keys create`"),
    "revoked": ("revoked_api_key", "the API key has been revoked; make another with `kallglot-media keys create`"),
    "expired": ("expired_api_key", "the API key has expired; make another with `kallglot-media keys create`"),
}


@dataclass(frozen=True, slots=True)
class By:
    """Who asked for a change, for the audit log: the id of an API key, and the request."""

    actor: str
    request_id: str


def by(request: Request) -> By:
    """Who is asking now, after `authenticate`."""
    return By(request.state.key.id, request.state.request_id)


async def authenticate(request: Request, scope: str | None) -> ApiKey:
    """The key of a request. Raises ApiError 401, 403 or 429, StoreUnavailable."""
    parts = parts_of(request)
    token = _token(request.headers)
    check = await parts.keys.check(token)
    if check.key is None:
        _count_wrong(request)
        code, message = _REFUSALS[check.refusal or "invalid"]
        raise ApiError(401, code, message, headers=_CHALLENGE)
    request.state.key = check.key
    allowance = parts.requests.ask(check.key.id, parts.clock_s())
    request.state.allowance = allowance
    if not allowance.granted:
        raise _too_many(allowance)
    if scope is not None and scope not in check.key.scopes:
        raise ApiError(
            403,
            "insufficient_permissions",
            f"the API key {check.key.prefix}… has no scope {scope}; "
            f"make one that has: kallglot-media keys create --scope {scope}",
        )
    return check.key


def _token(headers: Headers) -> str:
    header = headers.get("authorization")
    if header is not None:
        scheme, _, token = header.partition(" ")
        if scheme.lower() != "bearer" or not token.strip():
            raise ApiError(
                401, "invalid_api_key", "Authorization: is no Bearer; write `Bearer sk_…`", headers=_CHALLENGE
            )
        return token.strip()
    token = headers.get("x-api-key", "").strip()
    if not token:
        raise ApiError(
            401,
            "invalid_api_key",
            "there is no API key; send the header `Authorization: Bearer sk_…`",
            headers=_CHALLENGE,
        )
    return token


def _count_wrong(request: Request) -> None:
    """Guessing keys is slow for one address, whatever it guesses."""
    parts = parts_of(request)
    host = request.client.host if request.client else "?"
    allowance = parts.wrong_keys.ask(host, parts.clock_s())
    if not allowance.granted:
        raise _too_many(allowance)


def _too_many(allowance: Allowance) -> ApiError:
    wait_s = math.ceil(allowance.wait_s)
    return ApiError(
        429,
        "rate_limit_exceeded",
        f"more than {allowance.limit} requests a minute; wait {wait_s} s",
        retry_after_s=wait_s,
    )
