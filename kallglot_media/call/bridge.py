"""The scenario of the translation modes: a customer calls in, an agent is dialled, each hears the other made over.

ringing ──▶ dialling the agent ──▶ bridged ──▶ last words ──▶ over
                  │ busy, no answer, unreachable
                  └──▶ announcement (early media, or after the answer) ──▶ final response or BYE
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.direction import Direction
from kallglot_media.call.holding import SILENCE, Holding, HoldRules
from kallglot_media.call.leg import Leg, LegState
from kallglot_media.call.ports import DialError, SipHeaders
from kallglot_media.call.session import Session
from kallglot_media.call.subtitles import NO_SUBTITLES, LiveSubtitles, SubtitleRules, Subtitles
from kallglot_media.call.transferring import AgentTarget, Allow, Transferring, nobody
from kallglot_media.call.world import EndReason
from kallglot_media.config.announcements import Announcements
from kallglot_media.media.link import MediaError
from kallglot_media.media.messages import Gains
from kallglot_media.modes.plan import SILENT, Party, Plan, Words
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.sip.events import CallFailed, CallProgress
from kallglot_media.sip.redirect import targets_of
from kallglot_media.sip.settings import Credentials

_EARLY_MEDIA = Plan(Words.NONE, live={Party.CUSTOMER: (Party.AGENT,)})
"""While the agent's side rings: the customer hears what it sends, and nobody is made over."""

LAST_WORDS_S = 8.0
"""After one side hung up, the other hears what was said last for at most this long."""

_MOST_REDIRECTS = 5
"""So many destinations are tried that nobody configured."""

NO_ANSWER_STATUSES = frozenset({408, 480, 487})
BUSY_STATUSES = frozenset({486, 600})
PASSED_ON_STATUSES = frozenset({486, 600, 603})
"""What the agent's side says of the person rather than of the network is passed on as it is."""


@dataclass(frozen=True, slots=True)
class BridgeRules:
    """One bridged call, as its mode file has it.

    max_forwards  for the agent's INVITE: one less than the customer's had, so that a loop through
                  us ends (RFC 7092 section 3 asks this of back-to-back agents)
    languages     party -> language spoken and heard
    policy        when words are passed on
    headers       more of them, on the agent's INVITE
    hold          what one hears while the other holds
    then          who is called when the agent cannot be had, one after the other
    allow         whom the agent's side may send the customer to, by REFER or 3xx
    subtitles     what the agent's phone shows
    """

    agent_to: str
    agent_from: str
    credentials: Credentials | None
    max_forwards: int
    ring_s: float
    answer_at_once: bool
    max_call_s: float
    plan: Plan
    gains: Gains
    segment: SegmentRules
    languages: Mapping[Party, str]
    voices: Mapping[str, str | None]
    announcements: Announcements
    headers: SipHeaders = ()
    policy: Policy = TURN_BY_TURN
    hold: HoldRules = SILENCE
    then: tuple[AgentTarget, ...] = ()
    allow: Allow = nobody
    subtitles: SubtitleRules = NO_SUBTITLES

    @property
    def targets(self) -> tuple[AgentTarget, ...]:
        """The agent, and who is called after it."""
        first = AgentTarget(self.agent_to, self.agent_from, self.credentials, self.ring_s, self.headers)
        return (first, *self.then)


@dataclass(frozen=True, slots=True)
class Unreached:
    """Why the agent could not be had: the SIP status it amounts to, and which announcement says so.

    elsewhere  where a 3xx says that the agent is
    """

    status: int
    why: str
    elsewhere: tuple[str, ...] = ()

    def says_more_than(self, other: Unreached) -> bool:
        """Of several who could not be had, one who is busy tells the customer more than one who is unreachable."""
        ranks = ("busy", "no_answer", "unavailable")
        return ranks.index(self.announcement) < ranks.index(other.announcement)

    @property
    def announcement(self) -> str:
        """The name of the announcement."""
        if self.status in BUSY_STATUSES:
            return "busy"
        return "no_answer" if self.status in NO_ANSWER_STATUSES else "unavailable"

    @property
    def final_status(self) -> int:
        """What the customer's INVITE gets. RFC 3261 21.4.18: 480 when the callee cannot be had now."""
        return self.status if self.status in PASSED_ON_STATUSES else 480


class Bridge:
    """Run with `await Bridge(…).run()`; returns why and how the session ended."""

    def __init__(self, session: Session, customer: Leg, answer_sdp: bytes, rules: BridgeRules) -> None:
        self._session = session
        self._customer = customer
        self._answer_sdp = answer_sdp
        self._rules = rules
        self._signalling = session.world.signalling

    async def run(self) -> tuple[EndReason, str]:
        """The whole call."""
        self._session.sound.set_plan(SILENT)
        self._session.real_time_text = self._rules.subtitles.real_time_text
        if self._rules.answer_at_once:
            self._answer_customer()
            await self._announce(Party.CUSTOMER, "welcome")
        reached = await self._reach_agent()
        if isinstance(reached, Unreached):
            return await self._turn_away(reached)
        if isinstance(reached, tuple):
            return reached
        self._connect(reached)
        return await self._until_over()

    # ── reaching the agent ───────────────────────────────────────────────────────

    async def _reach_agent(self) -> Leg | Unreached | tuple[EndReason, str]:
        """The agent, or the first one of `then` who can be had; 3xx are followed to whom `allow` lets through."""
        worst: Unreached | None = None
        to_try, tried, redirects = list(self._rules.targets), set[str](), 0
        while to_try:
            target = to_try.pop(0)
            tried.add(target.to)
            reached = await self._try(target)
            if not isinstance(reached, Unreached):
                return reached
            elsewhere = [found for uri in reached.elsewhere if (found := self._rules.allow(uri)) is not None]
            further = [found for found in elsewhere if found.to not in tried][: _MOST_REDIRECTS - redirects]
            redirects += len(further)
            to_try[:0] = further
            worst = reached if worst is None or reached.says_more_than(worst) else worst
        assert worst is not None  # there is at least one target
        return worst

    async def _try(self, target: AgentTarget) -> Leg | Unreached | tuple[EndReason, str]:
        if (over := self._over_before_the_answer()) is not None:
            return over  # during the welcome: nobody's phone is to ring for nothing
        agent = self._session.new_leg(Party.AGENT)
        agent.on_progress = lambda progress: self._agent_progressed(agent, progress)
        try:
            await agent.open()
            await agent.dial(
                target.to,
                target.from_,
                headers=(("Max-Forwards", str(self._rules.max_forwards)), *target.headers),
                credentials=target.credentials,
            )
        except (MediaError, DialError) as error:
            self._session.event("agent.unreached", why=str(error))
            agent.hang_up(str(error))
            agent.close_media()
            return Unreached(error.status if isinstance(error, DialError) else 503, str(error))
        if self._rules.answer_at_once:
            self._session.sound.tone(Party.CUSTOMER, "ringback")
        await self._first_of(agent.outcome, self._customer.ended, limit_s=target.ring_s)
        reached = self._what_came(agent)
        if not isinstance(reached, Leg):
            agent.close_media()
        return reached

    def _what_came(self, agent: Leg) -> Leg | Unreached | tuple[EndReason, str]:
        if (over := self._over_before_the_answer()) is not None:
            agent.hang_up("the customer hung up" if self._customer.ended.done() else "the session was ended")
            return over
        if not agent.outcome.done():
            agent.hang_up("no answer")
            return self._unreached(408, "no answer")
        outcome = agent.outcome.result()
        if isinstance(outcome, CallFailed):
            elsewhere = targets_of(outcome.response) if outcome.response and 300 <= outcome.status < 400 else ()
            return self._unreached(outcome.status, outcome.reason, elsewhere)
        return agent

    def _over_before_the_answer(self) -> tuple[EndReason, str] | None:
        if self._customer.ended.done():
            return EndReason.CUSTOMER_HANGUP, "the customer hung up before the agent answered"
        return self._session.stop.result() if self._session.stop.done() else None

    def _unreached(self, status: int, why: str, elsewhere: tuple[str, ...] = ()) -> Unreached:
        self._session.event("agent.unreached", status=status, why=why)
        return Unreached(status, why, elsewhere)

    def _agent_progressed(self, agent: Leg, progress: CallProgress) -> None:
        """Ringing and early media of the agent's side reach the customer."""
        self._session.event("agent.progress", status=progress.response.status, early_media=agent.has_early_media)
        if agent.has_early_media:
            self._session.sound.tone(Party.CUSTOMER, None)
            self._session.sound.set_plan(_EARLY_MEDIA, Gains(original_level_db=0.0, original_idle_db=0.0))
        if self._customer.state is not LegState.EARLY or self._customer.sip_call is None:
            return
        if agent.has_early_media:
            self._signalling.ring(self._customer.sip_call, status=183, sdp=self._answer_sdp)
        elif progress.response.status == 180:
            self._signalling.ring(self._customer.sip_call, status=180)

    # ── when nobody answers ──────────────────────────────────────────────────────

    async def _turn_away(self, unreached: Unreached) -> tuple[EndReason, str]:
        """Say why in the customer's language, then end with the response that fits."""
        self._session.sound.tone(Party.CUSTOMER, None)
        self._session.sound.set_plan(SILENT)
        call = self._customer.sip_call
        if call is not None and self._customer.state is LegState.EARLY:
            self._signalling.ring(call, status=183, sdp=self._answer_sdp)
        await self._announce(Party.CUSTOMER, unreached.announcement)
        detail = f"agent {unreached.announcement.replace('_', ' ')}: {unreached.status} {unreached.why}"
        if self._customer.ended.done():
            return EndReason.CUSTOMER_HANGUP, detail
        if call is not None and self._customer.state is LegState.EARLY:
            reason = (("Reason", f'SIP;cause={unreached.status};text="{_token_text(unreached.why)}"'),)  # RFC 3326
            self._signalling.reject(call, unreached.final_status, headers=reason)
            self._customer.rejected_by_us(unreached.final_status, unreached.why)
        return EndReason.COMPLETED, detail

    # ── both there ───────────────────────────────────────────────────────────────

    def _connect(self, agent: Leg) -> None:
        self._session.sound.tone(Party.CUSTOMER, None)
        if self._customer.state is LegState.EARLY:
            self._answer_customer()
        self._session.sound.set_plan(self._rules.plan, self._rules.gains)
        self._session.on_through = self._tell_through
        holding = Holding(self._session, self._rules.hold)
        holding.watch(self._customer)
        holding.watch(agent)
        Transferring(self._session, self._rules.allow, holding.watch).watch(agent)
        subtitles = Subtitles(self._session, self._rules.subtitles)
        subtitles.watch()
        if Party.AGENT not in self._rules.plan.made:
            LiveSubtitles(self._session, self._rules.languages[Party.AGENT], subtitles).watch()
        self._session.interpreting.start(self._directions(), self._rules.segment, self._rules.policy)
        self._session.active()

    def _directions(self) -> list[Direction]:
        """Both ways; words that nobody is to hear made over are for the transcript and subtitles alone."""
        languages, made = self._rules.languages, self._rules.plan.made
        return [
            Direction(
                talker,
                listener,
                languages[talker],
                languages[listener],
                voices=dict(self._rules.voices),
                aloud=made.get(listener) is talker,
            )
            for talker, listener in ((Party.CUSTOMER, Party.AGENT), (Party.AGENT, Party.CUSTOMER))
        ]

    async def _until_over(self) -> tuple[EndReason, str]:
        session = self._session

        def over() -> bool:
            return session.stop.done() or session.parties.gone() is not None or not session.legs

        await session.until(over, self._rules.max_call_s)
        if session.stop.done():
            return session.stop.result()
        if (gone := session.parties.gone()) is not None:
            await session.interpreting.last_words(gone.party, LAST_WORDS_S)
            reason = EndReason.CUSTOMER_HANGUP if gone.party is Party.CUSTOMER else EndReason.AGENT_HANGUP
            return reason, gone.ended.result().reason or str(reason)
        if not session.legs:
            return EndReason.COMPLETED, "both parties were hung up"
        await asyncio.gather(*(self._announce(party, "time_up") for party in (Party.CUSTOMER, Party.AGENT)))
        return EndReason.TIMEOUT, f"limits.max_call_s: {self._rules.max_call_s:g} s are over"

    def _answer_customer(self) -> None:
        if self._customer.sip_call is not None:
            self._signalling.answer(self._customer.sip_call, self._answer_sdp)
            self._customer.answered_by_us()
            self._session.event("customer.answered")

    # ── small things ─────────────────────────────────────────────────────────────

    async def _announce(self, party: Party, name: str) -> None:
        language = self._rules.languages[party]
        text = self._rules.announcements.text(name, language)
        speech = await self._session.world.announcer.speech(text, language, self._rules.voices.get(language))
        await self._session.sound.say(party, speech)

    def _tell_through(self, talker: Party, on: bool) -> None:
        """Tell the listener why they suddenly hear the original, or that it works again."""
        listener = next((hearer for hearer, heard in self._rules.plan.made.items() if heard is talker), None)
        if listener is not None:
            name = "engine_lost" if on else "engine_back"
            self._session.own(self._announce(listener, name), f"announce {name}")

    async def _first_of(self, *futures: asyncio.Future[Any], limit_s: float) -> None:
        await asyncio.wait({*futures, self._session.stop}, timeout=limit_s, return_when=asyncio.FIRST_COMPLETED)


def _token_text(text: str) -> str:
    return "".join(char for char in text if char.isprintable() and char not in '"\\')[:100]
