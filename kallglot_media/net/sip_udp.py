"""SIP over UDP: bytes in, bytes out. Decides nothing."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from typing import Any, Protocol

from kallglot_media.net.errors import cannot_listen
from kallglot_media.sip.events import Peer

_MOST_WAITING_BYTES = 4 * 1024 * 1024
_MOST_PEERS = 4096
_RECEIVE_BUFFER_BYTES = 4 * 1024 * 1024
"""For a burst of calls while the loop is busy; the kernel gives what net.core.rmem_max allows."""


class Owner(Protocol):
    """Who gets what arrives, and hears of what could not be sent."""

    def received(self, data: bytes, source: Peer) -> None: ...

    def failed(self, peer: Peer, why: str) -> None: ...


class SipUdp(asyncio.DatagramProtocol):
    """One bound UDP socket. counters: "icmp_error", "send_error", "congested"."""

    def __init__(self, owner: Owner) -> None:
        self.counters: Counter[str] = Counter()
        self.local = ""
        self._owner = owner
        self._peers: dict[tuple[str, int], Peer] = {}
        self._transport: asyncio.DatagramTransport | None = None
        self._closed: asyncio.Future[None] = asyncio.get_running_loop().create_future()

    @classmethod
    async def bind(cls, host: str, port: int, owner: Owner) -> SipUdp:
        """Raises OSError naming the address."""
        loop = asyncio.get_running_loop()
        try:
            found = await loop.getaddrinfo(host, port, type=socket.SOCK_DGRAM, flags=socket.AI_PASSIVE)
            # Bound by ourselves: uvloop leaves its transport behind when its own bind fails.
            bound = _bound(found[0][0], found[0][4])
        except OSError as wrong:
            raise cannot_listen("udp", host, port, wrong) from wrong
        _, protocol = await loop.create_datagram_endpoint(lambda: cls(owner), sock=bound)
        protocol.local = f"udp {host}:{protocol.port}"
        return protocol

    @property
    def port(self) -> int:
        assert self._transport is not None
        return int(self._transport.get_extra_info("sockname")[1])

    def send(self, data: bytes, peer: Peer) -> None:
        transport = self._transport
        if transport is None or transport.is_closing():
            return
        if transport.get_write_buffer_size() > _MOST_WAITING_BYTES:  # type: ignore[attr-defined]  # typeshed has it not
            self.counters["congested"] += 1  # the same as lost on the way: transactions repeat it
            return
        try:
            transport.sendto(data, (peer.host, peer.port))
        except (OSError, ValueError) as wrong:
            self.counters["send_error"] += 1
            self._owner.failed(peer, str(wrong))

    async def close(self) -> None:
        if self._transport is not None:
            self._transport.close()
            await self._closed

    # ── asyncio's side ──────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.DatagramTransport

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        peer = self._peers.get(addr)
        if peer is None:
            if len(self._peers) >= _MOST_PEERS:
                self._peers.clear()
            peer = self._peers[addr] = Peer("udp", addr[0], addr[1], local=self.local)
        self._owner.received(data, peer)

    def error_received(self, exc: Exception) -> None:
        self.counters["icmp_error"] += 1  # it does not say which peer: the transaction's timer finds out

    def connection_lost(self, exc: Exception | None) -> None:
        if not self._closed.done():
            self._closed.set_result(None)


def _bound(family: socket.AddressFamily, address: Any) -> socket.socket:
    bound = socket.socket(family, socket.SOCK_DGRAM)
    try:
        bound.setblocking(False)
        bound.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, _RECEIVE_BUFFER_BYTES)
        if family == socket.AF_INET6:
            bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 1)
        bound.bind(address)
    except OSError:
        bound.close()
        raise
    return bound
