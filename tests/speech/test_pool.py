"""The pool with workers that do as they are told: deadlines, deaths, order, and nothing left behind."""

from __future__ import annotations

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Callable
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path

import numpy as np
import pytest
import uvloop

from kallglot_media.speech.child import Command
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.load import Step
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from kallglot_media.speech.types import Context, EngineBusy, EngineFailed, EngineTimeout, UnknownPair

FAKE = Path(__file__).parents[1] / "support" / "fake_worker.py"
KIND = EngineKind.TRANSLATOR
AGES_S = 60.0

Changes = asyncio.Queue[tuple[EngineKind, bool]]
Run = Callable[..., AbstractAsyncContextManager[tuple[SpeechPool, Changes]]]


def fake(mode: str = "good", *more: str) -> Command:
    return lambda fd: (sys.executable, str(FAKE), str(fd), mode, *more)


def pool_of(command: Command, changes: Changes, **settings: float | str) -> SpeechPool:
    said = SpeechSettings(**{"hung_after_s": AGES_S, **settings})  # type: ignore[arg-type]
    return SpeechPool(said, on_change=lambda *change: changes.put_nowait(change), commands={KIND: command})


@asynccontextmanager
async def running(command: Command | None = None, **settings: float | str) -> AsyncIterator[tuple[SpeechPool, Changes]]:
    changes: Changes = asyncio.Queue()
    pool = pool_of(command or fake(), changes, **settings)
    await pool.start()
    try:
        yield pool, changes
    finally:
        await pool.stop()


async def ask(pool: SpeechPool, text: str, deadline_s: float = AGES_S) -> str:
    return (await pool.translate(text, "de", "en", deadline_s=deadline_s)).text


async def until_busy(pool: SpeechPool, workers: int = 1) -> None:
    while pool.status()[KIND].busy < workers:  # noqa: ASYNC110 - depends on the loop alone, not on time
        await asyncio.sleep(0)


def is_gone(pid: int) -> bool:
    try:
        os.kill(pid, 0)
    except ProcessLookupError:
        return True
    return False


async def test_a_job_is_answered_and_counted() -> None:
    async with running() as (pool, _):
        assert await ask(pool, "Guten Tag.") == "1 Guten Tag."
        status = pool.status()[KIND]
        assert (status.ready, status.busy, status.in_line) == (1, 0, 0)
        assert status.counters == {"done": 1}
        assert status.facts == {"model": "fake"}


async def test_the_earliest_deadline_goes_first_whoever_came_first(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running() as (pool, _):
        first = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        waiting = [asyncio.create_task(ask(pool, name, due_s)) for name, due_s in (("c", 50), ("a", 30), ("b", 40))]
        await asyncio.sleep(0)
        assert pool.status()[KIND].in_line == 3
        (tmp_path / "gate").write_bytes(b"")
        assert await asyncio.gather(*waiting) == ["4 c", "2 a", "3 b"]
        await first


async def test_a_job_counts_as_work_while_it_is_done(tmp_path: Path) -> None:
    """Else a worker that takes seconds for each job looks idle every time but one."""
    os.mkfifo(tmp_path / "gate")
    async with running() as (pool, _):
        first = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        began = pool.status()[KIND].work
        while (work := pool.status()[KIND].work).busy_s <= began.busy_s:  # noqa: ASYNC110 - nothing tells it
            await asyncio.sleep(0)
        assert work.must_s > began.must_s
        (tmp_path / "gate").write_bytes(b"")
        await first
        done = pool.status()[KIND].work
        assert done.busy_s == done.must_s >= work.busy_s
        assert pool.status()[KIND].work == done, "and not twice"


async def test_what_waits_for_one_direction_is_done_in_one_go(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running(most_at_once=3) as (pool, _):
        first = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        waiting = [asyncio.create_task(ask(pool, name, due_s)) for name, due_s in (("c", 50), ("a", 30), ("b", 40))]
        back = asyncio.create_task(pool.translate("back", "en", "de", deadline_s=35))
        goes_on = asyncio.create_task(pool.translate("rest", "de", "en", deadline_s=36, after=Context("x", "y")))
        await asyncio.sleep(0)
        (tmp_path / "gate").write_bytes(b"")
        assert await asyncio.gather(*waiting) == ["4 c", "2 a", "3 b"]
        assert [(await one).text for one in (back, goes_on)] == ["5 back", "6 rest"]
        await first
        assert pool.status()[KIND].counters == {"done": 6, "in_one_go": 3}


async def test_of_several_that_a_worker_died_of_only_the_one_that_kills_it_fails(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running() as (pool, _):
        first = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        waiting = [asyncio.create_task(ask(pool, name)) for name in ("a", "crash", "b")]
        await asyncio.sleep(0)
        (tmp_path / "gate").write_bytes(b"")
        found = await asyncio.gather(first, *waiting, return_exceptions=True)
        assert [str(one)[2:] for one in (found[1], found[3])] == ["a", "b"]
        assert isinstance(found[2], EngineFailed)


async def test_a_full_line_refuses_and_says_what_to_raise(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running(longest_line=1) as (pool, _):
        first = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        second = asyncio.create_task(ask(pool, "waits"))
        await asyncio.sleep(0)
        with pytest.raises(EngineBusy, match=r"1 jobs wait for the translator; raise speech\.translator\.workers"):
            await ask(pool, "too much")
        (tmp_path / "gate").write_bytes(b"")
        await asyncio.gather(first, second)
        assert pool.status()[KIND].counters["refused"] == 1


async def test_a_deadline_that_passes_in_line_leaves_the_line(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running() as (pool, _):
        first = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        with pytest.raises(EngineTimeout, match=r"did not answer within 0\.0 s"):
            await ask(pool, "late", deadline_s=0.0)
        assert pool.status()[KIND].in_line == 0
        (tmp_path / "gate").write_bytes(b"")
        await first
        assert await ask(pool, "next") == "2 next"


async def test_a_slow_worker_is_not_shot_for_a_deadline_that_passed(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running() as (pool, changes):
        (before,) = pool.status()[KIND].pids
        with pytest.raises(EngineTimeout):
            await ask(pool, f"gate {tmp_path / 'gate'}", deadline_s=0.05)
        (tmp_path / "gate").write_bytes(b"")
        assert await ask(pool, "next") == "2 next"
        assert pool.status()[KIND].pids == (before,)
        assert changes.empty()


async def test_a_hung_worker_is_killed_and_another_takes_its_place() -> None:
    async with running(hung_after_s=0.05) as (pool, changes):
        (before,) = pool.status()[KIND].pids
        with pytest.raises(EngineTimeout):
            await ask(pool, "hang", deadline_s=0.05)
        assert await changes.get() == (KIND, False)
        assert await changes.get() == (KIND, True)
        assert is_gone(before)
        assert await ask(pool, "next") == "1 next"
        assert pool.status()[KIND].counters["hung"] == 1


async def test_a_crash_fails_only_the_job_that_caused_it() -> None:
    async with running() as (pool, changes):
        crash = asyncio.create_task(ask(pool, "crash"))
        behind = asyncio.create_task(ask(pool, "behind it"))
        with pytest.raises(EngineFailed, match="the translator's process died"):
            await crash
        assert await behind == "1 behind it"
        assert [changes.get_nowait(), changes.get_nowait()] == [(KIND, False), (KIND, True)]


async def test_a_worker_killed_while_idle_is_replaced() -> None:
    async with running() as (pool, changes):
        (before,) = pool.status()[KIND].pids
        os.kill(before, signal.SIGKILL)
        assert await changes.get() == (KIND, False)
        assert await changes.get() == (KIND, True)
        assert await ask(pool, "next") == "1 next"
        assert pool.status()[KIND].pids != (before,)


async def test_one_of_two_workers_lost_is_no_change_for_the_calls() -> None:
    async with running(translator_workers=2) as (pool, changes):
        with pytest.raises(EngineFailed):
            await ask(pool, "crash")
        assert await ask(pool, "next") == "1 next"
        assert changes.empty()


async def test_when_restarts_fail_calls_are_told_at_once(tmp_path: Path) -> None:
    async with running(fake("once", str(tmp_path))) as (pool, changes):
        with pytest.raises(EngineFailed):
            await ask(pool, "crash")
        assert await changes.get() == (KIND, False)
        for _ in range(2):  # in line when the restart fails, and after that
            with pytest.raises(EngineFailed, match="no translator is running: the worker's socket closed"):
                await ask(pool, "anything")


async def test_what_the_engine_raises_reaches_the_caller_by_its_type() -> None:
    async with running() as (pool, _):
        with pytest.raises(UnknownPair, match="de→fi"):
            await ask(pool, "unknown pair")
        with pytest.raises(EngineFailed, match="RuntimeError: out of memory"):
            await ask(pool, "fail")
        assert await ask(pool, "next") == "3 next"


async def test_a_caller_that_gives_up_does_not_disturb_the_next(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "gate")
    async with running() as (pool, _):
        given_up = asyncio.create_task(ask(pool, f"gate {tmp_path / 'gate'}"))
        await until_busy(pool)
        given_up.cancel()
        await asyncio.wait([given_up])
        (tmp_path / "gate").write_bytes(b"")
        assert await ask(pool, "next") == "2 next"


async def test_stop_fails_what_is_under_way_and_leaves_no_process() -> None:
    async with running(translator_workers=2) as (pool, _):
        pids = pool.status()[KIND].pids
        jobs = [asyncio.create_task(ask(pool, "hang")) for _ in range(3)]
        await until_busy(pool, 2)
        await pool.stop()
        results = await asyncio.gather(*jobs, return_exceptions=True)
        assert [str(result) for result in results] == ["the translator was stopped"] * 3
        assert all(map(is_gone, pids))
        with pytest.raises(EngineFailed):
            await ask(pool, "afterwards")


async def test_a_kind_that_was_not_started_says_so() -> None:
    async with running() as (pool, _):
        with pytest.raises(EngineFailed, match="no synthesizer was started"):
            await pool.synthesize("hello", "en", None, deadline_s=1)


async def test_a_model_that_does_not_load_stops_the_start_with_its_mend() -> None:
    pool = pool_of(fake("refuses"), asyncio.Queue())
    with pytest.raises(SpeechSetupError, match="/models/x: no such model; put it there"):
        await pool.start()


async def test_a_worker_that_dies_at_once_stops_the_start() -> None:
    pool = pool_of(fake("dies"), asyncio.Queue())
    with pytest.raises(SpeechSetupError, match="the translator: did not start"):
        await pool.start()


async def test_a_worker_that_never_gets_ready_is_not_waited_for() -> None:
    pool = pool_of(fake("silent"), asyncio.Queue(), start_within_s=0.3, translator_workers=2)
    with pytest.raises(SpeechSetupError, match=r"were not ready after 0 s; take smaller models"):
        await pool.start()
    assert pool.status()[KIND].ready == 0


def test_it_works_under_uvloop_too() -> None:
    async def scenario() -> None:
        async with running() as (pool, changes):
            with pytest.raises(EngineFailed):
                await ask(pool, "crash")
            assert await ask(pool, "next") == "1 next"
            assert await changes.get() == (KIND, False)

    uvloop.run(scenario())


async def test_what_is_given_up_is_refused_at_once() -> None:
    async with running() as (pool, _):
        assert pool.why_no_room(0) is None
        pool.load.step = Step.CAPTIONS
        with pytest.raises(EngineBusy, match="too busy for voices"):
            await pool.synthesize("Hello.", "en", None, deadline_s=1.0)
        with pytest.raises(EngineBusy, match="partial"):
            await pool.transcribe(np.zeros(160, np.int16), "de", deadline_s=1.0, partial=True)
        assert await ask(pool, "Guten Tag.") == "1 Guten Tag.", "words are still translated"
        assert pool.why_no_room(0) == "engines_busy"
        assert pool.status()[KIND].work.must_s > 0
    async with running(when_busy="degrade") as (pool, _):
        pool.load.step = Step.CAPTIONS
        assert pool.why_no_room(0) is None


async def test_a_smaller_recogniser_takes_over_when_the_larger_has_no_time() -> None:
    told: list[Step] = []
    recognizer, sound = EngineKind.RECOGNIZER, np.zeros(160, np.int16)
    pool = SpeechPool(
        SpeechSettings(smaller="tiny", when_busy="smaller", hung_after_s=AGES_S),
        on_step=told.append,
        commands={recognizer: fake("hears", "large")},
        smaller=fake("hears", "small"),
    )
    await pool.start()
    try:
        pids = pool.status()[recognizer].pids
        assert (await pool.transcribe(sound, "de", deadline_s=AGES_S)).text == "large"
        assert pool.why_no_room(0) is None
        pool.load.has_room = lambda calls: False  # type: ignore[method-assign]
        assert pool.why_no_room(1) is None, "the smaller one makes room"
        assert (pool.step, told) == (Step.SMALLER, [Step.SMALLER])
        assert (await pool.transcribe(sound, "de", deadline_s=AGES_S)).text == "small"
        assert pool.why_no_room(2) == "engines_busy"
        pool.load.step = Step.ALL
        assert (await pool.transcribe(sound, "de", deadline_s=AGES_S)).text == "large"
    finally:
        await pool.stop()
    assert all(map(is_gone, pids))


async def test_the_same_words_are_translated_once() -> None:
    async with running() as (pool, _):
        assert [await ask(pool, "Guten Tag.") for _ in range(3)] == ["1 Guten Tag."] * 3
        assert pool.status()[KIND].counters == {"done": 1}
        assert pool.translations.hits == 2
        went_on = await pool.translate("Guten Tag.", "de", "en", deadline_s=AGES_S, after=Context("Ja,", "Yes,"))
        assert went_on.text == "2 Guten Tag.", "behind other words they may be others"
