"""At the start: what a server left behind that did not live to finish, put right from the sessions' folders.

Comes after the recordings were repaired and session.json was closed (media.recorder, call.journal). Afterwards no
session of this node is open, every turn that a folder has is in the database, and whoever should be told is told.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from sqlalchemy import insert, select, update

from kallglot_media.log import logger
from kallglot_media.store import deliveries, folders, idempotency, legs, recordings, sessions, tables, turns
from kallglot_media.store.folders import Folder, Track
from kallglot_media.store.recordings import NewRecording, Recording
from kallglot_media.store.sessions import ENDED, Session
from kallglot_media.store.store import Store
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx

DETAIL = "the server stopped unexpectedly"
_IDS_AT_ONCE = 500


class Tell(Protocol):
    """Whom to tell about what is found, in the transaction that puts it right: usually events.add."""

    def turn_found(self, tx: Tx, turn: Turn) -> None:
        """A turn was in the folder only."""
        ...

    def recording_done(self, tx: Tx, recording: Recording) -> None:
        """A recording is ready now, or (by its status) has failed: there is no sound."""
        ...

    def session_ended(self, tx: Tx, session: Session) -> None:
        """A session was still open."""
        ...


@dataclass(frozen=True, slots=True)
class Recovered:
    """How many sessions were closed or added, and how many turns were only in folders."""

    sessions: int = 0
    turns: int = 0

    def __add__(self, other: Recovered) -> Recovered:
        return Recovered(self.sessions + other.sessions, self.turns + other.turns)


async def recover(store: Store, data_dir: Path, tell: Tell | None = None, *, alone: bool | None = None) -> Recovered:
    """Put everything right. Called before the first call is taken.

    alone  no other node uses the database: what is leased to anybody is free at once, not only when the lease is
           over; left out: so it is with SQLite
    """
    node = store.settings.node
    await store.write(idempotency.release, node)
    if alone or (alone is None and store.is_sqlite):
        await store.write(_free_leases)
    sessions_dir = data_dir / "sessions"
    done = Recovered()
    for session in await store.read(sessions.open_on, node):
        done += await _close(store, sessions_dir, session, tell)
    for name in await _unknown(store, await asyncio.to_thread(folders.names, sessions_dir)):
        done += await from_folder(store, sessions_dir, name, tell)
    if done.sessions:
        logger("store").warning("recovered", sessions=done.sessions, turns=done.turns)
    return done


async def from_folder(store: Store, sessions_dir: Path, session_id: str, tell: Tell | None = None) -> Recovered:
    """Add what the folder has and the database lacks. A session still running (no end) keeps its status."""
    folder = await asyncio.to_thread(folders.read, sessions_dir / session_id)
    return Recovered() if folder is None else await store.write(_take, folder, tell)


async def _close(store: Store, sessions_dir: Path, session: Session, tell: Tell | None) -> Recovered:
    """An open session of a node that was not running. One that was only created may still be connected to."""
    folder = await asyncio.to_thread(folders.read, sessions_dir / session.id)
    if folder is not None:
        done = await store.write(_take, folder, tell)
        if folder.ended:
            return done
    elif session.status == sessions.CREATED:
        return Recovered()
    else:
        done = Recovered()
    return done + await store.write(_end, session.id, tell)


async def _unknown(store: Store, names: list[str]) -> list[str]:
    """Of these sessions those that the database does not have."""
    unknown: list[str] = []
    for start in range(0, len(names), _IDS_AT_ONCE):
        some = names[start : start + _IDS_AT_ONCE]
        known = await store.read(_known, some)
        unknown += [name for name in some if name not in known]
    return unknown


def _known(tx: Tx, ids: list[str]) -> set[str]:
    return set(tx.run(select(tables.sessions.c.id).where(tables.sessions.c.id.in_(ids))).scalars())


def _free_leases(tx: Tx) -> None:
    deliveries.release(tx)
    for table in (tables.analyses, tables.documents):
        tx.run(update(table).where(table.c.leased_until_ms.is_not(None)).values(leased_until_ms=tx.now_ms))


def _take(tx: Tx, folder: Folder, tell: Tell | None) -> Recovered:
    """Make the rows say what the folder says."""
    before = sessions.get(tx, folder.session_id)
    if before is None:
        tx.run(insert(tables.sessions).values(_row(folder, tx)))
    found = 0
    for turn in folder.turns:
        if turns.add(tx, turn):
            found += 1
            if tell is not None:
                tell.turn_found(tx, turn)
    if folder.ended:
        _take_tracks(tx, folder, tell)
    changed = before is None
    if before is not None and before.status != ENDED and folder.ended:
        _end(tx, folder.session_id, None, folder)
        changed = True
    if changed and folder.ended and tell is not None:
        session = sessions.get(tx, folder.session_id)
        assert session is not None
        tell.session_ended(tx, session)
    return Recovered(int(changed), found)


def _row(folder: Folder, tx: Tx) -> dict[str, object]:
    ended_ms = folder.ended_at_ms or tx.now_ms
    return {
        "id": folder.session_id,
        "mode": folder.mode,
        "status": ENDED if folder.ended else sessions.ACTIVE,
        "provider": "sip",
        "origin": "sip",
        "phone_number": folder.called,
        "source_language": folder.source_language,
        "target_language": folder.target_language,
        "recording_enabled": folder.recording_enabled,
        "live": True,
        "request": {},
        "metadata": {},
        "created_at_ms": folder.created_at_ms or tx.now_ms,
        "started_at_ms": folder.started_at_ms,
        "ended_at_ms": ended_ms if folder.ended else None,
        "end_reason": (folder.end_reason or "error") if folder.ended else None,
        "end_detail": folder.end_detail,
        "duration_ms": _duration_ms(folder, ended_ms) if folder.ended else None,
    }


def _duration_ms(folder: Folder, ended_ms: int) -> int:
    """Of the conversation: until the last sound or word that there is of it, when its end was not seen."""
    if folder.started_at_ms is None:
        return 0
    heard_ms = max([turn.end_ms for turn in folder.turns] + [track.duration_ms for track in folder.tracks], default=0)
    return heard_ms if folder.end_detail == DETAIL else max(ended_ms - folder.started_at_ms, 0)


def _take_tracks(tx: Tx, folder: Folder, tell: Tell | None) -> None:
    """A ready recording for each track; one that was begun and has no track has failed."""
    begun = {recording.channel: recording for recording in recordings.of_session(tx, folder.session_id)}
    done: list[Recording | None] = []
    for track in folder.tracks:
        recording = begun.pop(track.channel, None) or recordings.add(tx, _recording(folder.session_id, track))
        if recording.status != recordings.READY:
            done.append(_ready(tx, recording.id, track))
    silent = [recording.id for recording in begun.values() if recording.status == recordings.PROCESSING]
    done += [recordings.failed(tx, recording_id, DETAIL) for recording_id in silent]
    for finished in done:
        if finished is not None and tell is not None:
            tell.recording_done(tx, finished)


def _recording(session_id: str, track: Track) -> NewRecording:
    return NewRecording(session_id, track.channel, f"sessions/{session_id}/{track.name}", rate_hz=track.rate_hz)


def _ready(tx: Tx, recording_id: str, track: Track) -> Recording | None:
    return recordings.ready(
        tx, recording_id, duration_ms=track.duration_ms, size_bytes=track.size_bytes, sha256=track.sha256
    )


def _end(tx: Tx, session_id: str, tell: Tell | None, folder: Folder | None = None) -> Recovered:
    reason = (folder.end_reason if folder else None) or "error"
    detail = (folder.end_detail if folder else None) or DETAIL
    duration_ms = _duration_ms(folder, folder.ended_at_ms or tx.now_ms) if folder else None
    for leg in legs.of_session(tx, session_id):
        legs.ended(tx, leg.id, detail=detail)
    change = sessions.end(tx, session_id, reason, detail, duration_ms=duration_ms)
    if change is None or not change.changed:
        return Recovered()
    if tell is not None:
        tell.session_ended(tx, change.session)
    return Recovered(sessions=1)
