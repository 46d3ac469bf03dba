"""Legs: one for each party that was ever connected to a session, or that we tried to."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import RowMapping, insert, select, update

from kallglot_media.store import tables
from kallglot_media.store.tx import Tx

_t = tables.legs


@dataclass(frozen=True, slots=True)
class NewLeg:
    """role: customer, agent or ai; direction: inbound or outbound; status: ringing, answered, …"""

    session_id: str
    role: str
    direction: str
    id: str | None = None
    status: str = "ringing"
    to_uri: str | None = None
    from_uri: str | None = None
    sip_call_id: str | None = None


@dataclass(frozen=True, slots=True)
class Leg:
    """One leg. sip_status: the final answer of a leg that failed."""

    id: str
    session_id: str
    role: str
    direction: str
    status: str
    to_uri: str | None
    from_uri: str | None
    sip_call_id: str | None
    sip_status: int | None
    end_detail: str | None
    created_at_ms: int
    answered_at_ms: int | None
    ended_at_ms: int | None


def add(tx: Tx, new: NewLeg) -> Leg:
    """A leg that begins now."""
    values = {
        "id": new.id or tx.new_id("call"),
        "session_id": new.session_id,
        "role": new.role,
        "direction": new.direction,
        "status": new.status,
        "to_uri": new.to_uri,
        "from_uri": new.from_uri,
        "sip_call_id": new.sip_call_id,
        "created_at_ms": tx.now_ms,
    }
    return _made(tx.one(insert(_t).values(values).returning(_t)))


def answered(tx: Tx, leg_id: str) -> Leg | None:
    """The party has answered. None when there is no such leg, or it has ended."""
    query = update(_t).where(_t.c.id == leg_id, _t.c.ended_at_ms.is_(None))
    row = tx.first(query.values(status="answered", answered_at_ms=tx.now_ms).returning(_t))
    return None if row is None else _made(row)


def ended(
    tx: Tx, leg_id: str, *, status: str = "ended", sip_status: int | None = None, detail: str | None = None
) -> Leg | None:
    """The leg is over; the first end counts. None when there is no such leg, or it had ended."""
    values = {"status": status, "sip_status": sip_status, "end_detail": detail, "ended_at_ms": tx.now_ms}
    query = update(_t).where(_t.c.id == leg_id, _t.c.ended_at_ms.is_(None)).values(values).returning(_t)
    row = tx.first(query)
    return None if row is None else _made(row)


def of_session(tx: Tx, session_id: str) -> tuple[Leg, ...]:
    """All legs of a session in the order of their beginning."""
    rows = tx.all(select(_t).where(_t.c.session_id == session_id).order_by(_t.c.created_at_ms, _t.c.id))
    return tuple(_made(row) for row in rows)


def _made(row: RowMapping) -> Leg:
    return Leg(**row)
