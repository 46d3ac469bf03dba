"""Which addresses we send to. A webhook must not reach what only this server can reach.

The name is resolved by us, every address is checked, and the connection goes to the address that was checked:
a name that answers differently the second time (DNS rebinding) gains nothing. Redirects are not followed.
"""

from __future__ import annotations

import asyncio
import ipaddress
import socket
from collections.abc import Awaitable, Callable, Iterable, Sequence
from typing import Any
from urllib.parse import urlsplit

import httpcore2

IpAddress = ipaddress.IPv4Address | ipaddress.IPv6Address
IpNetwork = ipaddress.IPv4Network | ipaddress.IPv6Network
Resolve = Callable[[str, int], Awaitable[Sequence[str]]]

LONGEST_URL = 2048
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_COMPATIBLE = ipaddress.IPv6Network("::/96")


class Refused(Exception):
    """We do not send there, and why; says what to change."""


class Guard:
    """allowed: networks that may be sent to although they are private, from the configuration."""

    def __init__(self, allowed: Iterable[IpNetwork] = (), *, resolve: Resolve | None = None) -> None:
        self._allowed = tuple(allowed)
        self._resolve = resolve or _getaddrinfo

    def check_url(self, url: str) -> None:
        """Refused when `url` is none that can be sent to. Names are not resolved yet: that happens at every attempt."""
        if len(url) > LONGEST_URL:
            raise Refused(f"is {len(url)} characters long; write at most {LONGEST_URL}")
        try:
            parts = urlsplit(url)
            port = parts.port
        except ValueError as error:
            raise Refused(f"is no URL ({error}); write https://host/path") from None
        if parts.scheme not in ("https", "http") or not parts.hostname:
            raise Refused("is no https:// or http:// URL; write https://host/path")
        if port == 0 or not url.isascii() or any(char <= " " for char in url):
            raise Refused("has characters or a port that cannot be sent; write https://host/path")
        if parts.username is not None or parts.password is not None:
            raise Refused("holds a user name or a password; leave them out, deliveries are signed")
        if parts.fragment:
            raise Refused("has a fragment, which is never sent; leave it out")
        address = _literal(parts.hostname)
        if address is not None:
            self.check_address(address)

    def check_address(self, address: IpAddress) -> None:
        """Refused when it is not on the public internet and not allowed."""
        for one in _meant(address):
            if any(one.version == network.version and one in network for network in self._allowed):
                continue
            if not one.is_global or one.is_multicast or one.is_reserved:
                raise Refused(f"leads to {one}, a private address; list its network in webhooks.allow_networks")

    async def addresses(self, host: str, port: int) -> list[str]:
        """Where `host` is. Refused when any of its addresses is; OSError when there is none."""
        literal = _literal(host)
        found = [str(literal)] if literal is not None else list(await self._resolve(host, port))
        for text in found:
            self.check_address(ipaddress.ip_address(text.partition("%")[0]))
        if not found:
            raise OSError(f"{host} has no address")
        return found


def _literal(host: str) -> IpAddress | None:
    """The address that `host` is, also as browsers and getaddrinfo read it: 127.1, 0x7f000001, 2130706433."""
    try:
        return ipaddress.ip_address(host.strip("[]").partition("%")[0])
    except ValueError:
        pass
    try:
        return ipaddress.IPv4Address(socket.inet_aton(host))
    except (OSError, ValueError):
        return None


def _meant(address: IpAddress) -> list[IpAddress]:
    """An address and the IPv4 address that is wrapped in it, if any (mapped, 6to4, NAT64, Teredo)."""
    if address.version == 4:
        return [address]
    assert isinstance(address, ipaddress.IPv6Address)
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    inner = [address.sixtofour, *(address.teredo or ())]
    if address in _NAT64 or (address in _COMPATIBLE and int(address) > 0xFFFF):
        inner.append(ipaddress.IPv4Address(int(address) & 0xFFFFFFFF))
    return [address, *(one for one in inner if one is not None)]


async def _getaddrinfo(host: str, port: int) -> Sequence[str]:
    found = await asyncio.get_running_loop().getaddrinfo(host, port, type=socket.SOCK_STREAM)
    return list(dict.fromkeys(str(info[4][0]) for info in found))


class GuardedBackend(httpcore2.AsyncNetworkBackend):
    """Opens TCP connections to addresses that the guard has seen. TLS still checks the name in the URL."""

    def __init__(self, guard: Guard) -> None:
        self._guard = guard
        self._inner = httpcore2.AnyIOBackend()

    async def connect_tcp(
        self,
        host: str,
        port: int,
        timeout: float | None = None,  # noqa: ASYNC109 - the signature is httpcore's
        local_address: str | None = None,
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Resolve, check, connect; the first address that answers."""
        failure: Exception | None = None
        for address in await self._guard.addresses(host, port):
            try:
                return await self._inner.connect_tcp(address, port, timeout, local_address, socket_options)
            except (httpcore2.ConnectError, httpcore2.ConnectTimeout) as error:
                failure = error
        assert failure is not None
        raise failure

    async def connect_unix_socket(
        self,
        path: str,
        timeout: float | None = None,  # noqa: ASYNC109
        socket_options: Iterable[Any] | None = None,
    ) -> httpcore2.AsyncNetworkStream:
        """Never: no URL means one."""
        raise Refused("is a Unix socket")
