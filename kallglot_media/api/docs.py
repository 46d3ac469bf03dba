"""The OpenAPI document: what FastAPI reads off the endpoints, with what it cannot know."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from pydantic import Field

from kallglot_media import __version__
from kallglot_media.api.errors import CODES, KINDS
from kallglot_media.api.examples import ANSWERS, PATH_IDS, REQUESTS
from kallglot_media.api.validation import Answer

INTRODUCTION = """\
Sessions, transcripts, recordings, agents, knowledge and webhooks of a kallglot server.

- **Authentication**: `Authorization: Bearer sk_…` or `X-API-Key: sk_…`. Each operation names its key's scope
  (`x-scope`).
- **Errors**: 400, the request does not fit this document; 422, it does, but this server cannot do it. Every error has a
  `code`, a `message` that says what to write instead, and, where a field is to blame, its name as `param`.
- **Lists**: newest first; `starting_after` and `ending_before` take ids.
- **Idempotency**: where `Idempotency-Key` is offered, the same key and body within 24 hours give the same answer.
- **The stream** (WebSocket) is described in docs/stream.md, webhooks in docs/webhooks.md.
"""

WHY: Mapping[int, tuple[str, str]] = {
    400: ("The request does not fit this document.", "missing_required_field"),
    401: ("There is no valid API key.", "invalid_api_key"),
    403: ("The API key lacks the scope.", "insufficient_permissions"),
    404: ("There is no such object.", "session_not_found"),
    409: ("Not in the state that the object is in.", "session_ended"),
    416: ("The file has no such range.", "invalid_field_value"),
    422: ("The request fits this document, but this server cannot do it.", "invalid_mode"),
    429: ("Too many requests; wait `Retry-After` seconds.", "rate_limit_exceeded"),
    500: ("A mistake of the server.", "internal_error"),
    502: ("The far side failed.", "dial_failed"),
    503: ("Not now; try again after `Retry-After` seconds.", "service_unavailable"),
}
ALWAYS = (401, 403, 429, 500, 503)

MORE_SCHEMAS: dict[str, Any] = {}
"""Bodies that endpoints read by themselves: whoever has one adds it here."""


class ErrorBody(Answer):
    """What is wrong, and what to do about it."""

    type: Literal[
        "authentication_error",
        "permission_error",
        "invalid_request_error",
        "not_found_error",
        "conflict_error",
        "rate_limit_error",
        "api_error",
    ]
    code: Annotated[str, Field(json_schema_extra={"enum": list(CODES)})]
    message: str
    param: str | None = None
    request_id: str
    retry_after: int | None = None


class Error(Answer):
    """Every answer that is not 2xx."""

    error: ErrorBody


def errors(*statuses: int) -> dict[int | str, dict[str, Any]]:
    """The error answers of an operation, for its declaration; those that every operation has come by themselves."""
    return {status: _error(status) for status in sorted({*statuses, *ALWAYS})}


def _error(status: int) -> dict[str, Any]:
    why, code = WHY[status]
    example = {"type": KINDS.get(status, "api_error"), "code": code, "message": why, "request_id": "req_01JZX4"}
    content = {"application/json": {"example": {"error": example}}}
    return {"model": Error, "description": why, "content": content}


def openapi(app: FastAPI) -> dict[str, Any]:
    """The document, made once."""
    if app.openapi_schema is None:
        document = get_openapi(
            title="kallglot", version=__version__, description=INTRODUCTION, routes=app.routes, tags=TAGS
        )
        document["components"]["securitySchemes"] = {
            "bearer": {"type": "http", "scheme": "bearer", "description": "An API key, sk_live_… or sk_test_…"},
            "key": {"type": "apiKey", "in": "header", "name": "X-API-Key"},
        }
        document["components"]["schemas"] |= MORE_SCHEMAS
        for path in document["paths"].values():
            for operation in path.values():
                _finish(operation)
        for unused in ("HTTPValidationError", "ValidationError"):
            document["components"]["schemas"].pop(unused, None)
        app.openapi_schema = document
    return app.openapi_schema


def _finish(operation: dict[str, Any]) -> None:
    if operation.get("x-scope"):
        operation["security"] = [{"bearer": []}, {"key": []}]
        operation["description"] = f"{operation.get('description', '')}\n\nScope: `{operation['x-scope']}`".strip()
    if operation.pop("x-idempotent", False):
        for status in (400, 409):
            operation["responses"].setdefault(str(status), _plain(status))
    operation.pop("x-most-bytes", None)
    schema = operation["responses"].get("422", {}).get("content", {}).get("application/json", {}).get("schema", {})
    if schema.get("$ref", "").endswith("HTTPValidationError"):
        del operation["responses"]["422"]
    for parameter in operation.get("parameters", ()):
        if parameter["in"] == "path":
            parameter["description"], parameter["example"] = PATH_IDS[parameter["name"]]
    _exemplify(operation)
    _name_headers(operation)


def _plain(status: int) -> dict[str, Any]:
    """An error answer as the document has it."""
    made = _error(status)
    made["content"]["application/json"]["schema"] = {"$ref": "#/components/schemas/Error"}
    return {"description": made["description"], "content": made["content"]}


def _exemplify(operation: dict[str, Any]) -> None:
    """The example of each JSON body: by the name of its schema."""
    bodies = [(operation.get("requestBody", {}), REQUESTS)]
    bodies += [(response, ANSWERS) for response in operation["responses"].values()]
    for body, examples in bodies:
        content = body.get("content", {}).get("application/json")
        name = "" if content is None else _schema_name(content.get("schema", {}))
        if content is not None and name in examples:
            content["example"] = examples[name]


def _schema_name(schema: Mapping[str, Any]) -> str:
    names = [one["$ref"] for one in (schema, *schema.get("anyOf", ())) if "$ref" in one]
    return names[0].rpartition("/")[2] if names else ""


_HEADERS: Mapping[str, tuple[str, str]] = {
    "X-Request-ID": ("string", "Names this request in the server's log."),
    "X-RateLimit-Limit": ("integer", "Requests a minute of this key; absent where there is no limit."),
    "X-RateLimit-Remaining": ("integer", "How many fit now."),
    "X-RateLimit-Reset": ("integer", "Unix time at which all of them fit again."),
    "Retry-After": ("integer", "Seconds to wait."),
}


def _name_headers(operation: dict[str, Any]) -> None:
    for status, response in operation["responses"].items():
        names = ["X-Request-ID"]
        if operation.get("x-scope") and status != "401":
            names += ["X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset"]
        if status in ("429", "503"):
            names.append("Retry-After")
        headers = response.setdefault("headers", {})
        for name in names:
            kind, what = _HEADERS[name]
            headers.setdefault(name, {"description": what, "schema": {"type": kind}})


TAGS = [
    {"name": "sessions", "description": "Made, read, steered, ended."},
    {"name": "transcripts", "description": "What was said, live and afterwards."},
    {"name": "recordings", "description": "Sound, whole and in parts."},
    {"name": "analyses", "description": "What a session was like."},
    {"name": "agents", "description": "Stored settings of AI agents."},
    {"name": "knowledge", "description": "Documents that answers are taken from."},
    {"name": "webhooks", "description": "Where events are sent to."},
    {"name": "health", "description": "For those who run the server."},
]
