"""Reading and writing many sockets at once: with io_uring and without it the same comes and goes."""

from __future__ import annotations

import errno
import socket
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import pytest

from kallglot_media.media import sockets as module
from kallglot_media.media.lanes import name_of
from kallglot_media.media.ports import Ports
from kallglot_media.media.rows import LOCKED_BYTES, PACKET, PACKET_BYTES
from kallglot_media.media.sockets import PlainSockets, RingSockets, Sockets, open_sockets
from kallglot_media.media.uring import SQE, Uring

pytestmark = pytest.mark.loopback

HOST = "127.0.0.1"


def ring() -> Uring:
    try:
        return Uring(4)  # fewer places than packets below: it goes round
    except OSError as error:
        pytest.skip(f"no io_uring here: {error}")


@pytest.fixture(params=["plain", "ring"])
def sockets(request: pytest.FixtureRequest) -> Sockets:
    return PlainSockets() if request.param == "plain" else RingSockets(ring())


@pytest.fixture
def legs(sockets: Sockets) -> Iterator[dict[int, socket.socket]]:
    """Six sockets in slots that lie apart, one of them IPv6, as ports.py makes them."""
    ports = Ports(30_000, 39_999)
    pairs = {slot: ports.bind("::1" if slot == 70 else HOST) for slot in (1, 2, 3, 40, 70, 400)}
    for slot, pair in pairs.items():
        sockets.open(slot, pair.rtp)
    yield {slot: pair.rtp for slot, pair in pairs.items()}
    for slot, pair in pairs.items():
        sockets.close(slot)
        pair.close()


def peer_of(leg: socket.socket) -> socket.socket:
    peer = socket.socket(leg.family, socket.SOCK_DGRAM)
    peer.bind((leg.getsockname()[0], 0))
    peer.settimeout(2.0)
    return peer


def test_what_comes_is_read_whole_with_its_source_and_time(sockets: Sockets, legs: dict[int, socket.socket]) -> None:
    """Packets as long as most, shorter and longer ones, in the same reading."""
    sent = {}
    for slot, leg in legs.items():
        with peer_of(leg) as peer:
            size = {1: 0, 2: 11, 3: 1400}.get(slot, PACKET_BYTES)
            sent[slot] = (bytes([slot % 256]) * size, peer.getsockname()[:2])
            peer.sendto(sent[slot][0], leg.getsockname())
    arrivals, failed = sockets.receive(np.array(list(legs)))
    assert failed == []
    assert arrivals.slots.tolist() == list(legs)
    for n, slot in enumerate(legs):
        data, source = sent[slot]
        assert arrivals.whole(n) == data
        assert arrivals.source(n) == source
        assert arrivals.sizes[n] == len(data)
        if len(data) >= PACKET_BYTES:
            assert arrivals.heads[n].tobytes() == data[:PACKET_BYTES]
        assert arrivals.names[n].tobytes() == name_of(source)
    assert arrivals.at_s.max() - arrivals.at_s.min() < 60, "seconds of the monotonic clock, all of the same moment"


def test_a_socket_with_nothing_to_read_is_said_and_the_others_are_read(
    sockets: Sockets, legs: dict[int, socket.socket]
) -> None:
    with peer_of(legs[40]) as peer:
        peer.sendto(b"here", legs[40].getsockname())
    arrivals, failed = sockets.receive(np.array([1, 40, 2]))
    assert failed == [1, 2]
    assert (arrivals.slots.tolist(), arrivals.whole(0)) == ([40], b"here")
    arrivals, failed = sockets.receive(np.array([1, 40, 2]), readable=False)
    assert (arrivals.slots.tolist(), failed) == ([], []), "nothing has come, and nothing was said to be there"


def test_packets_go_to_their_legs_remotes(sockets: Sockets, legs: dict[int, socket.socket]) -> None:
    peers = {slot: peer_of(leg) for slot, leg in legs.items()}
    for slot, peer in peers.items():
        sockets.set_remote(slot, peer.getsockname()[:2])
    packets = np.zeros(len(legs), PACKET)
    packets["sequence"] = list(legs)
    assert sockets.send(np.array(list(legs), np.intp), packets) == []
    for n, (slot, peer) in enumerate(peers.items()):
        data, source = peer.recvfrom(2048)
        assert data == packets[n].tobytes()
        assert source == legs[slot].getsockname()
        peer.close()
    assert sockets.send(np.zeros(0, np.intp), packets[:0]) == []


def test_packets_of_several_lengths_go_out(sockets: Sockets, legs: dict[int, socket.socket]) -> None:
    packets = np.arange(2 * LOCKED_BYTES).astype(np.uint8).reshape(2, LOCKED_BYTES)
    sizes = np.array([LOCKED_BYTES, 176], np.int32)
    with peer_of(legs[1]) as first, peer_of(legs[40]) as second:
        sockets.set_remote(1, first.getsockname()[:2])
        sockets.set_remote(40, second.getsockname()[:2])
        assert sockets.send(np.array([1, 40], np.intp), packets, sizes) == []
        assert first.recv(2048) == packets[0].tobytes()
        assert second.recv(2048) == packets[1, :176].tobytes()


def test_what_cannot_be_sent_is_said_and_the_rest_goes(sockets: Sockets, legs: dict[int, socket.socket]) -> None:
    """A broadcast address, a name, and an IPv6 address from an IPv4 socket."""
    with peer_of(legs[40]) as peer:
        for slot, remote in ((1, ("255.255.255.255", 9)), (2, ("no.such.invalid", 9)), (3, ("::1", 9))):
            sockets.set_remote(slot, remote)
        sockets.set_remote(40, peer.getsockname())
        assert sockets.send(np.array([1, 2, 3, 40], np.intp), np.zeros(4, PACKET)) == [1, 2, 3]
        assert peer.recv(2048) == bytes(PACKET_BYTES)


def test_without_io_uring_or_with_one_that_does_not_work_it_goes_call_by_call(monkeypatch: pytest.MonkeyPatch) -> None:
    def forbidden() -> Uring:
        raise OSError(errno.EPERM, "io_uring: Operation not permitted")

    monkeypatch.setattr(module, "Uring", forbidden)
    assert isinstance(open_sockets(), PlainSockets)
    monkeypatch.setattr(module, "Uring", Uring)
    monkeypatch.setattr(Uring, "submit", lambda self, entries: np.full(len(entries), -errno.EINVAL, np.int32))
    assert isinstance(open_sockets(), PlainSockets)


def test_a_ring_says_of_each_entry_what_became_of_it() -> None:
    there = ring()
    entries = np.zeros(11, SQE)  # IORING_OP_NOP
    entries["opcode"][7] = 255
    got = there.submit(entries)
    assert got.tolist() == [0] * 7 + [-errno.EINVAL] + [0] * 3
    assert there.submit(entries[:0]).tolist() == []
    opened = len(list(Path("/proc/self/fd").iterdir()))
    there.close()
    assert len(list(Path("/proc/self/fd").iterdir())) == opened - 1
