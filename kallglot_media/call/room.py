"""The scenario of sessions that a client made: whoever comes, by SIP or by a WebSocket, in any order.

created ──▶ somebody comes ──▶ both there ──▶ last words ──▶ over
   │ nobody for idle_s           (interpreted)     ▲ a party hangs up
   └──▶ over (timeout)              └── a leg is dropped, dialled or transferred: the room stays

A customer whose call finds nobody is put through to the agent of the session's mode file, as a Bridge does it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.answering import Answering
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.bridge import LAST_WORDS_S, Bridge, BridgeRules
from kallglot_media.call.dialling import PartyBusy, other, transfer_party
from kallglot_media.call.direction import Direction
from kallglot_media.call.leg import Leg
from kallglot_media.call.parties import AnyLeg
from kallglot_media.call.ports import SipHeaders
from kallglot_media.call.session import Session
from kallglot_media.call.spoken import SpokenLanguages
from kallglot_media.call.stream_leg import TELEPHONE, StreamAudio, StreamLeg
from kallglot_media.call.subtitles import NO_SUBTITLES, LiveSubtitles, SubtitleRules, Subtitles
from kallglot_media.call.world import EndReason
from kallglot_media.media.link import MediaError
from kallglot_media.media.messages import Gains
from kallglot_media.modes.plan import SILENT, Party, Plan, Words
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.sip.events import EndedBy, IncomingCall
from kallglot_media.sip.settings import Credentials

PARTIES = (Party.CUSTOMER, Party.AGENT)
Outcome = tuple[EndReason, str]
BRIDGED_SPARE_S = 600.0


@dataclass(frozen=True, slots=True)
class RoomRules:
    """One session made by a client.

    languages  party -> its language; None: found out from what it says
    voices     language -> voice
    agent      how to reach the agent when a customer's call finds nobody; None: it waits for one to come
    number     the called number whose next call is this session's, or None
    caller     From: of the calls that we make
    headers    put on every call that we make
    policy     when words are passed on
    subtitles  what the agent's phone shows
    idle_s     after so long with nobody connected the session ends
    rejoin_s   a WebSocket that broke may come back within this time
    audio      how sound is coded on the WebSocket
    answering  how an AI answers the caller (who came by SIP, or not); None: two people talk
    """

    plan: Plan
    gains: Gains
    segment: SegmentRules
    languages: Mapping[Party, str | None]
    voices: Mapping[str, str | None]
    agent: Callable[[IncomingCall], BridgeRules] | None
    number: str | None
    caller: str
    headers: SipHeaders
    ring_s: float
    max_call_s: float
    idle_s: float
    rejoin_s: float
    audio: StreamAudio = TELEPHONE
    policy: Policy = TURN_BY_TURN
    subtitles: SubtitleRules = NO_SUBTITLES
    answering: Callable[[IncomingCall | None], AnsweringRules] | None = None

    @property
    def seats(self) -> tuple[Party, ...]:
        """The parties whose sound a client may carry from the start."""
        return (Party.CUSTOMER,) if self.plan.words is Words.ANSWER else PARTIES


class StreamTaken(Exception):
    """Another client, or a phone, already carries the sound of these parties."""


class Room:
    """One session, from before the first party comes. `enter` makes the Session; `over` is told when idle too long."""

    def __init__(
        self, session_id: str, rules: RoomRules, enter: Callable[[Room], Session], over: Callable[[Room], None]
    ) -> None:
        self.session_id = session_id
        self.rules = rules
        self.session: Session | None = None
        self._enter = enter
        self._loop = asyncio.get_running_loop()
        self._idle: asyncio.TimerHandle | None = self._loop.call_later(rules.idle_s, over, self)
        self._carried: set[Party] = set()
        self._rejoin: dict[Party, asyncio.TimerHandle] = {}
        self._bridge: asyncio.Future[Outcome] = self._loop.create_future()
        self._stream_end: Outcome | None = None
        self._started = False

    def enter(self) -> Session:
        """The session; made now if this is the first who comes. Raises OSError when there is no room on the disk."""
        if self.session is None:
            self.session = self._enter(self)
            self.session.sound.set_plan(SILENT)
            self.session.real_time_text = self.rules.subtitles.real_time_text
            self.close()
        return self.session

    def close(self) -> None:
        """Stop waiting for the first party."""
        if self._idle is not None:
            self._idle.cancel()
            self._idle = None

    # ── the scenario ─────────────────────────────────────────────────────────────

    async def run(self) -> Outcome:
        """The whole session, from the first party on; returns why and how it ended."""
        assert self.session is not None
        session, rules = self.session, self.rules
        started_s: float | None = None
        while True:
            limit_s = rules.idle_s
            if session.bridged:
                limit_s = rules.max_call_s + BRIDGED_SPARE_S  # whoever runs it ends it, and sooner
            elif started_s is not None and session.legs:
                limit_s = max(0.0, started_s + rules.max_call_s - self._loop.time())
            if not await session.until(self._has_news, limit_s):
                if started_s is not None and session.legs:
                    return EndReason.TIMEOUT, f"limits.max_call_s: {rules.max_call_s:g} s are over"
                return EndReason.TIMEOUT, f"for {rules.idle_s:g} s not both parties were connected"
            if session.stop.done():
                return session.stop.result()
            if self._bridge.done():
                return self._bridge.result()
            if (gone := session.parties.gone()) is not None:
                return await self._end_after(gone)
            self._start()
            started_s = self._loop.time()

    def _has_news(self) -> bool:
        assert self.session is not None
        session = self.session
        if session.stop.done() or self._bridge.done():
            return True
        if session.bridged:
            return False  # the bridge sees to it
        all_there = all(map(session.parties.connected, PARTIES))
        return session.parties.gone() is not None or (all_there and not self._started)

    def _start(self) -> None:
        assert self.session is not None
        self._started = True
        for party in PARTIES:
            self.session.sound.tone(party, None)
        self.session.sound.set_plan(self.rules.plan, self.rules.gains)
        subtitles = Subtitles(self.session, self.rules.subtitles)
        subtitles.watch()
        if Party.AGENT not in self.rules.plan.made and (language := self.rules.languages[Party.AGENT]) is not None:
            LiveSubtitles(self.session, language, subtitles).watch()
        self.session.interpreting.start(self._directions(), self.rules.segment, self.rules.policy)
        self.session.active()

    def _directions(self) -> list[Direction]:
        """Both ways are translated; words that nobody is to hear as made speech are for the transcript alone."""
        spoken = SpokenLanguages(self.rules.languages)
        return [
            Direction(
                talker,
                other(talker),
                self.rules.languages[talker],
                self.rules.languages[other(talker)],
                voices=dict(self.rules.voices),
                spoken=spoken,
                aloud=self.rules.plan.made.get(other(talker)) is talker,
            )
            for talker in PARTIES
        ]

    async def _end_after(self, gone: AnyLeg) -> Outcome:
        assert self.session is not None
        if isinstance(gone, StreamLeg) and self._stream_end is not None:
            return self._stream_end
        await self.session.interpreting.last_words(gone.party, LAST_WORDS_S)
        reason = EndReason.CUSTOMER_HANGUP if gone.party is Party.CUSTOMER else EndReason.AGENT_HANGUP
        return reason, gone.ended.result().reason or str(reason)

    # ── SIP ──────────────────────────────────────────────────────────────────────

    def seat(self, wanted: Party | None) -> Party | None:
        """The party that a call stands for: a place that is free, or only held by a silent stream."""
        for party in (wanted,) if wanted is not None else PARTIES:
            leg = self.session.legs.get(party) if self.session is not None else None
            if leg is None or (isinstance(leg, StreamLeg) and not leg.was_heard):
                return party
        return None

    async def take_call(self, incoming: IncomingCall, party: Party) -> None:
        """A call for `sip:<session id>@here`. Raises MediaError when there is no port for it."""
        session = self.enter()
        before = session.legs.get(party)
        leg = session.new_leg(party)
        leg.take_call(incoming.call, incoming.source)
        try:
            await leg.open()
        except MediaError:
            leg.rejected_by_us(503, "no port")
            session.parties.forget(leg, before)
            raise
        answer = leg.take_offer(incoming.offer)
        if before is not None:
            before.hang_up("its party came by SIP")
            before.close_media()
            self._carried.discard(party)
            self._stay(party)
        if leg.ended.done():
            return
        if self._answered_by_ai(party, leg, answer, incoming):
            return
        if party is Party.CUSTOMER and self.rules.agent is not None and self._nobody_but(party):
            session.bridged = True
            session.own(self._run_bridge(Bridge(session, leg, answer, self.rules.agent(incoming))), "bridge")
            return
        session.world.signalling.answer(incoming.call, answer)
        leg.answered_by_us()
        session.interpreting.listen_to(party)
        if not session.parties.connected(other(party)):
            session.sound.tone(party, "ringback")

    def _nobody_but(self, party: Party) -> bool:
        assert self.session is not None
        parties = self.session.parties
        return other(party) not in parties.legs and not parties.dialling

    async def _run_bridge(self, bridge: Bridge | Answering) -> None:
        self._bridge.set_result(await bridge.run())

    def _answered_by_ai(self, party: Party, leg: AnyLeg, answer: bytes | None, incoming: IncomingCall | None) -> bool:
        """Whether an AI takes this caller: once for each session."""
        assert self.session is not None
        if self.rules.answering is None or party is not Party.CUSTOMER or self.session.bridged:
            return False
        self.session.bridged = True
        scenario = Answering(self.session, leg, answer, self.rules.answering(incoming))
        self.session.own(self._run_bridge(scenario), "answering")
        return True

    async def dial(
        self, party: Party, to: str, from_: str, headers: SipHeaders, credentials: Credentials | None, ring_s: float
    ) -> Leg:
        """Add a party. Raises DialFailed, PartyBusy, OSError."""
        if self.seat(party) is None:
            raise PartyBusy(f"the {party} is connected already; hang up or transfer instead")
        session = self.enter()
        return await transfer_party(session, party, to, from_, headers=headers, credentials=credentials, ring_s=ring_s)

    # ── WebSocket ────────────────────────────────────────────────────────────────

    def connect_stream(self, roles: Iterable[Party] | None) -> dict[Party, StreamLeg]:
        """A client carries the sound of these parties; None: of all who have not come otherwise.

        Raises StreamTaken when one of them (or, with None, each) is carried by somebody else; OSError.
        """
        wanted = list(self.rules.seats if roles is None else roles)
        free = [party for party in wanted if self._is_free(party)]
        if not free or (roles is not None and len(free) < len(wanted)):
            raise StreamTaken(", ".join(party for party in wanted if party not in free))
        session = self.enter()
        legs = {}
        for party in free:
            self._carried.add(party)
            self._stay(party)
            leg = session.legs.get(party)
            if not isinstance(leg, StreamLeg):
                leg = session.parties.new_stream_leg(party)
                leg.open()
                if not self._answered_by_ai(party, leg, None, None):
                    session.interpreting.listen_to(party)
            legs[party] = leg
        session.look_again()
        return legs

    @property
    def has_free_seat(self) -> bool:
        """Whether a client could carry anybody's sound now."""
        return any(map(self._is_free, self.rules.seats))

    def _is_free(self, party: Party) -> bool:
        if party in self._carried:
            return False
        parties = self.session.parties if self.session is not None else None
        return parties is None or (party not in parties.dialling and not isinstance(parties.legs.get(party), Leg))

    def _stay(self, party: Party) -> None:
        """Nobody waits for the party's client to come back any more."""
        if (timer := self._rejoin.pop(party, None)) is not None:
            timer.cancel()

    def release_stream(self, legs: Mapping[Party, StreamLeg], *, over: Outcome | None) -> None:
        """A client with these legs has gone. over: why it does not come back; None: it may, within rejoin_s."""
        assert self.session is not None
        mine = {party: leg for party, leg in legs.items() if self.session.legs.get(party) is leg}
        for party, leg in mine.items():
            leg.unbind()
            self._carried.discard(party)
        if over is not None:
            self._drop_stream(mine, *over)
            return
        why = f"the client's connection broke and did not come back within {self.rules.rejoin_s:g} s"
        for party in mine:
            self._rejoin[party] = self._loop.call_later(self.rules.rejoin_s, self._not_back, party, why)

    def vacate_stream(self, legs: Mapping[Party, StreamLeg]) -> None:
        """A client does not carry these parties any more, which is no reason for the session to end."""
        assert self.session is not None
        for party, leg in legs.items():
            if self.session.legs.get(party) is leg:
                self._carried.discard(party)
                self.session.parties.drop(party, "its client only listens")

    def _not_back(self, party: Party, why: str) -> None:
        """Those who waited as long go with it: they had the same client."""
        assert self.session is not None
        now_s = self._loop.time()
        late = {other for other, timer in self._rejoin.items() if other is party or timer.when() <= now_s}
        for each in late:
            self._stay(each)
        legs = {each: leg for each, leg in self.session.legs.items() if each in late and isinstance(leg, StreamLeg)}
        self._drop_stream(legs, EndReason.TIMEOUT, why)

    def _drop_stream(self, legs: Mapping[Party, StreamLeg], reason: EndReason, why: str) -> None:
        """With the last parties goes the session, for their reason; else it ends as when one of two hangs up."""
        assert self.session is not None
        if legs and set(legs) == set(self.session.legs):
            self._stream_end = reason, why
        for leg in legs.values():
            leg.hang_up(why, by=EndedBy.REMOTE)
