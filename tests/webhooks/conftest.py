"""A store (SQLite will do here: the outbox itself is tested on both) and a receiver on loopback."""

from __future__ import annotations

import ipaddress
from collections.abc import AsyncIterator, Sequence
from pathlib import Path

import pytest

from kallglot_media.random_ids import RandomIds
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store
from kallglot_media.webhooks.guard import Guard
from kallglot_media.webhooks.post import HttpPost
from tests.support.receiver import Receiver
from tests.support.stores import HandClock


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
async def store(tmp_path: Path, clock: HandClock) -> AsyncIterator[Store]:
    opened = await open_store(StoreSettings(f"sqlite:///{tmp_path}/kallglot.sqlite3"), RandomIds(), clock)
    yield opened
    await opened.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Receiver]:
    async with Receiver() as running:
        yield running


async def _here(host: str, port: int) -> Sequence[str]:
    return ["127.0.0.1"]


@pytest.fixture
def guard() -> Guard:
    """Lets loopback through, and finds every name there."""
    return Guard([ipaddress.ip_network("127.0.0.0/8")], resolve=_here)


@pytest.fixture
async def post(guard: Guard) -> AsyncIterator[HttpPost]:
    made = HttpPost(guard)
    yield made
    await made.close()
