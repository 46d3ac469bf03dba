"""What clients are told when something is wrong: the field, what was there, what to write instead.

400  the request does not fit the schema            422  it does, but this server cannot do it
"""

from __future__ import annotations

from collections.abc import Mapping
from http import HTTPStatus
from typing import Any

from starlette.exceptions import HTTPException

from kallglot_media.store.errors import StoreUnavailable

KINDS: Mapping[int, str] = {
    400: "invalid_request_error",
    401: "authentication_error",
    403: "permission_error",
    404: "not_found_error",
    405: "invalid_request_error",
    409: "conflict_error",
    416: "invalid_request_error",
    422: "invalid_request_error",
    429: "rate_limit_error",
}
"""Status -> `type`; everything else is an `api_error`."""

CODES = (
    "invalid_api_key",
    "revoked_api_key",
    "expired_api_key",
    "invalid_token",
    "expired_token",
    "insufficient_permissions",
    "missing_required_field",
    "invalid_field_value",
    "invalid_language_code",
    "invalid_mode",
    "idempotency_mismatch",
    "idempotency_conflict",
    "session_not_found",
    "recording_not_found",
    "agent_not_found",
    "ai_agent_not_found",
    "knowledge_base_not_found",
    "mode_immutable",
    "session_ended",
    "rate_limit_exceeded",
    "capacity_exceeded",
    "dial_failed",
    "invalid_audio_format",
    # this server's own
    "analysis_not_found",
    "document_not_found",
    "webhook_endpoint_not_found",
    "webhook_delivery_not_found",
    "party_unavailable",
    "recording_not_ready",
    "not_found",
    "method_not_allowed",
    "service_unavailable",
    "internal_error",
)
"""Every `code` there is."""


class ApiError(HTTPException):
    """An answer that is an error. `param`: the field that is to blame, dotted."""

    def __init__(
        self,
        status: int,
        code: str,
        message: str,
        *,
        param: str | None = None,
        retry_after_s: int | None = None,
        headers: Mapping[str, str] | None = None,
    ) -> None:
        super().__init__(status, message, dict(headers or {}))
        self.code = code
        self.message = message
        self.param = param
        self.retry_after_s = retry_after_s

    def body(self, request_id: str) -> dict[str, Any]:
        """What the client reads."""
        error: dict[str, Any] = {
            "type": KINDS.get(self.status_code, "api_error"),
            "code": self.code,
            "message": self.message,
        }
        if self.param is not None:
            error["param"] = self.param
        error["request_id"] = request_id
        if self.retry_after_s is not None:
            error["retry_after"] = self.retry_after_s
        return {"error": error}

    def all_headers(self) -> dict[str, str]:
        """Its headers, Retry-After among them."""
        headers = dict(self.headers or {})
        if self.retry_after_s is not None:
            headers["Retry-After"] = str(self.retry_after_s)
        return headers


def not_found(kind: str, object_id: str) -> ApiError:
    """404 for an object: not_found("session", "sess_…")."""
    return ApiError(404, f"{kind}_not_found", f"there is no {kind.replace('_', ' ')} {object_id[:100]!r}", param="id")


def no_such_base(base_id: str | None, param: str) -> ApiError:
    """404 for a body that names a knowledge base that is not there."""
    message = f"{param}: there is no knowledge base {(base_id or '')[:100]!r}; make one: POST /v1/knowledge_bases"
    return ApiError(404, "knowledge_base_not_found", message, param=param)


def invalid(param: str, message: str, *, status: int = 422, code: str = "invalid_field_value") -> ApiError:
    """A field that cannot be served. message: starts with what is there, ends with the mend."""
    return ApiError(status, code, f"{param}: {message}", param=param)


def unavailable(error: StoreUnavailable) -> ApiError:
    """503: the database is away. Live calls go on."""
    return ApiError(
        503,
        "service_unavailable",
        "the database cannot be reached now; live calls go on; send the request again",
        retry_after_s=error.retry_after_s,
    )


def mistake() -> ApiError:
    """500: ours. What it was is for the log alone."""
    return ApiError(500, "internal_error", "a mistake of the server; its log has more under this request_id")


def of_http(error: HTTPException) -> ApiError:
    """What the framework itself refuses: unknown paths, methods, broken bodies."""
    if isinstance(error, ApiError):
        return error
    if error.status_code == HTTPStatus.NOT_FOUND:
        return ApiError(404, "not_found", "there is nothing at this path; all paths are in /openapi.json")
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        allowed = (error.headers or {}).get("Allow", "another one")
        return ApiError(405, "method_not_allowed", f"this path takes {allowed}", headers=error.headers)
    return ApiError(error.status_code, "invalid_field_value", str(error.detail), headers=error.headers)
