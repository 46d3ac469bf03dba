"""Deliveries: one row for each event and endpoint, one for each attempt.

Ordered per session: of the deliveries of one session to one endpoint only the oldest pending one is ever
due. A row that a sender took is leased; when the sender dies, the lease runs out and another takes it.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from sqlalchemy import RowMapping, and_, exists, func, select, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx

PENDING, DELIVERED, FAILED = "pending", "delivered", "failed"
TOPIC = "deliveries"
MOST_PER_ENDPOINT = 8
_ANSWER_CHARS = 2000

_t = tables.deliveries
_a = tables.attempts
_earlier = _t.alias("earlier")
_BLOCKED = exists().where(
    _earlier.c.endpoint_id == _t.c.endpoint_id,
    _earlier.c.session_id == _t.c.session_id,
    _earlier.c.state == PENDING,
    _earlier.c.event_id < _t.c.event_id,
)
"""An earlier event of the same session still waits for the same endpoint."""


@dataclass(frozen=True, slots=True)
class Attempt:
    """status: of the HTTP answer, None when there was none; error: why it failed; answer: how the body began."""

    number: int
    at_ms: int
    took_ms: int
    status: int | None
    error: str | None
    answer: str | None


@dataclass(frozen=True, slots=True)
class Delivery:
    """state: pending, delivered or failed; attempts: how many were made; due_at_ms: of the next one."""

    id: str
    endpoint_id: str
    event_id: str
    event_type: str
    session_id: str | None
    state: str
    attempts: int
    due_at_ms: int
    leased_until_ms: int | None
    created_at_ms: int
    done_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Due:
    """A delivery that is ours to make now, with all that it takes."""

    delivery: Delivery
    url: str
    secret: str
    body: str
    created_at_ms: int


def plan(tx: Tx, event_id: str, event_type: str, session_id: str | None, endpoint_ids: Sequence[str]) -> None:
    """Deliver an event to these endpoints, from now on; wakes TOPIC."""
    for endpoint_id in endpoint_ids:
        row = {
            "id": tx.new_id("wh_del"),
            "endpoint_id": endpoint_id,
            "event_id": event_id,
            "event_type": event_type,
            "session_id": session_id,
            "state": PENDING,
            "attempts": 0,
            "due_at_ms": tx.now_ms,
            "created_at_ms": tx.now_ms,
        }
        tx.insert(_t, row)
    tx.topics.add(TOPIC)


def take_due(tx: Tx, most: int, lease_ms: int, most_per_endpoint: int = MOST_PER_ENDPOINT) -> tuple[Due, ...]:
    """At most `most` deliveries whose time has come, longest due first, now ours for `lease_ms`.

    No endpoint has more than `most_per_endpoint` on their way: a slow one must not hold up the others.
    """
    free = _t.c.leased_until_ms.is_(None) | (_t.c.leased_until_ms <= tx.now_ms)
    on_its_way_first = (free, _t.c.due_at_ms, _t.c.event_id)
    place = func.row_number().over(partition_by=_t.c.endpoint_id, order_by=on_its_way_first).label("place")
    ready = select(_t.c.id, place).where(_t.c.state == PENDING, _t.c.due_at_ms <= tx.now_ms, ~_BLOCKED).subquery()
    due = select(_t.c.id).join(ready, ready.c.id == _t.c.id).where(ready.c.place <= most_per_endpoint, free)
    due = due.order_by(_t.c.due_at_ms, _t.c.event_id).limit(most)
    if not tx.sqlite:
        due = due.with_for_update(skip_locked=True, of=_t)
    ids = tx.run(due).scalars().all()
    if not ids:
        return ()
    tx.run(update(_t).where(_t.c.id.in_(ids)).values(leased_until_ms=tx.now_ms + lease_ms))
    return _full(tx, ids)


def _full(tx: Tx, ids: Sequence[str]) -> tuple[Due, ...]:
    endpoints, events = tables.webhook_endpoints, tables.events
    full = (
        select(_t, endpoints.c.url, endpoints.c.secret, events.c.body, events.c.created_at_ms.label("event_at_ms"))
        .join(endpoints, endpoints.c.id == _t.c.endpoint_id)
        .join(events, events.c.id == _t.c.event_id)
        .where(_t.c.id.in_(ids))
        .order_by(_t.c.due_at_ms, _t.c.event_id)
    )
    return tuple(Due(_made(row), row["url"], row["secret"], row["body"], row["event_at_ms"]) for row in tx.all(full))


def take(tx: Tx, delivery_id: str, lease_ms: int) -> Due | None:
    """This one, ours for `lease_ms`; None when it is on its way, delivered, given up, or not there."""
    free = _t.c.leased_until_ms.is_(None) | (_t.c.leased_until_ms <= tx.now_ms)
    mine = update(_t).where(_t.c.id == delivery_id, _t.c.state == PENDING, free)
    if not tx.run(mine.values(leased_until_ms=tx.now_ms + lease_ms)).rowcount:
        return None
    return _full(tx, [delivery_id])[0]


def next_due_ms(tx: Tx) -> int | None:
    """When the next delivery falls due or the next lease runs out; None: nothing is pending."""
    greatest = func.max if tx.sqlite else func.greatest
    when = greatest(_t.c.due_at_ms, func.coalesce(_t.c.leased_until_ms, 0))
    found: int | None = tx.run(select(func.min(when)).where(_t.c.state == PENDING, ~_BLOCKED)).scalar()
    return found


def attempted(tx: Tx, delivery_id: str, attempt: Attempt, *, done: str | None, due_at_ms: int | None) -> None:
    """Keep an attempt. done: delivered or failed, for good; else due_at_ms says when the next one is."""
    values = {
        "delivery_id": delivery_id,
        "number": attempt.number,
        "at_ms": attempt.at_ms,
        "took_ms": attempt.took_ms,
        "status": attempt.status,
        "error": attempt.error,
        "answer": attempt.answer and attempt.answer[:_ANSWER_CHARS],
    }
    known = select(_t.c.id).where(_t.c.id == delivery_id)
    if tx.first(known) is None:
        return  # its endpoint was deleted while we were sending
    tx.insert_new(_a, values)
    change: dict[str, object] = {"attempts": attempt.number, "leased_until_ms": None}
    if done is not None:
        change |= {"state": done, "done_at_ms": tx.now_ms}
    elif due_at_ms is not None:
        change["due_at_ms"] = due_at_ms
    tx.run(update(_t).where(_t.c.id == delivery_id).values(change))
    tx.topics.add(TOPIC)


def release(tx: Tx) -> int:
    """Give up every lease: for the only node of a database, at its start. How many there were."""
    return tx.run(update(_t).where(_t.c.leased_until_ms.is_not(None)).values(leased_until_ms=None)).rowcount


def get(tx: Tx, delivery_id: str) -> Delivery | None:
    """The delivery, or None."""
    row = tx.first(select(_t).where(_t.c.id == delivery_id))
    return None if row is None else _made(row)


def of_event(tx: Tx, event_id: str) -> tuple[Delivery, ...]:
    """Where an event went."""
    return tuple(_made(row) for row in tx.all(select(_t).where(_t.c.event_id == event_id).order_by(_t.c.id)))


def page(tx: Tx, page: Page, *, endpoint_id: str, state: str | None = None) -> Listed[Delivery]:
    """The history of an endpoint, newest first."""
    where = and_(_t.c.endpoint_id == endpoint_id, *([] if state is None else [_t.c.state == state]))
    return list_page(tx, _t, page, _made, where)


def attempts(tx: Tx, delivery_id: str) -> tuple[Attempt, ...]:
    """Every attempt of a delivery, in order."""
    columns = [_a.c[name] for name in Attempt.__slots__]
    rows = tx.all(select(*columns).where(_a.c.delivery_id == delivery_id).order_by(_a.c.number))
    return tuple(Attempt(**row) for row in rows)


def _made(row: RowMapping) -> Delivery:
    return Delivery(**{name: row[name] for name in Delivery.__slots__})
