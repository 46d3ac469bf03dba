"""The SIP agent and its sockets: whoever touches the agent drains it, and only drain() sends."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Protocol

from kallglot_media.net.sip_tcp import SipTcp, TcpLimits
from kallglot_media.net.sip_udp import SipUdp
from kallglot_media.net.tls import Tls, TlsFiles
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import Peer, SipEvent

TRANSPORTS = ("udp", "tcp", "tls", "ws", "wss")


@dataclass(frozen=True, slots=True)
class Listen:
    """One address to be reachable at. There may be many of each kind.

    transport    "udp", "tcp", "tls", "ws" or "wss"
    port         0 takes a free one
    public_host  what peers are told (Via, Contact); needed when `host` is 0.0.0.0 or ::, or behind a NAT
    tls          for "tls" and "wss": the certificates
    origins      for "ws" and "wss": web sites whose pages may connect, besides those from our own host
    """

    transport: str
    host: str
    port: int
    public_host: str | None = None
    tls: TlsFiles | None = None
    origins: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if self.transport not in TRANSPORTS:
            raise ValueError(f"transport is {self.transport!r}, expected one of {', '.join(TRANSPORTS)}")
        if (self.transport in ("tls", "wss")) != (self.tls is not None):
            raise ValueError(f"{self.transport} {'needs' if self.tls is None else 'has no use for'} certificates")
        if self.public_host is None and self.host in ("0.0.0.0", "::"):  # noqa: S104 - only compared
            raise ValueError(f"{self.host} is no address to tell peers; set public_host as well")


class Transport(Protocol):
    """What the shell needs of a listener. send() reports a failure to the shell by itself."""

    def send(self, data: bytes, peer: Peer) -> None: ...

    async def close(self) -> None: ...

    @property
    def counters(self) -> Counter[str]: ...

    @property
    def local(self) -> str: ...

    @property
    def port(self) -> int: ...


class SipShell:
    """Runs one agent on any number of listeners.

    on_event  called inside drain(), one event at a time; it may use the agent's verbs, the
              drain under way sends what they made. An exception in it is reported to the
              loop's handler and ends nothing but that event.
    """

    def __init__(
        self, agent: SipAgent, on_event: Callable[[SipEvent], None], *, tcp_limits: TcpLimits | None = None
    ) -> None:
        self.agent = agent
        self._on_event = on_event
        self._tcp_limits = tcp_limits or TcpLimits()
        self._transports: dict[str, Transport] = {}
        self._timer: asyncio.TimerHandle | None = None
        self._draining = False
        self._loop: asyncio.AbstractEventLoop | None = None

    async def start(self, listen: Sequence[Listen]) -> list[Peer]:
        """Bind every address, all or none. Returns where we listen, in the same order. Raises OSError."""
        self._loop = asyncio.get_running_loop()
        try:
            return [await self._bind(entry) for entry in listen]
        except BaseException:
            await self.stop()
            raise

    async def stop(self) -> None:
        """Close all sockets, connections and timers; what was not sent is lost."""
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        transports, self._transports = list(self._transports.values()), {}
        for transport in transports:
            await transport.close()

    def counters(self) -> Counter[str]:
        """The agent's counters, and the listeners' with "udp_", "tcp_"… before them; docs/sip.md explains them."""
        found = self.agent.counters
        for local, wire in self._transports.items():
            transport = local.partition(" ")[0]
            found.update({f"{transport}_{name}": count for name, count in wire.counters.items()})
        return found

    def now_s(self) -> float:
        """The agent's clock."""
        assert self._loop is not None, "start() first"
        return self._loop.time()

    def received(self, data: bytes, source: Peer) -> None:
        """One message from a transport."""
        self._do(self.agent.receive, data, source, self.now_s())

    def keep_open(self, peer: Peer) -> None:
        """Two line ends, which nobody answers over UDP: the NAT between us goes on letting the peer's calls in."""
        transport = self._transport_to(peer)
        if transport is not None:
            transport.send(b"\r\n\r\n", peer)

    def failed(self, peer: Peer, why: str) -> None:
        """What was sent to that peer did not go out. The agent hears of it on the next turn of the loop, so that
        the end of a call is never told before invite() has returned its name."""
        assert self._loop is not None
        self._loop.call_soon(self._failed, peer, why)

    def _failed(self, peer: Peer, why: str) -> None:
        if not self._transports:
            return  # stopped meanwhile
        self._do(self.agent.transport_failed, peer, self.now_s(), why)

    def _do(self, verb: Callable[..., None], *what: object) -> None:
        """One touch of the agent. A mistake of ours in it is reported, and what is ready is sent all the same."""
        try:
            verb(*what)
        except Exception as wrong:
            assert self._loop is not None
            self._loop.call_exception_handler({"message": f"SIP agent, {verb.__name__}", "exception": wrong})
        self.drain()

    def drain(self) -> None:
        """Send what is ready, tell what happened, and wait for the next time. Call after every touch of the agent."""
        if self._draining:
            return  # the drain further up the stack goes round once more
        self._draining = True
        try:
            while self._drain_once():
                pass
        finally:
            self._draining = False
        self._set_timer()

    def _drain_once(self) -> bool:
        datagrams = self.agent.take_datagrams()
        for data, peer in datagrams:
            transport = self._transport_to(peer)
            if transport is None:
                self.failed(peer, f"no {peer.transport} transport to {peer.host}")
            else:
                transport.send(data, peer)
        events = self.agent.take_events()
        for event in events:
            self._tell(event)
        return bool(datagrams or events)

    def _tell(self, event: SipEvent) -> None:
        try:
            self._on_event(event)
        except Exception as wrong:  # our own mistake: it may cost this call, never the agent
            assert self._loop is not None
            self._loop.call_exception_handler({"message": f"on_event({type(event).__name__})", "exception": wrong})

    def _set_timer(self) -> None:
        if self._timer is not None:
            self._timer.cancel()
            self._timer = None
        due_s = self.agent.next_time_s()
        if due_s is not None and self._transports and self._loop is not None:
            self._timer = self._loop.call_at(due_s, self._on_timer)

    def _on_timer(self) -> None:
        self._timer = None
        self._do(self.agent.on_time, self.now_s())

    def _transport_to(self, peer: Peer) -> Transport | None:
        local = self.agent.local_of(peer)
        return self._transports.get(local) if local is not None else None

    async def _bind(self, entry: Listen) -> Peer:
        transport: Transport
        if entry.transport == "udp":
            transport = await SipUdp.bind(entry.host, entry.port, self)
        else:
            tls = Tls(entry.tls) if entry.tls is not None else None
            transport = await SipTcp.bind(
                *(entry.host, entry.port, self, self._tcp_limits),
                transport=entry.transport,
                tls=tls,
                origins=entry.origins,
            )
        self._transports[transport.local] = transport
        public_host = entry.public_host or entry.host
        self.agent.set_address(entry.transport, public_host, transport.port, local=transport.local, bound=entry.host)
        return Peer(entry.transport, entry.host, transport.port)
