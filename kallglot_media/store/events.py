"""The outbox: an event and its deliveries are written in the transaction of what they tell about.

So none is lost when the server dies, and none is sent about something that was never committed.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, select

from kallglot_media.store import deliveries, endpoints, tables
from kallglot_media.store.endpoints import Endpoint
from kallglot_media.store.times import iso
from kallglot_media.store.tx import Tx

API_VERSION = "v1"

_t = tables.events


@dataclass(frozen=True, slots=True)
class Event:
    """body: the envelope as it is sent, byte for byte the same at every attempt."""

    id: str
    type: str
    session_id: str | None
    body: str
    created_at_ms: int


def add(tx: Tx, event_type: str, data: Mapping[str, Any], *, session_id: str | None = None) -> str | None:
    """Tell every endpoint that wants it. The event's id; None when nobody does, and nothing is kept."""
    wanting = [endpoint for endpoint in endpoints.enabled(tx) if endpoint.wants(event_type)]
    return _send(tx, event_type, data, session_id, wanting) if wanting else None


def add_test(tx: Tx, endpoint: Endpoint) -> str:
    """A test event to one endpoint, whatever it subscribed to. The delivery's id."""
    event_id = _send(tx, endpoints.TEST_EVENT, {"object": "webhook_endpoint", "id": endpoint.id}, None, [endpoint])
    (delivery,) = deliveries.of_event(tx, event_id)
    return delivery.id


def _send(tx: Tx, event_type: str, data: Mapping[str, Any], session_id: str | None, to: list[Endpoint]) -> str:
    event_id = tx.new_id("evt")
    envelope = {
        "id": event_id,
        "type": event_type,
        "api_version": API_VERSION,
        "created_at": iso(tx.now_ms),
        "data": dict(data),
    }
    values = {
        "id": event_id,
        "type": event_type,
        "session_id": session_id,
        # ASCII: what is signed must survive every database and every proxy unchanged.
        "body": json.dumps(envelope, separators=(",", ":")),
        "created_at_ms": tx.now_ms,
    }
    tx.insert(_t, values)
    deliveries.plan(tx, event_id, event_type, session_id, [endpoint.id for endpoint in to])
    return event_id


def get(tx: Tx, event_id: str) -> Event | None:
    """The event, or None."""
    row = tx.first(select(_t).where(_t.c.id == event_id))
    return None if row is None else _made(row)


def _made(row: RowMapping) -> Event:
    return Event(**row)
