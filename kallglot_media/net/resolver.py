"""Locating SIP servers, RFC 3263: from a SIP URI to the addresses to try, best first.

Address literals and names with a port never wait for SRV; a name that has neither
NAPTR nor SRV records is looked up as a plain host. Every lookup has one deadline.
"""

from __future__ import annotations

import asyncio
import ipaddress
import random
import socket
from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any, Protocol

import dns.asyncresolver
import dns.exception

from kallglot_media.sip.events import Peer
from kallglot_media.sip.uri import Uri

_PORTS = {"udp": 5060, "tcp": 5060, "ws": 80, "tls": 5061, "wss": 443}
_NAPTR_SERVICES = {"SIP+D2U": "udp", "SIP+D2T": "tcp", "SIPS+D2T": "tls"}
_SRV_NAMES = {"udp": "_sip._udp.", "tcp": "_sip._tcp.", "tls": "_sips._tcp."}
_MOST_PEERS = 16


class ResolveError(OSError):
    """No address for a URI: the message has the name, what was tried and why it failed."""


@dataclass(frozen=True, slots=True)
class Srv:
    """RFC 2782: lower priority first, weight shares the load inside one priority."""

    priority: int
    weight: int
    host: str
    port: int


@dataclass(frozen=True, slots=True)
class Naptr:
    """RFC 3403, the fields that RFC 3263 section 4.1 reads; replacement is the SRV name to ask next."""

    order: int
    preference: int
    service: str
    replacement: str


class Lookup(Protocol):
    """The DNS. An empty list means "no such records"; OSError means that it could not be asked."""

    async def naptr(self, name: str) -> list[Naptr]: ...

    async def srv(self, name: str) -> list[Srv]: ...

    async def addresses(self, host: str) -> list[str]: ...


class SystemLookup:
    """The machine's resolver: dnspython for SRV and NAPTR, getaddrinfo (so /etc/hosts counts) for addresses."""

    async def naptr(self, name: str) -> list[Naptr]:
        return [
            Naptr(record.order, record.preference, record.service.decode("ascii", "replace"), str(record.replacement))
            for record in await self._records(name, "NAPTR")
        ]

    async def srv(self, name: str) -> list[Srv]:
        return [
            Srv(record.priority, record.weight, str(record.target).rstrip("."), record.port)
            for record in await self._records(name, "SRV")
        ]

    async def addresses(self, host: str) -> list[str]:
        found = await asyncio.get_running_loop().getaddrinfo(host, None, type=socket.SOCK_DGRAM)
        return list(dict.fromkeys(str(entry[4][0]) for entry in found))

    async def _records(self, name: str, kind: str) -> list[Any]:
        try:
            return list(await dns.asyncresolver.resolve(name, kind, search=False))
        except dns.exception.DNSException:
            return []  # no name, no records, no server: RFC 3263 goes on to the next step in each case


class Resolver:
    """URIs → peers.

    transports  what this server can send over; NAPTR and SRV answers for others are passed over
    deadline_s  for one whole resolve(), however many questions it takes
    """

    def __init__(
        self,
        lookup: Lookup | None = None,
        *,
        transports: Sequence[str] = ("udp", "tcp"),
        deadline_s: float = 4.0,
        chance: random.Random | None = None,
    ) -> None:
        self._lookup = lookup or SystemLookup()
        self._transports = tuple(transports)
        self._deadline_s = deadline_s
        self._chance = chance or random.Random()  # noqa: S311 - shares load by SRV weight, guards nothing

    async def resolve(self, uri: Uri | str) -> list[Peer]:
        """The peers to try for `uri`, best first, never empty, each with the domain that it was found for.

        Raises ResolveError.
        """
        target = Uri.parse(uri) if isinstance(uri, str) else uri
        try:
            async with asyncio.timeout(self._deadline_s):
                peers = await self._resolve(target)
        except TimeoutError:
            raise ResolveError(f"{target.host}: no answer from the DNS within {self._deadline_s:g} s") from None
        except (OSError, UnicodeError) as wrong:
            raise ResolveError(f"{target.host}: {wrong}") from wrong
        name = "" if _literal(target.host) else target.host.rstrip(".")
        peers = [replace(peer, name=name) for peer in peers if peer.transport in self._transports]
        if not peers:
            raise ResolveError(f"{target.host}: no address that we can send to over {', '.join(self._transports)}")
        return peers[:_MOST_PEERS]

    async def _resolve(self, uri: Uri) -> list[Peer]:
        host = uri.param("maddr") or uri.host
        asked = (uri.param("transport") or "").lower()
        transport = asked or ("tls" if uri.scheme == "sips" else "udp")
        if uri.scheme == "sips" and transport == "tcp":
            transport = "tls"  # RFC 3261 26.2.2: sips over ;transport=tcp is TLS on TCP
        if transport not in _PORTS:
            raise OSError(f"transport {transport!r} is not one of {', '.join(_PORTS)}")
        if literal := _literal(host):
            return [Peer(transport, literal, uri.port or _PORTS[transport])]
        if uri.port is None and "." in host:  # a name without a dot has no domain to keep SRV records
            peers = await self._by_srv(host, [transport] if asked or uri.scheme == "sips" else None)
            if peers:
                return peers
        return await self._by_address(transport, host, uri.port or _PORTS[transport])

    async def _by_srv(self, host: str, transports: list[str] | None) -> list[Peer]:
        """RFC 3263 4.1 and 4.2: NAPTR when the transport is open, then SRV."""
        names: list[tuple[str, str]] = []
        if transports is None:
            naptrs = sorted(await self._lookup.naptr(host), key=lambda record: (record.order, record.preference))
            names = [
                (_NAPTR_SERVICES[record.service.upper()], record.replacement)
                for record in naptrs
                if _NAPTR_SERVICES.get(record.service.upper()) in self._transports
            ]
        if not names:
            wanted = transports or [name for name in self._transports if name != "tls"]
            names = [(name, _SRV_NAMES[name] + host) for name in wanted if name in _SRV_NAMES]
        peers: list[Peer] = []
        for transport, name in names[:_MOST_PEERS]:
            for record in self._in_order(await self._lookup.srv(name)):
                if record.host:  # RFC 2782: the target "." means that the service is not there
                    peers += await self._by_address(transport, record.host, record.port)
            if len(peers) >= _MOST_PEERS:
                break
        return peers

    async def _by_address(self, transport: str, host: str, port: int) -> list[Peer]:
        if literal := _literal(host):
            return [Peer(transport, literal, port)]
        return [Peer(transport, address, port) for address in await self._lookup.addresses(host)]

    def _in_order(self, records: list[Srv]) -> list[Srv]:
        """RFC 2782: by priority; inside one, drawn by weight, zeros last."""
        keyed = [
            (record.priority, -(self._chance.random() ** (1 / record.weight)) if record.weight else 0.0, record)
            for record in records[:_MOST_PEERS]
        ]
        return [record for _, _, record in sorted(keyed, key=lambda entry: entry[:2])]


def _literal(host: str) -> str | None:
    """The address when `host` is one, without the brackets of IPv6; else None."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None
