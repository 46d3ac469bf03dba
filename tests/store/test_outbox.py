"""The outbox: what is committed is delivered, in order for each session, and nothing else is."""

from __future__ import annotations

import json

import pytest

from kallglot_media.store import deliveries, endpoints, events, sessions
from kallglot_media.store.deliveries import Attempt, Due
from kallglot_media.store.page import Page
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.store import Store
from kallglot_media.store.tx import Tx
from tests.support.stores import NOON_MS, HandClock

URL = "https://example.com/hook"


async def take(store: Store, most: int = 10, lease_ms: int = 60_000) -> tuple[Due, ...]:
    return await store.write(deliveries.take_due, most, lease_ms)


async def finish(store: Store, due: Due, done: str | None = "delivered", due_at_ms: int | None = None) -> None:
    attempt = Attempt(due.delivery.attempts + 1, store.now_ms(), 12, 200, None, "ok")
    await store.write(deliveries.attempted, due.delivery.id, attempt, done=done, due_at_ms=due_at_ms)


async def test_an_event_goes_to_every_endpoint_that_wants_it(store: Store) -> None:
    wants = await store.write(endpoints.create, URL, ["session.created"])
    await store.write(endpoints.create, URL, ["session.ended"])
    event_id = await store.write(events.add, "session.created", {"id": "sess_1", "name": "Jörg"}, session_id="sess_1")
    assert event_id is not None
    (due,) = await take(store)
    assert (due.delivery.endpoint_id, due.delivery.event_id, due.url, due.secret) == (
        wants.id,
        event_id,
        URL,
        wants.secret,
    )
    assert json.loads(due.body) == {
        "id": event_id,
        "type": "session.created",
        "api_version": "v1",
        "created_at": "2026-05-28T20:26:40.000Z",
        "data": {"id": "sess_1", "name": "Jörg"},
    }
    assert due.body.isascii()


async def test_what_nobody_wants_is_not_kept(store: Store) -> None:
    assert await store.write(events.add, "session.created", {}) is None


async def test_an_event_about_what_was_not_committed_is_not_sent(store: Store) -> None:
    await store.write(endpoints.create, URL)

    def create_and_fail(tx: Tx) -> None:
        session = sessions.create(tx, NewSession(mode="ai_agent"))
        events.add(tx, "session.created", {"id": session.id}, session_id=session.id)
        raise RuntimeError("after the fact")

    with pytest.raises(RuntimeError, match="after the fact"):
        await store.write(create_and_fail)
    assert await take(store) == ()
    assert (await store.read(sessions.page, Page())).items == ()


async def test_deliveries_of_a_session_wait_for_each_other(store: Store, clock: HandClock) -> None:
    await store.write(endpoints.create, URL)
    for session_id, kind in (("a", "session.created"), ("a", "session.ended"), ("b", "session.created")):
        await store.write(events.add, kind, {}, session_id=session_id)
    first_a, first_b = await take(store)
    assert [(due.delivery.session_id, due.delivery.event_type) for due in (first_a, first_b)] == [
        ("a", "session.created"),
        ("b", "session.created"),
    ]
    assert await take(store) == (), "they are on their way"
    await finish(store, first_b)
    await finish(store, first_a, done=None, due_at_ms=clock.now_ms + 60_000)
    assert await take(store) == (), "the first must be tried again before the second goes out"
    assert await store.read(deliveries.next_due_ms) == NOON_MS + 60_000
    clock.go_on(s=60)
    (again,) = await take(store)
    assert (again.delivery.id, again.delivery.attempts) == (first_a.delivery.id, 1)
    await finish(store, again, done="failed")
    (second_a,) = await take(store)
    assert second_a.delivery.event_type == "session.ended"
    await finish(store, second_a)
    assert await store.read(deliveries.next_due_ms) is None


async def test_events_of_no_session_do_not_wait(store: Store) -> None:
    endpoint = await store.write(endpoints.create, URL, ["session.ended"])
    for _ in range(2):
        await store.write(events.add_test, endpoint)
    assert [due.delivery.event_type for due in await take(store)] == ["endpoint.test", "endpoint.test"]


async def test_one_endpoint_that_is_down_holds_up_no_other(store: Store, clock: HandClock) -> None:
    for _ in range(2):
        await store.write(endpoints.create, URL)
    for kind in ("session.created", "session.ended"):
        await store.write(events.add, kind, {}, session_id="a")
    down, up = await take(store)
    await finish(store, down, done=None, due_at_ms=clock.now_ms + 60_000)
    await finish(store, up)
    (next_up,) = await take(store)
    assert next_up.delivery.endpoint_id == up.delivery.endpoint_id


async def test_a_lease_runs_out_or_is_given_up(store: Store, clock: HandClock) -> None:
    await store.write(endpoints.create, URL)
    await store.write(events.add, "session.created", {}, session_id="a")
    (due,) = await take(store, lease_ms=60_000)
    assert await store.read(deliveries.next_due_ms) == NOON_MS + 60_000
    clock.go_on(s=60)
    (again,) = await take(store)
    assert again.delivery.id == due.delivery.id
    assert await store.write(deliveries.release) == 1
    assert len(await take(store)) == 1


async def test_the_history_has_every_attempt(store: Store) -> None:
    endpoint = await store.write(endpoints.create, URL)
    await store.write(events.add, "session.created", {}, session_id="a")
    (due,) = await take(store)
    wrong = Attempt(1, NOON_MS, 30_000, None, "no answer within 30 s", None)
    await store.write(deliveries.attempted, due.delivery.id, wrong, done=None, due_at_ms=NOON_MS)
    good = Attempt(2, NOON_MS + 1, 80, 200, None, "x" * 5000)
    await store.write(deliveries.attempted, due.delivery.id, good, done="delivered", due_at_ms=None)
    first, second = await store.read(deliveries.attempts, due.delivery.id)
    assert first == wrong
    assert second.answer == "x" * 2000
    (shown,) = (await store.read(deliveries.page, Page(), endpoint_id=endpoint.id, state="delivered")).items
    assert (shown.state, shown.attempts, shown.done_at_ms) == ("delivered", 2, NOON_MS)


async def test_deleting_an_endpoint_while_we_send_to_it(store: Store) -> None:
    endpoint = await store.write(endpoints.create, URL)
    await store.write(events.add, "session.created", {}, session_id="a")
    (due,) = await take(store)
    await store.write(endpoints.delete, endpoint.id)
    await finish(store, due)
    assert await store.read(deliveries.get, due.delivery.id) is None


async def test_a_commit_wakes_the_sender(store: Store) -> None:
    woken: list[str] = []
    store.on_commit(deliveries.TOPIC, lambda: woken.append("up"))
    await store.write(sessions.create, NewSession(mode="ai_agent"))
    assert woken == []
    await store.write(endpoints.create, URL)
    await store.write(events.add, "session.created", {})
    assert woken == ["up"]


async def test_a_slow_endpoint_leaves_room_for_others(store: Store) -> None:
    for kind in ("session.created", "session.started"):
        await store.write(endpoints.create, URL, [kind])
    for at in range(12):
        await store.write(events.add, "session.created", {}, session_id=f"a{at:02}")
    first = await take(store, most=10)
    assert [due.delivery.session_id for due in first] == [f"a{at:02}" for at in range(8)]
    assert await take(store) == ()
    await store.write(events.add, "session.started", {}, session_id="a00")
    assert [due.delivery.event_type for due in await take(store)] == ["session.started"]
    await finish(store, first[3])
    assert [due.delivery.session_id for due in await take(store)] == ["a08"]
