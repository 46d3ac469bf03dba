"""Malformed SIP and RTP against the running server: counted by name, and calls go on beside it."""

from __future__ import annotations

import random
import re
import socket
import struct
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.support import sipp
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.processes import HOST, pass_time, until
from tests.support.server import Server, events, options_request
from tests.support.waves import babble, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback]

TORTURE = Path(__file__).resolve().parents[1] / "torture"


@pytest.fixture
def wire() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as ours:
        ours.bind((HOST, 0))
        ours.setblocking(False)
        yield ours


@pytest.mark.feature("torture messages", "RFC 4475 and RFC 5118 at a running server, UDP and TCP")
def test_no_torture_message_stops_the_server(server: Server, wire: socket.socket) -> None:
    """RFC 4475 and RFC 5118, over UDP and over a TCP connection each."""
    files = sorted(path for path in TORTURE.rglob("*") if path.suffix == ".dat")
    assert len(files) >= 49
    for path in files:
        wire.sendto(path.read_bytes()[:65000], (HOST, server.sip_port))
        with socket.create_connection((HOST, server.sip_port), 2.0) as stream:
            stream.sendall(path.read_bytes())
        assert server.options(2.0) == 200, f"silent after {path.name}"


def test_a_flood_of_broken_messages_leaves_calls_alone(server: Server, wire: socket.socket, tmp_path: Path) -> None:
    """Every truncation and many mutations of a sound request, while a phone is in a call."""
    good = options_request(server.address, wire.getsockname()[1], 1)
    dice = random.Random(1)
    said = babble(4.0)
    with Baresip(tmp_path / "a", "alice", microphone=script(0.5, said, 60.0)) as alice:
        alice.dial(server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        for size in range(len(good)):
            wire.sendto(good[:size], (HOST, server.sip_port))
        for number in range(3000):
            wire.sendto(mutated(good, dice), (HOST, server.sip_port))
            if number % 100 == 0:
                pass_time(0.1)
        pass_time(2.0)
        alice.hang_up()
        assert match(said, alice.heard().pcm).window_median >= 0.95
    until("it answers again", lambda: server.options() == 200, 5.0)
    sipp.run(tmp_path, "uac_answered", remote=server.address, service="echo", calls=5).check()


def mutated(message: bytes, dice: random.Random) -> bytes:
    """The message with a few bytes changed, lost, doubled or replaced by what parsers dislike."""
    data = bytearray(message)
    for _ in range(dice.randint(1, 8)):
        at = dice.randrange(len(data))
        data[at : at + dice.randrange(4)] = dice.choice(
            [b"", b"\0", b"\r\n", b"\xff\xfe", b'"', b";", b"<", b"9" * 40, b" "]
        )
    return bytes(data)


def test_wrong_rtp_is_counted_by_name_and_not_heard(server: Server, wire: socket.socket, tmp_path: Path) -> None:
    """Noise, STUN, short packets and a stranger's well-formed stream at the leg's port."""
    said, dice = babble(5.0, seed=3), random.Random(2)
    before = len(server.sessions())
    with Baresip(tmp_path / "a", "alice", microphone=script(0.5, said, 60.0)) as alice:
        alice.dial(server.uri("echo"))
        alice.wait_for("CALL_ESTABLISHED")
        port = int(re.findall(r"m=audio (\d+)", alice.trace)[-1])
        for number in range(4000):
            wire.sendto(wrong_rtp(number, dice), (HOST, port))
            if number % 40 == 0:
                pass_time(0.04)
        pass_time(2.0)
        alice.hang_up()
        folder = server.session(count=before + 1)
        assert match(said, alice.heard().pcm).window_median >= 0.95
    (stats,) = [event for event in events(folder) if event["type"] == "leg.stats"]
    assert sum(stats["counters"].values()) >= 4000, stats


def wrong_rtp(number: int, dice: random.Random) -> bytes:
    """One of: noise, too short, STUN, an unknown payload type, a stranger's stream."""
    kinds = (
        dice.randbytes(dice.randrange(1, 300)),
        b"\x80\x00\x01",
        struct.pack("!HHI12s", 1, 0, 0x2112A442, dice.randbytes(12)),
        struct.pack("!BBHII", 0x80, 96, number & 0xFFFF, number * 160, 1) + bytes(160),
        struct.pack("!BBHII", 0x80, 0, number & 0xFFFF, number * 160, 0xBAD) + dice.randbytes(160),
    )
    return kinds[number % len(kinds)]
