"""Builds every part of the server, joins them, and ends them in the right order.

Start: models are looked at → folders → what a crash left is repaired → engines and media process → SIP. SIP comes
last: no call is taken by a server that could not serve it; models come first: one that cannot start leaves nothing.
Told to stop before it is ready, it ends what it has started. End: no new calls, the live ones
finish within limits.drain_s, then SIP, engines and media.
"""

from __future__ import annotations

import asyncio
import gc
import os
import signal
import time
from collections.abc import AsyncIterator, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

from kallglot_media.call.announcer import Announcer
from kallglot_media.call.day_counts import DayCounts
from kallglot_media.call.journal import recover
from kallglot_media.call.leg import Leg
from kallglot_media.call.phones import Phones
from kallglot_media.call.registry import Registry, RegistryRules
from kallglot_media.call.routing import Router, announcements_of
from kallglot_media.call.terms import TermsOf
from kallglot_media.call.trunks import Trunks
from kallglot_media.call.world import World, now_text
from kallglot_media.config.load import Config
from kallglot_media.errors import SetupError
from kallglot_media.log import logger
from kallglot_media.media.fleet import Died, MediaFleet, processes_of
from kallglot_media.media.link import MediaError
from kallglot_media.media.messages import FromMedia, LegClosed, LegStats, PlaneStats
from kallglot_media.media.recorder import RepairFailed, repair_all
from kallglot_media.net.finder import Finder
from kallglot_media.net.keeper import TrunkKeeper
from kallglot_media.net.resolver import Resolver
from kallglot_media.net.shell import SipShell
from kallglot_media.net.signalling import ShellSignalling
from kallglot_media.net.tls import TlsError
from kallglot_media.office import Office, ServerHealth
from kallglot_media.random_ids import RandomIds
from kallglot_media.reload import watch
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import CallEnded, CallFailed, IncomingCall, SipEvent
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.load import Step
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import EngineKind
from kallglot_media.wiring import agent_settings, deadlines, listen_at, media_home, media_settings, take_recording_key

log = logger("server")

WARMING_PAUSES = 4
"""So much longer than an announcement took is the pause after it: a fifth of the engines' time at most."""

LAST_GOODBYES_S = 30.0
"""After the drain limit, sessions get this long to write down what was said."""


async def serve(config: Config) -> None:
    """Run until SIGTERM or SIGINT. Raises SetupError when it cannot start."""
    server = Server(config)
    try:
        async with server.running():
            await server.until_told_to_stop()
            await server.drain()
    except asyncio.CancelledError:
        if not server.given_up:
            raise
        log.info("stopped while starting", sign="=")


class Server:
    """All the parts. `running()` is their lifetime.

    given_up  it was told to stop before it was ready
    """

    def __init__(self, config: Config) -> None:
        self.given_up = False
        self._starting: asyncio.Task[Any] | None = None
        self._config = config
        self._loop = asyncio.get_running_loop()
        self._told_to_stop = asyncio.Event()
        self._told_twice = asyncio.Event()
        self._mending: set[asyncio.Task[None]] = set()
        self._sessions_dir = config.server.data_dir / "sessions"
        self._ids = RandomIds()
        self._office = Office(config, self._ids)
        self._trunks = Trunks(config.server.sip.trunks)

    # ── lifetime ─────────────────────────────────────────────────────────────────

    @asynccontextmanager
    async def running(self) -> AsyncIterator[None]:
        """Everything started on the way in, in order, and stopped on the way out, in reverse."""
        began_s = time.monotonic()
        self._starting = asyncio.current_task()
        async with AsyncExitStack() as stack:
            self._catch_signals(stack)
            self._pool = SpeechPool(
                self._config.engines(), on_change=self._engine_changed, on_step=self._speech_stepped
            )
            await self._pool.look()
            make_sessions_dir(self._sessions_dir)
            take_recording_key(self._config)
            await asyncio.to_thread(self._recover)
            await self._office.open(stack)
            await self._start_engines_and_media(stack)
            router = self._make_router()
            self._registry = self._make_registry(router)
            await self._office.attend(stack, self._registry, router, self._health())
            await self._start_sip(stack)
            self._watch_config(stack, router)
            self._warm(stack)
            spare_the_collector()
            self._starting = None
            log.info("ready", sign="=", after_s=round(time.monotonic() - began_s, 2), pid=os.getpid())
            try:
                yield
            finally:
                self._office.close_lobby("the server stops")
                await self._registry.end_all("the server stops", LAST_GOODBYES_S)
                log.info("stopped", sign="=", counters=dict(self._shell.agent.counters + self._registry.counters))

    def _watch_config(self, stack: AsyncExitStack, router: Router) -> None:
        """Take changed routes and modes for the calls to come; SIGHUP reads them at once."""

        def take(config: Config, generation: int) -> None:
            self._config = config
            router.use(config, generation)
            self._office.use(config, generation)
            self._warm(stack)

        watch(stack, self._config, take)

    def _warm(self, stack: AsyncExitStack) -> None:
        """Make the announcements before a call needs them."""
        warming = asyncio.create_task(self._make_announcements(), name="announcements")
        stack.callback(warming.cancel)

    def _catch_signals(self, stack: AsyncExitStack) -> None:
        for number in (signal.SIGTERM, signal.SIGINT):
            self._loop.add_signal_handler(number, self._on_signal)
            stack.callback(self._loop.remove_signal_handler, number)

    def _on_signal(self) -> None:
        if self._told_to_stop.is_set():
            self._told_twice.set()
        self._told_to_stop.set()
        if self._starting is not None:
            self.given_up = True
            self._starting.cancel()
            self._starting = None  # once: what was started ends in order

    async def until_told_to_stop(self) -> None:
        """Return at the first SIGTERM or SIGINT."""
        await self._told_to_stop.wait()

    async def drain(self) -> None:
        """Take no new calls; wait for the live ones until limits.drain_s or a second signal."""
        limit_s = self._config.server.limits.drain_s
        self._shell.agent.draining = True
        log.info("draining", sign="=", calls=self._registry.open_sessions, limit_s=limit_s)
        drained = asyncio.create_task(self._registry.drain(limit_s))
        told_twice = asyncio.create_task(self._told_twice.wait())
        await asyncio.wait({drained, told_twice}, return_when=asyncio.FIRST_COMPLETED)
        for task in (drained, told_twice):
            task.cancel()
        await asyncio.gather(drained, told_twice, return_exceptions=True)

    # ── parts ────────────────────────────────────────────────────────────────────

    def _recover(self) -> None:
        """Finish what a server that died left behind: recordings first, then transcripts."""
        self._repair_recordings()
        for folder in sorted(entry for entry in self._sessions_dir.iterdir() if entry.is_dir()):
            try:
                if recover(folder, now_text()):
                    log.warning("session finished after a crash", call=folder.name)
            except (OSError, ValueError, KeyError, TypeError) as error:
                log.error("session not finished", folder=folder.name, why=str(error))

    async def _start_engines_and_media(self, stack: AsyncExitStack) -> None:
        """Both take a second or two, so they start side by side."""
        self._fleet = MediaFleet(
            media_settings(self._config),
            processes_of(self._config.server.media.processes),
            on_event=self._on_media,
            on_dead=self._media_died,
            on_back=self._media_back,
            on_lost=self._media_lost,
        )
        stack.push_async_callback(self._pool.stop)
        stack.push_async_callback(self._stop_media)
        try:
            async with asyncio.TaskGroup() as group:
                group.create_task(self._pool.start())
                group.create_task(self._fleet.start())
        except* SpeechSetupError as wrong:
            first = next(error for error in wrong.exceptions if isinstance(error, SpeechSetupError))
            raise SetupError(first.where, first.wrong, first.mend) from None
        except* MediaError as wrong:
            raise SetupError("media", str(wrong.exceptions[0]), "look at the lines above") from None

    async def _stop_media(self) -> None:
        await self._fleet.stop()
        if self._mending:
            await asyncio.wait(set(self._mending), timeout=LAST_GOODBYES_S)

    def _make_router(self) -> Router:
        server, installed = self._config.server, self._pool.installed
        starter = installed is None or installed.recognizer(server.speech.recognizer.model).starter
        our_host = server.sip.contact_host(server.sip.listen[0])
        minds = self._office.minds
        return Router(self._config, only_starter=starter, our_host=our_host, trunks=self._trunks, minds=minds)

    def _make_registry(self, router: Router) -> Registry:
        server = self._config.server
        sip = server.sip
        phones = Phones(self._ids, sip, server.data_dir / "registrations.json") if sip.registrar.enabled else None
        settings = agent_settings(self._config, self._trunks, phones)
        self._shell = SipShell(SipAgent(self._ids, settings), self._on_sip)
        self._announcer = Announcer(self._pool)
        transports = dict.fromkeys(listen.transport for listen in sip.listen)
        resolver = Resolver(transports=tuple(transports))
        signalling = ShellSignalling(self._shell, Finder(resolver, self._trunks, phones))
        terms = TermsOf(self._trunks, phones, self._loop.time)
        counts = DayCounts(self._trunks, server.data_dir / "calls-today.json", Finder.today)
        files: list[Phones | DayCounts] = [counts, *([phones] if phones is not None else [])]
        self._keeper = TrunkKeeper(self._shell, resolver, self._trunks, self._ids, files)

        def world(bind: Callable[[str, Leg], None]) -> World:
            return World(
                signalling=signalling,
                media=self._fleet,
                engines=self._pool,
                announcer=self._announcer,
                ids=self._ids,
                home=media_home(self._config, terms),
                sessions_dir=self._sessions_dir,
                deadlines=deadlines(self._config),
                longest_line=server.speech.longest_turn_line,
                bind=bind,
            )

        rules = RegistryRules(sip.max_calls, server.recording.min_free_mb * 1_000_000, self._pool.why_no_room)
        return Registry(world, rules, router, self._trunks.called)

    def _health(self) -> ServerHealth:
        return ServerHealth(self._fleet, self._pool, self._registry, lambda: self._shell.agent.counters)

    async def _start_sip(self, stack: AsyncExitStack) -> None:
        stack.push_async_callback(self._shell.stop)
        sip = self._config.server.sip
        for listen in sip.listen:
            where = f"sip.listen {listen.transport} {listen.host}:{listen.port}"
            try:
                (here,) = await self._shell.start([listen_at(listen, sip.contact_host(listen))])
            except TlsError as error:
                raise SetupError(where, str(error), "write a certificate and its own key, both PEM") from None
            except OSError as error:
                mend = "stop the program that has the port, or write another host or port"
                why = os.strerror(error.errno).lower() if error.errno else str(error)
                raise SetupError(where, why, mend) from None
            log.info("listening", sign="=", transport=here.transport, host=here.host, port=here.port)
        stack.push_async_callback(self._keeper.stop)
        self._keeper.start()

    async def _make_announcements(self) -> None:
        """One after the other, with pauses: engines that are busy with this would be taken for too busy for calls."""
        for text, language, voice in announcements_of(self._config):
            began_s = self._loop.time()
            if await self._announcer.speech(text, language, voice) is None:
                log.warning("announcement not made", language=language, mend=f"install a voice for {language}")
            await asyncio.sleep(WARMING_PAUSES * (self._loop.time() - began_s))

    # ── what happens meanwhile ───────────────────────────────────────────────────

    def _on_sip(self, event: SipEvent) -> None:
        """One loop turn later, so that whoever dials can note the call's name before its first event."""
        if self._keeper.on_sip(event):
            return
        if isinstance(event, IncomingCall):
            self._trunks.came(event)
        elif isinstance(event, CallEnded | CallFailed):
            self._trunks.ended(event.call)
        self._loop.call_soon(self._registry.on_sip, event)

    def _on_media(self, event: FromMedia) -> None:
        if isinstance(event, PlaneStats):  # these come from the first tick on, before there are calls
            log.debug("plane", legs=event.legs, skipped=event.skipped, lateness_p99_ms=event.lateness_p99_ms)
            self._office.note_plane(event)
            return
        if isinstance(event, LegStats | LegClosed):
            self._office.note_leg(event)
        self._registry.on_media(event)

    def _speech_stepped(self, step: Step) -> None:
        (log.warning if step else log.info)(
            "engines too busy" if step else "engines keep up", given_up=step.name.lower()
        )
        self._registry.engines_stepped(step.name.lower())

    def _engine_changed(self, kind: EngineKind, works: bool) -> None:
        (log.info if works else log.error)("engine back" if works else "engine lost", sign="=", engine=str(kind))

    def _media_died(self, died: Died) -> None:
        """Its calls end with BYE; their recordings are repaired; the other processes' calls go on.

        While there is none at all OPTIONS and INVITE are answered 503, so that a dispatcher goes elsewhere.
        """
        log.error("media process lost", sign="=", number=died.number, calls=len(died.sessions), why=died.why)
        self._shell.agent.draining = self._told_to_stop.is_set() or not self._fleet.alive
        self._office.forget_sessions(died.sessions)
        self._registry.media_died(died.sessions)

    def _media_back(self, number: int) -> None:
        log.info("media process back", sign="=", number=number, pid=self._fleet.pids[number])
        self._shell.agent.draining = self._told_to_stop.is_set()
        task = asyncio.create_task(self._mend_recordings(), name="mend recordings")
        self._mending.add(task)
        task.add_done_callback(self._mending.discard)

    async def _mend_recordings(self) -> None:
        for session_id in await asyncio.to_thread(self._repair_recordings):
            await self._office.take_folder(session_id)

    def _media_lost(self) -> None:
        log.critical("media process does not come back", mend="the server ends; its supervisor starts it again")
        self._on_signal()

    def _repair_recordings(self) -> list[str]:
        """The sessions whose recordings a media process left unfinished, whether they could be mended or not."""
        sessions = []
        for repaired in repair_all(self._sessions_dir):
            if isinstance(repaired, RepairFailed):
                log.error("recording not repaired", folder=repaired.folder.name, why=repaired.why)
                sessions.append(repaired.folder.name)
            else:
                log.warning("recording repaired", call=repaired.session_id, samples=repaired.samples)
                sessions.append(repaired.session_id)
        return sessions


def spare_the_collector() -> None:
    """What is there when the server is ready stays to its end.

    Looking through it for garbage takes 0.09 s at a time, in which nothing else happens in this process.
    """
    gc.collect()
    gc.freeze()


def make_sessions_dir(path: Path) -> None:
    """The folder of sessions, writable. Raises SetupError."""
    try:
        path.mkdir(parents=True, exist_ok=True)
        probe = path / f".probe-{os.getpid()}"
        probe.write_bytes(b"0" * 4096)
        probe.unlink()
    except OSError as error:
        raise SetupError(
            f"data_dir {path.parent}",
            error.strerror or str(error),
            "make room or make it writable, or write another data_dir",
        ) from None
