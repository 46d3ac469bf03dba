"""The workers of one kind and the line in front of them.

Each worker has a task that owns it: it takes the job with the earliest deadline, asks, and hands
the answer on; when the worker dies or hangs, that one job fails and the task starts another.
"""

from __future__ import annotations

import asyncio
import math
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

import structlog

from kallglot_media.speech.child import Child, Command, WorkerDied
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.line import Line
from kallglot_media.speech.load import Work
from kallglot_media.speech.settings import EngineKind
from kallglot_media.speech.types import EngineBusy, EngineFailed, EngineTimeout, SpeechError

_log = structlog.get_logger()

LONGEST_PAUSE_S = 30.0
LEAVE_WITHIN_S = 1.0
"""A worker that is told to end may take this long; one that computes longer is killed."""

Answer = dict[str, Any]


def pause_before_restart_s(failures: int) -> float:
    """How long to wait after so many failures in a row: nothing after the first, doubling after that.

    [pause_before_restart_s(n) for n in (1, 2, 3, 4)] == [0.0, 0.5, 1.0, 2.0]
    """
    return 0.0 if failures < 2 else min(LONGEST_PAUSE_S, 0.5 * 2.0 ** (failures - 2))


@dataclass(slots=True, eq=False)
class _Job:
    arguments: list[Any]
    due_s: float
    answer: asyncio.Future[Answer]
    can_wait: bool = False
    alike: object = None

    def fail(self, error: SpeechError) -> None:
        if not self.answer.done():
            self.answer.set_exception(error)

    def succeed(self, answer: Answer) -> None:
        if not self.answer.done():
            self.answer.set_result(answer)


@dataclass(frozen=True, slots=True)
class EngineStatus:
    """How one kind of engine is doing.

    workers     how many should run; ready of them can work; busy of those do
    in_line     jobs that wait
    counters    done, in_one_go (of them, with others), failed (the engine raised), died and hung (at work), lost
                (workers, at work, idle or starting), timeouts (the caller's deadline), refused (line full),
                partials_late and partials_refused likewise
    work        the time that workers have spent on jobs
    facts       what the worker told of its model when it was loaded
    last_error  why the last worker was lost or did not start
    pids        of the workers that are ready
    """

    kind: EngineKind
    workers: int
    ready: int
    busy: int
    in_line: int
    counters: dict[str, int]
    work: Work
    facts: dict[str, Any]
    last_error: str | None
    pids: tuple[int, ...]


@dataclass(frozen=True, slots=True, eq=False)
class _Stretch:
    """A worker's time on jobs that are not done yet."""

    began_s: float
    can_wait: bool


@dataclass(slots=True)
class _State:
    ready: dict[int, Child] = field(default_factory=dict)
    under_way: list[_Stretch] = field(default_factory=list)
    busy_s: float = 0.0
    must_s: float = 0.0
    failures: int = 0
    counters: Counter[str] = field(default_factory=Counter)
    facts: dict[str, Any] = field(default_factory=dict)
    last_error: str | None = None
    works: bool = True

    def leave(self, stretch: _Stretch, now_s: float) -> None:
        """Its jobs are done, or lost."""
        self.under_way.remove(stretch)
        self.busy_s += now_s - stretch.began_s
        self.must_s += 0.0 if stretch.can_wait else now_s - stretch.began_s

    def work(self, now_s: float, workers: int) -> Work:
        """With what is under way: a worker that takes seconds for a job is not idle meanwhile."""
        since = [(now_s - stretch.began_s, stretch.can_wait) for stretch in self.under_way]
        return Work(
            self.busy_s + sum(spent_s for spent_s, _ in since),
            self.must_s + sum(spent_s for spent_s, can_wait in since if not can_wait),
            workers,
        )


class EngineGroup:
    """`workers` processes of one kind. start(), then ask() from any task, then stop().

    on_change(kind, works) is called when the last worker is lost, and when one is back.
    """

    def __init__(
        self,
        kind: EngineKind,
        command: Command,
        *,
        workers: int,
        longest_line: int,
        hung_after_s: float,
        ready_within_s: float,
        most_at_once: int = 1,
        on_change: Callable[[EngineKind, bool], None],
    ) -> None:
        self._kind = kind
        self._command = command
        self._workers = workers
        self._hung_after_s = hung_after_s
        self._most_at_once = most_at_once
        self._ready_within_s = ready_within_s
        self._on_change = on_change
        self._line: Line[_Job] = Line(kind.value, longest_line)
        self._idle: deque[asyncio.Future[None]] = deque()
        self._tasks: list[asyncio.Task[None]] = []
        self._state = _State()
        self._stopping = False

    async def start(self) -> None:
        """Start all workers and wait until they are ready. Raises SpeechSetupError, leaving none behind."""
        began = await asyncio.gather(*(self._begin() for _ in range(self._workers)), return_exceptions=True)
        children = [child for child in began if isinstance(child, Child)]
        wrong = next((error for error in began if isinstance(error, BaseException)), None)
        if wrong is not None:
            for child in children:
                await self._end(child)
            raise _as_setup_error(self._kind, wrong)
        self._tasks = [asyncio.create_task(self._keep(child), name=f"{self._kind}-worker") for child in children]

    async def stop(self) -> None:
        """End all workers; jobs that wait or run fail with EngineFailed."""
        self._stopping = True
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        self._tasks = []
        for child in list(self._state.ready.values()):  # of a start that was cut short
            await self._end(child, grace_s=LEAVE_WITHIN_S)
        self._fail_all_in_line(EngineFailed(f"the {self._kind} was stopped"))

    async def ask(
        self, arguments: list[Any], deadline_s: float, *, can_wait: bool = False, alike: object = None
    ) -> Answer:
        """Wait in line, let a worker do it, return its answer. Raises SpeechError, at `deadline_s` at the latest.

        can_wait  everything else goes first
        alike     jobs of the same may be done in one go; None: this one is done by itself
        """
        if self._out_of_order():
            raise self._not_running()
        loop = asyncio.get_running_loop()
        job = _Job(arguments, loop.time() + deadline_s, loop.create_future(), can_wait, alike)
        try:
            place = self._line.join(job, job.due_s, can_wait=can_wait)
        except EngineBusy:
            self._state.counters["partials_refused" if can_wait else "refused"] += 1
            raise
        self._wake_one()
        try:
            async with asyncio.timeout_at(job.due_s):
                return await job.answer
        except TimeoutError:
            self._state.counters["partials_late" if can_wait else "timeouts"] += 1
            raise EngineTimeout(f"the {self._kind} did not answer within {deadline_s:.1f} s") from None
        finally:
            self._line.leave(place)

    def status(self) -> EngineStatus:
        """A snapshot for doctor, metrics and tests."""
        state = self._state
        return EngineStatus(
            kind=self._kind,
            workers=self._workers,
            ready=len(state.ready),
            busy=len(state.under_way),
            in_line=len(self._line),
            counters=dict(state.counters),
            work=state.work(time.monotonic(), self._workers),
            facts=dict(state.facts),
            last_error=state.last_error,
            pids=tuple(state.ready),
        )

    # ── one worker ───────────────────────────────────────────────────────────────

    async def _begin(self) -> Child:
        child = await Child.spawn(self._command)
        try:
            async with asyncio.timeout(self._ready_within_s):
                self._state.facts = await child.ready()
        except TimeoutError:
            await child.end()
            raise WorkerDied(f"was not ready after {self._ready_within_s:.0f} s") from None
        except BaseException:
            await child.end()
            raise
        self._state.ready[child.pid] = child
        return child

    async def _keep(self, child: Child) -> None:
        """Serve with `child`, and with its successors, until cancelled."""
        while True:
            try:
                await self._serve(child)
            except WorkerDied as death:
                self._lost(str(death))
                await self._end(child)
            except BaseException:
                await self._end(child, grace_s=LEAVE_WITHIN_S)
                raise
            self._tell_when_changed()
            child = await self._begin_again()
            self._tell_when_changed()

    async def _begin_again(self) -> Child:
        while True:
            await asyncio.sleep(pause_before_restart_s(self._state.failures))
            try:
                child = await self._begin()
            except (SpeechSetupError, WorkerDied, OSError) as error:
                self._lost(str(error))
                self._give_up_on_line_if_out_of_order()
                continue
            _log.info("= engine back", kind=self._kind.value, pid=child.pid)
            return child

    async def _serve(self, child: Child) -> None:
        while True:
            job = self._line.next()
            if job is None:
                await self._wait_for_job(child)
            elif not job.answer.done():  # else its caller has given it up meanwhile
                await self._work(child, [job, *self._alike(job)])

    def _alike(self, first: _Job) -> list[_Job]:
        """What waits and can be done in one go with `first`; workers that are free get their part."""
        if self._most_at_once < 2 or first.alike is None or not len(self._line):
            return []
        free = max(1, len(self._state.ready) - len(self._state.under_way))
        share = math.ceil((len(self._line) + 1) / free) - 1
        return self._line.alike(
            lambda job: bool(job.alike == first.alike), min(share, self._most_at_once - 1), can_wait=first.can_wait
        )

    async def _wait_for_job(self, child: Child) -> None:
        """Return when a job may be in line; raise WorkerDied when the worker goes first."""
        wanted: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        gone = asyncio.create_task(child.gone())
        self._idle.append(wanted)
        try:
            await asyncio.wait((wanted, gone), return_when=asyncio.FIRST_COMPLETED)
            died = gone.done()
        finally:
            gone.cancel()
            await asyncio.gather(gone, return_exceptions=True)
            if wanted.done():
                self._pass_on_if(not gone.cancelled())
            else:
                self._idle.remove(wanted)
        if died:
            raise WorkerDied("the process ended while it was idle")

    async def _work(self, child: Child, jobs: list[_Job]) -> None:
        loop = asyncio.get_running_loop()
        state = self._state
        stretch = _Stretch(time.monotonic(), jobs[0].can_wait)
        state.under_way.append(stretch)
        try:
            # A job that waited long must not get its worker shot for what the line did.
            async with asyncio.timeout_at(max(jobs[0].due_s, loop.time() + self._hung_after_s)):
                answers = await child.ask_all([job.arguments for job in jobs])
        except TimeoutError:
            state.counters["hung"] += 1
            self._lose(jobs, EngineTimeout(f"the {self._kind} hung"))
            raise WorkerDied(f"hung for {self._hung_after_s:.1f} s and was killed") from None
        except WorkerDied as death:
            state.counters["died"] += 1
            self._lose(jobs, EngineFailed(f"the {self._kind}'s process died: {death}"))
            raise
        except asyncio.CancelledError:
            for job in jobs:
                job.fail(EngineFailed(f"the {self._kind} was stopped"))
            raise
        else:
            state.failures = 0
            if len(jobs) > 1:
                state.counters["in_one_go"] += len(jobs)
            for job, answer in zip(jobs, answers, strict=True):
                self._hand_on(job, answer)
        finally:
            state.leave(stretch, time.monotonic())

    def _lose(self, jobs: list[_Job], error: SpeechError) -> None:
        """A single job is what its worker died of; of several each is tried again by itself."""
        for job in jobs:
            job.alike = None
            if len(jobs) == 1 or job.answer.done():
                job.fail(error)
                continue
            try:
                self._line.join(job, job.due_s, can_wait=job.can_wait)
            except EngineBusy as busy:
                job.fail(busy)

    def _hand_on(self, job: _Job, answer: Answer | SpeechError) -> None:
        if isinstance(answer, SpeechError):
            self._state.counters["failed"] += 1
            job.fail(answer)
        else:
            self._state.counters["done"] += 1
            job.succeed(answer)

    async def _end(self, child: Child, grace_s: float = 0.0) -> None:
        self._state.ready.pop(child.pid, None)
        await child.end(grace_s)

    # ── bookkeeping ──────────────────────────────────────────────────────────────

    def _wake_one(self) -> None:
        while self._idle:
            wanted = self._idle.popleft()
            if not wanted.done():
                wanted.set_result(None)
                return

    def _pass_on_if(self, died: bool) -> None:
        """A worker that died as it was woken leaves its job to the next idle one."""
        if died and len(self._line):
            self._wake_one()

    def _lost(self, why: str) -> None:
        self._state.failures += 1
        self._state.last_error = why
        self._state.counters["lost"] += 1
        _log.warning("x engine lost", kind=self._kind.value, why=why, in_a_row=self._state.failures)

    def _tell_when_changed(self) -> None:
        works = bool(self._state.ready)
        if works != self._state.works:
            self._state.works = works
            # Not called from here: what it raises must not take the worker's task with it.
            asyncio.get_running_loop().call_soon(self._on_change, self._kind, works)

    def _give_up_on_line_if_out_of_order(self) -> None:
        """Calls let the original voice through at once rather than after each deadline."""
        if self._out_of_order():
            self._fail_all_in_line(self._not_running())

    def _fail_all_in_line(self, error: EngineFailed) -> None:
        while (job := self._line.next()) is not None:
            job.fail(error)

    def _not_running(self) -> EngineFailed:
        return EngineFailed(f"no {self._kind} is running: {self._state.last_error or 'it was stopped'}")

    def _out_of_order(self) -> bool:
        return self._stopping or not self._tasks or (not self._state.ready and self._state.failures > 1)


def _as_setup_error(kind: EngineKind, error: BaseException) -> BaseException:
    if isinstance(error, SpeechSetupError) or not isinstance(error, WorkerDied | OSError):
        return error
    return SpeechSetupError(f"the {kind}", f"did not start: {error}", "see its last lines on standard error")
