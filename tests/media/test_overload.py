"""A media process that cannot keep up still hears control: calls can end, and so can the overload."""

from __future__ import annotations

import socket
import time

import pytest

from kallglot_media.media import wire
from kallglot_media.media.messages import CloseLeg, CloseSession, OpenLeg, OpenSession, SessionClosed, SetRemote
from kallglot_media.media.outgoing import Sending
from kallglot_media.media.process import MediaProcess
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import Party
from kallglot_media.rtp.packet import RtpPacket

pytestmark = pytest.mark.loopback


def test_control_is_heard_when_every_tick_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    process = MediaProcess(theirs, MediaSettings(raise_priority=False))
    ticks = 0
    real_tick = process._plane.step

    def slow_tick(now_s: float) -> Sending:
        nonlocal ticks
        ticks += 1
        assert ticks < 50, "control is not heard"
        deadline_s = time.monotonic() + 0.025  # longer than the 20 ms there are
        while time.monotonic() < deadline_s:
            pass
        return real_tick(now_s)

    monkeypatch.setattr(process._plane, "step", slow_tick)
    process._recorder.start()
    ours.sendall(wire.encode(OpenSession("s")))
    process._idle()
    assert process._plane.session_count == 1
    for _ in range(10):
        process._live()
    ours.sendall(wire.encode(CloseSession("s")))
    while process._plane.session_count:
        process._live()
    process._tell()
    frames = wire.FrameReader()
    said = [wire.decode(body) for body in frames.feed(ours.recv(1 << 16))]
    assert any(isinstance(message, SessionClosed) for message in said)
    process._recorder.stop(5.0)
    ours.close()
    theirs.close()


def test_a_flood_on_one_port_takes_no_more_than_its_share_of_a_tick() -> None:
    """What floods in waits in its own socket, and is lost there; the other call's packets are read in the same tick."""
    ours, theirs = socket.socketpair()
    process = MediaProcess(theirs, MediaSettings(raise_priority=False))
    process._handle(OpenSession("s"))
    ports = {}
    for leg in ("flooded", "calm"):
        process._handle(OpenLeg("s", leg, Party.CUSTOMER if leg == "calm" else Party.AGENT, "127.0.0.1"))
        ports[leg] = process._pairs[process._plane.slot_of(leg)].port
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        for leg in ports:
            process._handle(SetRemote(leg, "127.0.0.1", peer.getsockname()[1], "PCMU", 0, 0))
        flood = [RtpPacket(0, n & 0xFFFF, n * 160, 7, bytes(160)).serialize() for n in range(500)]
        for data in flood:
            peer.sendto(data, ("127.0.0.1", ports["flooded"]))
        for data in flood[:3]:
            peer.sendto(data, ("127.0.0.1", ports["calm"]))
        process._drain()
        legs = process._plane._roster.legs
        assert legs["calm"].jitter.stats.received == 3
        assert legs["flooded"].jitter.stats.received == 64
        process._drain()
        assert legs["flooded"].jitter.stats.received == 128
    for leg in ports:
        process._handle(CloseLeg(leg))
    assert process._pairs == {}
    ours.close()
    theirs.close()
