from __future__ import annotations

import struct
from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.dtmf import DIGITS, DtmfPress, DtmfReceiver, DtmfSender
from kallglot_media.rtp.packet import RtpPacket


def event(
    key: int, duration: int, *, end: bool = False, timestamp: int = 1000, sequence: int = 1, ssrc: int = 7
) -> RtpPacket:
    return RtpPacket(101, sequence, timestamp, ssrc, struct.pack("!BBH", key, 0x8A if end else 0x0A, duration))


def hear(receiver: DtmfReceiver, packets: Iterable[RtpPacket], ticks_after: int = 0) -> list[DtmfPress]:
    presses = [press for packet in packets if (press := receiver.push(packet)) is not None]
    return presses + [press for _ in range(ticks_after) if (press := receiver.tick()) is not None]


def test_a_press_is_reported_once_when_it_ends() -> None:
    press = DtmfSender(101).packets("5", 100, sequence=65_534, timestamp=2**32 - 10, ssrc=7)
    assert [packet.sequence for packet in press] == [65_534, 65_535, 0, 1, 2, 3, 4]
    assert [packet.marker for packet in press] == [True] + [False] * 6
    receiver = DtmfReceiver()
    assert hear(receiver, press, 50) == [DtmfPress("5", 100)]
    assert receiver.stats.stale == 2  # the end is sent three times


def test_the_packets_are_those_of_the_rfc() -> None:
    first, *_, last = DtmfSender(101).packets("#", 60, sequence=0, timestamp=0, ssrc=1)
    assert first.payload.hex() == "0b0a00a0"
    assert last.payload.hex() == "0b8a01e0"


def test_every_key_has_its_number() -> None:
    receiver = DtmfReceiver()
    pressed = [hear(receiver, [event(n, 800, end=True, timestamp=n * 2000)]) for n in range(16)]
    assert "".join(press.digit for (press,) in pressed) == DIGITS == "0123456789*#ABCD"


def test_the_same_key_twice_is_two_presses() -> None:
    receiver = DtmfReceiver()
    twice = [event(3, 800, end=True, timestamp=t) for t in (1000, 1000, 1000, 3000, 3000, 3000)]
    assert hear(receiver, twice) == [DtmfPress("3", 100)] * 2


def test_the_start_may_be_lost() -> None:
    assert hear(DtmfReceiver(), [event(3, 800, end=True)]) == [DtmfPress("3", 100)]


def test_the_end_may_be_lost() -> None:
    receiver = DtmfReceiver()
    assert hear(receiver, [event(3, 160), event(3, 320)], 5) == []
    assert hear(receiver, [], 1) == [DtmfPress("3", 40)]
    assert hear(receiver, [event(3, 800, end=True)], 20) == []  # it came after all: the same press
    assert receiver.stats.timed_out == 1


def test_the_next_press_ends_one_whose_end_was_lost() -> None:
    receiver = DtmfReceiver()
    one_each = [event(1, 320), event(2, 480, end=True, timestamp=4000)]
    assert hear(receiver, one_each, 1) == [DtmfPress("1", 40), DtmfPress("2", 60)]


def test_sipp_pcaps_first_duration_0_and_ends_with_one_sequence_number() -> None:
    packets = [event(9, d, sequence=n) for n, d in enumerate(range(0, 1600, 320))]
    packets += [event(9, 1600, end=True, sequence=5)] * 3
    assert hear(DtmfReceiver(), packets, 30) == [DtmfPress("9", 200)]


def test_reordered_packets_do_not_shorten_a_press() -> None:
    packets = [event(4, 480), event(4, 160), event(4, 320), event(4, 640, end=True), event(4, 480)]
    assert hear(DtmfReceiver(), packets, 30) == [DtmfPress("4", 80)]


def test_a_sender_that_starts_anew_is_heard_after_a_while() -> None:
    receiver = DtmfReceiver()
    assert hear(receiver, [event(3, 800, end=True)], 101) == [DtmfPress("3", 100)]
    assert hear(receiver, [event(3, 800, end=True)]) == [DtmfPress("3", 100)]


def test_another_ssrc_is_another_press() -> None:
    receiver = DtmfReceiver()
    assert len(hear(receiver, [event(3, 800, end=True, ssrc=n) for n in (1, 2)])) == 2


def test_a_key_held_for_ten_seconds_is_one_press() -> None:
    """RFC 4733 section 2.5.1.3: two segments."""
    packets = [
        event(1, 0xFFFF),
        event(1, 160, timestamp=1000 + 0xFFFF),
        event(1, 14_465, end=True, timestamp=1000 + 0xFFFF),
    ]
    assert hear(DtmfReceiver(), packets, 30) == [DtmfPress("1", 10_000)]


def test_what_is_no_key_is_counted() -> None:
    receiver = DtmfReceiver()
    assert hear(receiver, [event(16, 160, end=True), event(3, 1)._replace(payload=b"\x03\x80")], 9) == []
    assert (receiver.stats.other_events, receiver.stats.malformed) == (1, 1)


@pytest.mark.parametrize(
    ("digit", "duration_ms", "wrong"), [("x", 100, "is not a key"), ("1", 0, "is not between 1 and 8191")]
)
def test_what_cannot_be_sent_is_said(digit: str, duration_ms: int, wrong: str) -> None:
    with pytest.raises(ValueError, match=wrong):
        DtmfSender(101).packets(digit, duration_ms, sequence=0, timestamp=0, ssrc=1)


@given(
    some.lists(some.sampled_from(DIGITS), min_size=1, max_size=8),
    some.data(),
)
def test_any_loss_that_leaves_a_packet_and_any_duplicate_is_one_press(keys: list[str], data: some.DataObject) -> None:
    sender, receiver, heard = DtmfSender(101), DtmfReceiver(), ""
    for number, key in enumerate(keys):
        packets = sender.packets(key, 100, sequence=number * 10, timestamp=number * 1600, ssrc=1)
        kept = data.draw(some.lists(some.sampled_from(packets), min_size=1, max_size=10))
        for packet in kept:
            press = receiver.push(packet)
            heard += press.digit if press else ""
            press = receiver.tick()
            heard += press.digit if press else ""
    for _ in range(10):
        press = receiver.tick()
        heard += press.digit if press else ""
    assert heard == "".join(keys)


@given(some.lists(some.tuples(some.binary(max_size=6), some.integers(0, 3), some.integers(0, 9))))
def test_no_packet_can_make_it_raise(packets: list[tuple[bytes, int, int]]) -> None:
    receiver = DtmfReceiver()
    presses = 0
    for payload, ssrc, timestamp in packets:
        presses += receiver.push(RtpPacket(101, 0, timestamp, ssrc, payload)) is not None
        presses += receiver.tick() is not None
    assert presses <= len(packets)
