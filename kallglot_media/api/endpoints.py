"""/v1/webhook_endpoints: where events go, a test event, and what became of every delivery."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Annotated, Any

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import Paged, answer, gone, listed
from kallglot_media.api.auth import By, by
from kallglot_media.api.docs import errors
from kallglot_media.api.endpoint_bodies import (
    DeliveryList,
    DeliveryObject,
    EndpointChange,
    EndpointList,
    EndpointObject,
    NewEndpoint,
    State,
    WholeDelivery,
)
from kallglot_media.api.errors import invalid, not_found
from kallglot_media.api.parts import Parts, parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.validation import Deleted
from kallglot_media.ledger.objects import Json, when
from kallglot_media.store import audit, deliveries, endpoints, events
from kallglot_media.store.deliveries import PENDING, Attempt, Delivery
from kallglot_media.store.endpoints import Endpoint
from kallglot_media.store.page import Listed, Page
from kallglot_media.store.times import iso
from kallglot_media.store.tx import Tx
from kallglot_media.webhooks.guard import Refused

router = APIRouter(prefix="/v1/webhook_endpoints", tags=["webhooks"], route_class=ApiRoute)

_SCOPE = "webhooks:manage"
_KIND = "webhook_endpoint"


def endpoint_json(endpoint: Endpoint, *, secret: bool = False) -> Json:
    """An endpoint as clients see it. secret: only for whoever creates it."""
    body: Json = {
        "id": endpoint.id,
        "object": _KIND,
        "url": endpoint.url,
        "events": list(endpoint.events),
        "enabled": endpoint.enabled,
        "description": endpoint.description,
        "metadata": endpoint.metadata,
        "created_at": iso(endpoint.created_at_ms),
        "updated_at": iso(endpoint.updated_at_ms),
    }
    return body | {"secret": endpoint.secret} if secret else body


def delivery_json(delivery: Delivery) -> Json:
    """A delivery, without what was sent."""
    return {
        "id": delivery.id,
        "object": "webhook_delivery",
        "endpoint_id": delivery.endpoint_id,
        "event_id": delivery.event_id,
        "event_type": delivery.event_type,
        "session_id": delivery.session_id,
        "state": delivery.state,
        "attempts": delivery.attempts,
        "next_attempt_at": iso(delivery.due_at_ms) if delivery.state == PENDING else None,
        "created_at": iso(delivery.created_at_ms),
        "done_at": when(delivery.done_at_ms),
    }


# ── endpoints ────────────────────────────────────────────────────────────────────


@router.post(
    "",
    status_code=201,
    summary="Add a webhook endpoint",
    response_model=EndpointObject,
    responses=errors(400, 409, 422),
    openapi_extra=needs(_SCOPE, idempotent=True),
)
async def create(body: NewEndpoint, request: Request) -> Response:
    """Everything that happens from now on is told there. Keep `secret`: it is not shown again."""
    parts = parts_of(request)
    _check_url(parts, body.url)
    made = await parts.store.write(_create, by(request), body)
    return answer(endpoint_json(made, secret=True), 201)


def _check_url(parts: Parts, url: str) -> None:
    try:
        parts.guard.check_url(url)
    except Refused as error:
        raise invalid("url", str(error)) from None


def _create(tx: Tx, by: By, body: NewEndpoint) -> Endpoint:
    made = endpoints.create(
        tx, body.url, body.events, description=body.description, secret=body.secret, metadata=body.metadata
    )
    audit.note(tx, by.actor, "webhook_endpoint.created", made.id, request_id=by.request_id)
    return made


@router.get(
    "",
    summary="List webhook endpoints",
    response_model=EndpointList,
    responses=errors(400, 422),
    openapi_extra=needs(_SCOPE),
)
async def index(request: Request, page: Paged) -> Response:
    """Endpoints, newest first; without their secrets."""
    return listed(await parts_of(request).store.read(endpoints.page, page), "/v1/webhook_endpoints", endpoint_json)


@router.get(
    "/{endpoint_id}",
    summary="Read a webhook endpoint",
    response_model=EndpointObject,
    responses=errors(404),
    openapi_extra=needs(_SCOPE),
)
async def read(endpoint_id: str, request: Request) -> Response:
    """One endpoint, without its secret."""
    found = await parts_of(request).store.read(endpoints.get, endpoint_id)
    if found is None:
        raise not_found(_KIND, endpoint_id)
    return answer(endpoint_json(found))


@router.patch(
    "/{endpoint_id}",
    summary="Change a webhook endpoint",
    response_model=EndpointObject,
    responses=errors(400, 404, 422),
    openapi_extra=needs(_SCOPE),
)
async def change(endpoint_id: str, body: EndpointChange, request: Request) -> Response:
    """Deliveries that wait go to the new URL."""
    parts = parts_of(request)
    if body.url is not None:
        _check_url(parts, body.url)
    given = body.model_dump(exclude_none=True)
    changed = await parts.store.write(_change, by(request), endpoint_id, given)
    if changed is None:
        raise not_found(_KIND, endpoint_id)
    return answer(endpoint_json(changed))


def _change(tx: Tx, by: By, endpoint_id: str, given: Mapping[str, Any]) -> Endpoint | None:
    changed = endpoints.change(tx, endpoint_id, **given)
    if changed is not None:
        detail = {"fields": sorted(given)}
        audit.note(tx, by.actor, "webhook_endpoint.changed", endpoint_id, request_id=by.request_id, detail=detail)
    return changed


@router.delete(
    "/{endpoint_id}",
    summary="Delete a webhook endpoint",
    response_model=Deleted,
    responses=errors(404),
    openapi_extra=needs(_SCOPE),
)
async def delete(endpoint_id: str, request: Request) -> Response:
    """With it go its deliveries, those that wait too."""
    if not await parts_of(request).store.write(_delete, by(request), endpoint_id):
        raise not_found(_KIND, endpoint_id)
    return gone(_KIND, endpoint_id)


def _delete(tx: Tx, by: By, endpoint_id: str) -> bool:
    if not endpoints.delete(tx, endpoint_id):
        return False
    audit.note(tx, by.actor, "webhook_endpoint.deleted", endpoint_id, request_id=by.request_id)
    return True


# ── deliveries ───────────────────────────────────────────────────────────────────


@router.post(
    "/{endpoint_id}/test",
    status_code=202,
    summary="Send a test event",
    response_model=DeliveryObject,
    responses=errors(404),
    openapi_extra=needs(_SCOPE),
)
async def test(endpoint_id: str, request: Request) -> Response:
    """An event `endpoint.test`, whatever the endpoint subscribed to. The delivery says what came of it."""
    made = await parts_of(request).store.write(_test, endpoint_id)
    if made is None:
        raise not_found(_KIND, endpoint_id)
    return answer(delivery_json(made), 202)


def _test(tx: Tx, endpoint_id: str) -> Delivery | None:
    endpoint = endpoints.get(tx, endpoint_id)
    return None if endpoint is None else deliveries.get(tx, events.add_test(tx, endpoint))


@router.get(
    "/{endpoint_id}/deliveries",
    summary="List deliveries",
    response_model=DeliveryList,
    responses=errors(400, 404, 422),
    openapi_extra=needs(_SCOPE),
)
async def history(
    endpoint_id: str,
    request: Request,
    page: Paged,
    state: Annotated[State | None, Query(description="Only these.")] = None,
) -> Response:
    """What was (and will be) sent there, newest first."""
    found = await parts_of(request).store.read(_history, endpoint_id, page, state)
    if found is None:
        raise not_found(_KIND, endpoint_id)
    return listed(found, f"/v1/webhook_endpoints/{endpoint_id}/deliveries", delivery_json)


def _history(tx: Tx, endpoint_id: str, page: Page, state: State | None) -> Listed[Delivery] | None:
    if endpoints.get(tx, endpoint_id) is None:
        return None
    return deliveries.page(tx, page, endpoint_id=endpoint_id, state=state)


@router.get(
    "/{endpoint_id}/deliveries/{delivery_id}",
    summary="Read a delivery",
    response_model=WholeDelivery,
    responses=errors(404),
    openapi_extra=needs(_SCOPE),
)
async def one_delivery(endpoint_id: str, delivery_id: str, request: Request) -> Response:
    """What was sent, and every attempt with its answer."""
    found = await parts_of(request).store.read(_whole, endpoint_id, delivery_id)
    if found is None:
        raise not_found("webhook_delivery", delivery_id)
    return answer(found)


def _whole(tx: Tx, endpoint_id: str, delivery_id: str) -> Json | None:
    delivery = deliveries.get(tx, delivery_id)
    if delivery is None or delivery.endpoint_id != endpoint_id:
        return None
    event = events.get(tx, delivery.event_id)
    attempts = [_attempt(one) for one in deliveries.attempts(tx, delivery_id)]
    return delivery_json(delivery) | {"event": json.loads(event.body) if event else {}, "history": attempts}


def _attempt(attempt: Attempt) -> Json:
    return {
        "number": attempt.number,
        "at": iso(attempt.at_ms),
        "took_ms": attempt.took_ms,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer,
    }
