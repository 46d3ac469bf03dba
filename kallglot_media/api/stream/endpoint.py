"""wss …/v1/sessions/{id}/connect: lets a client in, moves its frames, and closes with the code that says why."""

from __future__ import annotations

import asyncio
import contextlib
from dataclasses import dataclass

from starlette.websockets import WebSocket, WebSocketDisconnect

from kallglot_media.api.parts import Parts
from kallglot_media.api.stream import events
from kallglot_media.api.stream.client import Client, HungUpByCarrier, Told
from kallglot_media.api.stream.framing import BadMessage
from kallglot_media.api.stream.hall import HallFull
from kallglot_media.api.stream.native import Native
from kallglot_media.api.stream.opening import (
    IDLE,
    NO_SESSION,
    NORMAL,
    OVERLOADED,
    TAKEN,
    Door,
    Opening,
    Refused,
    is_subscribe,
    receive_text,
)
from kallglot_media.call.events import SessionEnded
from kallglot_media.call.lobby import NoRoom, NoSuchSession
from kallglot_media.call.room import StreamTaken
from kallglot_media.call.session import Session
from kallglot_media.call.stream_leg import StreamLeg
from kallglot_media.call.world import EndReason
from kallglot_media.log import CallLog
from kallglot_media.modes.plan import Party
from kallglot_media.store import sessions
from kallglot_media.store.errors import StoreUnavailable

LOOK_S = 1.0
"""How often it is looked whether a client is idle, or lets too much pile up."""

CLOSE_S = 2.0
"""A client that does not take the close frame in this time is cut off."""

_GOODBYE = 1000
_LONGEST_REASON_BYTES = 123  # RFC 6455 section 5.5

Outcome = tuple[EndReason, str]


@dataclass(frozen=True, slots=True)
class Farewell:
    """How a connection ends. over: what becomes of the parties it carried; None: it may come back for them."""

    close_code: int | None
    reason: str
    over: Outcome | None = None


async def connect(ws: WebSocket) -> None:
    """One connection, from its first byte to its last."""
    parts: Parts = ws.app.state.parts
    session_id = str(ws.path_params["session_id"])
    log = CallLog(session_id[:40])
    await ws.accept()
    try:
        with parts.hall.stranger():
            opening = await _door(ws, parts, session_id).open()
        with parts.hall.client(session_id):
            await Connection(ws, parts, session_id, opening, log).run()
    except HallFull as error:
        await _refuse(ws, log, Refused(OVERLOADED, "capacity_exceeded", str(error)))
    except Refused as refused:
        parts.hall.counters[f"stream_refused_{refused.close_code}"] += 1
        await _refuse(ws, log, refused)
    except WebSocketDisconnect:
        return


def _door(ws: WebSocket, parts: Parts, session_id: str) -> Door:
    most_bytes = parts.settings.stream.largest_frame_kb * 1024
    return Door(ws, session_id, parts.stream_secret, parts.store.now_ms(), most_bytes)


async def _refuse(ws: WebSocket, log: CallLog, refused: Refused) -> None:
    log.drop("stream", code=refused.close_code, why=refused.code)
    error = Native.text("session.error", {"code": refused.code, "message": str(refused)})
    await _close(ws, refused.close_code, str(refused), error)


async def _close(ws: WebSocket, code: int, reason: str, *last: str) -> None:
    with contextlib.suppress(TimeoutError, WebSocketDisconnect, RuntimeError):
        async with asyncio.timeout(CLOSE_S):
            for text in last:
                await ws.send_text(text)
            await ws.close(code, reason.encode()[:_LONGEST_REASON_BYTES].decode(errors="ignore"))


class Connection:
    """One client that has been let in."""

    def __init__(self, ws: WebSocket, parts: Parts, session_id: str, opening: Opening, log: CallLog) -> None:
        self._ws = ws
        self._parts = parts
        self._lobby = parts.lobby
        self._session_id = session_id
        self._opening = opening
        self._log = log
        self._settings = parts.settings.stream
        self._most_bytes = self._settings.largest_frame_kb * 1024
        self._loop = asyncio.get_running_loop()
        self._last_s = self._loop.time()
        self._is_first = True
        self._fate: asyncio.Future[Farewell] = self._loop.create_future()

    async def run(self) -> None:
        """Raises Refused, WebSocketDisconnect."""
        try:
            self._lobby.facts(self._session_id)
        except NoSuchSession:
            await self._say_where_it_is()
            return
        self._client = Client(
            self._lobby, self._session_id, self._opening.framing or Native(self._lobby.audio(self._session_id))
        )
        legs = await self._seats()
        self._client.carry(legs) if legs else self._client.listen_only(self._claim)
        client, clients = self._client, self._lobby.clients(self._session_id)
        with self._parts.bus.subscribe(self._session_id, client.mailbox), clients.attached(client.wants):
            self._greeting = self._greet()
            self._log.into("stream", carries=list(map(str, client.legs)), framing=type(client.framing).__name__)
            farewell = Farewell(None, "the server stops")
            try:
                farewell = await self._serve()
            finally:
                if client.legs:
                    self._lobby.release_stream(self._session_id, client.legs, over=farewell.over)
        self._log.state("stream.closed", code=farewell.close_code, why=farewell.reason, **client.counters)
        self._parts.hall.counters.update({f"stream_{name}": count for name, count in client.counters.items()})
        if farewell.close_code is not None:
            await _close(self._ws, farewell.close_code, farewell.reason)

    # ── coming in ────────────────────────────────────────────────────────────────

    async def _say_where_it_is(self) -> None:
        """It does not run here: over, on another server, or never was."""
        try:
            session = await self._parts.store.read(sessions.get, self._session_id)
        except StoreUnavailable as error:
            raise Refused(OVERLOADED, "service_unavailable", "the database cannot be reached now; try again") from error
        if session is None:
            raise Refused(NO_SESSION, "session_not_found", "there is no such session; POST /v1/sessions makes one")
        if session.status != sessions.ENDED:
            raise Refused(NO_SESSION, "session_not_found", "the session runs on another server")
        over = Native.text("session.ended", {"session_id": session.id, "reason": session.end_reason})
        await _close(self._ws, NORMAL, "the session has ended", over)

    async def _seats(self) -> dict[Party, StreamLeg]:
        """The legs that the client carries; none: it listens. Raises Refused."""
        opening = self._opening
        if opening.listens:
            return {}
        try:
            return self._lobby.connect_stream(self._session_id, opening.roles)
        except NoRoom as error:
            raise Refused(OVERLOADED, "capacity_exceeded", f"no session can start now: {error}") from None
        except NoSuchSession:
            raise Refused(NO_SESSION, "session_not_found", "the session has just ended") from None
        except StreamTaken as taken:
            if opening.roles is None and opening.first is None:
                first = await _door(self._ws, self._parts, self._session_id).second_first()
                if first is not None and is_subscribe(first):
                    self._opening = Opening(None, None, listens=True, after=opening.after, first=first)
                    return {}
            raise Refused(
                TAKEN,
                "party_unavailable",
                f"already connected: {taken}; to listen only, connect with listen=true or send subscribe first",
            ) from None

    def _claim(self) -> dict[Party, StreamLeg]:
        """A client that began with subscribe sends sound after all. Raises BadMessage."""
        try:
            return self._lobby.connect_stream(self._session_id, self._opening.roles)
        except (StreamTaken, NoRoom, NoSuchSession) as error:
            raise BadMessage("party_unavailable", f"speaker: this client can only listen: {error}", "speaker") from None

    def _greet(self) -> list[Told]:
        """session.ready, and the finals that it missed; not through its mailbox, which may not hold them all."""
        facts, session = self._lobby.facts(self._session_id), self._lobby.session(self._session_id)
        audio = self._lobby.audio(self._session_id)
        ready = {
            "session_id": self._session_id,
            "status": "active" if session is not None and session.started else "created",
            "mode": facts.mode,
            "source_language": facts.source_language,
            "target_language": facts.target_language,
            "speakers": list(map(str, self._client.legs)),
            "connected": [] if session is None else _connected(session),
            "audio": {"encoding": audio.encoding, "sample_rate_hz": audio.rate_hz},
        }
        after, missed = self._opening.after, []
        if session is not None and after is not None:
            missed = [Told("transcript.final", events.turn(turn)) for turn in session.turns_after(after)]
        return [Told("session.ready", ready), *missed]

    # ── while it is there ────────────────────────────────────────────────────────

    async def _serve(self) -> Farewell:
        """Move frames both ways until something ends it."""
        tasks = {asyncio.create_task(work, name="stream") for work in (self._read(), self._write())}
        for task in tasks:
            task.add_done_callback(self._done)
        self._looking = self._loop.call_later(LOOK_S, self._look)
        try:
            return await self._fate
        finally:
            self._looking.cancel()
            for task in tasks:
                task.cancel()
            await asyncio.gather(*tasks, return_exceptions=True)

    def _done(self, task: asyncio.Task[Farewell]) -> None:
        if task.cancelled() or self._fate.done():
            return
        error = task.exception()
        if error is None:
            self._fate.set_result(task.result())
        elif isinstance(error, WebSocketDisconnect):
            self._fate.set_result(_of_disconnect(error))
        elif isinstance(error, Refused):
            self._fate.set_result(Farewell(error.close_code, str(error)))
        else:
            self._log.failed("bug", error, task=task.get_name())
            self._fate.set_result(Farewell(1011, "a mistake of the server"))

    def _look(self) -> None:
        """Once a second: idle, or a reader that lets too much pile up?"""
        self._looking = self._loop.call_later(LOOK_S, self._look)
        if self._fate.done():
            return
        if self._client.mailbox.overflowed:
            self._fate.set_result(Farewell(OVERLOADED, "this client does not read: more waits for it than can be kept"))
        elif self._client.legs and self._loop.time() - self._last_s > self._settings.idle_s:
            why = f"nothing came from this client for {self._settings.idle_s:g} s"
            self._fate.set_result(Farewell(IDLE, why, (EndReason.TIMEOUT, why)))

    async def _read(self) -> Farewell:
        client = self._client
        if self._opening.first is not None:
            self._take(self._opening.first)
        while True:
            try:
                text = await receive_text(self._ws, self._most_bytes)
            except BadMessage as error:
                client.complain(error)
                continue
            self._last_s = self._loop.time()
            try:
                self._take(text)
            except HungUpByCarrier as gone:
                return Farewell(NORMAL, "the phone hung up", (gone.reason, "hung up at the carrier"))

    def _take(self, text: str) -> None:
        if self._is_first:
            self._is_first = False
            self._step_down(text)
        self._client.take_text(text)

    def _step_down(self, first: str) -> None:
        """A client whose first message is subscribe only listens, even if that came late."""
        client = self._client
        if client.legs and self._opening.roles is None and is_subscribe(first):
            self._lobby.vacate_stream(self._session_id, client.legs)
            client.listen_only(self._claim)

    async def _write(self) -> Farewell:
        client, send = self._client, self._ws.send_text
        for told in self._greeting:
            for frame in client.frames(told):
                await send(frame)
        while (item := await client.mailbox.take()) is not None:
            for frame in client.frames(item):
                await send(frame)
            if isinstance(item, SessionEnded):
                return Farewell(NORMAL, f"the session has ended: {item.reason}")
        return Farewell(OVERLOADED, "this client does not read: more waits for it than can be kept")


def _connected(session: Session) -> list[dict[str, str]]:
    legs = (leg for leg in session.legs.values() if session.parties.connected(leg.party))
    return [{"speaker": str(leg.party), "provider": leg.provider} for leg in legs]


def _of_disconnect(gone: WebSocketDisconnect) -> Farewell:
    """Who says goodbye does not come back; a page that is left (1001) or a line that breaks may."""
    if gone.code == _GOODBYE:
        return Farewell(None, "closed by the client", (EndReason.COMPLETED, "the client closed its connection"))
    return Farewell(None, f"gone with {gone.code}")
