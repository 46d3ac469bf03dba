"""The task that empties the outbox.

What is due is taken from the database with a lease, sent, and written back: delivered, due again, or failed for
good. Nothing is kept in memory that the rows do not say, so a restart loses nothing.
"""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Callable
from contextlib import suppress

from kallglot_media.log import logger
from kallglot_media.store import deliveries
from kallglot_media.store.deliveries import Attempt, Due
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.store import Store
from kallglot_media.webhooks.post import TIME_LIMIT_S, Answer, Post
from kallglot_media.webhooks.schedule import next_due_ms
from kallglot_media.webhooks.signature import HEADER, sign

MOST_AT_ONCE = 32
LEASE_MS = round(2 * TIME_LIMIT_S * 1000)
LONGEST_NAP_S = 5.0
"""Another process (the CLI, another node) may have added a delivery without waking us."""
_AWAY_S = 2.0


class WebhookSender:
    """run() sends for ever; step() sends what is due now, for tests and for one-off commands."""

    def __init__(self, store: Store, post: Post, *, chance: Callable[[], float] = random.random) -> None:
        self.counters: Counter[str] = Counter()
        self._store = store
        self._post = post
        self._chance = chance
        self._wake = asyncio.Event()
        self._sending: set[asyncio.Task[None]] = set()
        self._log = logger("webhooks")
        store.on_commit(deliveries.TOPIC, self._wake.set)

    async def run(self) -> None:
        """Send for ever. When cancelled, what is on its way is given up; its lease runs out and it is sent again."""
        try:
            while True:
                self._wake.clear()
                nap_s = await self._turn()
                with suppress(TimeoutError):
                    async with asyncio.timeout(nap_s):
                        await self._wake.wait()
        finally:
            for task in self._sending:
                task.cancel()
            await asyncio.gather(*self._sending, return_exceptions=True)

    async def _turn(self) -> float:
        """Begin what is due; how long nothing is to be done."""
        try:
            room = MOST_AT_ONCE - len(self._sending)
            if room:
                for due in await self._store.write(deliveries.take_due, room, LEASE_MS):
                    task = asyncio.create_task(self._deliver(due), name=due.delivery.id)
                    self._sending.add(task)
                    task.add_done_callback(self._done)
            next_ms = await self._store.read(deliveries.next_due_ms)
        except StoreUnavailable as error:
            self._log.warning("deliveries wait", why=str(error))
            return _AWAY_S
        if next_ms is None or len(self._sending) >= MOST_AT_ONCE:
            return LONGEST_NAP_S
        return min(max((next_ms - self._store.now_ms()) / 1000, 0.0), LONGEST_NAP_S)

    def _done(self, task: asyncio.Task[None]) -> None:
        self._sending.discard(task)
        self._wake.set()
        error = None if task.cancelled() else task.exception()
        if error is not None:
            self._log.error("bug", delivery=task.get_name(), exc_info=error)

    async def step(self) -> int:
        """Send all that is due now and wait for the answers; how many deliveries were attempted."""
        dues = await self._store.write(deliveries.take_due, MOST_AT_ONCE, LEASE_MS)
        await asyncio.gather(*(self._deliver(due) for due in dues))
        return len(dues)

    async def send(self, delivery_id: str) -> bool:
        """Send this one now and wait for the answer; False when somebody else has it, or it is over."""
        due = await self._store.write(deliveries.take, delivery_id, LEASE_MS)
        if due is not None:
            await self._deliver(due)
        return due is not None

    async def _deliver(self, due: Due) -> None:
        began_ms = self._store.now_ms()
        body = due.body.encode("ascii")
        headers = {
            HEADER: sign(due.secret, began_ms // 1000, body),
            "Kallglot-Webhook-Id": due.delivery.event_id,
            "Kallglot-Retry-Count": str(due.delivery.attempts),
            "Kallglot-Original-Timestamp": str(due.created_at_ms // 1000),
        }
        answer = await self._post(due.url, headers, body)
        await self._keep(due, began_ms, answer)

    async def _keep(self, due: Due, began_ms: int, answer: Answer) -> None:
        now_ms = self._store.now_ms()
        good = answer.status is not None and 200 <= answer.status < 300
        error = None if good else answer.error or f"answered {answer.status}; write a 2xx status to accept it"
        number = due.delivery.attempts + 1
        again_ms = None if good else next_due_ms(number, now_ms, self._chance())
        done = deliveries.DELIVERED if good else deliveries.FAILED if again_ms is None else None
        attempt = Attempt(
            number, began_ms, now_ms - began_ms, answer.status, error, answer.body.decode("utf-8", "replace")
        )
        self.counters[done or "to_be_repeated"] += 1
        try:
            await self._store.write(deliveries.attempted, due.delivery.id, attempt, done=done, due_at_ms=again_ms)
        except StoreUnavailable:
            # It will be sent once more when the lease is over: receivers know an event by its id.
            self.counters["outcome_lost"] += 1
        if not good:
            self._log.info("x", delivery=due.delivery.id, attempt=number, why=error, last=again_ms is None)
