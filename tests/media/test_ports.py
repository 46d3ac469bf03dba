"""RTP and RTCP ports in pairs, and what is said when there are none."""

from __future__ import annotations

import socket

import pytest

from kallglot_media.media.ports import NoPorts, Ports

pytestmark = pytest.mark.loopback
HOST = "127.0.0.1"


def free_range(pairs: int) -> int:
    """An even port with 2 · `pairs` free ports from it on, as far as one can tell."""
    while True:
        with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
            probe.bind((HOST, 0))
            first: int = probe.getsockname()[1] // 2 * 2
        opened: list[socket.socket] = []
        try:
            for port in range(first, first + 2 * pairs):
                opened.append(socket.socket(socket.AF_INET, socket.SOCK_DGRAM))
                opened[-1].bind((HOST, port))
        except (OSError, OverflowError):
            continue
        else:
            return first
        finally:
            for each in opened:
                each.close()


def test_even_and_odd_and_round_the_range() -> None:
    first = free_range(3)
    ports = Ports(first, first + 5, dscp=46)
    pairs = [ports.bind(HOST) for _ in range(3)]
    assert [pair.port for pair in pairs] == [first, first + 2, first + 4]
    for pair in pairs:
        assert pair.rtp.getsockname() == (HOST, pair.port)
        assert pair.rtcp.getsockname() == (HOST, pair.port + 1)
        assert pair.rtp.getsockopt(socket.IPPROTO_IP, socket.IP_TOS) == 46 << 2
        assert not pair.rtp.getblocking()
    pairs[0].close()
    pairs[0] = ports.bind(HOST)
    assert pairs[0].port == first, "the walk comes round to what was given back"
    with pytest.raises(NoPorts, match=f"no two free ports in {first}–{first + 5}; widen media.ports"):
        ports.bind(HOST)
    for pair in pairs:
        pair.close()


@pytest.mark.parametrize("taken", [0, 1])
def test_a_port_in_use_is_passed_by(taken: int) -> None:
    first = free_range(2)
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as other:
        other.bind((HOST, first + taken))
        pair = Ports(first, first + 3).bind(HOST)
        assert pair.port == first + 2
        pair.close()


def test_an_odd_range_starts_at_its_first_even_port() -> None:
    first = free_range(2)
    pair = Ports(first + 1, first + 3, start=7).bind(HOST)
    assert pair.port == first + 2
    pair.close()


@pytest.mark.parametrize(
    ("first", "last", "host", "why"),
    [
        (20_001, 20_002, HOST, "widen media.ports"),
        (20_000, 20_999, "192.0.2.1", "192.0.2.1 is no address of this machine; set media.host"),
        (20_000, 20_999, "no.such.host.invalid", "set media.host"),
    ],
)
def test_what_cannot_be_bound_says_what_to_change(first: int, last: int, host: str, why: str) -> None:
    with pytest.raises(NoPorts, match=why):
        Ports(first, last).bind(host)
