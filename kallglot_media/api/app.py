"""The application: every endpoint, with what is around it."""

from __future__ import annotations

from http import HTTPStatus

from fastapi import FastAPI
from fastapi.exceptions import RequestValidationError
from fastapi.routing import APIRoute
from pydantic import BaseModel
from starlette.exceptions import HTTPException
from starlette.middleware.cors import CORSMiddleware
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Match, WebSocketRoute
from starlette.types import ASGIApp

from kallglot_media.api import (
    agents,
    analyses,
    documents,
    endpoints,
    health,
    knowledge,
    recordings,
    sessions,
    transcripts,
)
from kallglot_media.api.answers import answer
from kallglot_media.api.docs import openapi
from kallglot_media.api.errors import ApiError, mistake, of_http, unavailable
from kallglot_media.api.frame import Frame
from kallglot_media.api.health import Metrics
from kallglot_media.api.parts import Parts
from kallglot_media.api.stream.endpoint import connect
from kallglot_media.api.validation import explain
from kallglot_media.log import logger
from kallglot_media.store.errors import StoreUnavailable

log = logger("api")

EXPOSED_HEADERS = (
    *("X-Request-ID", "X-RateLimit-Limit", "X-RateLimit-Remaining", "X-RateLimit-Reset", "Retry-After"),
    *("ETag", "Content-Range", "Accept-Ranges", "Content-Disposition", "Idempotency-Replayed"),
)
TAKEN_HEADERS = (
    *("Authorization", "X-API-Key", "Content-Type", "Idempotency-Key"),
    *("Range", "If-Range", "If-None-Match"),
)
"""What a page in a browser may read of answers, and send with requests."""

MODULES = (sessions, transcripts, recordings, analyses, agents, knowledge, documents, endpoints, health)


def make_app(parts: Parts) -> ASGIApp:
    """What uvicorn serves."""
    app = FastAPI(
        docs_url=None,
        redoc_url=None,
        openapi_url="/openapi.json",
        redirect_slashes=False,
        generate_unique_id_function=_operation_id,
    )
    app.state.parts = parts
    app.state.metrics = Metrics(parts)
    app.openapi = lambda: openapi(app)  # type: ignore[method-assign]
    for module in MODULES:
        app.include_router(module.router)
    app.router.routes.append(WebSocketRoute("/v1/sessions/{session_id}/connect", connect))
    app.add_exception_handler(HTTPException, _on_http_error)
    app.add_exception_handler(RequestValidationError, _on_invalid)
    app.add_exception_handler(StoreUnavailable, _on_store_away)
    app.add_exception_handler(Exception, _on_bug)
    inner: ASGIApp = app
    if parts.settings.cors_origins:
        inner = CORSMiddleware(
            inner,
            allow_origins=parts.settings.cors_origins,
            allow_methods=("GET", "POST", "PATCH", "DELETE"),
            allow_headers=TAKEN_HEADERS,
            expose_headers=EXPOSED_HEADERS,
        )
    return Frame(inner, parts, app.state.metrics)


def _operation_id(route: APIRoute) -> str:
    """sessions_create, documents_index: names for clients that are made from the document."""
    return f"{route.endpoint.__module__.rpartition('.')[2]}_{route.name}"


def _say(request: Request, error: ApiError) -> Response:
    return answer(error.body(request.state.request_id), error.status_code, error.all_headers())


async def _on_http_error(request: Request, error: Exception) -> Response:
    assert isinstance(error, HTTPException)
    if error.status_code == HTTPStatus.METHOD_NOT_ALLOWED:
        error = HTTPException(error.status_code, error.detail, {"Allow": ", ".join(_methods(request))})
    return _say(request, of_http(error))


def _methods(request: Request) -> list[str]:
    """All that a path takes: the framework names those of its first endpoint."""
    found: set[str] = set()
    for route in (route for module in MODULES for route in module.router.routes):
        match, _ = route.matches(request.scope)
        if match is not Match.NONE:
            found |= getattr(route, "methods", None) or set()
    return sorted(found)


async def _on_invalid(request: Request, error: Exception) -> Response:
    assert isinstance(error, RequestValidationError)
    return _say(request, explain(error, _body_model(request)))


async def _on_store_away(request: Request, error: Exception) -> Response:
    assert isinstance(error, StoreUnavailable)
    log.warning("database away", path=request.url.path, why=str(error))
    return _say(request, unavailable(error))


async def _on_bug(request: Request, error: Exception) -> Response:
    """The error goes on to the frame, which logs it."""
    return _say(request, mistake())


def _body_model(request: Request) -> type[BaseModel] | None:
    """The model of the body that this endpoint takes."""
    field = getattr(request.scope.get("route"), "body_field", None)
    annotation = getattr(getattr(field, "field_info", None), "annotation", None)
    return annotation if isinstance(annotation, type) and issubclass(annotation, BaseModel) else None
