from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.packet import RtpError, RtpPacket, is_rtcp, pack_header, unwrap

PLAIN = RtpPacket(0, 65_535, 4_294_967_295, 0xDEADBEEF, b"\xff" * 160, True)


def test_a_plain_packet_comes_back() -> None:
    assert RtpPacket.parse(PLAIN.serialize()) == PLAIN


def test_the_header_is_that_of_the_rfc() -> None:
    assert pack_header(8, 0x0102, 0x03040506, 0x0708090A, True).hex() == "80880102030405060708090a"


def test_header_fields_wrap_by_themselves() -> None:
    assert pack_header(0, 65_536 + 7, 2**32 + 9, 1) == pack_header(0, 7, 9, 1)


def test_csrcs_extension_and_padding_are_left_out() -> None:
    csrcs = bytes(8)
    extension = b"\xbe\xde\x00\x01abcd"
    data = bytes([0x80 | 0x20 | 0x10 | 2]) + PLAIN.serialize()[1:12] + csrcs + extension + b"sound" + b"\x00\x00\x03"
    assert RtpPacket.parse(data).payload == b"sound"


def test_padding_may_be_the_whole_payload() -> None:
    assert RtpPacket.parse(bytes([0xA0]) + PLAIN.serialize()[1:12] + b"\x00\x02").payload == b""


@pytest.mark.parametrize(
    ("data", "wrong"),
    [
        (b"", "0 bytes is shorter than the 12-byte RTP header"),
        (b"\x80" * 11, "11 bytes is shorter"),
        (b"\x00\x01" + bytes(18), "version is 0, RTP is 2"),
        (b"\x16\xfe\xfd" + bytes(20), "version is 0"),
        (b"\x83" + bytes(15), "3 CSRCs need 24 bytes, the datagram has 16"),
        (b"\x90" + bytes(13), "header extension needs 16 bytes, the datagram has 14"),
        (b"\x90" + bytes(11) + b"\x00\x00\x00\x05", "header extension ends at byte 36, the datagram has 16"),
        (b"\xa0" + bytes(15), "padding says 0 bytes, 4 are left"),
        (b"\xa0" + bytes(14) + b"\x05", "padding says 5 bytes, 4 are left"),
        (b"\xa0" + bytes(11), "padding says 0 bytes, 0 are left"),
    ],
)
def test_what_is_wrong_is_said_with_numbers(data: bytes, wrong: str) -> None:
    with pytest.raises(RtpError, match=wrong):
        RtpPacket.parse(data)


@given(some.binary(max_size=80))
def test_no_datagram_can_raise_anything_but_rtp_error(data: bytes) -> None:
    try:
        packet = RtpPacket.parse(data)
    except RtpError:
        return
    assert len(packet.payload) <= len(data) - 12


@given(
    some.integers(0, 127),
    some.integers(0, 65_535),
    some.integers(0, 2**32 - 1),
    some.integers(0, 2**32 - 1),
    some.binary(max_size=40),
    some.booleans(),
)
def test_every_packet_comes_back(
    payload_type: int, sequence: int, timestamp: int, ssrc: int, payload: bytes, marker: bool
) -> None:
    packet = RtpPacket(payload_type, sequence, timestamp, ssrc, payload, marker)
    assert RtpPacket.parse(packet.serialize()) == packet


def test_rtcp_is_told_from_rtp_by_its_packet_type() -> None:
    assert is_rtcp(bytes([0x81, 200]) + bytes(26))
    assert not is_rtcp(PLAIN.serialize())
    assert not is_rtcp(b"\x80")


def test_unwrap_takes_the_nearest_turn() -> None:
    assert unwrap(2, near=65_534, bits=16) == 65_538
    assert unwrap(65_534, near=65_538, bits=16) == 65_534
    assert unwrap(32_768, near=0, bits=16) == -32_768


@given(some.integers(-(2**40), 2**40), some.integers(-32_768, 32_767))
def test_unwrap_finds_every_neighbour(near: int, step: int) -> None:
    assert unwrap((near + step) % 65_536, near, 16) == near + step
