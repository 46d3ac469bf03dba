"""Sessions: created → active → ended, never back."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, fields
from typing import Any

from sqlalchemy import RowMapping, bindparam, func, select, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx
from kallglot_media.store.types import Ms

CREATED, ACTIVE, ENDED = "created", "active", "ended"
STATUSES = (CREATED, ACTIVE, ENDED)

_t = tables.sessions


@dataclass(frozen=True, slots=True)
class NewSession:
    """What a session is made of.

    id         None: a new one
    provider   sip, websocket or webrtc
    origin     api: made by POST /v1/sessions; sip: by a call that came in
    node       the server that runs it, when several share the database
    live       False: made with a test key
    request    what else the client asked for, as it came: routing, audio, ai_agent, help_chat
    metadata   the client's own, echoed
    """

    mode: str
    id: str | None = None
    provider: str = "sip"
    origin: str = "api"
    node: str | None = None
    phone_number: str | None = None
    source_language: str | None = None
    target_language: str | None = None
    recording_enabled: bool = False
    live: bool = True
    request: Mapping[str, Any] = field(default_factory=dict)
    metadata: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Session:
    """One session as it is now. end_detail is for people, end_reason one of the API's names."""

    id: str
    mode: str
    status: str
    provider: str
    origin: str
    node: str | None
    phone_number: str | None
    source_language: str | None
    target_language: str | None
    recording_enabled: bool
    live: bool
    request: Mapping[str, Any]
    metadata: Mapping[str, Any]
    created_at_ms: int
    started_at_ms: int | None
    ended_at_ms: int | None
    end_reason: str | None
    end_detail: str | None
    duration_ms: int | None


@dataclass(frozen=True, slots=True)
class Change:
    """A session after a change. changed: False when it was so already, and nobody needs to be told."""

    session: Session
    changed: bool


_THIS = _t.c.id == bindparam("this")
_GET = select(_t).where(_THIS)
_NOW_MS = bindparam("now_ms", type_=Ms)
_END = (
    update(_t)
    .where(_THIS, _t.c.status != ENDED)
    .values(
        status=ENDED,
        ended_at_ms=_NOW_MS,
        end_reason=bindparam("reason"),
        end_detail=bindparam("detail"),
        duration_ms=func.coalesce(
            bindparam("lasted_ms", type_=Ms), _NOW_MS - func.coalesce(_t.c.started_at_ms, _NOW_MS)
        ),
    )
    .returning(_t)
)
_GIVEN = tuple(one.name for one in fields(NewSession))
_UNSET: dict[str, Any] = dict.fromkeys(("started_at_ms", "ended_at_ms", "end_reason", "end_detail", "duration_ms"))


def _made(row: RowMapping) -> Session:
    return Session(**row)


def create(tx: Tx, new: NewSession) -> Session:
    """A session in status `created`. An id that is taken already: the session that is there, unchanged."""
    session_id = new.id or tx.new_id("sess")
    values: dict[str, Any] = {name: getattr(new, name) for name in _GIVEN}
    values |= {"id": session_id, "status": CREATED, "created_at_ms": tx.now_ms}
    if tx.insert_new(_t, values):
        return Session(**_UNSET | values)
    there = get(tx, session_id)
    assert there is not None
    return there


def get(tx: Tx, session_id: str) -> Session | None:
    """The session, or None."""
    row = tx.first(_GET, {"this": session_id})
    return None if row is None else _made(row)


def page(tx: Tx, page: Page, *, status: str | None = None, mode: str | None = None) -> Listed[Session]:
    """Sessions, newest first."""
    where = [column == wanted for column, wanted in ((_t.c.status, status), (_t.c.mode, mode)) if wanted is not None]
    return list_page(tx, _t, page, _made, *where)


def start(tx: Tx, session_id: str, *, provider: str | None = None, node: str | None = None) -> Change | None:
    """created → active: somebody is connected. None when there is no such session."""
    values: dict[str, Any] = {"status": ACTIVE, "started_at_ms": tx.now_ms}
    values |= {name: value for name, value in (("provider", provider), ("node", node)) if value is not None}
    return _step(tx, session_id, CREATED, values)


def end(
    tx: Tx, session_id: str, reason: str, detail: str | None = None, *, duration_ms: int | None = None
) -> Change | None:
    """→ ended, once: a second end changes nothing. None when there is no such session.

    duration_ms  of the conversation; left out: since it started, 0 when it never did
    """
    values = {"this": session_id, "now_ms": tx.now_ms, "reason": reason, "detail": detail, "lasted_ms": duration_ms}
    return _changed(tx, session_id, tx.first(_END, values))


def set_languages(tx: Tx, session_id: str, source: str | None, target: str | None) -> None:
    """Keep what was detected; None leaves what is there."""
    found = {name: value for name, value in (("source_language", source), ("target_language", target)) if value}
    if found:
        tx.run(update(_t).where(_t.c.id == session_id).values(found))


def set_provider(tx: Tx, session_id: str, provider: str) -> None:
    """Keep how the customer is connected."""
    tx.run(update(_t).where(_t.c.id == session_id).values(provider=provider))


def set_metadata(tx: Tx, session_id: str, metadata: Mapping[str, Any]) -> Session | None:
    """Replace the client's own. None when there is no such session."""
    row = tx.first(update(_t).where(_t.c.id == session_id).values(metadata=dict(metadata)).returning(_t))
    return None if row is None else _made(row)


def count_open(tx: Tx) -> int:
    """How many sessions have not ended."""
    return int(tx.run(select(func.count()).select_from(_t).where(_t.c.status != ENDED)).scalar_one())


def open_on(tx: Tx, node: str) -> tuple[Session, ...]:
    """The sessions of a node (and of none) that have not ended, oldest first."""
    here = (_t.c.node == node) | _t.c.node.is_(None)
    rows = tx.all(select(_t).where(_t.c.status != ENDED, here).order_by(_t.c.id))
    return tuple(_made(row) for row in rows)


def forgotten(tx: Tx, created_before_ms: int) -> tuple[Session, ...]:
    """Sessions made before a time that nobody ever connected to: the 30 minutes' rule ends them."""
    query = select(_t).where(_t.c.status == CREATED, _t.c.created_at_ms < created_before_ms).order_by(_t.c.id)
    return tuple(_made(row) for row in tx.all(query.limit(1000)))


def _step(tx: Tx, session_id: str, before: str, values: dict[str, Any]) -> Change | None:
    query = update(_t).where(_t.c.id == session_id, _t.c.status == before).values(values).returning(_t)
    return _changed(tx, session_id, tx.first(query))


def _changed(tx: Tx, session_id: str, row: RowMapping | None) -> Change | None:
    if row is not None:
        return Change(_made(row), True)
    there = get(tx, session_id)
    return None if there is None else Change(there, False)
