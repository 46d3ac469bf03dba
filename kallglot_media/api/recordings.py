"""Recordings: listed, read, listened to (whole and in parts, in other formats), deleted."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Annotated, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import Paged, answer, gone, listed
from kallglot_media.api.auth import By, by
from kallglot_media.api.docs import errors
from kallglot_media.api.errors import ApiError, not_found
from kallglot_media.api.exports import StillMaking, TooMany, is_sealed
from kallglot_media.api.files import send_file
from kallglot_media.api.parts import Parts, parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.validation import Answer, Deleted
from kallglot_media.ledger.objects import Json, recording_json
from kallglot_media.media.export import MEDIA_TYPES, ExportChannel, ExportError, ExportFormat
from kallglot_media.store import audit, files, recordings, sessions
from kallglot_media.store.page import Listed, Page
from kallglot_media.store.recordings import Recording
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1", tags=["recordings"], route_class=ApiRoute)

_KIND = "recording"


class RecordingObject(Answer):
    """A sound file: what a party said left, that translated right."""

    id: str
    object: Literal["recording"]
    session_id: str
    channel: Literal["customer", "agent"]
    status: Literal["processing", "ready", "failed"]
    duration: float | None
    """In seconds."""

    format: Literal["wav"]
    size: int | None
    """In bytes."""

    sample_rate: int | None
    bit_depth: int | None
    download_url: str | None
    """A path on this server; it takes the API key like any other."""

    created_at: str
    expires_at: str | None
    """When it is deleted; null: never."""


class RecordingList(Answer):
    """A page of recordings, newest first."""

    object: Literal["list"]
    data: list[RecordingObject]
    has_more: bool
    url: str


def _shown(recording: Recording) -> Json:
    return recording_json(recording)


@router.get(
    "/sessions/{session_id}/recordings",
    summary="List a session's recordings",
    response_model=RecordingList,
    responses=errors(400, 404, 422),
    openapi_extra=needs("recordings:read"),
)
async def index(
    session_id: str,
    request: Request,
    page: Paged,
) -> Response:
    """One for each party, as soon as the session has ended; none when recording was off."""
    found = await parts_of(request).store.read(_index, session_id, page)
    if found is None:
        raise not_found("session", session_id)
    return listed(found, f"/v1/sessions/{session_id}/recordings", _shown)


def _index(tx: Tx, session_id: str, page: Page) -> Listed[Recording] | None:
    if sessions.get(tx, session_id) is None:
        return None
    return recordings.page(tx, page, session_id=session_id)


@router.get(
    "/recordings/{recording_id}",
    summary="Read a recording",
    response_model=RecordingObject,
    responses=errors(404),
    openapi_extra=needs("recordings:read"),
)
async def read(recording_id: str, request: Request) -> Response:
    """What is known of it; `download_url` as soon as it is ready."""
    return answer(_shown(await _find(parts_of(request), recording_id)))


async def _find(parts: Parts, recording_id: str) -> Recording:
    found = await parts.store.read(recordings.get, recording_id)
    if found is None or (found.expires_at_ms is not None and found.expires_at_ms <= parts.store.now_ms()):
        raise not_found(_KIND, recording_id)
    return found


_SOUND = {media_type: {"schema": {"type": "string", "format": "binary"}} for media_type in MEDIA_TYPES.values()}
_PARTS = {
    "name": "Range",
    "in": "header",
    "required": False,
    "schema": {"type": "string"},
    "description": "Only a part of the file, like `bytes=0-65535`.",
    "example": "bytes=0-65535",
}


@router.get(
    "/recordings/{recording_id}/audio",
    summary="Listen to a recording",
    response_class=Response,
    responses={
        **errors(400, 404, 409, 416),
        200: {"description": "The file.", "content": _SOUND},
        206: {"description": "The part of it that `Range` asks for.", "content": _SOUND},
        304: {"description": "The client has it: `If-None-Match` names its `ETag`."},
    },
    openapi_extra=needs("recordings:read") | {"parameters": [_PARTS]},
)
async def audio(
    recording_id: str,
    request: Request,
    channel: Annotated[
        ExportChannel | None,
        Query(
            description="`mixed`: everything in one channel; `stereo`: the customer left, the agent right; `customer`, "
            "`agent`: as spoken left, translated right. Left out: the recording's own."
        ),
    ] = None,
    format: Annotated[ExportFormat | None, Query(description="`wav`, `mp3`, or `ogg` (Opus). Left out: `wav`.")] = None,
) -> Response:
    """The file, or the whole session in another form: made when it is first asked for, at some 300 times its speed."""
    parts = parts_of(request)
    recording = await _find(parts, recording_id)
    if recording.status != recordings.READY:
        raise _not_ready(recording)
    path = files.inside(parts.data_dir, recording.path or "")
    if path is None or not path.is_file():
        raise _lost(recording)
    wanted, file_format = channel or recording.channel, format or "wav"
    name = f"recording-{recording.session_id}-{wanted}.{file_format}"
    media_type = MEDIA_TYPES[file_format]
    its_own = (wanted, file_format) == (recording.channel, recording.format)
    if its_own and not await _is_sealed(recording, path.parent):
        return send_file(request, path, media_type, name, (recording.sha256 or recording.id)[:32])
    made = await _exported(parts, recording, path.parent, wanted, file_format)  # type: ignore[arg-type]
    stat = made.stat()
    return send_file(request, made, media_type, name, f"{stat.st_mtime_ns:x}-{stat.st_size:x}")


def _not_ready(recording: Recording) -> ApiError:
    if recording.status == recordings.FAILED:
        why = f"recording {recording.id} has no sound: {recording.detail or 'it could not be written'}"
        return ApiError(409, "recording_not_ready", why, param="id")
    why = f"recording {recording.id} is being finished; ask again in a moment"
    return ApiError(409, "recording_not_ready", why, param="id", retry_after_s=5)


def _lost(recording: Recording) -> ApiError:
    why = f"the sound of recording {recording.id} is not on the disk any more"
    return ApiError(404, "recording_not_found", why, param="id")


async def _is_sealed(recording: Recording, folder: Path) -> bool:
    try:
        return await asyncio.to_thread(is_sealed, folder)
    except ExportError:
        why = f"the sound of recording {recording.id} cannot be read: it is broken, or this server lacks its key"
        raise ApiError(404, "recording_not_found", why, param="id") from None


async def _exported(
    parts: Parts, recording: Recording, folder: Path, channel: ExportChannel, file_format: ExportFormat
) -> Path:
    try:
        return await parts.exports.get(folder, channel, file_format)
    except StillMaking:
        why = f"{channel}.{file_format} of recording {recording.id} is being made; ask again in a moment"
        raise ApiError(409, "recording_not_ready", why, param="channel", retry_after_s=5) from None
    except TooMany as error:
        raise ApiError(503, "capacity_exceeded", f"{error}; ask again in a moment", retry_after_s=10) from None
    except ExportError:
        why = f"{channel!r} cannot be made of recording {recording.id}: a sound file that it takes is gone or broken"
        raise ApiError(404, "recording_not_found", f"channel: {why}; leave channel out", param="channel") from None


@router.delete(
    "/recordings/{recording_id}",
    summary="Delete a recording",
    response_model=Deleted,
    responses=errors(404),
    openapi_extra=needs("recordings:delete"),
)
async def delete(recording_id: str, request: Request) -> Response:
    """The sound is gone for ever, with every export of its session. The transcript stays."""
    parts = parts_of(request)
    found = await parts.store.read(recordings.get, recording_id)
    if found is None:
        raise not_found(_KIND, recording_id)
    path = files.inside(parts.data_dir, found.path or "")
    if path is not None:
        await parts.exports.forget(path.parent)
    try:
        # The file first: if only one of the two can be done, there must still be a row that knows of the file.
        await asyncio.to_thread(files.remove_recording, parts.data_dir, found.path or "")
    except OSError as error:
        why = f"recording {recording_id} cannot be deleted now: {(error.strerror or 'the disk refuses').lower()}"
        raise ApiError(503, "service_unavailable", why, retry_after_s=30) from None
    if not await parts.store.write(_delete, by(request), recording_id):
        raise not_found(_KIND, recording_id)
    return gone(_KIND, recording_id)


def _delete(tx: Tx, by: By, recording_id: str) -> bool:
    deleted = recordings.delete(tx, recording_id)
    if deleted is None:
        return False
    detail = {"session": deleted.session_id, "channel": deleted.channel}
    audit.note(tx, by.actor, "recording.deleted", recording_id, request_id=by.request_id, detail=detail)
    return True
