"""All sessions of this server: a call comes in, a route says what it is, a session runs it.

The registry is the only place that knows which SIP call and which media leg belong to
which session. Whatever goes wrong inside a session ends that session and no other.
"""

from __future__ import annotations

import asyncio
import math
import shutil
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from dataclasses import dataclass
from typing import Any

from kallglot_media.call.answering import Answering
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.bridge import Bridge, BridgeRules
from kallglot_media.call.events import SessionCreated
from kallglot_media.call.leg import Leg, LegState, session_of
from kallglot_media.call.services import Service, ServiceRules
from kallglot_media.call.session import Session
from kallglot_media.call.world import EndReason, SessionFacts, World
from kallglot_media.log import CallLog, logger
from kallglot_media.media.link import MediaError
from kallglot_media.media.messages import FromMedia, PlaneStats, RecordingGap, SessionClosed
from kallglot_media.modes.plan import Party
from kallglot_media.sdp.answer import make_answer
from kallglot_media.sdp.types import NotAcceptable, SdpError
from kallglot_media.sip.events import CallEnded, CallFailed, IncomingCall, SipEvent

RETRY_AFTER_S = 30
DISK_LOOK_S = 0.1
"""So often it is looked how much room there is on the disk; clients make hundreds of sessions a second."""


@dataclass(frozen=True, slots=True)
class Destination:
    """What a route leads to: session.json's facts and the rules of the scenario."""

    facts: SessionFacts
    rules: BridgeRules | ServiceRules | AnsweringRules


@dataclass(frozen=True, slots=True)
class RegistryRules:
    """max_calls: sessions at the same time; min_free_bytes: with less room on the disk no call is taken.

    why_no_room  why the engines could not serve one call more than so many; None when they could
    """

    max_calls: int
    min_free_bytes: int
    why_no_room: Callable[[int], str | None] = lambda calls: None


Outcome = tuple[EndReason, str]
SessionEvent = RecordingGap | SessionClosed


class Registry:
    """See the module.

    called  called(incoming) says who is called
    route   route(called, incoming) gives the destination, or None for 404
    """

    def __init__(
        self,
        world: Callable[[Callable[[str, Leg], None]], World],
        rules: RegistryRules,
        route: Callable[[str, IncomingCall], Destination | None],
        called: Callable[[IncomingCall], str] = lambda incoming: incoming.request.uri.user_text or "",
    ) -> None:
        self.counters: Counter[str] = Counter()
        self.draining = False
        self.world = world(self._bind)
        self._rules = rules
        self._route = route
        self._called = called
        self._sessions: dict[str, Session] = {}
        self._legs: dict[str, Leg] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._take_call: Callable[[str, IncomingCall], bool] = lambda called, incoming: False
        self._log = logger("registry")
        self._disk_seen_s = -math.inf
        self._disk_says: str | None = None

    @property
    def open_sessions(self) -> int:
        """How many sessions run now."""
        return len(self._sessions)

    def session(self, session_id: str) -> Session | None:
        """A session that runs now."""
        return self._sessions.get(session_id)

    def asks(self, take_call: Callable[[str, IncomingCall], bool]) -> None:
        """Ask this about every call first: take_call(called, incoming) is True when it has dealt with it."""
        self._take_call = take_call

    # ── SIP ──────────────────────────────────────────────────────────────────────

    def on_sip(self, event: SipEvent) -> None:
        """Take one event of the SIP agent. Never raises: a mistake of ours ends the call it was about."""
        try:
            self._take_sip(event)
        except Exception as error:
            CallLog(event.call).failed("bug", error)
            self.counters["bugs"] += 1
            if (leg := self._legs.get(event.call)) is not None:
                self._end_for_bug(session_of(leg.leg_id), error)
            elif isinstance(event, IncomingCall):
                self.world.signalling.reject(event.call, 500)

    def _end_for_bug(self, session_id: str, error: Exception) -> None:
        session = self._sessions.get(session_id)
        if session is not None:
            session.end(EndReason.ERROR, f"{type(error).__name__} in the session")

    def _take_sip(self, event: SipEvent) -> None:
        if isinstance(event, IncomingCall):
            self._incoming(event)
            return
        leg = self._legs.get(event.call)
        if leg is None:
            self.counters["sip_event_without_leg"] += 1
            return
        leg.on_sip(event)
        if isinstance(event, CallEnded | CallFailed):
            self._legs.pop(event.call, None)

    def _take_over(self, incoming: IncomingCall, replaced: str) -> None:
        """A call that takes the place of another, as an attended transfer ends: the leg stays, its peer is new."""
        leg = self._legs.get(replaced)
        if leg is None or leg.state is not LegState.ANSWERED:
            self.refuse(incoming, 481, "nothing to replace")
            return
        try:
            answer = leg.take_over(incoming.call, incoming.source, incoming.offer, self.world.ids.rtp_timestamp())
        except SdpError as error:
            self.refuse(incoming, 400, "sdp", (("Warning", f'399 kallglot "{str(error).replace(chr(34), chr(39))}"'),))
            return
        except NotAcceptable as error:
            self.refuse(incoming, 488, "not_acceptable", (("Warning", error.warning()),))
            return
        self._legs.pop(replaced, None)
        self.world.signalling.answer(incoming.call, answer)
        session = self._sessions.get(session_of(leg.leg_id))
        if session is not None:
            session.event("replaced", speaker=leg.party)

    def _bind(self, sip_call: str, leg: Leg) -> None:
        self._legs[sip_call] = leg

    def _incoming(self, incoming: IncomingCall) -> None:
        if incoming.replaces is not None:
            self._take_over(incoming, incoming.replaces)
            return
        called = self._called(incoming)
        if self._take_call(called, incoming):
            return
        refusal = self.why_full()
        if refusal is not None:
            self.refuse(incoming, 503, refusal, (("Retry-After", str(RETRY_AFTER_S)),))
            return
        destination = self._route(called, incoming)
        if destination is None:
            self.refuse(incoming, 404, "no route")
            return
        if incoming.offer is not None and not self.can_do(incoming):
            return
        session_id = self.world.ids.object_id("sess")
        try:
            session = Session(self.world, session_id, destination.facts)
        except OSError as error:
            self._log.error("no session folder", why=str(error), mend="make room or make data_dir writable")
            self.refuse(incoming, 503, "storage", (("Retry-After", str(RETRY_AFTER_S)),))
            return
        facts = destination.facts
        self.world.bus.publish(
            SessionCreated(
                session_id, facts.mode, "sip", facts.called, facts.source_language, facts.target_language, facts.keep
            )
        )
        self.adopt(session, self._play_out(session, incoming, destination))

    def engines_stepped(self, given_up: str) -> None:
        """Every session is told what the engines give up from now on: "all" is none of it."""
        for session in self._sessions.values():
            session.event("engines.busy" if given_up != "all" else "engines.calm", given_up=given_up)

    def why_full(self) -> str | None:
        """Why no call is taken now, or None."""
        if self.draining:
            return "draining"
        if len(self._sessions) >= self._rules.max_calls:
            return "max_calls"
        if (why := self._rules.why_no_room(len(self._sessions))) is not None:
            return why
        now_s = asyncio.get_running_loop().time()
        if now_s - self._disk_seen_s > DISK_LOOK_S:
            self._disk_seen_s, self._disk_says = now_s, self._why_no_disk()
        return self._disk_says

    def _why_no_disk(self) -> str | None:
        try:
            free_bytes = shutil.disk_usage(self.world.sessions_dir).free
        except OSError as error:  # unmounted, or removed by somebody
            self._log.error("call", sign="x", why=f"no sessions folder: {error}", mend="put data_dir back")
            return "storage"
        if free_bytes < self._rules.min_free_bytes:
            self._log.error("call", sign="x", why="disk nearly full", mend="make room or lower recording.min_free_mb")
            return "disk_full"
        return None

    def can_do(self, incoming: IncomingCall) -> bool:
        """Whether the offer can be answered at all, before a port and a folder are spent on it."""
        assert incoming.offer is not None
        try:
            make_answer(incoming.offer, self.world.home.probe(incoming.source))
        except SdpError as error:
            warning = f'399 kallglot "{str(error).replace(chr(34), chr(39))}"'
            self.refuse(incoming, 400, "sdp", (("Warning", warning),), detail=str(error))
            return False
        except NotAcceptable as error:
            self.refuse(incoming, 488, "not_acceptable", (("Warning", error.warning()),), detail=str(error))
            return False
        return True

    def refuse(
        self,
        incoming: IncomingCall,
        status: int,
        why: str,
        headers: tuple[tuple[str, str], ...] = (),
        *,
        detail: str | None = None,
    ) -> None:
        """Reject a call; counted under `refused_<why>`."""
        self.counters[f"refused_{why.replace(' ', '_')}"] += 1
        more = {} if detail is None else {"detail": detail}
        self._log.info("call", sign="x", why=why, status=status, source=incoming.source.host, **more)
        self.world.signalling.reject(incoming.call, status, headers=headers)

    # ── running a session ────────────────────────────────────────────────────────

    def adopt(self, session: Session, scenario: Coroutine[Any, Any, Outcome]) -> None:
        """Run a session's scenario to its end, and close it."""
        self._sessions[session.session_id] = session
        self.own(self._run(session, scenario), session.session_id)

    def own(self, work: Coroutine[Any, Any, None], name: str) -> None:
        """Run something that the server waits for when it stops."""
        task = asyncio.create_task(work, name=name)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def _run(self, session: Session, scenario: Coroutine[Any, Any, Outcome]) -> None:
        outcome: Outcome = (EndReason.ERROR, "cancelled")
        try:
            outcome = await scenario
        except Exception as error:
            # Ours: it is told in full, it ends this session, and the server goes on.
            session.log.failed("bug", error)
            outcome = (EndReason.ERROR, f"{type(error).__name__} in the session")
        finally:
            try:
                await session.close(*outcome)
            except Exception as error:
                session.log.failed("bug while closing", error)
            self._forget(session)

    async def _play_out(self, session: Session, incoming: IncomingCall, destination: Destination) -> Outcome:
        session.open()
        leg = session.new_leg(Party.CUSTOMER)
        leg.take_call(incoming.call, incoming.source)
        try:
            await leg.open()
            answer = leg.take_offer(incoming.offer)
        except MediaError as error:
            self.refuse(incoming, 503, "no_port", (("Retry-After", str(RETRY_AFTER_S)),))
            leg.rejected_by_us(503, str(error))
            return EndReason.ERROR, str(error)
        if leg.ended.done():
            return EndReason.CUSTOMER_HANGUP, "the customer hung up at once"
        rules = destination.rules
        if isinstance(rules, ServiceRules):
            return await Service(session, leg, answer, rules).run()
        if isinstance(rules, AnsweringRules):
            return await Answering(session, leg, answer, rules).run()
        return await Bridge(session, leg, answer, rules).run()

    def _forget(self, session: Session) -> None:
        self._sessions.pop(session.session_id, None)
        for leg in session.parties.every:
            if leg.sip_call is not None:
                self._legs.pop(leg.sip_call, None)

    # ── media ────────────────────────────────────────────────────────────────────

    def on_media(self, event: FromMedia) -> None:
        """Take one event of the media plane. Never raises, like `on_sip`."""
        if isinstance(event, PlaneStats):
            return  # about no session
        session_id = event.session_id if isinstance(event, SessionEvent) else session_of(event.leg_id)
        session = self._sessions.get(session_id)
        if session is None:
            return
        try:
            session.on_media(event)
        except Exception as error:
            session.log.failed("bug", error)
            self.counters["bugs"] += 1
            self._end_for_bug(session_id, error)

    def media_died(self, session_ids: Iterable[str]) -> None:
        """Their media process is gone: these calls end, their recordings are repaired afterwards."""
        for session_id in session_ids:
            if (session := self._sessions.get(session_id)) is not None:
                session.media_died()

    # ── the end ──────────────────────────────────────────────────────────────────

    async def drain(self, limit_s: float) -> bool:
        """Take no new calls and wait for the live ones; False when some still run after `limit_s`."""
        self.draining = True
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit_s)
        return not self._tasks

    async def end_all(self, detail: str, limit_s: float) -> None:
        """End every session now and wait until their files are closed."""
        self.draining = True
        for session in list(self._sessions.values()):
            session.end(EndReason.EXPLICIT_END, detail)
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=limit_s)
        for task in set(self._tasks):
            task.cancel()
        if self._tasks:
            await asyncio.wait(set(self._tasks), timeout=1.0)
