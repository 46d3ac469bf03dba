"""GET /v1/sessions/{id}/transcript: what was said, live and afterwards, as JSON, text or subtitles."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import answer
from kallglot_media.api.docs import errors
from kallglot_media.api.errors import not_found
from kallglot_media.api.parts import parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.validation import Answer
from kallglot_media.ledger.objects import transcript_json
from kallglot_media.ledger.subtitles import as_srt, as_text, as_vtt
from kallglot_media.store import sessions, turns
from kallglot_media.store.sessions import Session
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1/sessions", tags=["transcripts"], route_class=ApiRoute)

Format = Literal["json", "text", "srt", "vtt"]

_TEXTS: Mapping[str, tuple[str, str, Callable[..., str]]] = {
    "text": ("text/plain", "txt", as_text),
    "srt": ("application/x-subrip", "srt", as_srt),
    "vtt": ("text/vtt", "vtt", as_vtt),
}
"""Format -> media type, how file names end, how it is made."""


class Translation(Answer):
    """The same in the other party's language."""

    language: str
    text: str


class TurnObject(Answer):
    """What one party said without a pause."""

    sequence: int
    """Counts up within the session; a turn that was begun later may have a lower one."""

    speaker: Literal["customer", "agent", "ai"]
    language: str
    text: str
    translation: Translation | None = None
    timestamp: str
    """The time of day of its end."""

    start_ms: int
    """Since the session's sound began."""

    end_ms: int
    confidence: float | None
    """Of the recogniser, 0 to 1."""


class TranscriptFacts(Answer):
    """About the whole transcript."""

    total_turns: int
    duration_seconds: float | None
    languages_detected: list[str]


class TranscriptObject(Answer):
    """Everything that was said, in the order in which it was begun."""

    id: str
    object: Literal["transcript"]
    session_id: str
    status: Literal["in_progress", "completed"]
    turns: list[TurnObject]
    metadata: TranscriptFacts


_CONTENT = {media_type: {"schema": {"type": "string"}} for media_type, _, _ in _TEXTS.values()}


@router.get(
    "/{session_id}/transcript",
    summary="Read a transcript",
    response_model=TranscriptObject,
    responses={**errors(400, 404), 200: {"description": "In the format that was asked for.", "content": _CONTENT}},
    openapi_extra=needs("sessions:read"),
)
async def read(
    session_id: str,
    request: Request,
    format: Annotated[Format, Query(description="JSON, text for people, or subtitles.")] = "json",
    include_translations: Annotated[bool, Query(description="false: only what was said itself.")] = True,
) -> Response:
    """What was said so far; complete as soon as `status` is `completed`. Turns are there before anybody is told."""
    found = await parts_of(request).store.read(_said, session_id)
    if found is None:
        raise not_found("session", session_id)
    session, said = found
    if format == "json":
        return answer(transcript_json(session, said, translations=include_translations))
    media_type, ending, make = _TEXTS[format]
    name = f'inline; filename="transcript-{session.id}.{ending}"'
    text = make(said, translations=include_translations)
    return Response(text.encode("utf-8", "replace"), 200, {"Content-Disposition": name}, f"{media_type}; charset=utf-8")


def _said(tx: Tx, session_id: str) -> tuple[Session, Sequence[Turn]] | None:
    session = sessions.get(tx, session_id)
    return None if session is None else (session, turns.of_session(tx, session_id))
