"""Turns: what was said, final. One row each, written before any client is told."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import bindparam, select, update

from kallglot_media.store import tables
from kallglot_media.store.tx import Tx

_t = tables.turns
_OF_SESSION = (
    select(_t)
    .where(_t.c.session_id == bindparam("this"), _t.c.sequence > bindparam("after"))
    .order_by(_t.c.start_ms, _t.c.sequence)
)


@dataclass(frozen=True, slots=True)
class Turn:
    """One turn.

    start_ms, end_ms   first and last speech on the session's clock
    confidence         of the recogniser, 0–1
    first_sample_ms    where its translation starts in the listener's ear; None: was not (yet) heard
    timings            stage -> ms
    spoken_at_ms       time of day of its end, ms since 1970; 0: now
    """

    session_id: str
    sequence: int
    speaker: str
    language: str
    text: str
    translation_language: str | None = None
    translation_text: str | None = None
    start_ms: int = 0
    end_ms: int = 0
    confidence: float | None = None
    first_sample_ms: int | None = None
    timings: Mapping[str, float] | None = None
    spoken_at_ms: int = 0


def add(tx: Tx, *turns: Turn) -> int:
    """Keep turns; how many were new. One that is there already (same session and sequence) stays as it is."""
    if not turns:
        return 0
    rows = [_row(turn) | {"spoken_at_ms": turn.spoken_at_ms or tx.now_ms} for turn in turns]
    return sum(tx.insert_new(_t, row) for row in rows)


def _row(turn: Turn) -> dict[str, Any]:
    return {name: getattr(turn, name) for name in Turn.__slots__}


def played(tx: Tx, session_id: str, sequence: int, first_sample_ms: int, timings: Mapping[str, float]) -> None:
    """Keep when a turn's translation was first heard, and where the time went."""
    this = (_t.c.session_id == session_id) & (_t.c.sequence == sequence)
    tx.run(update(_t).where(this).values(first_sample_ms=first_sample_ms, timings=dict(timings)))


def of_session(tx: Tx, session_id: str, *, after_sequence: int = -1) -> tuple[Turn, ...]:
    """A session's turns in the order in which they were begun."""
    return tuple(Turn(*row) for row in tx.rows(_OF_SESSION, {"this": session_id, "after": after_sequence}))


def count(tx: Tx, session_id: str) -> int:
    """How many turns a session has."""
    rows = tx.run(select(_t.c.sequence).where(_t.c.session_id == session_id))
    return len(rows.all())


def made(row: Mapping[str, Any], session_id: str, began_ms: int = 0) -> Turn:
    """A turn as a line of transcript.jsonl has it. KeyError, TypeError or ValueError when it is none.

    began_ms  when the session's clock began, ms since 1970: gives spoken_at_ms
    """
    translation = row.get("translation") or {}
    play = row.get("play") or {}
    return Turn(
        session_id=session_id,
        sequence=int(row["sequence"]),
        speaker=str(row["speaker"]),
        language=str(row["language"]),
        text=str(row["text"]),
        translation_language=translation.get("language"),
        translation_text=translation.get("text"),
        start_ms=int(row["start_ms"]),
        end_ms=int(row["end_ms"]),
        confidence=None if row.get("confidence") is None else float(row["confidence"]),
        first_sample_ms=play.get("first_sample_ms"),
        timings=row.get("timings"),
        spoken_at_ms=began_ms + int(row["end_ms"]) if began_ms else 0,
    )
