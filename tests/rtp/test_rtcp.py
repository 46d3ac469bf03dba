from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.rtcp import (
    Description,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpError,
    RtcpPacket,
    SenderReport,
    build_compound,
    middle_of_ntp,
    ntp_time,
    parse_compound,
    round_trip_s,
)

U32 = some.integers(0, 2**32 - 1)
TEXT = some.text(some.characters(codec="utf-8", exclude_characters="\x00"), max_size=40)
BLOCKS = some.lists(
    some.builds(ReportBlock, U32, some.integers(0, 255), some.integers(-(2**23), 2**23 - 1), U32, U32, U32, U32),
    max_size=31,
).map(tuple)
CNAME = Description(1, "server@kallglot")


def test_a_sender_report_is_that_of_the_rfc() -> None:
    report = SenderReport(0x01020304, 0xAABBCCDD_00112233, 5, 6, 7, (ReportBlock(9, 128, -1, 65_540, 3, 4, 5),))
    data = build_compound([report, CNAME])
    assert data[:28].hex() == "81c8000c01020304aabbccdd00112233000000050000000600000007"
    assert data[28:52].hex() == "0000000980ffffff00010004000000030000000400000005"
    assert parse_compound(data) == (report, CNAME)


@given(
    some.one_of(
        some.builds(SenderReport, U32, some.integers(0, 2**64 - 1), U32, U32, U32, BLOCKS),
        some.builds(ReceiverReport, U32, BLOCKS),
    ),
    some.builds(Description, U32, TEXT, some.lists(some.tuples(some.integers(2, 8), TEXT), max_size=3).map(tuple)),
    some.lists(some.builds(Goodbye, some.lists(U32, max_size=31).map(tuple), TEXT), max_size=2),
)
def test_everything_comes_back(report: RtcpPacket, description: Description, goodbyes: list[Goodbye]) -> None:
    packets = [report, description, *goodbyes]
    assert parse_compound(build_compound(packets)) == tuple(packets)


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "0 bytes"),
        (b"\x81\xc9\x00", "3 bytes at byte 0 are shorter"),
        (b"\x01\xc9\x00\x00", "version at byte 0 is 0"),
        (b"\x80\xc9\x00\x02" + bytes(4), "says 12 bytes, 8 are left"),
        (b"\x81\xc9\x00\x01" + bytes(4), "RR with count 1 needs 28 bytes, has 4"),
        (b"\x80\xc8\x00\x01" + bytes(4), "SR with count 0 needs 24 bytes, has 4"),
        (b"\x82\xcb\x00\x01" + bytes(4), "BYE with count 2 needs 8 bytes, has 4"),
        (b"\x81\xcb\x00\x02" + bytes(4) + b"\x09abc", "BYE reason says 9 bytes, 3 are left"),
        (b"\x82\xca\x00\x02" + bytes(8), "SDES says 2 chunks"),
        (b"\x81\xca\x00\x02" + bytes(4) + b"\x01\x09ab", "SDES item 1 at byte 4 runs past the end at 8"),
        (b"\xa0\xc9\x00\x01" + bytes(4), "padding says 0 bytes"),
        (b"\xa0\xc9\x00\x01\x00\x00\x00\x04\x80\xc9\x00\x01" + bytes(4), "padding in a packet that is not the last"),
    ],
)
def test_what_is_wrong_is_said_with_numbers(data: bytes, wrong: str) -> None:
    with pytest.raises(RtcpError, match=wrong):
        parse_compound(data)


def test_padding_and_unknown_kinds_are_left_out() -> None:
    app = b"\x80\xcc\x00\x02" + bytes(8)
    padded = b"\xa0\xc9\x00\x02\x00\x00\x00\x05\x00\x00\x00\x04"
    assert parse_compound(app + padded) == (ReceiverReport(5),)


def test_a_compound_starts_with_a_report_and_names_its_source() -> None:
    with pytest.raises(ValueError, match="starts with an SR or RR"):
        build_compound([CNAME])
    with pytest.raises(ValueError, match="CNAME"):
        build_compound([ReceiverReport(1)])


def test_the_round_trip_of_the_rfc() -> None:
    """Figure 2 of section 6.4.1: 6.125 s."""
    now = 0x0000B710_80000000
    assert round_trip_s(now, 0xB7052000, 0x00054000) == 6.125
    assert round_trip_s(now, 0, 0) is None
    assert round_trip_s(now, middle_of_ntp(now), 65_536) is None


def test_ntp_time_counts_from_1900() -> None:
    assert ntp_time(0.5) == 2_208_988_800 << 32 | 1 << 31


@given(some.binary(max_size=120))
def test_no_datagram_can_raise_anything_but_rtcp_error(data: bytes) -> None:
    try:
        parse_compound(data)
    except RtcpError:
        return


@given(some.integers(200, 204), some.integers(0, 3), some.binary(max_size=64))
def test_nor_any_that_looks_right(packet_type: int, count: int, body: bytes) -> None:
    body += bytes(-len(body) % 4)
    try:
        parse_compound(bytes([0x80 | count, packet_type, 0, len(body) // 4]) + body)
    except RtcpError:
        return
