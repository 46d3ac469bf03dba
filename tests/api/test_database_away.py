"""A database that is locked, gone or broken: clients read 503, live calls go on, what was said is there afterwards."""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from kallglot_media.call import events as e
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.modes.plan import Party
from kallglot_media.store.settings import StoreSettings, sqlite_url
from tests.support.api_world import ApiWorld, api_world

pytestmark = pytest.mark.loopback

MODE = {"mode": "bidirectional_translation"}


@pytest.fixture
async def api(tmp_path: Path) -> AsyncIterator[ApiWorld]:
    database = StoreSettings(sqlite_url(tmp_path / "data"), lock_wait_s=0.05)
    async with api_world(tmp_path, database) as world:
        yield world


def database_of(api: ApiWorld) -> Path:
    return api.parts.data_dir / "kallglot.sqlite3"


@contextmanager
def locked(path: Path) -> Iterator[None]:
    """Another program is writing, and does not stop."""
    other = sqlite3.connect(path, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    try:
        yield
    finally:
        other.execute("ROLLBACK")
        other.close()


@contextmanager
def gone(path: Path) -> Iterator[None]:
    """The file is not there."""
    aside = path.with_suffix(".aside")
    path.rename(aside)
    try:
        yield
    finally:
        aside.rename(path)


@contextmanager
def broken(path: Path) -> Iterator[None]:
    """There is something else in its place."""
    with gone(path):
        path.write_bytes(b"This is no database." * 1000)
        try:
            yield
        finally:
            path.unlink()


@pytest.mark.parametrize("fault", [locked, gone, broken], ids=lambda fault: fault.__name__)
async def test_clients_are_told_when_to_come_back_while_live_calls_go_on(
    api: ApiWorld,
    fault: Callable[[Path], contextmanager[None]],  # type: ignore[valid-type]
) -> None:
    live = await api.session()
    api.parts.lobby.connect_stream(live["id"], (Party.CUSTOMER, Party.AGENT))
    await api.read_until(live["id"], "active")
    turn = Turn(1, "customer", "de", "Guten Tag", TranslatedText("en", "Good day"), 0, 900, 0.9)
    with fault(database_of(api)):  # type: ignore[attr-defined]
        for method, path, body in (
            ("POST", "/v1/sessions", MODE),
            ("POST", f"/v1/sessions/{live['id']}/end", None),
            ("POST", "/v1/agents", {"name": "A"}),
        ):
            response = await api.client.request(method, path, json=body, headers={"Idempotency-Key": path[-9:]})
            error = response.json()["error"]
            assert (response.status_code, error["code"]) == (503, "service_unavailable"), path
            assert response.headers["retry-after"] == str(error["retry_after"])
            assert "live calls go on" in error["message"]
        assert api.registry.open_sessions == 1
        api.parts.bus.publish(e.FinalTranscript(live["id"], turn))
        await api.settle()
        metrics = (await api.client.get("/metrics")).text
        assert "kallglot_store_writes_held 1.0" in metrics
        if fault is not locked:  # readers do not wait for a writer
            ready = await api.client.get("/readyz")
            assert (ready.status_code, "database" in ready.json()["problems"]) == (503, True)
    async with asyncio.timeout(20):  # each look is a request, so the server goes on meanwhile
        while not (await api.call("GET", f"/v1/sessions/{live['id']}/transcript"))["turns"]:
            pass
    assert "kallglot_store_writes_held 0.0" in (await api.client.get("/metrics")).text
    again = {"Idempotency-Key": "v1/agents"}
    assert (await api.call("POST", "/v1/agents", {"name": "A"}, headers=again))["name"] == "A"
    assert (await api.call("GET", f"/v1/sessions/{live['id']}"))["status"] == "active"
    assert (await api.call("POST", f"/v1/sessions/{live['id']}/end"))["status"] == "ended"
