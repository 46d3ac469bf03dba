"""Deliveries from the outbox to a real receiver, on pretend time."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Callable, Mapping

import pytest

from kallglot_media.random_ids import RandomIds
from kallglot_media.store import deliveries, endpoints, events
from kallglot_media.store.endpoints import Endpoint
from kallglot_media.store.page import Page
from kallglot_media.store.store import Store, open_store
from kallglot_media.webhooks.post import Answer, HttpPost
from kallglot_media.webhooks.sender import LEASE_MS, WebhookSender
from kallglot_media.webhooks.signature import verify
from tests.support.receiver import Receiver
from tests.support.stores import NOON_MS, HandClock


async def subscribed(store: Store, receiver: Receiver | None = None) -> Endpoint:
    url = f"http://hooks.test:{receiver.port}/hook" if receiver else "http://hooks.test/hook"
    return await store.write(endpoints.create, url)


async def happened(store: Store, *kinds: str, session_id: str = "sess_1") -> None:
    for kind in kinds:
        await store.write(events.add, kind, {"id": session_id}, session_id=session_id)


@pytest.mark.loopback
async def test_what_the_receiver_gets(store: Store, receiver: Receiver, post: HttpPost, clock: HandClock) -> None:
    endpoint = await subscribed(store, receiver)
    await happened(store, "session.created")
    clock.go_on(s=2)
    assert await WebhookSender(store, post).step() == 1
    (got,) = receiver.requests
    envelope = json.loads(got.body)
    assert (envelope["type"], envelope["api_version"], envelope["data"]) == ("session.created", "v1", {"id": "sess_1"})
    assert got.headers["kallglot-webhook-id"] == envelope["id"]
    assert got.headers["kallglot-retry-count"] == "0"
    assert got.headers["kallglot-original-timestamp"] == str(NOON_MS // 1000)
    assert verify(endpoint.secret, got.headers["kallglot-signature"], got.body, clock.now_ms / 1000)
    (delivery,) = (await store.read(deliveries.page, Page(), endpoint_id=endpoint.id)).items
    assert (delivery.state, delivery.attempts) == ("delivered", 1)


@pytest.mark.loopback
async def test_a_whole_schedule_of_refusals(store: Store, receiver: Receiver, post: HttpPost, clock: HandClock) -> None:
    endpoint = await subscribed(store, receiver)
    await happened(store, "session.created", "session.ended")
    receiver.will(*[500] * 8)
    sender = WebhookSender(store, post, chance=lambda: 0.0)
    gone_s = []
    for _ in range(8):
        assert await sender.step() == 1
        gone_s.append((clock.now_ms - NOON_MS) // 1000)
        assert await sender.step() == (1 if len(gone_s) == 8 else 0), "the next event waits until this one is over"
        due_ms = await store.read(deliveries.next_due_ms)
        if due_ms is not None:
            clock.now_ms = due_ms
    minute, hour = 60, 3600
    waits = [0, minute, 5 * minute, 30 * minute, 2 * hour, 5 * hour, 10 * hour, 24 * hour]
    assert gone_s == [sum(waits[: at + 1]) for at in range(8)]
    last, first = (await store.read(deliveries.page, Page(), endpoint_id=endpoint.id)).items
    assert (first.event_type, first.state, first.attempts) == ("session.created", "failed", 8)
    assert (last.event_type, last.state) == ("session.ended", "delivered")
    attempts = await store.read(deliveries.attempts, first.id)
    assert [one.status for one in attempts] == [500] * 8
    assert attempts[0].error == "answered 500; write a 2xx status to accept it"
    retries = [request.headers["kallglot-retry-count"] for request in receiver.requests]
    assert retries == [*"01234567", "0"]
    assert len({request.body for request in receiver.requests}) == 2, "the same bytes at every attempt"


class Script:
    """A Post that answers what it is told, and lets the test hold an answer back."""

    def __init__(self, *statuses: int) -> None:
        self.statuses = list(statuses)
        self.sent: list[str] = []
        self.hold: asyncio.Event | None = None
        self.arrived = asyncio.Event()

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append(json.loads(body)["type"])
        self.arrived.set()
        if self.hold is not None:
            await self.hold.wait()
        return Answer(self.statuses.pop(0) if self.statuses else 200)


async def until(ready: Callable[[], bool], post: Script) -> None:
    async with asyncio.timeout(10):
        while not ready():
            post.arrived.clear()
            await post.arrived.wait()


async def test_the_task_sends_what_is_committed_while_it_sleeps(store: Store) -> None:
    await subscribed(store)
    post = Script()
    task = asyncio.create_task(WebhookSender(store, post).run())
    for kind in ("session.created", "session.started", "session.ended"):
        await happened(store, kind)
    await until(lambda: len(post.sent) == 3, post)
    assert post.sent == ["session.created", "session.started", "session.ended"]
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task


async def test_what_was_on_its_way_when_the_server_died_is_sent_again(store: Store, clock: HandClock) -> None:
    await subscribed(store)
    await happened(store, "session.created", "session.ended")
    post = Script()
    post.hold = asyncio.Event()
    task = asyncio.create_task(WebhookSender(store, post).run())
    await until(lambda: len(post.sent) == 1, post)
    task.cancel()
    with pytest.raises(asyncio.CancelledError):
        await task

    reopened = await open_store(store.settings, RandomIds(), clock)
    after = Script()
    sender = WebhookSender(reopened, after)
    assert await sender.step() == 0, "its lease still runs"
    clock.go_on(ms=LEASE_MS)
    while await sender.step():
        pass
    assert after.sent == ["session.created", "session.ended"]
    await reopened.close()


async def test_a_test_event_goes_out_whatever_was_subscribed_to(store: Store) -> None:
    endpoint = await store.write(endpoints.create, "http://hooks.test/hook", ["recording.failed"])
    delivery_id = await store.write(events.add_test, endpoint)
    post = Script(418)
    assert await WebhookSender(store, post).step() == 1
    assert post.sent == ["endpoint.test"]
    (attempt,) = await store.read(deliveries.attempts, delivery_id)
    assert attempt.status == 418
