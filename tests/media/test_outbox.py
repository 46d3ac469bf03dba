"""Messages to a control that does not read: the tick never waits, and what matters is kept."""

from __future__ import annotations

import socket

import pytest

from kallglot_media.media import outbox as outbox_module
from kallglot_media.media import wire
from kallglot_media.media.messages import LegClosed, LegStats, PlayoutFinished, SessionClosed, Utterance
from kallglot_media.media.outbox import Outbox

pytestmark = pytest.mark.loopback
STATS = LegStats("l", {}, 0.0, 0.0)


def read_all(control: socket.socket) -> list[object]:
    frames = wire.FrameReader()
    messages: list[object] = []
    while data := control.recv(1 << 20):
        messages += [wire.decode(body) for body in frames.feed(data)]
    return messages


def test_a_full_line_keeps_what_a_call_cannot_do_without(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(outbox_module, "_LONGEST_LINE_BYTES", 10_000)
    ours, control = socket.socketpair()
    ours.setblocking(False)
    box = Outbox(ours)
    speech = Utterance("l", bytes(6000), 8000, 0, 3000, "silence")
    kept = [speech, speech, PlayoutFinished("l", "p", 0, 1, 1), LegClosed("l", STATS), SessionClosed("s", 0)]
    for message in (speech, speech, STATS, speech, *kept[2:]):
        box.put(message)  # type: ignore[arg-type]
    assert box.left_out == 2
    box.flush_all(5.0)
    ours.close()
    assert read_all(control) == kept
    control.close()


def test_flush_sends_what_fits_and_never_waits() -> None:
    ours, control = socket.socketpair()
    ours.setblocking(False)
    box = Outbox(ours)
    speech = Utterance("l", bytes(100_000), 8000, 0, 3000, "silence")
    for _ in range(20):
        box.put(speech)
        box.flush()
    control.setblocking(False)
    frames = wire.FrameReader()
    heard = 0
    while heard < 20:
        heard += len(frames.feed(control.recv(1 << 20)))
        box.flush()
    assert heard == 20
    control.close()
    box.put(speech)
    with pytest.raises(OSError, match="Broken pipe"):
        box.flush()
    ours.close()
