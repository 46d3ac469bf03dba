"""RFC 4103 on the wire, and what arrives of it when packets get lost, come twice or late."""

from __future__ import annotations

import itertools

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.realtime_text import (
    BYTE_ORDER_MARK,
    LONGEST_LINE_CHARS,
    MISSING_TEXT,
    TextFormat,
    TextReceiver,
    TextScreen,
    TextSender,
)
from kallglot_media.rtp.red import parse_red

RED = TextFormat(98, 100)
PLAIN = TextFormat(98)
TICK_S = 0.02


def sender(form: TextFormat = RED, *, sequence: int = 7) -> TextSender:
    return TextSender(form, ssrc=0x01020304, sequence=sequence, first_ticks=1000)


def run(of: TextSender, said: dict[float, str], until_s: float) -> list[tuple[float, RtpPacket]]:
    """All packets of a sender that is asked every 20 ms; said: when -> what is put."""
    packets, waiting = [], sorted(said.items())
    for tick in range(round(until_s / TICK_S)):
        now_s = tick * TICK_S
        while waiting and waiting[0][0] <= now_s + 1e-9:
            of.put(waiting.pop(0)[1])
        if (data := of.take(now_s)) is not None:
            packets.append((round(now_s, 2), RtpPacket.parse(data)))
    return packets


def test_the_first_packets_byte_by_byte() -> None:
    text = sender()
    text.put("Hi")
    assert text.take(0.0) == bytes.fromhex("80e40007000003e801020304 e2000000 e2000000 62 efbbbf4869")
    text.put("!")
    assert text.take(0.28) is None, "300 ms of text go together"
    assert text.take(0.3) == bytes.fromhex("80640008 00000514 01020304 e2000000 e204b005 62 efbbbf4869 21")
    assert text.take(0.6) == bytes.fromhex("80640009 00000640 01020304 e2096005 e204b001 62 efbbbf4869 21")
    assert text.take(0.9) == bytes.fromhex("8064000a 0000076c 01020304 e2096001 e2000000 62 21")
    assert text.take(1.2) is None, "everything has gone three times"


def test_without_redundancy_each_block_goes_once() -> None:
    packets = run(sender(PLAIN), {0.0: "Hi", 0.1: "!"}, 2.0)
    assert [(at, packet.payload_type, packet.payload) for at, packet in packets] == [
        (0.0, 98, f"{BYTE_ORDER_MARK}Hi".encode()),
        (0.3, 98, b"!"),
    ]


def test_the_marker_tells_the_first_packet_after_silence() -> None:
    packets = run(sender(), {0.0: "a", 0.5: "b", 5.0: "c"}, 7.0)
    marked = [at for at, packet in packets if packet.marker]
    assert marked == [0.0, 5.0]
    assert [packet.sequence for _, packet in packets] == list(range(7, 7 + len(packets))), "silence has no numbers"


def test_silence_is_kept_open_every_15_seconds() -> None:
    packets = run(sender(), {}, 40.0)
    fresh = [at for at, packet in packets if parse_red(packet.payload)[-1].data == BYTE_ORDER_MARK.encode()]
    assert fresh[0] == 0.0
    assert len(fresh) == 3
    assert all(15.0 <= later - sooner <= 16.5 for sooner, later in itertools.pairwise(fresh))


@pytest.mark.parametrize("cps", [1, 30, 100])
def test_no_ten_seconds_have_more_characters_than_the_peer_takes(cps: int) -> None:
    said = "x" * 1200
    receiver = TextReceiver(RED)
    arrived = [
        (at, len(receiver.push(packet))) for at, packet in run(sender(TextFormat(98, 100, cps=cps)), {0: said}, 41)
    ]
    for start in range(30):
        assert sum(count for at, count in arrived if start <= at < start + 10) <= 10 * cps
    assert sum(count for _, count in arrived) >= min(1200, cps * 30) - 1


def test_what_would_wait_for_minutes_is_dropped_and_counted() -> None:
    text = sender()
    text.put("x" * LONGEST_LINE_CHARS)
    assert text.dropped_chars == 1, "the byte order mark waits as well"
    text.put("yy")
    assert text.dropped_chars == 3


def test_a_process_that_stood_still_sends_no_offset_that_has_no_room() -> None:
    text = sender()
    text.put("Hi")
    text.take(0.0)
    late = text.take(20.0)
    assert late is not None
    assert TextReceiver(RED).push(RtpPacket.parse(late)) == ""


def test_a_new_agreement_goes_on_with_numbers_and_redundancy() -> None:
    text, receiver = sender(), TextReceiver(RED)
    text.put("Hi")
    first = RtpPacket.parse(text.take(0.0) or b"")
    text.agree(TextFormat(98, 100, generations=1))
    second = RtpPacket.parse(text.take(0.3) or b"")
    assert second.sequence == first.sequence + 1
    assert receiver.push(second) == "Hi", "one generation brings it as well"
    text.agree(PLAIN)
    text.put("!")
    assert RtpPacket.parse(text.take(0.6) or b"").payload == b"!"


LINE = {0.0: "Grüß ", 0.4: "Gott", 0.9: " 你好", 1.5: "!"}


@given(some.sets(some.integers(0, 12)), some.booleans(), some.integers(0, 65_535))
def test_two_packets_in_a_row_may_be_lost_and_any_may_come_twice(lost: set[int], twice: bool, sequence: int) -> None:
    packets = [packet for _, packet in run(sender(sequence=sequence), LINE, 4.0)]
    gone = {n for n in lost if not {n - 1, n - 2} <= lost and n < len(packets) - 2}
    gone = {n for n in gone if not {n - 1, n - 2} <= gone} - {0}
    receiver = TextReceiver(RED)
    arrived = [packet for n, packet in enumerate(packets) if n not in gone]
    text = "".join(receiver.push(packet) for packet in arrived for _ in range(1 + twice))
    assert text == "Grüß Gott 你好!"
    assert receiver.counters["recovered"] == len(gone)
    assert receiver.counters["late"] == (len(arrived) if twice else 0)


def test_three_lost_in_a_row_leave_a_mark_where_text_is_missing() -> None:
    packets = [packet for _, packet in run(sender(), {n * 0.3: str(n) for n in range(9)}, 2.6)]
    receiver = TextReceiver(RED)
    assert "".join(receiver.push(packets[n]) for n in (0, 1, 5, 6)) == f"01{MISSING_TEXT}3456"
    assert receiver.counters["lost"] == 1


def test_what_is_not_agreed_is_counted_by_name() -> None:
    receiver = TextReceiver(RED)
    for payload_type, payload in ((0, b"x"), (100, b""), (100, b"\x60x")):
        assert receiver.push(RtpPacket(payload_type, 1, 0, 1, payload)) == ""
    assert receiver.counters == {"payload_type": 2, "red": 1}


def test_a_screen_erases_and_shows_no_control_characters() -> None:
    screen = TextScreen()
    assert screen.show("Hallo\b\b\b\b\b\b\bHello") == []
    assert screen.show(" there\u2028\x1b[31mred\r\nopen") == ["Hello there", "[31mred"]
    assert screen.text == "Hello there\n[31mred\nopen"
