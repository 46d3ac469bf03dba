"""The store itself: one commit for many writes, their order, what fails alone, and what a caller may rely on."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator

import pytest

from kallglot_media.errors import SetupError
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import sessions, turns
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store, parse_url
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx
from tests.support.stores import NOON_MS, HandClock


def said(sequence: int) -> Turn:
    return Turn("sess_1", sequence, "customer", "de", "x")


async def test_what_waits_together_is_committed_together(store: Store) -> None:
    await asyncio.gather(*(store.write(turns.add, said(sequence)) for sequence in range(50)))
    assert await store.read(turns.count, "sess_1") == 50
    assert store.counters["writes"] == 50
    assert store.counters["commits"] <= 3


async def test_one_that_raises_fails_alone(store: Store) -> None:
    def wrong(tx: Tx) -> None:
        turns.add(tx, said(99))
        raise ZeroDivisionError

    first, second, third = await asyncio.gather(
        store.write(turns.add, said(1)), store.write(wrong), store.write(turns.add, said(2)), return_exceptions=True
    )
    assert (first, third) == (1, 1)
    assert isinstance(second, ZeroDivisionError)
    assert [turn.sequence for turn in await store.read(turns.of_session, "sess_1")] == [1, 2]


async def test_writes_are_done_in_the_order_in_which_they_were_asked_for(store: Store) -> None:
    done: list[int] = []
    await asyncio.gather(*(store.write(lambda tx, n=number: done.append(n)) for number in range(500)))  # type: ignore[misc]
    assert done == list(range(500))


async def test_a_read_sees_what_was_written_before(store: Store) -> None:
    for sequence in range(20):
        await store.write(turns.add, said(sequence))
        assert await store.read(turns.count, "sess_1") == sequence + 1


async def test_a_write_has_the_time_of_its_request(store: Store, clock: HandClock) -> None:
    write = asyncio.create_task(store.write(sessions.create, NewSession(mode="ai_agent")))
    await asyncio.sleep(0)
    clock.go_on(s=10)
    assert (await write).created_at_ms == NOON_MS
    old = await store.write_as_of(NOON_MS - 5, sessions.create, NewSession(mode="ai_agent"))
    assert old.created_at_ms == NOON_MS - 5


async def test_closing_finishes_what_waits(url: str) -> None:
    store = await open_store(StoreSettings(url), RandomIds())
    for sequence in range(30):
        store.soon(turns.add, said(sequence))
    await store.close()
    with pytest.raises(StoreUnavailable, match="stopping"):
        await store.write(turns.add, said(99))
    again = await open_store(StoreSettings(url), RandomIds())
    assert await again.read(turns.count, "sess_1") == 30
    await again.close()


async def test_soon_counts_its_failures(store: Store, capsys: pytest.CaptureFixture[str]) -> None:
    def wrong(tx: Tx) -> None:
        raise ZeroDivisionError

    store.soon(wrong)
    await store.write(turns.add, said(1))
    await asyncio.sleep(0)
    assert store.counters["soon_failed"] == 1
    assert "ZeroDivisionError" in "".join(capsys.readouterr())


async def test_the_line_has_an_end(url: str) -> None:
    store = await open_store(StoreSettings(url, longest_queue=3), RandomIds())
    writes = [asyncio.create_task(store.write(turns.add, said(number))) for number in range(5)]
    outcomes = await asyncio.gather(*writes, return_exceptions=True)
    refused = [outcome for outcome in outcomes if isinstance(outcome, StoreUnavailable)]
    assert len(refused) == 2
    assert refused[0].retry_after_s > 0
    assert store.counters["line_full"] == 2
    await store.close()


class Stuck:
    """A driver that holds every write until it is told to go on."""

    def __init__(self, store: Store) -> None:
        self.held = asyncio.Event()
        self.go_on = asyncio.Event()
        self._write = store._driver.write
        store._driver.write = self.write  # type: ignore[method-assign, assignment]

    async def write(self, works: object) -> object:
        self.held.set()
        await self.go_on.wait()
        return await self._write(works)  # type: ignore[arg-type]


async def test_a_caller_that_is_cancelled_before_its_turn_writes_nothing(store: Store) -> None:
    stuck = Stuck(store)
    first = asyncio.create_task(store.write(turns.add, said(1)))
    await stuck.held.wait()
    second = asyncio.create_task(store.write(turns.add, said(2)))
    await asyncio.sleep(0)
    second.cancel()
    with pytest.raises(asyncio.CancelledError):
        await second
    stuck.go_on.set()
    await first
    assert [turn.sequence for turn in await store.read(turns.of_session, "sess_1")] == [1]


async def test_a_caller_that_is_cancelled_after_its_turn_came_has_written(store: Store) -> None:
    stuck = Stuck(store)
    write = asyncio.create_task(store.write(turns.add, said(1)))
    await stuck.held.wait()
    write.cancel()
    with pytest.raises(asyncio.CancelledError):
        await write
    stuck.go_on.set()
    await store.write(turns.add, said(2))
    assert [turn.sequence for turn in await store.read(turns.of_session, "sess_1")] == [1, 2]


@pytest.fixture
async def impatient(url: str) -> AsyncIterator[Store]:
    store = await open_store(StoreSettings(url, deadline_s=0.01), RandomIds())
    yield store
    await store.close()


async def test_a_write_that_does_not_get_its_turn_is_given_up_and_never_done(impatient: Store) -> None:
    stuck = Stuck(impatient)
    begun = asyncio.create_task(impatient.write(turns.add, said(1)))
    await stuck.held.wait()
    with pytest.raises(StoreUnavailable, match="writes wait"):
        await impatient.write(turns.add, said(2))
    assert not begun.done(), "it may be committed already: only the database knows"
    stuck.go_on.set()
    assert await begun == 1
    impatient.settings = StoreSettings(impatient.settings.url)
    assert [turn.sequence for turn in await impatient.read(turns.of_session, "sess_1")] == [1]


@pytest.mark.parametrize(
    ("text", "wrong"),
    [
        ("nonsense", "is no database URL"),
        ("mysql://host/db", "names mysql"),
        ("sqlite://", "names no file"),
        ("", "is no database URL"),
    ],
)
def test_a_wrong_url_says_what_to_write(text: str, wrong: str) -> None:
    with pytest.raises(SetupError) as caught:
        parse_url(text)
    assert caught.value.wrong == wrong
    assert "postgresql://user:password@host/database" in caught.value.mend
