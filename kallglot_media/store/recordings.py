"""Recordings: a row for each sound file, from the moment it is being made until retention takes it."""

from __future__ import annotations

from dataclasses import dataclass

from sqlalchemy import RowMapping, select, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx

PROCESSING, READY, FAILED = "processing", "ready", "failed"

_t = tables.recordings


@dataclass(frozen=True, slots=True)
class NewRecording:
    """channel: customer, agent, …; path: below the data directory; id: None for a new one."""

    session_id: str
    channel: str
    path: str
    format: str = "wav"
    rate_hz: int = 8000
    bit_depth: int = 16
    id: str | None = None


@dataclass(frozen=True, slots=True)
class Recording:
    """One sound file. expires_at_ms: when retention deletes it; None: never."""

    id: str
    session_id: str
    channel: str
    status: str
    format: str
    duration_ms: int | None
    size_bytes: int | None
    rate_hz: int | None
    bit_depth: int | None
    path: str | None
    sha256: str | None
    detail: str | None
    created_at_ms: int
    expires_at_ms: int | None


def add(tx: Tx, new: NewRecording) -> Recording:
    """A recording in status `processing`. An id that is taken already: the recording that is there."""
    recording_id = new.id or tx.new_id("rec")
    values = {
        "id": recording_id,
        "session_id": new.session_id,
        "channel": new.channel,
        "status": PROCESSING,
        "format": new.format,
        "rate_hz": new.rate_hz,
        "bit_depth": new.bit_depth,
        "path": new.path,
        "created_at_ms": tx.now_ms,
    }
    tx.insert_new(_t, values)
    there = get(tx, recording_id)
    assert there is not None
    return there


def ready(
    tx: Tx, recording_id: str, *, duration_ms: int, size_bytes: int, sha256: str, expires_at_ms: int | None = None
) -> Recording | None:
    """The file is whole. None when there is no such recording."""
    values = {
        "status": READY,
        "duration_ms": duration_ms,
        "size_bytes": size_bytes,
        "sha256": sha256,
        "expires_at_ms": expires_at_ms,
    }
    row = tx.first(update(_t).where(_t.c.id == recording_id).values(values).returning(_t))
    return None if row is None else _made(row)


def failed(tx: Tx, recording_id: str, detail: str) -> Recording | None:
    """There is no file, or none that plays. None when there is no such recording."""
    row = tx.first(update(_t).where(_t.c.id == recording_id).values(status=FAILED, detail=detail).returning(_t))
    return None if row is None else _made(row)


def get(tx: Tx, recording_id: str) -> Recording | None:
    """The recording, or None."""
    row = tx.first(select(_t).where(_t.c.id == recording_id))
    return None if row is None else _made(row)


def of_session(tx: Tx, session_id: str) -> tuple[Recording, ...]:
    """All recordings of a session, oldest first."""
    return tuple(_made(row) for row in tx.all(select(_t).where(_t.c.session_id == session_id).order_by(_t.c.id)))


def page(tx: Tx, page: Page, *, session_id: str | None = None) -> Listed[Recording]:
    """Recordings, newest first."""
    where = [] if session_id is None else [_t.c.session_id == session_id]
    return list_page(tx, _t, page, _made, *where)


def delete(tx: Tx, recording_id: str) -> Recording | None:
    """Take the row out; its file is the caller's to delete, after the commit. None: there is no such recording."""
    row = tx.first(_t.delete().where(_t.c.id == recording_id).returning(_t))
    return None if row is None else _made(row)


def _made(row: RowMapping) -> Recording:
    return Recording(**row)
