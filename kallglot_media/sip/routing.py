"""Transport rules without a transport, RFC 3261 section 18 with RFC 3581: where messages
came from, where they go, and what our own Via and Contact say."""

from __future__ import annotations

import ipaddress
from dataclasses import dataclass
from functools import lru_cache

from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.uri import Uri
from kallglot_media.sip.via import Via

DEFAULT_PORTS = {"udp": 5060, "tcp": 5060, "ws": 80, "tls": 5061, "wss": 443}
_PRIVATE = [
    ipaddress.ip_network(network)
    for network in (
        "10.0.0.0/8",
        "172.16.0.0/12",
        "192.168.0.0/16",
        "100.64.0.0/10",
        "169.254.0.0/16",
        "fc00::/7",
        "fe80::/10",
    )
]
RELIABLE = frozenset({"tcp", "tls", "ws", "wss"})
STREAMS = frozenset({"tcp", "tls"})
"""Where messages follow each other without a frame, so that Content-Length says where one ends (RFC 3261 18.3). Over
WebSocket it may be left out (RFC 7118 section 5.3)."""


@dataclass(frozen=True, slots=True)
class Address:
    """Where peers reach us over one transport; host as they must write it (never 0.0.0.0).

    local  the name of the listener behind it
    bound  the address that the listener has on this machine, when that is another
    """

    host: str
    port: int
    local: str = ""
    bound: str = ""

    def __str__(self) -> str:
        return f"[{self.host}]:{self.port}" if ":" in self.host else f"{self.host}:{self.port}"


class Addresses:
    """Our own addresses: any number for each transport and IP version, each behind a listener with a name."""

    def __init__(self) -> None:
        self._by_local: dict[str, Address] = {}
        self._by_kind: dict[tuple[str, bool], list[Address]] = {}
        self._sent_by: set[tuple[str, str, int]] = set()

    def set(self, transport: str, host: str, port: int, *, local: str = "", bound: str = "") -> None:
        """local: the listener's name; left out: the only one of its transport and IP version. Again: it has moved."""
        is_ipv6 = ":" in (bound or host)
        local = local or f"{transport} over IPv{6 if is_ipv6 else 4}"
        address = Address(host, port, local, bound or host)
        here = self._by_kind.setdefault((transport, is_ipv6), [])
        here[:] = [*(other for other in here if other.local != local), address]
        self._by_local[local] = address
        self._sent_by.add((transport, literal(host) or host.lower(), port))

    def towards(self, peer: Peer) -> Address | None:
        """The address that this peer must use for us; None when we do not speak its transport."""
        known = self._by_local.get(peer.local) if peer.local else None
        if known is not None:
            return known
        is_ipv6 = ":" in peer.host
        kinds = self._by_kind
        here = kinds.get((peer.transport, is_ipv6)) or kinds.get((peer.transport, not is_ipv6))
        if not here:
            return None
        return here[0] if len(here) == 1 else max(here, key=lambda address: _common_bits(address.bound, peer.host))

    def has(self, via: Via) -> bool:
        """RFC 3261 18.1.2: a response whose sent-by is not what we put there "MUST be silently discarded"."""
        host = literal(via.host) or via.host.lower()
        return (via.transport.lower(), host, port_of(via)) in self._sent_by


def port_of(via: Via) -> int:
    """The port of sent-by, or the transport's own."""
    return via.port or DEFAULT_PORTS.get(via.transport.lower(), 5060)


def own_via(transport: str, address: Address, branch: str) -> str:
    """The Via of our requests: "SIP/2.0/UDP 192.0.2.1:5060;branch=…;rport"."""
    asks_port = ";rport" if transport == "udp" else ""
    return f"SIP/2.0/{transport.upper()} {address};branch={branch}{asks_port}"


def own_contact(transport: str, address: Address, user: str) -> str:
    """Our Contact: UDP is what a SIP URI means without a transport parameter.

    RFC 7118 section 5.2.4 has "ws" in URIs for both: whether it is a secure one is not the URI's matter.
    """
    parameter = "" if transport == "udp" else f";transport={'ws' if transport == 'wss' else transport}"
    return f"<sip:{user}@{address}{parameter}>"


def peer_of(uri: Uri, flow: Peer) -> Peer | None:
    """The peer that a URI with an address literal means; None for a name (somebody must resolve it).

    flow  where this dialog's messages went so far: its transport counts when the URI names none
    """
    host = literal(uri.param("maddr") or uri.host)
    if host is None:
        return None
    transport = "tls" if uri.scheme == "sips" else (uri.param("transport") or "").lower()
    if transport not in DEFAULT_PORTS:
        transport = flow.transport if same_host(host, flow.host) else "udp"
    elif transport == "ws" and flow.transport == "wss":
        transport = "wss"  # see own_contact: URIs say "ws" of both
    same_side = transport == flow.transport and (":" in host) == (":" in flow.host)
    return Peer(transport, host, uri.port or DEFAULT_PORTS[transport], local=flow.local if same_side else "")


def in_dialog_peer(uri: Uri, flow: Peer, *, behind_nat: bool) -> Peer:
    """Where a request inside a dialog goes.

    A Contact from behind a NAT names an address that nobody reaches, a name cannot be
    resolved here, and a stream to the same host is already open: all three keep the flow.
    """
    named = peer_of(uri, flow)
    if named is None or behind_nat or (is_private(named.host) and not is_private(flow.host)):
        return flow
    if flow.transport in RELIABLE and named.transport == flow.transport and same_host(named.host, flow.host):
        return flow
    return named


def is_behind_nat(request: Request, source: Peer) -> bool:
    """Whether the sender itself (no proxy between) does not know its own address."""
    if len(request.vias) != 1 or "Record-Route" in request.headers:
        return False
    via = request.top_via
    if source.transport in RELIABLE:
        return not same_host(via.host, source.host)
    return not (same_host(via.host, source.host) and port_of(via) == source.port)


@lru_cache(maxsize=4096)
def _common_bits(ours: str, theirs: str) -> int:
    """How many leading bits two addresses share: more, the nearer. -1 for a wildcard, which is near to nobody."""
    try:
        one, other = ipaddress.ip_address(ours), ipaddress.ip_address(theirs.partition("%")[0])
    except ValueError:
        return -1
    if one.is_unspecified or one.version != other.version:
        return -1
    return one.max_prefixlen - (int(one) ^ int(other)).bit_length()


@lru_cache(maxsize=4096)
def is_private(host: str) -> bool:
    """Whether an address is only good inside somebody's network: RFC 1918, 6598 (carriers' NAT), 4193, link-local."""
    try:
        address = ipaddress.ip_address(host)
    except ValueError:
        return False
    return address.is_loopback or any(address in network for network in _PRIVATE if network.version == address.version)


def same_host(one: str, other: str) -> bool:
    """Whether two hosts are the same address, however written; names compare without case."""
    if one == other:
        return True
    first, second = literal(one), literal(other)
    if first is None or second is None:
        return one.lower() == other.lower()
    return first == second


@lru_cache(maxsize=4096)
def literal(host: str) -> str | None:
    """The address in its one usual spelling when `host` is one; None for a name."""
    try:
        return str(ipaddress.ip_address(host.strip("[]")))
    except ValueError:
        return None
