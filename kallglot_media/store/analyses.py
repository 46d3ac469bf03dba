"""Analyses: asked for, taken up by a runner, complete or failed. What a server did not finish is taken up again."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx

QUEUED, PROCESSING, COMPLETE, FAILED = "queued", "processing", "complete", "failed"
TOPIC = "analyses"

_t = tables.analyses


@dataclass(frozen=True, slots=True)
class Analysis:
    """One analysis. kinds: what was asked for; options: with which settings; result: once complete, by kind."""

    id: str
    session_id: str
    status: str
    kinds: tuple[str, ...]
    options: Mapping[str, Any]
    result: Mapping[str, Any] | None
    error: str | None
    created_at_ms: int
    leased_until_ms: int | None
    completed_at_ms: int | None


def create(tx: Tx, session_id: str, kinds: Sequence[str], options: Mapping[str, Any] | None = None) -> Analysis:
    """An analysis that waits for a runner; wakes TOPIC."""
    values = {
        "id": tx.new_id("anl"),
        "session_id": session_id,
        "status": QUEUED,
        "kinds": list(kinds),
        "options": dict(options or {}),
        "created_at_ms": tx.now_ms,
    }
    tx.topics.add(TOPIC)
    return _made(tx.one(insert(_t).values(values).returning(_t)))


def get(tx: Tx, analysis_id: str) -> Analysis | None:
    """The analysis, or None."""
    row = tx.first(select(_t).where(_t.c.id == analysis_id))
    return None if row is None else _made(row)


def page(tx: Tx, page: Page, *, session_id: str | None = None) -> Listed[Analysis]:
    """Analyses, newest first."""
    where = [] if session_id is None else [_t.c.session_id == session_id]
    return list_page(tx, _t, page, _made, *where)


def take(tx: Tx, lease_ms: int) -> Analysis | None:
    """The oldest that waits (or whose runner is gone), now ours for `lease_ms`. None: nothing to do."""
    waits = (_t.c.status == QUEUED) | ((_t.c.status == PROCESSING) & (_t.c.leased_until_ms <= tx.now_ms))
    oldest = select(_t.c.id).where(waits).order_by(_t.c.id).limit(1)
    if not tx.sqlite:
        oldest = oldest.with_for_update(skip_locked=True)
    values = {"status": PROCESSING, "leased_until_ms": tx.now_ms + lease_ms}
    row = tx.first(update(_t).where(_t.c.id.in_(oldest.scalar_subquery())).values(values).returning(_t))
    return None if row is None else _made(row)


def complete(tx: Tx, analysis_id: str, result: Mapping[str, Any]) -> Analysis | None:
    """It is done. None when there is no such analysis."""
    return _finish(tx, analysis_id, {"status": COMPLETE, "result": dict(result), "error": None})


def failed(tx: Tx, analysis_id: str, error: str) -> Analysis | None:
    """It cannot be done. None when there is no such analysis."""
    return _finish(tx, analysis_id, {"status": FAILED, "error": error})


def _finish(tx: Tx, analysis_id: str, values: dict[str, Any]) -> Analysis | None:
    values |= {"completed_at_ms": tx.now_ms, "leased_until_ms": None}
    row = tx.first(update(_t).where(_t.c.id == analysis_id).values(values).returning(_t))
    return None if row is None else _made(row)


def _made(row: RowMapping) -> Analysis:
    return Analysis(**dict(row) | {"kinds": tuple(row["kinds"])})
