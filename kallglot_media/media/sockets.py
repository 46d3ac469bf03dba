"""Reading and writing the RTP sockets of many legs: with io_uring where there is one, else call by call.

sockets.open(slot, socket); sockets.set_remote(slot, address); sockets.close(slot)
arrivals, failed = sockets.receive(slots)      one datagram each of these sockets
failed = sockets.send(slots, packets, sizes)   one packet each, to where their leg's RTP goes
"""

from __future__ import annotations

import errno
import socket
import struct
import time
from typing import Protocol

import numpy as np
import numpy.typing as npt

from kallglot_media.media.lanes import NAME_BYTES, Arrivals, Slots, beginnings_of, name_of
from kallglot_media.media.rows import LOCKED_BYTES, PACKET, PACKET_BYTES, grown
from kallglot_media.media.source_lock import Address
from kallglot_media.media.uring import MSGHDR, RECVMSG, SENDMSG, SQE, Uring, words_of

DATAGRAM_BYTES = 2048
_TIMESPEC = struct.Struct("@ll")
_ANCILLARY_BYTES = socket.CMSG_SPACE(_TIMESPEC.size)
_MOST_NAMES = 10_000
_NO_NAME = bytes(NAME_BYTES)


Packets = npt.NDArray[np.void] | npt.NDArray[np.uint8]
"""PACKET[n], or uint8[n, width] of which the first bytes are to be sent: as many as Sizes says."""

Sizes = npt.NDArray[np.int32]


class Sockets(Protocol):
    """Either of the two."""

    def open(self, slot: int, there: socket.socket) -> None: ...

    def close(self, slot: int) -> None: ...

    def set_remote(self, slot: int, remote: Address) -> None: ...

    def receive(self, slots: Slots, *, readable: bool = True) -> tuple[Arrivals, list[int]]: ...

    def send(self, slots: Slots, packets: Packets, sizes: Sizes | None = None) -> list[int]: ...


def open_sockets() -> Sockets:
    """Those that are fastest here."""
    try:
        ring = Uring()
    except OSError:
        return PlainSockets()
    sockets = RingSockets(ring)
    if _carries_a_packet(sockets):
        return sockets
    ring.close()
    return PlainSockets()


def _carries_a_packet(sockets: Sockets) -> bool:
    """Whether it does what it should, tried with a packet to itself."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM | socket.SOCK_NONBLOCK) as there:
        try:
            there.bind(("127.0.0.1", 0))
            sockets.open(0, there)
            sockets.set_remote(0, there.getsockname())
            failed = sockets.send(np.zeros(1, np.intp), np.frombuffer(bytes(PACKET_BYTES), PACKET))
            arrivals, unread = sockets.receive(np.zeros(1, np.intp))
            sockets.close(0)
        except OSError:
            return False
        return not failed and not unread and arrivals.source(0) == there.getsockname()


class PlainSockets:
    """recvmsg and sendto of each socket: works everywhere."""

    def __init__(self) -> None:
        self._sockets: dict[int, socket.socket] = {}
        self._remotes: dict[int, Address] = {}
        self._names: dict[Address, bytes] = {}

    def open(self, slot: int, there: socket.socket) -> None:
        """A leg's RTP socket."""
        self._sockets[slot] = there

    def close(self, slot: int) -> None:
        """The leg goes away."""
        del self._sockets[slot]
        self._remotes.pop(slot, None)

    def set_remote(self, slot: int, remote: Address) -> None:
        """Where the leg's RTP goes from now on."""
        self._remotes[slot] = remote

    def receive(self, slots: Slots, *, readable: bool = True) -> tuple[Arrivals, list[int]]:
        """One datagram of each; and the slots of which none could be read.

        readable: something is there, so that nothing is a failure
        """
        read: list[int] = []
        data: list[bytes] = []
        sources: list[Address] = []
        at_s: list[float] = []
        failed: list[int] = []
        unix_to_monotonic_s = time.monotonic() - time.time()
        for slot in slots.tolist():
            try:
                datagram, ancillary, _flags, source = self._sockets[slot].recvmsg(DATAGRAM_BYTES, _ANCILLARY_BYTES)
            except OSError as error:
                if readable or error.errno != errno.EAGAIN:
                    failed.append(slot)
                continue
            read.append(slot)
            data.append(datagram)
            sources.append(source if len(source) == 2 else source[:2])
            seconds, nanoseconds = _TIMESPEC.unpack(ancillary[0][2]) if ancillary else (time.time(), 0)
            at_s.append(seconds + nanoseconds * 1e-9 + unix_to_monotonic_s)
        names = np.frombuffer(b"".join([self._name_of(source) for source in sources]), np.uint8)
        arrivals = Arrivals(
            np.array(read, np.intp),
            beginnings_of(data),
            np.array([len(datagram) for datagram in data], np.int64),
            names.reshape(-1, NAME_BYTES),
            np.array(at_s, np.float64),
            data.__getitem__,
            sources.__getitem__,
        )
        return arrivals, failed

    def _name_of(self, source: Address) -> bytes:
        name = self._names.get(source)
        if name is None:
            if len(self._names) >= _MOST_NAMES:
                self._names.clear()
            name = self._names[source] = name_of(source) or _NO_NAME
        return name

    def send(self, slots: Slots, packets: Packets, sizes: Sizes | None = None) -> list[int]:
        """One packet of each; returns the slots whose packet the system did not take."""
        data, failed, width = packets.tobytes(), [], packets.strides[0]
        sockets, remotes = self._sockets, self._remotes
        lengths = [PACKET_BYTES] * len(slots) if sizes is None else sizes.tolist()
        for n, (slot, size) in enumerate(zip(slots.tolist(), lengths, strict=True)):
            try:
                sockets[slot].sendto(data[n * width : n * width + size], remotes[slot])
            except OSError:
                failed.append(slot)
        return failed


class RingSockets:
    """All in two system calls, without an object for each packet.

    Each slot has a row in every array here, and its addresses stand in the headers that the kernel reads.
    """

    def __init__(self, ring: Uring) -> None:
        self._ring = ring
        self._rows = 0
        self._fds = np.zeros(0, np.int32)
        self._remotes = np.zeros((0, NAME_BYTES), np.uint8)
        self._remote_bytes = np.zeros(0, np.uint32)
        self._grow(64)

    def _grow(self, rows: int) -> None:
        self._rows = rows
        for name in ("_fds", "_remotes", "_remote_bytes"):
            setattr(self, name, grown(getattr(self, name), rows))
        self._datagrams = np.zeros((rows, DATAGRAM_BYTES), np.uint8)
        self._sources = np.zeros((rows, NAME_BYTES), np.uint8)
        self._controls = np.zeros((rows, _ANCILLARY_BYTES), np.uint8)
        self._in_vectors = _vectors(self._datagrams, DATAGRAM_BYTES)
        self._fresh = _headers(self._sources, self._in_vectors)
        self._fresh["namelen"] = NAME_BYTES
        self._fresh["control"], self._fresh["controllen"] = _places(self._controls), _ANCILLARY_BYTES
        self._in_headers = self._fresh.copy()
        self._in_words, self._fresh_words = words_of(self._in_headers), words_of(self._fresh)
        self._out_vectors = np.zeros((rows, 2), np.uint64)
        self._out_headers = _headers(self._remotes, self._out_vectors)
        self._reads = _entries(RECVMSG, self._in_headers)
        self._writes = _entries(SENDMSG, self._out_headers)

    def open(self, slot: int, there: socket.socket) -> None:
        """A leg's RTP socket."""
        if slot >= self._rows:
            self._grow(2 * slot)
        self._fds[slot] = there.fileno()
        self._remote_bytes[slot] = 0

    def close(self, slot: int) -> None:
        """The leg goes away."""
        self._fds[slot] = -1

    def set_remote(self, slot: int, remote: Address) -> None:
        """Where the leg's RTP goes from now on; what is no numeric address gets nothing."""
        name = name_of(remote)
        self._remotes[slot] = np.frombuffer(name or _NO_NAME, np.uint8)
        self._remote_bytes[slot] = 0 if name is None else NAME_BYTES if ":" in remote[0] else 16

    def receive(self, slots: Slots, *, readable: bool = True) -> tuple[Arrivals, list[int]]:
        """As that of PlainSockets."""
        rows = slots
        self._in_words[rows] = self._fresh_words.take(rows, axis=0)
        entries = _taken(self._reads, rows)
        entries["fd"] = self._fds[rows]
        unix_to_monotonic_s = time.monotonic() - time.time()
        sizes = self._ring.submit(entries).astype(np.int64)
        failed: list[int] = []
        came = sizes >= 0
        if not came.all():
            failed = rows[~came if readable else ~came & (sizes != -errno.EAGAIN)].tolist()
            rows, sizes = rows[came], sizes[came]
        stamps = self._controls[rows].view(np.int64)[:, 2:4]  # behind the head of the only control message
        data, sources = self._datagrams, self._sources
        return Arrivals(
            rows,
            data[rows, :LOCKED_BYTES],
            sizes,
            sources[rows],
            stamps[:, 0] + stamps[:, 1] * 1e-9 + unix_to_monotonic_s,
            lambda n: data[rows[n], : sizes[n]].tobytes(),
            lambda n: _address_of(sources[rows[n]].tobytes()),
        ), failed

    def send(self, slots: Slots, packets: Packets, sizes: Sizes | None = None) -> list[int]:
        """One packet of each; returns the slots whose packet the system did not take."""
        if not len(slots):
            return []
        width = packets.strides[0]
        lengths = PACKET_BYTES if sizes is None else sizes
        self._out_vectors[slots, 0] = packets.ctypes.data + width * np.arange(len(slots), dtype=np.uint64)
        self._out_vectors[slots, 1] = lengths
        self._out_headers["namelen"][slots] = self._remote_bytes[slots]
        entries = _taken(self._writes, slots)
        entries["fd"] = self._fds[slots]
        sent = self._ring.submit(entries)
        failed: list[int] = slots[sent != lengths].tolist()
        return failed


def _address_of(name: bytes) -> Address:
    """What recvmsg of the standard library says of the same."""
    family, port = int.from_bytes(name[:2], "little" if np.little_endian else "big"), int.from_bytes(name[2:4], "big")
    if family == socket.AF_INET:
        return socket.inet_ntop(socket.AF_INET, name[4:8]), port
    host, scope = socket.inet_ntop(socket.AF_INET6, name[8:24]), int.from_bytes(name[24:28], "little")
    return (f"{host}%{socket.if_indextoname(scope)}" if scope else host), port


def _places(rows: npt.NDArray[np.uint8] | npt.NDArray[np.uint64] | npt.NDArray[np.void]) -> npt.NDArray[np.uint64]:
    """Where in memory each row begins."""
    return rows.ctypes.data + np.arange(len(rows), dtype=np.uint64) * np.uint64(rows.strides[0])


def _vectors(buffers: npt.NDArray[np.uint8], size: int) -> npt.NDArray[np.uint64]:
    """struct iovec of each row."""
    vectors = np.zeros((len(buffers), 2), np.uint64)
    vectors[:, 0], vectors[:, 1] = _places(buffers), size
    return vectors


def _headers(names: npt.NDArray[np.uint8], vectors: npt.NDArray[np.uint64]) -> npt.NDArray[np.void]:
    headers = np.zeros(len(names), MSGHDR)
    headers["name"], headers["iov"], headers["iovlen"] = _places(names), _places(vectors), 1
    return headers


def _taken(entries: npt.NDArray[np.void], rows: Slots) -> npt.NDArray[np.void]:
    """entries[rows], in a fifth of the time."""
    return words_of(entries).take(rows, axis=0).view(SQE)[:, 0]


def _entries(opcode: int, headers: npt.NDArray[np.void]) -> npt.NDArray[np.void]:
    entries = np.zeros(len(headers), SQE)
    entries["opcode"], entries["addr"], entries["len"] = opcode, _places(headers), 1
    entries["msg_flags"] = socket.MSG_DONTWAIT
    return entries
