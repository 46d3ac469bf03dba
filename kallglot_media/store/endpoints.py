"""Webhook endpoints: where events go."""

from __future__ import annotations

import secrets
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx

EVENT_TYPES = (
    "session.created",
    "session.started",
    "session.ended",
    "session.provider.connected",
    "session.provider.disconnected",
    "transcript.segment",
    "transcript.ready",
    "recording.ready",
    "recording.failed",
    "analysis.complete",
    "analysis.failed",
    "tool.call",
    "escalation.started",
    "escalation.answered",
    "escalation.failed",
    "callback.wanted",
    "voicemail.left",
)
ALL = "*"
TEST_EVENT = "endpoint.test"

_t = tables.webhook_endpoints
_ENABLED = select(_t).where(_t.c.enabled.is_(True)).order_by(_t.c.id)


@dataclass(frozen=True, slots=True)
class Endpoint:
    """events: types, or ("*",) for all. secret: signs what is sent there; the API shows it when it is created."""

    id: str
    url: str
    events: tuple[str, ...]
    secret: str
    description: str | None
    enabled: bool
    metadata: Mapping[str, Any]
    created_at_ms: int
    updated_at_ms: int

    def wants(self, event_type: str) -> bool:
        """Whether events of this type go there."""
        return self.enabled and (ALL in self.events or event_type in self.events)


def create(
    tx: Tx,
    url: str,
    events: Sequence[str] = (ALL,),
    *,
    description: str | None = None,
    secret: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Endpoint:
    """A new endpoint. ValueError names an event type that does not exist; the URL is webhooks.guard's to check."""
    values = {
        "id": tx.new_id("wh"),
        "url": url,
        "events": list(_known(events)),
        "secret": secret or f"whsec_{secrets.token_urlsafe(32)}",
        "description": description,
        "enabled": True,
        "metadata": dict(metadata or {}),
        "created_at_ms": tx.now_ms,
        "updated_at_ms": tx.now_ms,
    }
    return _made(tx.one(insert(_t).values(values).returning(_t)))


def get(tx: Tx, endpoint_id: str) -> Endpoint | None:
    """The endpoint, or None."""
    row = tx.first(select(_t).where(_t.c.id == endpoint_id))
    return None if row is None else _made(row)


def page(tx: Tx, page: Page) -> Listed[Endpoint]:
    """Endpoints, newest first."""
    return list_page(tx, _t, page, _made)


def enabled(tx: Tx) -> tuple[Endpoint, ...]:
    """All that are sent to."""
    return tuple(_made(row) for row in tx.all(_ENABLED))


def change(
    tx: Tx,
    endpoint_id: str,
    *,
    url: str | None = None,
    events: Sequence[str] | None = None,
    description: str | None = None,
    enabled: bool | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Endpoint | None:
    """Replace what is given. None when there is no such endpoint."""
    kinds = None if events is None else list(_known(events))
    given = {"url": url, "events": kinds, "description": description, "enabled": enabled, "metadata": metadata}
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    values["updated_at_ms"] = tx.now_ms
    row = tx.first(update(_t).where(_t.c.id == endpoint_id).values(values).returning(_t))
    return None if row is None else _made(row)


def delete(tx: Tx, endpoint_id: str) -> bool:
    """Whether there was one. Its deliveries go with it."""
    return tx.run(_t.delete().where(_t.c.id == endpoint_id)).rowcount > 0


def _known(events: Sequence[str]) -> Sequence[str]:
    unknown = [kind for kind in events if kind != ALL and kind not in EVENT_TYPES]
    if unknown or not events:
        what = f"no such event type: {', '.join(unknown)}" if unknown else "no event types"
        raise ValueError(f"{what}; there are: {', '.join(EVENT_TYPES)}, or * for all")
    return list(dict.fromkeys(events))


def _made(row: RowMapping) -> Endpoint:
    return Endpoint(**dict(row) | {"events": tuple(row["events"])})
