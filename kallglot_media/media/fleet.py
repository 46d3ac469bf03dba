"""Several media processes behind one handle: a session's legs together, a new session where there is most room.

What control says goes to the process that has the session; what a process says comes back through one
`on_event`. One that dies takes its own sessions along and no others, and is started anew; meanwhile new sessions
go to the rest.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field

from kallglot_media.log import logger
from kallglot_media.media.link import MediaError, MediaLink
from kallglot_media.media.messages import (
    CloseSession,
    FromMedia,
    LegClosed,
    LegOpened,
    OpenLeg,
    OpenSession,
    OpenStreamLeg,
    PlaneStats,
    SessionClosed,
    SetPlan,
    ToMedia,
)
from kallglot_media.media.settings import MediaSettings

log = logger("media")

RESTART_PAUSE_S = 0.2
LONGEST_RESTART_PAUSE_S = 30.0
RESTARTS_IN_A_ROW = 5
"""So often with growing pauses; then, when no other process is left either, the server had better end."""

CORES_FOR_EACH = 4
"""With `processes: auto`: the engines need the other cores, and one process carries some hundred calls."""


def processes_of(wished: int | None) -> int:
    """How many processes there are to be; None: as many as suit this machine."""
    return wished or max(1, (os.cpu_count() or 1) // CORES_FOR_EACH)


@dataclass(frozen=True, slots=True)
class Died:
    """A process that ended or hung. number: which one; sessions: that it took along."""

    number: int
    why: str
    sessions: tuple[str, ...]


@dataclass(slots=True)
class _Member:
    number: int
    link: MediaLink
    sessions: set[str] = field(default_factory=set)
    legs: set[str] = field(default_factory=set)
    stats: PlaneStats | None = None

    @property
    def load(self) -> tuple[int, int, int]:
        """What the emptiest has least of."""
        return len(self.sessions), len(self.legs), self.number


class MediaFleet:
    """Starts the processes, talks to them, and starts anew what dies. Call everything from one event loop.

    on_event  everything they say, but `PlaneStats` as the sum (lateness: the worst) of all
    on_dead   a process has gone; told once each time
    on_back   a process took the place of one that had gone
    on_lost   none is left, and none comes up any more: it is tried on, but somebody should know
    unsent    messages for sessions whose process had gone
    """

    def __init__(
        self,
        settings: MediaSettings | None = None,
        processes: int = 1,
        *,
        on_event: Callable[[FromMedia], None],
        on_dead: Callable[[Died], None],
        on_back: Callable[[int], None] = lambda number: None,
        on_lost: Callable[[], None] = lambda: None,
    ) -> None:
        self._on_event = on_event
        self._on_dead = on_dead
        self._on_back = on_back
        self._on_lost = on_lost
        self.unsent = 0
        self._members = [self._member(number, settings or MediaSettings()) for number in range(processes)]
        self._of_session: dict[str, _Member] = {}
        self._of_leg: dict[str, _Member] = {}
        self._restarting: dict[int, asyncio.Task[None]] = {}
        self._stopping = False

    def _member(self, number: int, settings: MediaSettings) -> _Member:
        link = MediaLink(
            settings,
            on_event=lambda event: self._take(number, event),
            on_dead=lambda why: self._died(number, why),
        )
        return _Member(number, link)

    # ── lifetime ─────────────────────────────────────────────────────────────────

    @property
    def alive(self) -> bool:
        """Whether a new session could be taken."""
        return any(member.link.alive for member in self._members)

    @property
    def alive_count(self) -> int:
        """Processes that are there and answer."""
        return sum(member.link.alive for member in self._members)

    @property
    def pids(self) -> tuple[int | None, ...]:
        """The processes by number; None for one that is away."""
        return tuple(member.link.pid if member.link.alive else None for member in self._members)

    async def start(self) -> None:
        """All of them, side by side. Raises MediaError when one does not start; none is left then."""
        outcomes = await asyncio.gather(*(member.link.start() for member in self._members), return_exceptions=True)
        wrong = next((outcome for outcome in outcomes if isinstance(outcome, BaseException)), None)
        if wrong is not None:
            await self.stop()
            raise wrong

    async def stop(self) -> None:
        """Let all finish their recordings and end; last events still arrive."""
        self._stopping = True
        for task in self._restarting.values():
            task.cancel()
        await asyncio.gather(*self._restarting.values(), return_exceptions=True)
        await asyncio.gather(*(member.link.stop() for member in self._members))

    # ── control's messages ───────────────────────────────────────────────────────

    async def open_leg(self, message: OpenLeg) -> LegOpened:
        """The leg's address, in the process of its session. Raises MediaError."""
        member = self._of_session.get(message.session_id)
        if member is None:
            raise MediaError(f"session {message.session_id} is in no media process: it was not opened, or its died")
        self._enter(member, message.leg_id)
        try:
            return await member.link.open_leg(message)
        except BaseException:
            self._leave(message.leg_id)
            raise

    def send(self, message: ToMedia) -> None:
        """Send and forget. To a process that has gone: counted in `unsent`, for `on_dead` has told all."""
        member = self._addressee(message)
        if member is None:
            self.unsent += 1
            return
        if isinstance(message, OpenStreamLeg):
            self._enter(member, message.leg_id)
        member.link.send(message)

    def _addressee(self, message: ToMedia) -> _Member | None:
        if isinstance(message, OpenSession):
            return self._place(message.session_id)
        if isinstance(message, OpenLeg | OpenStreamLeg | SetPlan | CloseSession):
            return self._of_session.get(message.session_id)
        return self._of_leg.get(message.leg_id)

    def _place(self, session_id: str) -> _Member | None:
        """A new session goes to the emptiest."""
        alive = [member for member in self._members if member.link.alive]
        if not alive:
            return None
        member = min(alive, key=lambda one: one.load)
        member.sessions.add(session_id)
        self._of_session[session_id] = member
        return member

    def _enter(self, member: _Member, leg_id: str) -> None:
        member.legs.add(leg_id)
        self._of_leg[leg_id] = member

    def _leave(self, leg_id: str) -> None:
        member = self._of_leg.pop(leg_id, None)
        if member is not None:
            member.legs.discard(leg_id)

    # ── what they say ────────────────────────────────────────────────────────────

    def _take(self, number: int, event: FromMedia) -> None:
        member = self._members[number]
        if isinstance(event, LegClosed):
            self._leave(event.leg_id)
        elif isinstance(event, SessionClosed):
            member.sessions.discard(event.session_id)
            self._of_session.pop(event.session_id, None)
        elif isinstance(event, PlaneStats):
            member.stats = event
            event = total([one.stats for one in self._members if one.stats is not None and one.link.alive] or [event])
        self._on_event(event)

    def _died(self, number: int, why: str) -> None:
        member = self._members[number]
        died = Died(number, why, tuple(sorted(member.sessions)))
        for session_id in died.sessions:
            self._of_session.pop(session_id, None)
        for leg_id in tuple(member.legs):
            self._leave(leg_id)
        member.sessions.clear()
        member.stats = None
        if not self._stopping:
            self._restarting[number] = asyncio.create_task(self._restart(member), name=f"restart media {number}")
        self._on_dead(died)

    async def _restart(self, member: _Member) -> None:
        attempt = 0
        while True:
            await asyncio.sleep(min(RESTART_PAUSE_S * 2**attempt, LONGEST_RESTART_PAUSE_S))
            attempt += 1
            try:
                await member.link.restart()
            except MediaError as error:
                log.error("media process does not start", number=member.number, why=str(error), attempt=attempt)
                if attempt == RESTARTS_IN_A_ROW and not self.alive:
                    self._on_lost()
                continue
            self._on_back(member.number)
            return


def total(stats: Sequence[PlaneStats]) -> PlaneStats:
    """Several processes as one: sums, and the worst lateness."""
    kinds = stats[0].late_ticks
    return PlaneStats(
        legs=sum(one.legs for one in stats),
        sessions=sum(one.sessions for one in stats),
        ticks=sum(one.ticks for one in stats),
        skipped=sum(one.skipped for one in stats),
        late_ticks={kind: sum(one.late_ticks.get(kind, 0) for one in stats) for kind in kinds},
        lateness_p99_ms=max(one.lateness_p99_ms for one in stats),
        cpu_s=sum(one.cpu_s for one in stats),
        lateness_max_ms=max(one.lateness_max_ms for one in stats),
    )
