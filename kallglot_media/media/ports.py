"""Pairs of UDP sockets for RTP and RTCP, RFC 3550 section 11: even port and the odd one above."""

from __future__ import annotations

import errno
import socket
from dataclasses import dataclass

_SO_TIMESTAMPNS = 35  # asm-generic/socket.h; Python has no name for it


class NoPorts(Exception):
    """No pair could be bound; the message names the setting to change."""


@dataclass(frozen=True, slots=True)
class PortPair:
    """Two bound, non-blocking sockets whose datagrams bring their time of arrival; `close` frees both."""

    rtp: socket.socket
    rtcp: socket.socket
    host: str
    port: int

    def close(self) -> None:
        self.rtp.close()
        self.rtcp.close()


class Ports:
    """Walks round the range, so that a port rests as long as possible before the next call gets it."""

    def __init__(self, first_port: int, last_port: int, *, dscp: int = 0, start: int = 0) -> None:
        """start: any number; where in the range the walk begins."""
        self._first = first_port + first_port % 2
        self._pairs = max(0, (last_port + 1 - self._first) // 2)
        self._range = f"{first_port}–{last_port}"
        self._dscp = dscp
        self._next = start % self._pairs if self._pairs else 0

    def bind(self, host: str) -> PortPair:
        """The next free pair on `host`. Raises NoPorts."""
        for _ in range(self._pairs):
            port = self._first + 2 * self._next
            self._next = (self._next + 1) % self._pairs
            try:
                return self._bind_pair(host, port)
            except OSError as error:
                if error.errno not in (errno.EADDRINUSE, errno.EACCES):
                    raise NoPorts(_mend(error, host)) from None
        raise NoPorts(f"no two free ports in {self._range}; widen media.ports, two for each leg")

    def _bind_pair(self, host: str, port: int) -> PortPair:
        rtp = self._bind(host, port)
        try:
            return PortPair(rtp, self._bind(host, port + 1), host, port)
        except OSError:
            rtp.close()
            raise

    def _bind(self, host: str, port: int) -> socket.socket:
        is_v6 = ":" in host
        bound = socket.socket(socket.AF_INET6 if is_v6 else socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK)
        try:
            bound.setsockopt(socket.SOL_SOCKET, _SO_TIMESTAMPNS, 1)
            if is_v6:
                bound.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_TCLASS, self._dscp << 2)
            else:
                bound.setsockopt(socket.IPPROTO_IP, socket.IP_TOS, self._dscp << 2)
            bound.bind((host, port))
        except (OSError, ValueError):
            bound.close()
            raise
        return bound


def _mend(error: OSError, host: str) -> str:
    if error.errno in (errno.EMFILE, errno.ENFILE):
        return "too many open files; raise the limit: LimitNOFILE in the service file, or ulimit -n"
    if error.errno == errno.EADDRNOTAVAIL or isinstance(error, socket.gaierror):
        return f"{host} is no address of this machine; set media.host to one that is"
    return f"cannot bind RTP on {host}: {error.strerror or error}"
