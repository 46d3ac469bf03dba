"""A media process that cannot keep up still hears control: calls can end, and so can the overload."""

from __future__ import annotations

import socket
import time

import pytest

from kallglot_media.media import wire
from kallglot_media.media.messages import CloseSession, OpenSession, SessionClosed
from kallglot_media.media.process import MediaProcess
from kallglot_media.media.settings import MediaSettings

pytestmark = pytest.mark.loopback


def test_control_is_heard_when_every_tick_is_late(monkeypatch: pytest.MonkeyPatch) -> None:
    ours, theirs = socket.socketpair()
    process = MediaProcess(theirs, MediaSettings(raise_priority=False))
    ticks = 0
    real_tick = process._plane.tick

    def slow_tick(now_s: float) -> list[tuple[int, bytes]]:
        nonlocal ticks
        ticks += 1
        assert ticks < 50, "control is not heard"
        deadline_s = time.monotonic() + 0.025  # longer than the 20 ms there are
        while time.monotonic() < deadline_s:
            pass
        return real_tick(now_s)

    monkeypatch.setattr(process._plane, "tick", slow_tick)
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
