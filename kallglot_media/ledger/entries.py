"""What each event of a session changes in the store, and which webhook tells of it: a query for each kind."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kallglot_media.call import events as e
from kallglot_media.call.turn import Turn as CallTurn
from kallglot_media.ledger.objects import call_json, recording_json, session_json, transcript_head, turn_json
from kallglot_media.store import events, legs, recordings, sessions, turns
from kallglot_media.store.legs import NewLeg
from kallglot_media.store.recordings import NewRecording, Recording
from kallglot_media.store.sessions import NewSession, Session
from kallglot_media.store.times import DAY_MS
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx

CHANNELS = ("customer", "agent")
"""A session has two recordings: what each party said left, that translated right."""


@dataclass(frozen=True, slots=True)
class Entry:
    """An event that is to be written down. keep: whether words of its session may be."""

    event: e.SessionEvent
    keep: bool


@dataclass(frozen=True, slots=True)
class House:
    """What entries need to know of the server.

    node             its name
    base_url         what links in webhooks start with
    recordings_days  how long recordings are kept; None: for ever
    """

    node: str
    base_url: str = ""
    recordings_days: float | None = None


def write(tx: Tx, house: House, entry: Entry) -> None:
    """Write one event down; tx.now_ms is when it happened. Written twice it is there once."""
    _WRITERS[type(entry.event)](tx, house, entry)


def tell_created(tx: Tx, session: Session) -> None:
    """The webhook of a new session."""
    events.add(tx, "session.created", session_json(session), session_id=session.id)


def tell_ended(tx: Tx, session: Session) -> None:
    """The webhooks of a session that is over."""
    events.add(tx, "session.ended", session_json(session), session_id=session.id)


def tell_turn(tx: Tx, turn: Turn) -> None:
    """The webhook of a turn."""
    data = {"session_id": turn.session_id, "turn": turn_json(turn)}
    events.add(tx, "transcript.segment", data, session_id=turn.session_id)


def tell_recording(tx: Tx, house: House, recording: Recording) -> None:
    """The webhook of a recording that is ready, or never will be."""
    kind = "recording.ready" if recording.status == recordings.READY else "recording.failed"
    events.add(tx, kind, recording_json(recording, house.base_url), session_id=recording.session_id)


def end_session(
    tx: Tx, session_id: str, reason: str, detail: str | None, *, duration_ms: int | None = None
) -> Session | None:
    """End a session and tell of it, once. None: there is no such session."""
    change = sessions.end(tx, session_id, reason, detail, duration_ms=duration_ms)
    if change is None:
        return None
    if change.changed:
        tell_ended(tx, change.session)
    return change.session


def turn_row(session_id: str, turn: CallTurn, spoken_at_ms: int) -> Turn:
    """A turn as the store keeps it."""
    return Turn(
        session_id=session_id,
        sequence=turn.sequence,
        speaker=turn.speaker,
        language=turn.language,
        text=turn.text,
        translation_language=turn.translation.language if turn.translation else None,
        translation_text=turn.translation.text if turn.translation else None,
        start_ms=turn.start_ms,
        end_ms=turn.end_ms,
        confidence=turn.confidence,
        first_sample_ms=turn.first_sample_ms,
        timings=turn.timings.to_json() if turn.timings else None,
        spoken_at_ms=spoken_at_ms,
    )


# ── one for each kind ────────────────────────────────────────────────────────────


def _created(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.SessionCreated)
    if event.origin != "sip":
        return  # whoever made it wrote it down before anybody could come
    new = NewSession(
        mode=event.mode,
        id=event.session_id,
        origin=event.origin,
        node=house.node,
        phone_number=event.called or None,
        source_language=event.source_language,
        target_language=event.target_language,
        recording_enabled=event.keep,
    )
    tell_created(tx, sessions.create(tx, new))


def _started(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.SessionStarted)
    change = sessions.start(tx, event.session_id, provider=event.provider, node=house.node)
    if change is not None and change.changed:
        events.add(tx, "session.started", session_json(change.session), session_id=change.session.id)


def _leg_opened(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.LegOpened)
    if any(leg.id == event.call_id for leg in legs.of_session(tx, event.session_id)):
        return
    new = NewLeg(
        event.session_id, str(event.party), event.direction, event.call_id, to_uri=event.to, from_uri=event.from_
    )
    legs.add(tx, new)


def _leg_connected(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.LegConnected)
    leg = legs.answered(tx, event.call_id)
    if leg is not None:
        data = {"session_id": event.session_id, "provider": event.provider, "call": call_json(leg)}
        events.add(tx, "session.provider.connected", data, session_id=event.session_id)
        if event.party == "customer":  # also when a phone takes the place of a silent stream, after the start
            sessions.set_provider(tx, event.session_id, event.provider)


def _leg_disconnected(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.LegDisconnected)
    status = "ended" if event.connected else "failed"
    leg = legs.ended(tx, event.call_id, status=status, sip_status=event.status or None, detail=event.reason)
    if leg is not None:
        data = {
            "session_id": event.session_id,
            "provider": event.provider,
            "reason": event.reason,
            "call": call_json(leg),
        }
        events.add(tx, "session.provider.disconnected", data, session_id=event.session_id)


def _final_transcript(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.FinalTranscript)
    _note_language(tx, event)
    if not entry.keep:
        return
    row = turn_row(event.session_id, event.turn, tx.now_ms)
    if turns.add(tx, row):
        tell_turn(tx, row)


def _note_language(tx: Tx, event: e.FinalTranscript) -> None:
    """A language that nobody named is known as soon as it was spoken."""
    session = sessions.get(tx, event.session_id)
    if session is None:
        return
    if event.turn.speaker == "customer" and session.source_language is None:
        sessions.set_languages(tx, event.session_id, event.turn.language, None)
    elif event.turn.speaker == "agent" and session.target_language is None:
        sessions.set_languages(tx, event.session_id, None, event.turn.language)


def _turn_heard(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.TurnHeard)
    if entry.keep:
        turns.played(tx, event.session_id, event.sequence, event.first_sample_ms, event.timings.to_json())


def _ended(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.SessionEnded)
    duration_ms = event.duration_ms if event.started else 0
    session = end_session(tx, event.session_id, event.reason, event.detail, duration_ms=duration_ms)
    if session is None or not entry.keep:
        return
    if event.started or event.files:
        _add_recordings(tx, house, event)
    if event.started:
        head = transcript_head(session, turns.of_session(tx, session.id))
        events.add(tx, "transcript.ready", head, session_id=session.id)


def _add_recordings(tx: Tx, house: House, event: e.SessionEnded) -> None:
    """A row for each party's file. Without files (the media process died) they are there once they are repaired."""
    there = {recording.channel for recording in recordings.of_session(tx, event.session_id)}
    files = {str(file.party): file for file in event.files}
    for channel in CHANNELS:
        if channel in there:
            continue
        row = recordings.add(tx, NewRecording(event.session_id, channel, f"sessions/{event.session_id}/{channel}.wav"))
        if (file := files.get(channel)) is not None:
            ready = recordings.ready(
                tx,
                row.id,
                duration_ms=event.duration_ms,
                size_bytes=_size_bytes(Path(file.path)),
                sha256=file.sha256,
                expires_at_ms=_expires_at_ms(tx, house),
            )
            assert ready is not None
            tell_recording(tx, house, ready)


def _expires_at_ms(tx: Tx, house: House) -> int | None:
    return None if house.recordings_days is None else tx.now_ms + round(house.recordings_days * DAY_MS)


def _size_bytes(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return 0


def _escalated(tx: Tx, house: House, entry: Entry) -> None:
    event = entry.event
    assert isinstance(event, e.Escalated)
    data = {"session_id": event.session_id, "to": event.to, "detail": event.detail}
    events.add(tx, f"escalation.{event.step}", data, session_id=event.session_id)


def _message_left(tx: Tx, house: House, entry: Entry) -> None:
    """Its words are told only where words of the session may be kept."""
    event = entry.event
    assert isinstance(event, e.MessageLeft)
    data: dict[str, Any] = {"session_id": event.session_id}
    if event.end_ms:
        data |= {"start_ms": event.start_ms, "end_ms": event.end_ms}
    if entry.keep:
        data["text"] = event.text
    events.add(tx, event.kind, data, session_id=event.session_id)


def _tool_called(tx: Tx, house: House, entry: Entry) -> None:
    """What it is called with is told only where words of the session may be kept."""
    event = entry.event
    assert isinstance(event, e.ToolCalled)
    data: dict[str, Any] = {
        "session_id": event.session_id,
        "tool_call_id": event.tool_call_id,
        "name": event.name,
    }
    if entry.keep:
        data["arguments"] = dict(event.arguments)
    events.add(tx, "tool.call", data, session_id=event.session_id)


Writer = Callable[[Tx, House, Entry], Any]

_WRITERS: Mapping[type, Writer] = {
    e.SessionCreated: _created,
    e.SessionStarted: _started,
    e.LegOpened: _leg_opened,
    e.LegConnected: _leg_connected,
    e.LegDisconnected: _leg_disconnected,
    e.FinalTranscript: _final_transcript,
    e.TurnHeard: _turn_heard,
    e.Escalated: _escalated,
    e.ToolCalled: _tool_called,
    e.MessageLeft: _message_left,
    e.SessionEnded: _ended,
}

WRITTEN = tuple(_WRITERS)
"""Events that are written down; the others are for those who watch live."""
