"""What goes over the control socket comes back the same, and nothing else comes in."""

from __future__ import annotations

from typing import Any

import msgpack
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as some

from kallglot_media.media import wire
from kallglot_media.media.messages import (
    Dtmf,
    FromMedia,
    Gains,
    OpenLeg,
    Play,
    RecordedFile,
    SessionClosed,
    SetPlan,
    ToMedia,
)
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party

some.register_type_strategy(int, some.integers(-(2**63), 2**63 - 1))
some.register_type_strategy(float, some.floats(allow_nan=False))


def body_of(message: ToMedia | FromMedia) -> bytes:
    return wire.FrameReader().feed(wire.encode(message))[0]


@pytest.mark.parametrize("name", sorted(wire.MESSAGES))
def test_every_message_comes_back_equal(name: str) -> None:
    @settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
    @given(some.from_type(wire.MESSAGES[name]))
    def back_and_forth(message: Any) -> None:
        assert wire.decode(body_of(message)) == message

    back_and_forth()


def test_types_survive_not_only_values() -> None:
    message = wire.decode(body_of(SetPlan("s1", BIDIRECTIONAL_TRANSLATION, Gains(None, -6), (Party.AGENT,))))
    assert isinstance(message, SetPlan)
    assert message.plan == BIDIRECTIONAL_TRANSLATION
    assert message.plan.made[Party.CUSTOMER] is Party.AGENT
    assert message.through == (Party.AGENT,)
    assert message.gains.original_idle_db == -6.0
    assert isinstance(message.gains.original_idle_db, float)
    files = (RecordedFile("/r/customer.wav", Party.CUSTOMER, 160, 8000, "00"),)
    closed = wire.decode(body_of(SessionClosed("s1", 160, files)))
    assert isinstance(closed, SessionClosed)
    assert closed.files == files


@pytest.mark.parametrize(
    ("parts", "names"),
    [
        (
            ["OpenLeg", "s1", "l1", "nobody", "127.0.0.1", False],
            "OpenLeg.party: 'nobody' is none of customer, agent, ai",
        ),
        (["OpenLeg", "s1", "l1", "agent"], "OpenLeg: expected 5 fields, got 3"),
        (["Dtmf", "l1", "5", True, 0], "Dtmf.duration_ms: expected int, got bool"),
        (["Play", "l1", "p1", "text", 8000], "Play.pcm: expected bytes, got str"),
        (["RecordingGap", "s1", 0, 1.5, ""], "RecordingGap.samples: expected int, got float"),
        (
            ["LegStats", "l1", {"late": "many"}, 0.0, 0.0, None, None, []],
            "LegStats.counters.late: expected int, got str",
        ),
        (["SessionClosed", "s1", 0, [["/p", "agent", 1, 2]]], "SessionClosed.files[0]: expected 5 fields, got 4"),
        (["SetPlan", "s1", ["none", [], {}], [None, None, 1, 1], []], "SetPlan.plan.live: expected a map, got list"),
        (["SetPlan", "s1", ["none", {}, {}], [None, None, 1, 1], {}], "SetPlan.through: expected a list, got dict"),
        (["Reboot"], "no message is called 'Reboot'"),
        ([7], "a message is a list that starts with its name, got list"),
        ({"OpenLeg": 1}, "a message is a list that starts with its name, got dict"),
    ],
)
def test_a_wrong_message_is_named(parts: Any, names: str) -> None:
    with pytest.raises(wire.WireError, match="^" + names.replace("[", r"\[").replace("]", r"\]")):
        wire.decode(msgpack.packb(parts))


@settings(max_examples=300)
@given(some.binary(max_size=60))
def test_no_bytes_raise_anything_but_wire_error(data: bytes) -> None:
    try:
        wire.decode(data)
    except wire.WireError:
        return


def test_frames_are_cut_wherever_the_stream_is_cut() -> None:
    messages: list[ToMedia | FromMedia] = [
        OpenLeg("s1", "l1", Party.CUSTOMER, "127.0.0.1"),
        Play("l1", "p1", b"\x01\x00" * 500, 8000),
        Dtmf("l1", "#", 100, 4_000_000_000),
    ]
    stream = b"".join(wire.encode(message) for message in messages)
    for size in (1, 3, 7, len(stream)):
        reader = wire.FrameReader()
        bodies = [body for start in range(0, len(stream), size) for body in reader.feed(stream[start : start + size])]
        assert [wire.decode(body) for body in bodies] == messages


def test_a_length_no_message_has_is_refused_before_it_is_waited_for() -> None:
    with pytest.raises(wire.WireError, match="a message of 4294967295 bytes"):
        wire.FrameReader().feed(b"\xff\xff\xff\xff")


def test_a_type_without_a_codec_is_found_at_import() -> None:
    with pytest.raises(TypeError, match="no way to put"):
        wire._codec_of(complex)
