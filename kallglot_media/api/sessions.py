"""POST, GET /v1/sessions and what is done with one: end, dial, hang up, transfer."""

from __future__ import annotations

from collections.abc import Awaitable, Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import Paged, answer, listed
from kallglot_media.api.docs import errors
from kallglot_media.api.errors import ApiError, invalid, not_found
from kallglot_media.api.parts import Parts, base_url, parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.session_bodies import (
    CallObject,
    Dial,
    HangUp,
    Mode,
    NewSession,
    SessionChange,
    SessionList,
    SessionObject,
    Transfer,
)
from kallglot_media.api.session_checks import check, missing, with_agent
from kallglot_media.call.desk import CannotServe, Wish
from kallglot_media.call.dialling import DialFailed, PartyBusy
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.lobby import Dialling, NoRoom, NoSuchSession
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.stream_leg import TELEPHONE, StreamAudio
from kallglot_media.call.world import EndReason
from kallglot_media.ledger.entries import end_session, tell_created
from kallglot_media.ledger.objects import Json, session_json
from kallglot_media.modes.plan import Party
from kallglot_media.store import sessions, stream_tokens
from kallglot_media.store.sessions import Session
from kallglot_media.store.times import iso
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1/sessions", tags=["sessions"], route_class=ApiRoute)


# ── made and read ────────────────────────────────────────────────────────────────


@router.post(
    "",
    status_code=201,
    summary="Create a session",
    response_model=SessionObject,
    responses=errors(400, 404, 409, 422, 503),
    openapi_extra=needs("sessions:write", idempotent=True),
)
async def create(body: NewSession, request: Request) -> Response:
    """A session that waits for its parties: a call to `sip:<id>@<this server>`, or a connection to `stream.url`."""
    parts = parts_of(request)
    check(body)
    # what the client left out is the mode file's to say, not a default of ours
    wanted = body.model_dump(mode="json", exclude_none=True, exclude_unset=True, exclude={"metadata"})
    try:
        facts, rules = parts.desk.settle(wish_of(await parts.store.read(with_agent, wanted)))
    except CannotServe as error:
        raise ApiError(422, error.code, str(error), param=error.param) from None
    if (why := parts.lobby.why_full()) is not None:
        raise _full(NoRoom(why))
    session_id = parts.ids.object_id("sess")
    new = sessions.NewSession(
        mode=facts.mode,
        id=session_id,
        provider="sip" if body.routing is not None else "websocket",
        node=parts.node,
        phone_number=body.routing.phone_number if body.routing else None,
        source_language=facts.source_language,
        target_language=facts.target_language,
        recording_enabled=facts.keep,
        live=request.state.key.live,
        request=wanted,
        metadata=body.metadata or {},
    )
    session = await parts.store.write(_create, new)
    if isinstance(session, ApiError):
        raise session
    try:
        parts.lobby.create(session_id, facts, rules)
    except NoRoom as error:
        await parts.store.write(end_session, session_id, str(EndReason.ERROR), str(error))
        raise _full(error) from None
    return answer(_whole(parts, request, session), 201)


def _create(tx: Tx, new: sessions.NewSession) -> Session | ApiError:
    lacks = missing(tx, new.request)
    if lacks is not None:
        return lacks
    session = sessions.create(tx, new)
    tell_created(tx, session)
    return session


def wish_of(wanted: Mapping[str, Any]) -> Wish:
    """What a request (checked; as the store keeps it) asks for."""
    routing = wanted.get("routing") or {}
    sip = routing.get("sip") or {}
    return Wish(
        mode=wanted["mode"],
        source_language=wanted.get("source_language"),
        ai_agent=wanted.get("ai_agent") or {},
        help_chat=wanted.get("help_chat") or {},
        target_language=wanted.get("target_language"),
        number=routing.get("phone_number"),
        inbound=routing.get("direction", "inbound") == "inbound",
        trunk=routing.get("connection_id"),
        from_=sip.get("from_uri"),
        headers=tuple((sip.get("headers") or {}).items()),
        keep=(wanted.get("recording") or {}).get("enabled"),
        audio=_audio_of(wanted.get("audio") or {}),
    )


def _audio_of(wanted: Mapping[str, Any]) -> StreamAudio:
    return StreamAudio(wanted.get("encoding", TELEPHONE.encoding), wanted.get("sample_rate", TELEPHONE.rate_hz))


@router.get(
    "",
    summary="List sessions",
    response_model=SessionList,
    responses=errors(400, 422),
    openapi_extra=needs("sessions:read"),
)
async def index(
    request: Request,
    page: Paged,
    status: Annotated[Literal["created", "active", "ended"] | None, Query(description="Only these.")] = None,
    mode: Annotated[Mode | None, Query(description="Only these.")] = None,
) -> Response:
    """Sessions, newest first; those that calls made, too."""
    found = await parts_of(request).store.read(sessions.page, page, status=status, mode=mode)
    return listed(found, "/v1/sessions", session_json)


@router.get(
    "/{session_id}",
    summary="Read a session",
    response_model=SessionObject,
    responses=errors(404),
    openapi_extra=needs("sessions:read"),
)
async def read(session_id: str, request: Request) -> Response:
    """A session; while it has not ended, with a fresh token for its stream."""
    parts = parts_of(request)
    return answer(_whole(parts, request, await find(parts, session_id)))


@router.patch(
    "/{session_id}",
    summary="Change a session's metadata",
    response_model=SessionObject,
    responses=errors(400, 404, 409),
    openapi_extra=needs("sessions:write"),
)
async def change(session_id: str, body: SessionChange, request: Request) -> Response:
    """Metadata is replaced as a whole, also after the session's end. The mode of a session cannot be changed."""
    parts = parts_of(request)
    session = await find(parts, session_id)
    if body.mode is not None and body.mode != session.mode:
        raise ApiError(
            409,
            "mode_immutable",
            f"mode: is '{session.mode}' as long as session {session.id} lives; end it, create another, and reconnect",
            param="mode",
        )
    if "metadata" in body.model_fields_set:
        changed = await parts.store.write(sessions.set_metadata, session_id, body.metadata or {})
        if changed is None:
            raise not_found("session", session_id)
        session = changed
    return answer(_whole(parts, request, session))


async def find(parts: Parts, session_id: str) -> Session:
    """The session. Raises ApiError 404."""
    session = await parts.store.read(sessions.get, session_id)
    if session is None:
        raise not_found("session", session_id)
    return session


def _whole(parts: Parts, request: Request, session: Session) -> Json:
    """A session as its owner sees it: with a token."""
    now_ms = parts.store.now_ms()
    url = base_url(request).replace("http", "ws", 1)
    stream = {
        "url": f"{url}/v1/sessions/{session.id}/connect",
        "token": stream_tokens.issue(parts.stream_secret, session.id, now_ms),
        "expires_at": iso(now_ms + stream_tokens.LIFETIME_MS),
    }
    return session_json(session, stream=stream)


async def restore(parts: Parts) -> None:
    """After a restart: sessions that nobody had come to wait on, unless they have waited too long."""
    idle_ms = round(1000 * parts.settings.session_idle_s)
    for session in await parts.store.read(sessions.open_on, parts.node):
        why = "nobody came" if session.created_at_ms + idle_ms <= parts.store.now_ms() else None
        try:
            wanted = await parts.store.read(with_agent, {"mode": session.mode, **session.request})
            facts, rules = parts.desk.settle(wish_of(wanted))
            if why is None:
                parts.lobby.create(session.id, facts, rules)
        except (CannotServe, NoRoom) as error:
            why = str(error)
        if why is not None:
            await parts.store.write(end_session, session.id, str(EndReason.TIMEOUT), why)


# ── steered ──────────────────────────────────────────────────────────────────────


@router.post(
    "/{session_id}/end",
    summary="End a session",
    response_model=SessionObject,
    responses=errors(404, 409, 503),
    openapi_extra=needs("sessions:write", idempotent=True),
)
async def end(session_id: str, request: Request) -> Response:
    """Drops the calls; recording and transcript are finished soon after. Ending it again changes nothing."""
    parts = parts_of(request)
    detail = "asked by a client"
    session = await parts.store.write(end_session, session_id, str(EndReason.EXPLICIT_END), detail)
    if session is None:
        raise not_found("session", session_id)
    parts.lobby.end(session_id, EndReason.EXPLICIT_END, detail)
    return answer(session_json(session))


@router.post(
    "/{session_id}/dial",
    status_code=201,
    summary="Add a party by calling it",
    response_model=CallObject,
    responses=errors(400, 404, 409, 422, 502, 503),
    openapi_extra=needs("sessions:write", idempotent=True),
)
async def dial(session_id: str, body: Dial, request: Request) -> Response:
    """Calls a number or a SIP address, and answers when it has answered; 502 with the SIP status when it did not."""
    parts = parts_of(request)
    session = await _open(parts, session_id)
    dialling = _dialling(parts, session, body)
    return await _reached(session, parts.lobby.dial(session_id, Party(body.role), dialling))


@router.post(
    "/{session_id}/transfer",
    status_code=201,
    summary="Put somebody else in a party's place",
    response_model=CallObject,
    responses=errors(400, 404, 409, 422, 502, 503),
    openapi_extra=needs("sessions:write", idempotent=True),
)
async def transfer(session_id: str, body: Transfer, request: Request) -> Response:
    """Calls the new party, and drops the old one when it has answered; if it does not, the old one stays."""
    parts = parts_of(request)
    session = await _open(parts, session_id)
    if body.mode == "attended":
        raise invalid("mode", 'is "attended", which this version does not have; write "cold"')
    dialling = _dialling(parts, session, body)
    return await _reached(session, parts.lobby.transfer(session_id, Party(body.role), dialling))


@router.post(
    "/{session_id}/hangup",
    summary="Drop one party",
    response_model=CallObject,
    responses=errors(400, 404, 409),
    openapi_extra=needs("sessions:write"),
)
async def hang_up(session_id: str, body: HangUp, request: Request) -> Response:
    """The session stays; another party can be dialled."""
    parts = parts_of(request)
    session = await _open(parts, session_id)
    try:
        leg = parts.lobby.hang_up(session_id, Party(body.role))
    except PartyBusy as error:
        raise ApiError(409, "party_unavailable", str(error), param="role") from None
    except NoSuchSession:
        raise _over(session) from None
    return answer(_call_json(session_id, leg))


async def _open(parts: Parts, session_id: str) -> Session:
    session = await find(parts, session_id)
    if session.status == sessions.ENDED:
        raise _over(session)
    return session


def _over(session: Session) -> ApiError:
    return ApiError(
        409, "session_ended", f"session {session.id} has ended, or runs on another server; create a new one"
    )


def _dialling(parts: Parts, session: Session, body: Dial | Transfer) -> Dialling:
    wish = wish_of({"mode": session.mode, **session.request})
    is_number = body.from_ is not None and body.from_.startswith("+")
    try:
        return parts.desk.dialling(
            body.to,
            trunk=wish.trunk,
            from_=None if is_number else body.from_ or wish.from_,
            number=body.from_ if is_number else wish.number,
            headers=(*wish.headers, *(body.headers or {}).items()),
            ring_s=body.timeout_s,
        )
    except CannotServe as error:
        raise ApiError(422, error.code, str(error), param=error.param) from None


async def _reached(session: Session, dialled: Awaitable[Leg]) -> Response:
    try:
        leg = await dialled
    except DialFailed as error:
        message = f"to: could not be reached: SIP {error.status} {error.reason}"
        raise ApiError(502, "dial_failed", message, param="to") from None
    except PartyBusy as error:
        raise ApiError(409, "party_unavailable", str(error), param="role") from None
    except NoRoom as error:
        raise _full(error) from None
    except NoSuchSession:
        raise _over(session) from None
    return answer(_call_json(session.id, leg), 201)


def _full(error: NoRoom) -> ApiError:
    return ApiError(
        503,
        "capacity_exceeded",
        f"no session can be taken now: {str(error).replace('_', ' ')}; try again later",
        retry_after_s=error.retry_after_s,
    )


def _call_json(session_id: str, leg: AnyLeg) -> Json:
    """A call as it is now; the store may hear of it a moment later."""
    status = {LegState.ANSWERED: "answered", LegState.ENDED: "ended" if leg.connected else "failed"}
    return {
        "id": leg.call_id,
        "object": "call",
        "session_id": session_id,
        "role": str(leg.party),
        "direction": leg.direction,
        "status": status.get(leg.state, "ringing"),
        "to": leg.to,
        "from": leg.from_,
        "sip_status": leg.ended.result().status or None if leg.ended.done() else None,
        "created_at": leg.since[LegState.EARLY],
        "answered_at": leg.since.get(LegState.ANSWERED),
        "ended_at": leg.since.get(LegState.ENDED),
    }
