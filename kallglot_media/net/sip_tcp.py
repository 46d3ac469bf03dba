"""SIP over TCP, TLS and WebSocket: one listener, and connections that are found again by their peer. RFC 3261
section 18, RFC 7118.

Either side's connection serves both directions. A peer that reads too slowly, sends
half a message, or nothing for long, loses its connection; the agent is told.
"""

from __future__ import annotations

import asyncio
import ssl
from collections import Counter
from collections.abc import Callable

from kallglot_media.net.connection import Connection, Cutter, StreamCutter, TcpLimits
from kallglot_media.net.errors import cannot_listen
from kallglot_media.net.sip_udp import Owner
from kallglot_media.net.tls import Tls
from kallglot_media.net.websocket import WebSocketCutter
from kallglot_media.sip.events import Peer

__all__ = ["SipTcp", "TcpLimits"]


class SipTcp:
    """One listener and its connections, keyed by the peer's address.

    transport  "tcp", "tls", "ws" or "wss"; the secure ones need `tls`
    local      its name, which the peers of its connections carry

    counters: "accepted", "connected", "connect_failed", "too_many", "too_many_from_one_host", "no_connection",
    "bad_framing", "slow_peer", "paused", "idle", "half_message", and those of its Tls
    """

    def __init__(
        self,
        owner: Owner,
        limits: TcpLimits,
        *,
        transport: str = "tcp",
        tls: Tls | None = None,
        origins: tuple[str, ...] = (),
    ) -> None:
        self.counters: Counter[str] = tls.counters if tls is not None else Counter()
        self.limits = limits
        self.owner = owner
        self.transport = transport
        self.local = ""
        self._loop = asyncio.get_running_loop()
        self._tls = tls
        self._server: asyncio.Server | None = None
        self._is_web = transport in ("ws", "wss")
        self._make_cutter: Callable[[], Cutter] = (lambda: WebSocketCutter(origins)) if self._is_web else StreamCutter
        self._connections: dict[Peer, Connection] = {}
        self._open: set[Connection] = set()
        self._from_host: Counter[str] = Counter()
        self._connecting: dict[Peer, _Connecting] = {}

    @classmethod
    async def bind(
        cls,
        host: str,
        port: int,
        owner: Owner,
        limits: TcpLimits,
        *,
        transport: str = "tcp",
        tls: Tls | None = None,
        origins: tuple[str, ...] = (),
    ) -> SipTcp:
        """Raises OSError naming the address."""
        self = cls(owner, limits, transport=transport, tls=tls, origins=origins)
        try:
            self._server = await self._loop.create_server(
                lambda: Connection(self, self._make_cutter()),
                *(host, port),
                ssl=tls.server if tls is not None else None,
                ssl_handshake_timeout=limits.connect_s if tls is not None else None,
            )
        except OSError as wrong:
            raise cannot_listen(transport, host, port, wrong) from wrong
        self.local = f"{transport} {host}:{self.port}"
        return self

    @property
    def port(self) -> int:
        assert self._server is not None
        return int(self._server.sockets[0].getsockname()[1])

    @property
    def open_connections(self) -> int:
        return len(self._open)

    def send(self, data: bytes, peer: Peer) -> None:
        """Over the connection that is there, or a new one."""
        connection = self._connections.get(peer)
        if connection is not None and self._serves(connection, peer):
            connection.send(data)
        elif self._is_web:  # browsers cannot be connected to
            self.counters["no_connection"] += 1
            self.owner.failed(peer, "the WebSocket connection is gone")
        elif peer in self._connecting:
            self._connecting[peer].wait_with(data)
        elif len(self._open) + len(self._connecting) >= self.limits.most_connections:
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
        connections = list(self._open)
        for connection in connections:
            connection.close()
        await asyncio.gather(*(connection.closed for connection in connections))
        if self._server is not None:
            await self._server.wait_closed()

    async def connect(self, peer: Peer) -> None:
        """A connection of ours. Raises OSError, or ValueError for a name that no certificate can have."""
        name = peer.name or peer.host
        if self._tls is not None:
            name.encode("idna")  # before there is a socket: asyncio would leave it open
        # RFC 5922 section 4: the certificate is for the domain of the URI, whatever SRV made of it.
        await self._loop.create_connection(
            lambda: Connection(self, self._make_cutter(), peer),
            *(peer.host, peer.port),
            ssl=self._tls.client() if self._tls is not None else None,
            server_hostname=name if self._tls is not None else None,
        )

    # ── what connections report ─────────────────────────────────────────────────

    def received(self, message: bytes, peer: Peer) -> None:
        """One message from a connection."""
        self.owner.received(message, peer)

    def opened(self, connection: Connection, peer: Peer) -> bool:
        """Register it; False when there is no room for it."""
        if len(self._open) >= self.limits.most_connections:
            self.counters["too_many"] += 1
            return False
        if not connection.is_ours and self._from_host[peer.host] >= self.limits.most_from_one_host:
            self.counters["too_many_from_one_host"] += 1
            return False
        self._open.add(connection)
        self._connections[peer] = connection
        if not connection.is_ours:
            self._from_host[peer.host] += 1
        return True

    def gone(self, connection: Connection, peer: Peer, why: str) -> None:
        """It has ended, or is about to; told once or more."""
        if connection in self._open:
            self._open.discard(connection)
            if not connection.is_ours:
                self._from_host[peer.host] -= 1
                if not self._from_host[peer.host]:
                    del self._from_host[peer.host]
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

    def _serves(self, connection: Connection, peer: Peer) -> bool:
        """A certificate that was checked for one name says nothing about another at the same address."""
        return not (connection.is_ours and self._tls is not None and peer.name not in ("", connection.peer.name))


class _Connecting:
    """A connection on its way, with what is to be sent over it."""

    def __init__(self, tcp: SipTcp, peer: Peer, data: bytes) -> None:
        self._tcp = tcp
        self._peer = peer
        self._waiting = [data]
        name = f"sip-{tcp.transport}-connect {peer.host}"
        self.task = asyncio.get_running_loop().create_task(self._connect(), name=name)

    def wait_with(self, data: bytes) -> None:
        """Send this too when it is made."""
        if sum(map(len, self._waiting)) + len(data) > self._tcp.limits.most_waiting_bytes:
            self._tcp.counters["slow_peer"] += 1
            return
        self._waiting.append(data)

    async def _connect(self) -> None:
        wrong: str | None = None
        try:
            async with asyncio.timeout(self._tcp.limits.connect_s):
                await self._tcp.connect(self._peer)
        except TimeoutError:
            wrong = f"no connection within {self._tcp.limits.connect_s:g} s"
        except ssl.SSLCertVerificationError as error:
            wrong = f"its certificate is not trusted: {error.verify_message}"
        except (OSError, ValueError) as error:
            wrong = (error.strerror if isinstance(error, OSError) else None) or str(error)
        self._tcp.connected(self._peer, self._waiting, wrong)
