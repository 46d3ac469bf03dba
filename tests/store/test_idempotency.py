"""The same request twice is done once and answered alike."""

from __future__ import annotations

import asyncio

from kallglot_media.store import idempotency
from kallglot_media.store.idempotency import Begun, Mismatch, Replay, Running, fingerprint
from kallglot_media.store.store import Store
from tests.support.stores import HandClock

THIS = fingerprint("POST", "/v1/sessions", b"{}")


async def begin(store: Store, key: str = "k", print_of: str = THIS, node: str = "one") -> idempotency.Outcome:
    return await store.write(idempotency.begin, key, print_of, node)


async def test_first_running_then_replayed(store: Store) -> None:
    assert await begin(store) == Begun()
    assert await begin(store) == Running()
    await store.write(idempotency.finish, "k", 201, '{"id":"sess_1"}')
    assert await begin(store) == Replay(201, '{"id":"sess_1"}')
    assert await begin(store, print_of=fingerprint("POST", "/v1/sessions", b"{ }")) == Mismatch()


async def test_of_many_at_once_one_begins(store: Store) -> None:
    outcomes = await asyncio.gather(*(begin(store) for _ in range(20)))
    assert outcomes.count(Begun()) == 1
    assert outcomes.count(Running()) == 19


async def test_what_failed_may_be_sent_again(store: Store) -> None:
    await begin(store)
    await store.write(idempotency.abandon, "k")
    assert await begin(store) == Begun()


async def test_keys_are_kept_24_hours(store: Store, clock: HandClock) -> None:
    await begin(store)
    await store.write(idempotency.finish, "k", 200, "")
    clock.go_on(days=1, ms=-1)
    assert await begin(store) == Replay(200, "")
    assert await store.write(idempotency.forget_old) == 0
    clock.go_on(ms=1)
    assert await begin(store) == Begun()
    clock.go_on(days=1)
    assert await store.write(idempotency.forget_old) == 1


async def test_a_request_that_died_with_its_server_blocks_nobody_for_long(store: Store, clock: HandClock) -> None:
    await begin(store, "a", node="one")
    await begin(store, "b", node="two")
    assert await store.write(idempotency.release, "one") == 1
    assert await begin(store, "a") == Begun()
    clock.go_on(ms=idempotency.RUNNING_AT_MOST_MS - 1)
    assert await begin(store, "b") == Running()
    clock.go_on(ms=1)
    assert await begin(store, "b") == Begun()


def test_a_fingerprint_knows_where_each_part_ends() -> None:
    assert fingerprint("POST", "/a", b"b") != fingerprint("POST", "/", b"ab")
