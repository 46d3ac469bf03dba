"""Writes of live calls while the database is away: kept in order, bounded, written when it is back."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest

from kallglot_media.store import sessions, turns
from kallglot_media.store.driver import Outcome, Work
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.spool import Spool
from kallglot_media.store.store import Store
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx
from tests.support.stores import NOON_MS, HandClock


class Away:
    """Takes a store's database away, and gives it back."""

    def __init__(self, store: Store) -> None:
        self._driver: Any = store._driver
        self._write = self._driver.write
        self.refused = asyncio.Event()

    def take(self) -> None:
        async def refuse(works: list[Work]) -> list[Outcome]:
            self.refused.set()
            return [StoreUnavailable("away")] * len(works)

        self._driver.write = refuse

    def give_back(self) -> None:
        self._driver.write = self._write


@asynccontextmanager
async def running(store: Store, **changes: Any) -> AsyncIterator[Spool]:
    """A spool whose task runs; its pauses end at once."""

    async def no_pause(_: float) -> None:
        await asyncio.sleep(0)

    spool = Spool(store, pause=no_pause, **changes)
    task = asyncio.create_task(spool.run())
    yield spool
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


def said(sequence: int) -> Turn:
    return Turn("sess_1", sequence, "customer", "de", f"Satz {sequence}", start_ms=sequence, end_ms=sequence + 1)


async def test_with_a_database_it_is_written_at_once(store: Store) -> None:
    async with running(store) as spool:
        assert await spool.keep("sess_1", turns.add, said(1))
        assert len(spool) == 0
    assert await store.read(turns.count, "sess_1") == 1


async def test_without_one_it_waits_in_order_with_its_own_time(store: Store, clock: HandClock) -> None:
    async with running(store, patience_s=0) as spool:
        away = Away(store)
        away.take()
        assert not await spool.keep("sess_1", sessions.create, NewSession(mode="ai_agent", id="sess_1"))
        await away.refused.wait()
        clock.go_on(s=1)
        assert not await spool.keep("sess_1", sessions.start, "sess_1")
        for sequence in (1, 2):
            assert not await spool.keep("sess_1", turns.add, said(sequence))
        clock.go_on(s=60)
        assert not await spool.keep("sess_1", sessions.end, "sess_1", "customer_hangup")
        clock.go_on(s=3600)
        assert len(spool) == 5
        away.give_back()
        assert await spool.drain(10)
    session = await store.read(sessions.get, "sess_1")
    assert session is not None
    assert (session.created_at_ms, session.started_at_ms, session.ended_at_ms, session.duration_ms) == (
        NOON_MS,
        NOON_MS + 1000,
        NOON_MS + 61_000,
        60_000,
    )
    assert await store.read(turns.count, "sess_1") == 2


async def test_it_does_not_grow_without_end_and_says_whose_writes_went(store: Store) -> None:
    async with running(store, patience_s=0, most=3) as spool:
        away = Away(store)
        away.take()
        for number in range(5):
            await spool.keep(f"sess_{number}", turns.add, said(number))
        assert len(spool) == 3
        assert spool.lost == {"sess_0", "sess_1"}
        assert spool.counters["lost"] == 2
        away.give_back()
        assert await spool.drain(10)
    assert await store.read(turns.count, "sess_1") == 3


async def test_what_was_pushed_out_is_made_good_from_the_folders(store: Store) -> None:
    refilled: list[str] = []
    done = asyncio.Event()

    async def refill(session_id: str) -> None:
        refilled.append(session_id)
        if session_id == "sess_0" and refilled.count("sess_0") == 1:
            raise StoreUnavailable("away again")
        if len(refilled) == 3:
            done.set()

    async with running(store, patience_s=0, most=1, refill=refill) as spool:
        away = Away(store)
        away.take()
        for number in range(2):
            await spool.keep(f"sess_{number}", turns.add, said(number))
        spool.lost.add("sess_x")
        away.give_back()
        async with asyncio.timeout(10):
            await done.wait()
        assert spool.lost == set()
    assert sorted(refilled) == ["sess_0", "sess_0", "sess_x"]


async def test_a_caller_whose_write_is_pushed_out_is_told(store: Store) -> None:
    async with running(store, patience_s=60, most=1) as spool:
        Away(store).take()
        first = asyncio.create_task(spool.keep("sess_1", turns.add, said(1)))
        await asyncio.sleep(0)
        second = asyncio.create_task(spool.keep("sess_1", turns.add, said(2)))
        assert await first is False
        second.cancel()


async def test_a_mistake_of_ours_is_dropped_alone(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(tx: Tx) -> None:
        raise ZeroDivisionError

    async with running(store, patience_s=0) as spool:
        away = Away(store)
        away.take()
        await spool.keep("sess_1", turns.add, said(1))
        await spool.keep("sess_1", wrong)
        await spool.keep("sess_1", turns.add, said(2))
        away.give_back()
        assert await spool.drain(10)
        assert spool.counters["refused"] == 1
    assert await store.read(turns.count, "sess_1") == 2
    assert "ZeroDivisionError" in "".join(capsys.readouterr())


async def test_it_says_when_time_is_up(store: Store) -> None:
    async with running(store, patience_s=0) as spool:
        Away(store).take()
        await spool.keep("sess_1", turns.add, said(1))
        assert not await spool.drain(0)
