"""The public form of what the store keeps: the objects of the API and of webhooks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from kallglot_media.store.legs import Leg
from kallglot_media.store.recordings import Recording
from kallglot_media.store.sessions import ENDED, Session
from kallglot_media.store.times import iso
from kallglot_media.store.turns import Turn

Json = dict[str, Any]


def when(ms: int | None) -> str | None:
    """ISO 8601 in UTC, or None."""
    return None if ms is None else iso(ms)


def session_json(session: Session, *, stream: Mapping[str, Any] | None = None) -> Json:
    """A session. stream: where its WebSocket is, with a token; never given to webhooks and lists."""
    ended = session.status == ENDED
    body: Json = {
        "id": session.id,
        "object": "session",
        "status": session.status,
        "mode": session.mode,
        "provider": session.provider,
        "phone_number": session.phone_number,
        "source_language": session.source_language,
        "target_language": session.target_language,
        "recording": {"enabled": session.recording_enabled},
        "metadata": session.metadata,
        "created_at": iso(session.created_at_ms),
        "started_at": when(session.started_at_ms),
        "ended_at": when(session.ended_at_ms),
        "duration_seconds": seconds(session.duration_ms) if ended else None,
        "end_reason": session.end_reason,
    }
    if stream is not None and not ended:
        body["stream"] = dict(stream)
    return body


def call_json(leg: Leg) -> Json:
    """One party's connection."""
    return {
        "id": leg.id,
        "object": "call",
        "session_id": leg.session_id,
        "role": leg.role,
        "direction": leg.direction,
        "status": leg.status,
        "to": leg.to_uri,
        "from": leg.from_uri,
        "sip_status": leg.sip_status,
        "created_at": iso(leg.created_at_ms),
        "answered_at": when(leg.answered_at_ms),
        "ended_at": when(leg.ended_at_ms),
    }


def turn_json(turn: Turn, *, translations: bool = True) -> Json:
    """One turn of a transcript. timestamp: the time of day of its end."""
    body: Json = {
        "sequence": turn.sequence,
        "speaker": turn.speaker,
        "language": turn.language,
        "text": turn.text,
        "timestamp": iso(turn.spoken_at_ms),
        "start_ms": turn.start_ms,
        "end_ms": turn.end_ms,
        "confidence": None if turn.confidence is None else round(turn.confidence, 3),
    }
    if translations and turn.translation_text is not None:
        body["translation"] = {"language": turn.translation_language, "text": turn.translation_text}
    return body


def transcript_head(session: Session, turns: Sequence[Turn]) -> Json:
    """A transcript without its turns."""
    last_ms = max((turn.end_ms for turn in turns), default=0)
    return {
        "id": f"trn_{session.id}",
        "object": "transcript",
        "session_id": session.id,
        "status": "completed" if session.status == ENDED else "in_progress",
        "metadata": {
            "total_turns": len(turns),
            "duration_seconds": seconds(last_ms if session.duration_ms is None else session.duration_ms),
            "languages_detected": sorted({turn.language for turn in turns}),
        },
    }


def transcript_json(session: Session, turns: Sequence[Turn], *, translations: bool = True) -> Json:
    """A transcript, live or final."""
    head = transcript_head(session, turns)
    return head | {"turns": [turn_json(turn, translations=translations) for turn in turns]}


def recording_json(recording: Recording, base_url: str = "") -> Json:
    """A recording. base_url: what download_url starts with; "" for a path on this server."""
    return {
        "id": recording.id,
        "object": "recording",
        "session_id": recording.session_id,
        "channel": recording.channel,
        "status": recording.status,
        "duration": seconds(recording.duration_ms),
        "format": recording.format,
        "size": recording.size_bytes,
        "sample_rate": recording.rate_hz,
        "bit_depth": recording.bit_depth,
        "download_url": f"{base_url}/v1/recordings/{recording.id}/audio" if recording.status == "ready" else None,
        "created_at": iso(recording.created_at_ms),
        "expires_at": when(recording.expires_at_ms),
    }


def seconds(ms: int | None) -> float | None:
    """seconds(1234) == 1.234"""
    return None if ms is None else ms / 1000
