"""What clients do with sessions: make them, end them, add and drop parties, connect by a WebSocket.

A session made by a client is a Room from the start and becomes a Session when the first party
comes. Sessions that a call made can be ended, watched, and have their parties dialled too.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping
from dataclasses import dataclass

from kallglot_media.call.clients import Clients
from kallglot_media.call.dialling import PartyBusy, dial_party, transfer_party
from kallglot_media.call.events import SessionCreated, SessionEnded
from kallglot_media.call.leg import Leg
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.ports import SipHeaders
from kallglot_media.call.registry import RETRY_AFTER_S, Registry
from kallglot_media.call.room import Room, RoomRules, StreamTaken
from kallglot_media.call.session import Session
from kallglot_media.call.stream_leg import TELEPHONE, StreamAudio, StreamLeg
from kallglot_media.call.world import EndReason, SessionFacts
from kallglot_media.media.link import MediaError
from kallglot_media.modes.plan import Party
from kallglot_media.sdp.types import NotAcceptable, SdpError
from kallglot_media.sip.events import IncomingCall
from kallglot_media.sip.settings import Credentials

MOST_WAITING = 10_000
"""Sessions that nobody has come to yet."""

SESSION_USER = "sess_"
"""How the user part of a request-URI starts that names a session."""


class NoSuchSession(Exception):
    """It does not run here: it never was, or is over."""


class NoRoom(Exception):
    """No session can be taken now: `str()` says why. retry_after_s: when to try again."""

    def __init__(self, why: str) -> None:
        super().__init__(why)
        self.retry_after_s = RETRY_AFTER_S


@dataclass(frozen=True, slots=True)
class Dialling:
    """How to reach somebody. headers: put on the INVITE."""

    to: str
    from_: str
    credentials: Credentials | None
    headers: SipHeaders
    ring_s: float


class Lobby:
    """See the module. One for each Registry, which asks it first about every call."""

    def __init__(self, registry: Registry) -> None:
        self.counters: Counter[str] = registry.counters
        self._registry = registry
        self._rooms: dict[str, tuple[Room, SessionFacts]] = {}
        registry.asks(self._take_call)
        registry.world.bus.listen(self._forget_ended)

    def _forget_ended(self, event: object) -> None:
        if isinstance(event, SessionEnded) and (there := self._rooms.pop(event.session_id, None)) is not None:
            there[0].close()

    # ── made and ended ───────────────────────────────────────────────────────────

    def why_full(self) -> str | None:
        """Why no session could be made now, or None."""
        if (why := self._registry.why_full()) is not None:
            return why
        return "too_many_waiting" if len(self._rooms) >= MOST_WAITING else None

    def create(self, session_id: str, facts: SessionFacts, rules: RoomRules) -> None:
        """Make a session that waits for its parties. Raises NoRoom."""
        if (why := self.why_full()) is not None:
            raise NoRoom(why)
        self._rooms[session_id] = Room(session_id, rules, self._enter, self._idle_too_long), facts
        self._registry.world.bus.publish(
            SessionCreated(
                session_id, facts.mode, "api", facts.called, facts.source_language, facts.target_language, facts.keep
            )
        )

    def _enter(self, room: Room) -> Session:
        """The first party comes: only now the session is one of sip.max_calls. Raises NoRoom, OSError."""
        if (why := self._registry.why_full()) is not None:
            raise NoRoom(why)
        _, facts = self._rooms[room.session_id]
        session = Session(self._registry.world, room.session_id, facts)
        session.open()
        self._registry.adopt(session, room.run())
        return session

    def _idle_too_long(self, room: Room) -> None:
        self.end(room.session_id, EndReason.TIMEOUT, f"nobody came within {room.rules.idle_s:g} s")

    def end(self, session_id: str, reason: EndReason, detail: str) -> bool:
        """End a session: at once when nobody is there, else as soon as all is written down. False: not here."""
        if (session := self._registry.session(session_id)) is not None:
            session.end(reason, detail)
            return True
        if session_id not in self._rooms:
            return False
        self._registry.world.bus.publish(SessionEnded(session_id, str(reason), detail, started=False, duration_ms=0))
        return True

    def end_all(self, detail: str) -> None:
        """End the sessions that nobody has come to; those with parties are the registry's to end."""
        for session_id in list(self._rooms):
            if self._registry.session(session_id) is None:
                self.end(session_id, EndReason.EXPLICIT_END, detail)

    @property
    def waiting(self) -> int:
        """Sessions that nobody has come to yet."""
        return sum(room.session is None for room, _ in self._rooms.values())

    def session(self, session_id: str) -> Session | None:
        """The running session, None when nobody has come yet. Raises NoSuchSession."""
        session = self._registry.session(session_id)
        if session is None and session_id not in self._rooms:
            raise NoSuchSession(session_id)
        return session

    # ── parties ──────────────────────────────────────────────────────────────────

    async def dial(self, session_id: str, party: Party, dialling: Dialling) -> Leg:
        """Add a party, once it has answered. Raises NoSuchSession, NoRoom, PartyBusy, DialFailed."""
        d = dialling
        if (there := self._rooms.get(session_id)) is not None:
            room = there[0]
            try:
                return await room.dial(party, d.to, d.from_, d.headers, d.credentials, d.ring_s)
            except OSError as error:
                raise NoRoom(str(error)) from error
        session = self._running(session_id)
        if party in session.legs:
            raise PartyBusy(f"the {party} is connected already; hang up or transfer instead")
        return await dial_party(
            session, party, d.to, d.from_, headers=d.headers, credentials=d.credentials, ring_s=d.ring_s
        )

    async def transfer(self, session_id: str, party: Party, dialling: Dialling) -> Leg:
        """Put somebody else in a party's place. Raises NoSuchSession, PartyBusy, DialFailed."""
        d, session = dialling, self._running(session_id)
        return await transfer_party(
            session, party, d.to, d.from_, headers=d.headers, credentials=d.credentials, ring_s=d.ring_s
        )

    def hang_up(self, session_id: str, party: Party) -> AnyLeg:
        """Drop one party; the session stays. Raises NoSuchSession, PartyBusy when it is not there."""
        session = self._running(session_id)
        leg = session.legs.get(party)
        if leg is None or not session.parties.drop(party, "hung up by the API"):
            raise PartyBusy(f"the {party} is not connected")
        session.look_again()
        return leg

    def _running(self, session_id: str) -> Session:
        session = self.session(session_id)
        if session is None:
            raise PartyBusy("nobody is connected yet")
        return session

    def facts(self, session_id: str) -> SessionFacts:
        """What the session is. Raises NoSuchSession."""
        if (there := self._rooms.get(session_id)) is not None:
            return there[1]
        if (session := self._registry.session(session_id)) is not None:
            return session.facts
        raise NoSuchSession(session_id)

    def audio(self, session_id: str) -> StreamAudio:
        """How sound is coded on the session's stream."""
        there = self._rooms.get(session_id)
        return there[0].rules.audio if there is not None else TELEPHONE

    def seats_free(self, session_id: str) -> bool:
        """Whether a client could carry anybody's sound now."""
        there = self._rooms.get(session_id)
        return there is not None and there[0].has_free_seat

    def clients(self, session_id: str) -> Clients:
        """Those at the session's stream. Raises NoSuchSession."""
        self.facts(session_id)
        return self._registry.world.clients.of(session_id)

    def connect_stream(self, session_id: str, roles: Iterable[Party] | None = None) -> dict[Party, StreamLeg]:
        """A client carries the sound of these parties; None: of whom nobody else does.

        Raises NoSuchSession, StreamTaken, NoRoom.
        """
        there = self._rooms.get(session_id)
        if there is None:
            self.facts(session_id)
            raise StreamTaken("a call made this session, and its parties come by SIP")
        try:
            return there[0].connect_stream(roles)
        except OSError as error:
            raise NoRoom(str(error)) from error

    def vacate_stream(self, session_id: str, legs: Mapping[Party, StreamLeg]) -> None:
        """A client stays, but does not carry these parties any more; their places are free."""
        if (there := self._rooms.get(session_id)) is not None and there[0].session is not None:
            there[0].vacate_stream(legs)

    def release_stream(
        self, session_id: str, legs: Mapping[Party, StreamLeg], *, over: tuple[EndReason, str] | None
    ) -> None:
        """A client has gone; see Room.release_stream."""
        if (there := self._rooms.get(session_id)) is not None and there[0].session is not None:
            there[0].release_stream(legs, over=over)

    # ── SIP ──────────────────────────────────────────────────────────────────────

    def _take_call(self, called: str, incoming: IncomingCall) -> bool:
        """A call that names a session, or a number that a session waits for: whether it was one, and is dealt with."""
        room = self._room_of(called)
        if room is None:
            if called.startswith(SESSION_USER):
                self._registry.refuse(incoming, 404, "no such session")
                return True
            return False
        wanted = _role_of(incoming)
        party = room.seat(wanted)
        if party is None:
            self._registry.refuse(incoming, 486, "party is connected already")
        elif incoming.offer is None or self._registry.can_do(incoming):
            self._registry.own(self._put_through(room, incoming, party), f"{room.session_id} call")
        return True

    def _room_of(self, called: str) -> Room | None:
        if called.startswith(SESSION_USER):
            there = self._rooms.get(SESSION_USER + called.removeprefix(SESSION_USER).upper())
            return there[0] if there else None
        waiting = (room for room, _ in self._rooms.values() if room.session is None and room.rules.number is not None)
        return next((room for room in waiting if room.rules.number == called), None)

    async def _put_through(self, room: Room, incoming: IncomingCall, party: Party) -> None:
        try:
            await room.take_call(incoming, party)
        except NoRoom as error:
            self._registry.refuse(incoming, 503, str(error), (("Retry-After", str(error.retry_after_s)),))
        except (MediaError, OSError) as error:
            self._registry.refuse(incoming, 503, "no_port", (("Retry-After", str(RETRY_AFTER_S)),), detail=str(error))
        except (SdpError, NotAcceptable) as error:
            self._registry.refuse(incoming, 488, "not_acceptable", detail=str(error))


def _role_of(incoming: IncomingCall) -> Party | None:
    """`sip:sess_…@here;role=agent`, or the header X-Kallglot-Role; None: the first place that is free."""
    wanted = incoming.request.uri.param("role") or incoming.request.headers.first("X-Kallglot-Role")
    return Party(wanted) if wanted in (Party.CUSTOMER, Party.AGENT) else None
