"""The control API for tests: a real uvicorn on 127.0.0.1 and a real SQLite; calls, media and engines are pretended."""

from __future__ import annotations

import asyncio
import json
from collections import Counter
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import httpx2
import yaml
from fastapi import FastAPI

from kallglot_media.analysis.runner import AnalysisRunner
from kallglot_media.api.app import MODULES, make_app
from kallglot_media.api.docs import openapi
from kallglot_media.api.exports import SCRATCH, Exports
from kallglot_media.api.parts import Parts
from kallglot_media.api.rate_limit import RateLimit
from kallglot_media.api.serve import ApiServer
from kallglot_media.call.desk import Desk
from kallglot_media.call.lobby import Lobby
from kallglot_media.call.registry import Registry, RegistryRules
from kallglot_media.call.routing import Router
from kallglot_media.config.load import Config, load_config
from kallglot_media.knowledge.reader import DocumentReader
from kallglot_media.ledger.analyses import tell_analysis
from kallglot_media.ledger.entries import House
from kallglot_media.ledger.ledger import Ledger
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import keys, recordings, secrets, turns
from kallglot_media.store.keyring import KeyRing
from kallglot_media.store.recordings import NewRecording, Recording
from kallglot_media.store.settings import StoreSettings, sqlite_url
from kallglot_media.store.store import Store, open_store
from kallglot_media.store.tx import Tx
from kallglot_media.webhooks.guard import Guard
from tests.support.call_world import TestWorld
from tests.support.sessions import MadeUpCall
from tests.support.talk import talk
from tests.support.truth import Truth

MODE = {
    "mode": "bidirectional_translation",
    "source_language": "de",
    "target_language": "en",
    "agent": {"to": "sip:agent@192.0.2.30"},
}


class GoodHealth:
    """A server that is well, unless told otherwise."""

    def __init__(self) -> None:
        self.wrong: dict[str, str] = {}

    def problems(self) -> dict[str, str]:
        return dict(self.wrong)

    def gauges(self) -> dict[str, float]:
        return {"sessions_open": 0.0}

    def counters(self) -> Counter[str]:
        return Counter({"refused_draining": 1})


def write_config(folder: Path, **api: Any) -> Config:
    """server.yaml with a trunk, a route of one mode, and these settings of `api`."""
    (folder / "modes").mkdir(parents=True, exist_ok=True)
    server = {
        "data_dir": str(folder / "data"),
        "sip": {"trunks": [{"name": "carrier", "hosts": ["sip:192.0.2.99:5060"], "dial": {"allow": ["+49*"]}}]},
        "api": {"port": 0, "requests_per_minute": 0, **api},
        "webhooks": {"allow_networks": ["127.0.0.0/8"]},
        "routes": "routes.yaml",
    }
    for name, value in (
        ("server.yaml", server),
        ("routes.yaml", {"routes": [{"called": "support", "mode": "modes/mode.yaml"}]}),
        ("modes/mode.yaml", MODE),
    ):
        (folder / name).write_text(yaml.safe_dump(value))
    return load_config(folder / "server.yaml")


class ApiWorld:
    """One server. `client` has a key with every scope; `around` is the pretended world of its calls."""

    def __init__(self, config: Config, store: Store, parts: Parts, registry: Registry, around: TestWorld) -> None:
        self.config = config
        self.store = store
        self.parts = parts
        self.registry = registry
        self.around = around
        self.health = parts.health
        self.url = ""
        self.token = ""
        self.server: ApiServer
        self.client: httpx2.AsyncClient

    async def hold_to_document(self, response: httpx2.Response) -> None:
        """Every answer has to be as the OpenAPI document says."""
        await response.aread()
        if response.request.url.path != "/openapi.json" and response.request.method != "OPTIONS":
            _truth().check(response)

    async def key(self, *scopes: str, **more: Any) -> str:
        """A new key's token; no scopes: all."""
        made = await self.store.write(keys.create, "test", scopes or keys.SCOPES, **more)
        return made.token

    async def call(self, method: str, path: str, body: Any = None, **more: Any) -> Any:
        """A request that must succeed; its JSON."""
        response = await self.client.request(method, path, json=body, **more)
        assert response.status_code < 300, response.text
        return response.json() if response.content else None

    async def refused(self, status: int, method: str, path: str, body: Any = None, **more: Any) -> dict[str, Any]:
        """A request that must be refused; its error."""
        response = await self.client.request(method, path, json=body, **more)
        assert response.status_code == status, response.text
        error: dict[str, Any] = response.json()["error"]
        assert error["request_id"] == response.headers["x-request-id"]
        return error

    async def session(self, **fields: Any) -> dict[str, Any]:
        """A new session."""
        body = {"mode": "bidirectional_translation", "source_language": "de", "target_language": "en", **fields}
        made: dict[str, Any] = await self.call("POST", "/v1/sessions", body)
        return made

    async def say(self, session_id: str, script: str) -> None:
        """Turns of a session, as `talk` reads them."""
        await self.store.write(turns.add, *(replace(turn, session_id=session_id) for turn in talk(script)))

    async def record(self, session_id: str, call: MadeUpCall | None = None) -> dict[str, Recording]:
        """Sound files of a session, and their rows: channel → recording."""
        folder = f"sessions/{session_id}"
        (call or MadeUpCall()).write(self.parts.data_dir / folder)

        def add(tx: Tx, channel: str) -> Recording:
            row = recordings.add(tx, NewRecording(session_id, channel, f"{folder}/{channel}.wav"))
            size = (self.parts.data_dir / folder / f"{channel}.wav").stat().st_size
            done = recordings.ready(tx, row.id, duration_ms=26_000, size_bytes=size, sha256="0" * 64)
            assert done is not None
            return done

        return {channel: await self.store.write(add, channel) for channel in ("customer", "agent")}

    async def read_documents(self) -> None:
        """What the server does in the background: read what was added."""
        while await DocumentReader(self.store, self.parts.embedder).read_one():
            pass

    async def make_analyses(self) -> None:
        """What the server does in the background: make what was asked for."""
        while await AnalysisRunner(self.store, None, tell_analysis).make_one():
            pass

    async def read_until(self, session_id: str, status: str) -> dict[str, Any]:
        """The session, as soon as it has this status; each look is a request, so the server goes on meanwhile."""
        async with asyncio.timeout(5):
            while True:
                session: dict[str, Any] = await self.call("GET", f"/v1/sessions/{session_id}")
                if session["status"] == status:
                    return session

    async def dialled(self, count: int = 1) -> None:
        """Until so many INVITEs are out."""
        for _ in range(100_000):
            if sum(verb[0] == "dial" for verb in self.around.signalling.verbs) >= count:
                break
            await asyncio.sleep(0)
        await self.settle()

    async def settle(self) -> None:
        """Let what is on its way arrive: events in the store too."""
        for _ in range(100):
            await asyncio.sleep(0)


@cache
def _truth() -> Truth:
    """The document is the same for every server."""
    app = FastAPI()
    for module in MODULES:
        app.include_router(module.router)
    return Truth(openapi(app))


@asynccontextmanager
async def api_world(folder: Path, database: StoreSettings | None = None, **api: Any) -> AsyncIterator[ApiWorld]:
    """A running server, with these settings of its section `api`. database: left out, SQLite."""
    config = write_config(folder, **api)
    data_dir = config.server.data_dir
    (data_dir / "sessions").mkdir(parents=True)
    async with AsyncExitStack() as stack:
        store = await open_store(database or StoreSettings(sqlite_url(data_dir)), RandomIds())
        stack.push_async_callback(store.close)
        around = TestWorld(data_dir / "sessions")
        ids = RandomIds()
        registry = Registry(
            lambda bind: replace(around.world, bind=bind, ids=ids),
            RegistryRules(config.server.sip.max_calls, 0),
            lambda called, incoming: None,
        )
        around.media.on_event = registry.on_media
        house = House("one")
        ledger = Ledger(store, registry.world.bus, house)
        stack.push_async_callback(ledger.close, 5.0)
        lobby = Lobby(registry)
        router = Router(config, only_starter=True, our_host="192.0.2.10")
        settings = config.server.api
        desk = Desk(
            config,
            router,
            our_host="192.0.2.10",
            idle_s=settings.session_idle_s,
            rejoin_s=settings.stream.rejoin_s,
        )
        exports = Exports(data_dir / SCRATCH)
        stack.push_async_callback(exports.close)
        parts = Parts(
            settings=settings,
            store=store,
            keys=KeyRing(store),
            lobby=lobby,
            desk=desk,
            bus=registry.world.bus,
            ids=ids,
            node="one",
            stream_secret=await store.write(secrets.secret, secrets.STREAM_TOKENS),
            data_dir=data_dir,
            health=GoodHealth(),
            clock_s=asyncio.get_running_loop().time,
            requests=RateLimit(settings.requests_per_minute),
            guard=Guard(config.server.webhooks.allow_networks),
            exports=exports,
            counted={"spool": ledger.spool.counters},
            held_writes=ledger.spool.__len__,
        )
        server = ApiServer(make_app(parts), settings)
        stack.push_async_callback(server.stop)
        await server.start()
        world = ApiWorld(config, store, parts, registry, around)
        world.url = f"http://127.0.0.1:{server.port}"
        world.server = server
        world.token = await world.key()
        headers = {"Authorization": f"Bearer {world.token}"}
        world.client = await stack.enter_async_context(
            httpx2.AsyncClient(base_url=world.url, headers=headers, event_hooks={"response": [world.hold_to_document]})
        )
        yield world
        lobby.end_all("the test is over")
        await registry.end_all("the test is over", 2.0)


def as_json(body: Mapping[str, Any]) -> str:
    """The same in a stable order, to compare."""
    return json.dumps(body, sort_keys=True)
