"""SIP over TCP: one listener, and connections that are found again by their peer. RFC 3261 section 18.

Either side's connection serves both directions. A peer that reads too slowly, sends
half a message, or nothing for long, loses its connection; the agent is told.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass

from kallglot_media.net.errors import cannot_listen
from kallglot_media.net.sip_udp import Owner
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import Peer
from kallglot_media.sip.stream import Framer


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What one listener puts up with.

    connect_s      for a connection of ours to be made
    message_s      for a message that has begun to be complete
    idle_s         without a byte in either direction
    most_connections  in both directions; a new one beyond is closed at once
    most_waiting_bytes  written but not yet taken by the peer; more ends the connection
    """

    connect_s: float = 5.0
    message_s: float = 32.0
    idle_s: float = 900.0
    most_connections: int = 2_000
    most_waiting_bytes: int = 262_144


class SipTcp:
    """The listener and its connections, keyed by the peer's address.

    counters: "accepted", "connected", "connect_failed", "too_many", "bad_framing", "slow_peer", "idle", "half_message"
    """

    def __init__(self, owner: Owner, limits: TcpLimits) -> None:
        self.counters: Counter[str] = Counter()
        self.limits = limits
        self.owner = owner
        self._loop = asyncio.get_running_loop()
        self._server: asyncio.Server | None = None
        self._local_host = ""
        self._connections: dict[Peer, _Connection] = {}
        self._connecting: dict[Peer, _Connecting] = {}

    @classmethod
    async def bind(cls, host: str, port: int, owner: Owner, limits: TcpLimits) -> SipTcp:
        """Raises OSError naming the address."""
        self = cls(owner, limits)
        self._local_host = host
        try:
            self._server = await self._loop.create_server(lambda: _Connection(self), host, port)
        except OSError as wrong:
            raise cannot_listen("tcp", host, port, wrong) from wrong
        return self

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def open_connections(self) -> int:
        return len(self._connections)

    def send(self, data: bytes, peer: Peer) -> None:
        """Over the connection that is there, or a new one."""
        connection = self._connections.get(peer)
        if connection is not None:
            connection.send(data)
        elif peer in self._connecting:
            self._connecting[peer].wait_with(data)
        elif len(self._connections) + len(self._connecting) >= self.limits.most_connections:
            self.counters["too_many"] += 1
            self.owner.failed(peer, f"{self.limits.most_connections} connections are open")
        else:
            self._connecting[peer] = _Connecting(self, peer, data)

    async def close(self) -> None:
        if self._server is not None:
            self._server.close()
        tasks = [attempt.task for attempt in self._connecting.values()]
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        connections = list(self._connections.values())
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.closed for connection in connections))
        if self._server is not None:
            await self._server.wait_closed()

    # ── what connections report ─────────────────────────────────────────────────

    def opened(self, connection: _Connection, peer: Peer) -> bool:
        """Register it; False when there is no room for it."""
        if len(self._connections) >= self.limits.most_connections:
            self.counters["too_many"] += 1
            return False
        self._connections[peer] = connection
        return True

    def gone(self, connection: _Connection, peer: Peer, why: str) -> None:
        if self._connections.get(peer) is connection:
            del self._connections[peer]
            self.owner.failed(peer, why)

    def connected(self, peer: Peer, waiting: list[bytes], wrong: str | None) -> None:
        """A connection of ours is made, or will not be."""
        self._connecting.pop(peer, None)
        if wrong is not None:
            self.counters["connect_failed"] += 1
            self.owner.failed(peer, wrong)
            return
        self.counters["connected"] += 1
        for data in waiting:
            self.send(data, peer)


class _Connecting:
    """A connection on its way, with what is to be sent over it."""

    def __init__(self, tcp: SipTcp, peer: Peer, data: bytes) -> None:
        self._tcp = tcp
        self._peer = peer
        self._waiting = [data]
        self.task = asyncio.get_running_loop().create_task(self._connect(), name=f"sip-tcp-connect {peer.host}")

    def wait_with(self, data: bytes) -> None:
        if sum(map(len, self._waiting)) + len(data) > self._tcp.limits.most_waiting_bytes:
            self._tcp.counters["slow_peer"] += 1
            return
        self._waiting.append(data)

    async def _connect(self) -> None:
        loop, peer = asyncio.get_running_loop(), self._peer
        wrong: str | None = None
        try:
            async with asyncio.timeout(self._tcp.limits.connect_s):
                await loop.create_connection(lambda: _Connection(self._tcp, peer), peer.host, peer.port)
        except TimeoutError:
            wrong = f"no connection within {self._tcp.limits.connect_s:g} s"
        except OSError as error:
            wrong = error.strerror or str(error)
        self._tcp.connected(peer, self._waiting, wrong)


class _Connection(asyncio.Protocol):
    """One TCP connection, from either side. peer: given for ours, learnt for theirs."""

    def __init__(self, tcp: SipTcp, peer: Peer | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self._tcp = tcp
        self._peer = peer or Peer("tcp", "", 0)
        self._is_ours = peer is not None
        self._framer = Framer()
        self._transport: asyncio.Transport | None = None
        self._last_s = self._loop.time()
        self._began_s: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def send(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() + len(data) > self._tcp.limits.most_waiting_bytes:
            self._end("slow_peer", "the peer does not read what we send")
            return
        self._last_s = self._loop.time()
        transport.write(data)

    def close(self) -> None:
        if self._transport is not None:
            self._transport.abort()

    # ── asyncio's side ──────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport
        if not self._is_ours:
            host, port = transport.get_extra_info("peername")[:2]
            self._peer = Peer("tcp", host, port)
            self._tcp.counters["accepted"] += 1
        if not self._tcp.opened(self, self._peer):
            self.close()
            return
        self._set_watch()

    def data_received(self, data: bytes) -> None:
        self._last_s = self._loop.time()
        try:
            messages = self._framer.feed(data)
        except SipError as wrong:
            self._end("bad_framing", str(wrong))
            return
        for message in messages:
            self._tcp.owner.received(message, self._peer)
        for reply in self._framer.take_replies():
            self.send(reply)
        if not self._framer.has_partial:
            self._began_s = None
        elif self._began_s is None or messages:
            self._began_s = self._last_s

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        self._tcp.gone(self, self._peer, str(exc) if exc else "the peer closed the connection")

    # ── time ────────────────────────────────────────────────────────────────────

    def _set_watch(self) -> None:
        limits = self._tcp.limits
        due_s = self._last_s + limits.idle_s
        half_s = (self._began_s if self._began_s is not None else self._loop.time()) + limits.message_s
        self._watch = self._loop.call_at(min(due_s, half_s), self._on_watch)

    def _on_watch(self) -> None:
        now_s, limits = self._loop.time(), self._tcp.limits
        if self._began_s is not None and now_s >= self._began_s + limits.message_s:
            self._end("half_message", f"half a message for {limits.message_s:g} s")
        elif now_s >= self._last_s + limits.idle_s:
            self._end("idle", f"nothing for {limits.idle_s:g} s")
        else:
            self._set_watch()

    def _end(self, counter: str, why: str) -> None:
        self._tcp.counters[counter] += 1
        self._tcp.gone(self, self._peer, why)
        self.close()
