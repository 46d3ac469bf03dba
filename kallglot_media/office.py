"""Everything behind the calls: the store, what is written into it, webhooks, and the control API.

Opened before the first call (a crash is put right first), closed after the last one.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Coroutine, Iterable
from contextlib import AsyncExitStack
from typing import Any

from kallglot_media.analysis.runner import AnalysisRunner
from kallglot_media.api.app import make_app
from kallglot_media.api.exports import SCRATCH, Exports
from kallglot_media.api.parts import Parts
from kallglot_media.api.rate_limit import RateLimit
from kallglot_media.api.serve import ApiServer
from kallglot_media.api.sessions import restore
from kallglot_media.backing import embedder_of, guard_of, model_of, open_store_of, retention_of
from kallglot_media.call.desk import Desk
from kallglot_media.call.lobby import Lobby
from kallglot_media.call.registry import Registry
from kallglot_media.call.routing import Router
from kallglot_media.config.load import Config
from kallglot_media.ids import Ids
from kallglot_media.knowledge.embeddings import OpenAiEmbedder
from kallglot_media.knowledge.reader import DocumentReader
from kallglot_media.ledger.analyses import tell_analysis
from kallglot_media.ledger.entries import House
from kallglot_media.ledger.ledger import Ledger, Teller
from kallglot_media.log import logger
from kallglot_media.media.fleet import MediaFleet
from kallglot_media.media.messages import LegClosed, LegStats, PlaneStats
from kallglot_media.minds import Minds
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.store import secrets
from kallglot_media.store.keyring import KeyRing
from kallglot_media.store.recover import from_folder, recover
from kallglot_media.store.retention import Retention
from kallglot_media.store.store import Store
from kallglot_media.webhooks.post import HttpPost
from kallglot_media.webhooks.sender import WebhookSender

LAST_ENTRIES_S = 10.0
"""When the server stops, the store gets this long to take what happened last."""

log = logger("server")


class Office:
    """See the module. `open` first, `attend` when there is a registry; both tidy up through their stack."""

    def __init__(self, config: Config, ids: Ids) -> None:
        self._config = config
        self._ids = ids
        self._data_dir = config.server.data_dir
        self.lobby: Lobby | None = None
        self._desk: Desk | None = None
        self._health: ServerHealth | None = None
        self._using: asyncio.Task[None] | None = None
        self._embedder: OpenAiEmbedder | None = None
        self.store: Store
        self.minds: Minds
        self.house: House

    async def open(self, stack: AsyncExitStack) -> None:
        """The store, and in it what a crash left open. Call it after the folders were repaired. Raises SetupError."""
        self.store = await open_store_of(self._config, self._ids)
        stack.push_async_callback(self.store.close)
        rules = retention_of(self._config)
        self.house = House(self.store.settings.node, self._config.server.api.public_url or "", rules.recordings_days)
        await recover(self.store, self._data_dir, Teller(self.house))
        self._embedder = embedder_of(self._config)
        if self._embedder is not None:
            stack.push_async_callback(self._embedder.close)
        self.minds = Minds(self._config, self.store, guard_of(self._config), self._embedder)
        stack.push_async_callback(self.minds.close)
        await self.minds.prepare()

    async def attend(self, stack: AsyncExitStack, registry: Registry, router: Router, health: ServerHealth) -> None:
        """From now on everything that happens is written down, told, and can be asked for. Raises SetupError."""
        server = self._config.server
        self._health = health
        ledger = Ledger(self.store, registry.world.bus, self.house, self.take_folder)
        stack.push_async_callback(ledger.close, LAST_ENTRIES_S)
        guard = guard_of(self._config)
        post = HttpPost(guard)
        stack.push_async_callback(post.close)
        counted = self._start_work(stack, post, self._embedder) | {"spool": ledger.spool.counters}
        exports = Exports(self._data_dir / SCRATCH)
        stack.push_async_callback(exports.close)
        desk = self._desk = Desk(
            self._config,
            router,
            our_host=server.sip.contact_host(server.sip.listen[0]),
            idle_s=server.api.session_idle_s,
            rejoin_s=server.api.stream.rejoin_s,
        )
        self.lobby = Lobby(registry)
        parts = Parts(
            settings=server.api,
            store=self.store,
            keys=KeyRing(self.store),
            lobby=self.lobby,
            desk=desk,
            bus=registry.world.bus,
            ids=self._ids,
            node=self.house.node,
            stream_secret=await self.store.write(secrets.secret, secrets.STREAM_TOKENS),
            data_dir=self._data_dir,
            health=health,
            clock_s=asyncio.get_running_loop().time,
            requests=RateLimit(server.api.requests_per_minute),
            guard=guard,
            exports=exports,
            embedder=self._embedder,
            counted=counted,
            held_writes=ledger.spool.__len__,
        )
        await restore(parts)
        if server.api.enabled:
            api = ApiServer(make_app(parts), server.api)
            stack.push_async_callback(api.stop)
            await api.start()

    def _start_work(
        self, stack: AsyncExitStack, post: HttpPost, embedder: OpenAiEmbedder | None
    ) -> dict[str, Counter[str]]:
        """What is done in the background; what each counts."""
        model = model_of(self._config)
        if model is not None:
            stack.push_async_callback(model.close)
        sender = WebhookSender(self.store, post)
        reader = DocumentReader(self.store, embedder)
        runner = AnalysisRunner(self.store, model, tell_analysis)
        retention = Retention(self.store, retention_of(self._config), self._data_dir)
        self._run(stack, sender.run(), "webhooks")
        self._run(stack, reader.run(), "documents")
        self._run(stack, runner.run(), "analyses")
        self._run(stack, retention.run(), "retention")
        return {
            "webhooks": sender.counters,
            "knowledge": reader.counters,
            "analyses": runner.counters,
            "retention": retention.counters,
        }

    def use(self, config: Config, generation: int) -> None:
        """Sessions that clients make from now on go by another configuration."""
        if self._desk is not None:
            self._desk.use(config, generation)
        self._using = asyncio.create_task(self.minds.use(config), name="minds")

    def note_plane(self, stats: PlaneStats) -> None:
        """How the media process keeps time."""
        if self._health is not None:
            self._health.plane = stats

    def note_leg(self, event: LegStats | LegClosed) -> None:
        """How one leg sounds now."""
        if self._health is not None:
            self._health.note_leg(event)

    def forget_sessions(self, session_ids: Iterable[str]) -> None:
        """Their media process is gone."""
        if self._health is not None:
            self._health.forget_sessions(session_ids)

    async def take_folder(self, session_id: str) -> None:
        """The store hears of what only the session's folder has: after a repair, or when too much waited for it."""
        await from_folder(self.store, self._data_dir / "sessions", session_id, Teller(self.house))

    def close_lobby(self, why: str) -> None:
        """End the sessions that nobody has come to."""
        if self.lobby is not None:
            self.lobby.end_all(why)

    def _run(self, stack: AsyncExitStack, work: Coroutine[Any, Any, None], name: str) -> None:
        task = asyncio.create_task(work, name=name)
        task.add_done_callback(_note_death)

        async def stop() -> None:
            task.cancel()
            await asyncio.gather(task, return_exceptions=True)

        stack.push_async_callback(stop)


class ServerHealth:
    """How calls, engines and media are doing. Implements api.parts.Health.

    plane         what the media process said last
    sip_counters  the SIP agent's
    """

    def __init__(
        self, fleet: MediaFleet, pool: SpeechPool, registry: Registry, sip_counters: Callable[[], Counter[str]]
    ) -> None:
        self.plane: PlaneStats | None = None
        self._legs: dict[str, LegStats] = {}
        self._fleet = fleet
        self._pool = pool
        self._registry = registry
        self._sip_counters = sip_counters

    def note_leg(self, event: LegStats | LegClosed) -> None:
        """A leg's statistics of now, or its last."""
        if isinstance(event, LegStats):
            self._legs[event.leg_id] = event
        else:
            self._legs.pop(event.leg_id, None)

    def forget_sessions(self, session_ids: Iterable[str]) -> None:
        """Their media process is gone: nobody will say that their legs are closed."""
        gone = set(session_ids)
        self._legs = {leg_id: stats for leg_id, stats in self._legs.items() if leg_id.partition("/")[0] not in gone}

    def _sound(self) -> dict[str, float]:
        """How the live legs sound: the worst tells more than the mean, which hides one bad trunk."""
        legs = list(self._legs.values())
        scores = [leg.mos for leg in legs if leg.mos is not None]
        numbers = {"media_loss_ratio_max": max(leg.loss_ratio for leg in legs)} if legs else {}
        numbers |= {"media_mos_min": min(scores), "media_mos_mean": sum(scores) / len(scores)} if scores else {}
        return numbers

    def problems(self) -> dict[str, str]:
        """What keeps this server from taking calls now: part -> why."""
        found = {}
        if not self._fleet.alive:
            found["media"] = "no media process is there; it is being started again"
        for kind, status in self._pool.status().items():
            if not status.ready:
                found[str(kind)] = status.last_error or "no worker is ready"
        if (why := self._registry.why_full()) is not None:
            found["calls"] = why.replace("_", " ")
        return found

    def gauges(self) -> dict[str, float]:
        """Numbers of now, by name."""
        numbers: dict[str, float] = {"sessions_open": self._registry.open_sessions}
        numbers["media_processes"] = self._fleet.alive_count
        for kind, status in self._pool.status().items():
            numbers |= {f"{kind}_{name}": getattr(status, name) for name in ("workers", "ready", "busy", "in_line")}
        numbers |= {f"{kind}_busy_ratio": share for kind, share in self._pool.shares().items()}
        numbers["speech_given_up"] = self._pool.step
        for name, cache in (("translations", self._pool.translations), ("phrases", self._pool.phrases)):
            numbers |= {f"{name}_from_cache": cache.hits, f"{name}_made": cache.misses}
        if (plane := self.plane) is not None:
            numbers |= {"media_legs": plane.legs, "media_ticks": plane.ticks, "media_ticks_skipped": plane.skipped}
            numbers["media_lateness_p99_seconds"] = plane.lateness_p99_ms / 1000
            numbers |= {f"media_ticks_late_{kind}": count for kind, count in plane.late_ticks.items()}
        return numbers | self._sound()

    def counters(self) -> Counter[str]:
        """What was counted since the start, by name."""
        return self._sip_counters() + self._registry.counters


def _note_death(task: asyncio.Task[None]) -> None:
    error = None if task.cancelled() else task.exception()
    if error is not None:
        log.error("bug", sign="x", exc_info=error, task=task.get_name())
