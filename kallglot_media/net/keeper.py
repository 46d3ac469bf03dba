"""Keeps trunks in order: logs on to them, asks their hosts whether they are there, and says what changed."""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Sequence
from typing import Any

from kallglot_media.call.day_counts import DayCounts
from kallglot_media.call.phones import Phones
from kallglot_media.call.trunks import TrunkLine, Trunks
from kallglot_media.ids import Ids
from kallglot_media.log import logger
from kallglot_media.net.resolver import ResolveError, Resolver
from kallglot_media.net.shell import SipShell
from kallglot_media.sip.dialog import MAX_FORWARDS
from kallglot_media.sip.events import Peer, RequestAnswered
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request
from kallglot_media.sip.register import Ask, NotRegistered, Registered, Registration, RegistrationEvent, State
from kallglot_media.sip.uri import NameAddr, Uri

log = logger("trunk")

PING_S = 4.0
"""A host that has not answered OPTIONS for so long is silent: timer F is too long to leave calls waiting."""
REGISTER_S = 8.0
"""A registrar that has not answered for so long is passed over, when there is another."""
SAVE_S = 15.0
"""How often the files of registrations and of the day's calls are brought up to date."""
KEEP_OPEN_S = 20.0
"""A registrar on UDP gets two line ends so often: many NATs forget a UDP port that was silent for 30 s, and a
registration is refreshed far more rarely. Streams of ours do the same by themselves (net/connection.py)."""
LOG_OFF_S = 2.0
"""How long stop() waits for registrars to confirm that we are gone."""


class TrunkKeeper:
    """Call on_sip() for each of the agent's events. Nothing in here raises for what a trunk does."""

    def __init__(
        self, shell: SipShell, resolver: Resolver, trunks: Trunks, ids: Ids, files: Sequence[Phones | DayCounts] = ()
    ) -> None:
        self._shell = shell
        self._resolver = resolver
        self._trunks = trunks
        self._files = files
        self._ids = ids
        self._loop = asyncio.get_running_loop()
        self._registrations = {
            line.name: Registration(line.registration, ids) for line in trunks.lines.values() if line.registration
        }
        self._waiting: dict[str, Callable[[RequestAnswered], None]] = {}
        self._tasks: set[asyncio.Task[None]] = set()
        self._timer: asyncio.TimerHandle | None = None
        self._save_due_s = 0.0
        self._last_peer: Peer | None = None  # who answered what is being told now
        self._kept_open: dict[str, Peer] = {}  # trunk → the registrar that calls come from
        self._keep_due_s = 0.0
        self._stopped = False
        self._gone = asyncio.Event()

    # ── verbs ───────────────────────────────────────────────────────────────────

    def start(self) -> None:
        """Log on and begin to ask; the shell must listen already."""
        now_s = self._loop.time()
        for file in self._files:
            file.load(now_s)
        self._save_due_s = now_s + SAVE_S
        for line in self._trunks.lines.values():
            line.machine.start(now_s)
            self._own(self._learn(line))
        for registration in self._registrations.values():
            registration.start(now_s)
        self._turn()

    async def stop(self) -> None:
        """Log off, and end."""
        now_s = self._loop.time()
        for registration in self._registrations.values():
            registration.stop(now_s)
        self._turn()
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(LOG_OFF_S):
                await self._gone.wait()
        self._stopped = True
        if self._timer is not None:
            self._timer.cancel()
        for task in set(self._tasks):
            task.cancel()
        for file in self._files:
            file.save(self._loop.time())

    def on_sip(self, event: object) -> bool:
        """Take one of the agent's events; whether it was about a request of ours."""
        if not isinstance(event, RequestAnswered):
            return False
        waiting = self._waiting.pop(event.call, None)
        if waiting is not None:
            waiting(event)
            self._turn()
        return True

    def states(self) -> dict[str, dict[str, object]]:
        """Trunk → how it stands: hosts, registered or not, calls. For logs, metrics and tests."""
        return {
            name: {
                "hosts": {uri: str(state) for uri, state in line.machine.states().items()},
                "registered": self._registrations[name].is_registered if name in self._registrations else None,
                "calls": line.machine.open_calls,
            }
            for name, line in self._trunks.lines.items()
        }

    # ── one round ───────────────────────────────────────────────────────────────

    def _turn(self) -> None:
        """Everything that is due, then a timer for what is next."""
        if self._stopped:
            return
        now_s = self._loop.time()
        for name, registration in self._registrations.items():
            registration.on_time(now_s)
            while (ask := registration.take_ask()) is not None:
                self._own(self._ask(registration, ask))
            for event in registration.take_events():
                self._note_peer(name, event)
                _tell(name, event)
        if all(registration.state is State.ENDED for registration in self._registrations.values()):
            self._gone.set()
        for line in self._trunks.lines.values():
            for uri in line.machine.take_pings(now_s):
                self._own(self._ping(line, uri))
            for change in line.machine.take_events():
                (log.info if change.up else log.error)(
                    "host up" if change.up else "host down", sign="=", trunk=change.trunk, host=change.host,
                    usable=change.usable,
                )  # fmt: skip
        if now_s >= self._save_due_s:
            self._save_due_s = now_s + SAVE_S
            for file in self._files:
                file.save(now_s)
        if self._kept_open and now_s >= self._keep_due_s:
            self._keep_due_s = now_s + KEEP_OPEN_S
            for peer in self._kept_open.values():
                self._shell.keep_open(peer)
        self._set_timer(now_s)

    def _note_peer(self, trunk: str, event: RegistrationEvent) -> None:
        """Whom to keep a way open for."""
        peer = self._last_peer if isinstance(event, Registered) else None
        if peer is not None and peer.transport == "udp":
            self._kept_open[trunk] = peer
        else:
            self._kept_open.pop(trunk, None)

    def _set_timer(self, now_s: float) -> None:
        due = [registration.next_time_s() for registration in self._registrations.values()]
        due += [line.machine.next_time_s() for line in self._trunks.lines.values()]
        if self._files:
            due.append(self._save_due_s)
        if self._kept_open:
            due.append(self._keep_due_s)
        next_s = min((at_s for at_s in due if at_s is not None), default=None)
        if self._timer is not None:
            self._timer.cancel()
        self._timer = None if next_s is None else self._loop.call_at(max(next_s, now_s), self._turn)

    # ── what goes out ───────────────────────────────────────────────────────────

    async def _ask(self, registration: Registration, ask: Ask) -> None:
        try:
            peers = await self._resolver.resolve(ask.registrar)
            here = self._shell.agent.address_towards(peers[0])
        except (ResolveError, ValueError) as error:
            registration.unanswered(ask, 480, str(error), self._loop.time())
            self._turn()
            return
        request = registration.make_request(ask, here, peers[0].transport)
        name = self._send(request, peers, _answers_to(registration, ask))
        if name is not None and len(registration.plan.registrars) > 1:
            self._loop.call_later(REGISTER_S, self._late, name)

    async def _ping(self, line: TrunkLine, uri: str) -> None:
        try:
            peers = await self._resolver.resolve(uri)
        except (ResolveError, ValueError):
            line.machine.ponged(uri, 503, self._loop.time())
            self._turn()
            return
        line.learn(peer.host for peer in peers)

        def answered(event: RequestAnswered) -> None:
            line.machine.ponged(uri, event.status, self._loop.time())

        name = self._send(self._options(line, uri), peers[:1], answered)
        if name is not None:
            self._loop.call_later(PING_S, self._late, name)

    async def _learn(self, line: TrunkLine) -> None:
        """Whom calls may come from, before anybody has been asked anything."""
        for uri in line.machine.rules.hosts:
            try:
                line.learn(peer.host for peer in await self._resolver.resolve(uri))
            except (ResolveError, ValueError) as error:
                log.warning("host not found", trunk=line.name, host=uri, why=str(error))

    def _late(self, name: str) -> None:
        waiting = self._waiting.pop(name, None)
        if waiting is not None and not self._stopped:
            waiting(RequestAnswered(name, 408, "no answer", None))
            self._turn()

    def _options(self, line: TrunkLine, uri: str) -> Request:
        target = Uri.parse(uri)
        us = NameAddr(None, Uri("sip", "kallglot", host=line.domain)).with_tag(self._ids.tag())
        headers = [
            ("Max-Forwards", MAX_FORWARDS),
            ("From", str(us)),
            ("To", str(NameAddr(None, target))),
            ("Call-ID", self._ids.call_id()),
            ("CSeq", "1 OPTIONS"),
            ("Accept", "application/sdp"),
        ]
        return Request("OPTIONS", target, Headers(headers))

    def _send(self, request: Request, peers: Sequence[Peer], answered: Callable[[RequestAnswered], None]) -> str | None:
        """Send to the first peer, and to the next while nobody answers. None when that failed at once."""

        def next_one(event: RequestAnswered) -> None:
            if event.response is None and len(peers) > 1 and not self._stopped:
                self._send(request, peers[1:], answered)
            else:
                self._last_peer = peers[0]
                answered(event)

        try:
            name = self._shell.agent.request(request, peers[0], self._loop.time())
        except ValueError as error:  # a transport that we do not listen on
            next_one(RequestAnswered("", 503, str(error), None))
            self._loop.call_soon(self._turn)
            return None
        self._waiting[name] = next_one
        self._shell.drain()
        return name

    def _own(self, work: Coroutine[Any, Any, None]) -> None:
        task = self._loop.create_task(work)
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)


def _answers_to(registration: Registration, ask: Ask) -> Callable[[RequestAnswered], None]:
    def answered(event: RequestAnswered) -> None:
        now_s = asyncio.get_running_loop().time()
        if event.response is None:
            registration.unanswered(ask, event.status, event.reason, now_s)
        else:
            registration.answered(event.response, now_s)

    return answered


def _tell(trunk: str, event: RegistrationEvent) -> None:
    if isinstance(event, Registered):
        log.info("logged on", sign="=", trunk=trunk, registrar=event.registrar, expires_s=event.expires_s)
    elif isinstance(event, NotRegistered):
        log.error("not logged on", trunk=trunk, status=event.status, why=event.why, retry_s=round(event.retry_s))
    else:
        log.info("logged off", sign="=", trunk=trunk)
