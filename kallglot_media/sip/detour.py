"""Large requests leave UDP for TCP, and come back when the peer has no TCP. RFC 3261 section 18.1.1."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.routing import Addresses

_STILL_TO_COME_BYTES = 250
"""Via, User-Agent and Content-Length, which are not there yet when the way is chosen."""
_REMEMBERED_S = 600.0
_MOST_REMEMBERED = 1024


class Detour:
    """Which requests go another way than they were meant to.

    largest_udp_bytes  "If a request is within 200 bytes of the path MTU, or if it is larger than 1300 bytes and the
                       path MTU is unknown, the request MUST be sent using … TCP"; 0: never
    """

    def __init__(self, addresses: Addresses, largest_udp_bytes: int, count: Callable[[str], None]) -> None:
        self._addresses = addresses
        self._largest_bytes = largest_udp_bytes
        self._count = count
        self._under_way: dict[str, tuple[Request, Peer]] = {}
        self._sent_again: set[str] = set()
        self._no_tcp_until_s: dict[Peer, float] = {}

    def peer_for(self, request: Request, to: Peer, now_s: float) -> Peer:
        """`to`, or the same address over TCP."""
        if to.transport != "udp" or not self._largest_bytes or _size(request) <= self._largest_bytes:
            return to
        stream = replace(to, transport="tcp", local="")
        if self._no_tcp_until_s.get(to, now_s) > now_s or self._addresses.towards(stream) is None:
            return to
        self._count("large_over_tcp")
        return stream

    def began(self, key: str, request: Request, meant: Peer) -> None:
        """That transaction went over TCP and was meant for `meant`."""
        self._under_way[key] = (request, meant)

    def ended(self, key: str) -> None:
        """That transaction is over, or was answered."""
        self._under_way.pop(key, None)

    def goes_on_after(self, key: str) -> bool:
        """That transaction ended: True when it was the attempt over TCP, and the one over UDP goes on under its key."""
        if key not in self._sent_again:
            return False
        self._sent_again.discard(key)
        return True

    def way_back(self, key: str, now_s: float) -> tuple[Request, Peer] | None:
        """TCP did not work: what to send over UDP instead, None when this was no detour.

        "If an element sends a request over TCP because of these message size constraints, and that request would have
        otherwise been sent over UDP, if the attempt to establish the connection generates either an ICMP Protocol Not
        Supported, or results in a TCP reset, the element SHOULD retry the request, using UDP."
        """
        found = self._under_way.pop(key, None)
        if found is None:
            return None
        self._count("large_back_to_udp")
        self._sent_again.add(key)  # the end of the first attempt is still to be told
        if len(self._no_tcp_until_s) >= _MOST_REMEMBERED:
            self._no_tcp_until_s.clear()
        self._no_tcp_until_s[found[1]] = now_s + _REMEMBERED_S
        return found


def _size(request: Request) -> int:
    """About how many bytes it will have."""
    return len(request.body) + _STILL_TO_COME_BYTES + sum(len(name) + len(value) + 4 for name, value in request.headers)
