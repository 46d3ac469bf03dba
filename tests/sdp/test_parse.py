"""RFC 8866 as phones send it."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sdp.types import Direction, SdpError

SNOM = b"""v=0\r
o=root 1821 1821 IN IP4 192.0.2.7\r
s=call\r
c=IN IP4 192.0.2.7\r
t=0 0\r
m=audio 54938 RTP/AVP 9 0 8 3 99 18 101\r
a=rtpmap:9 G722/8000\r
a=rtpmap:99 G726-32/8000\r
a=rtpmap:101 telephone-event/8000\r
a=fmtp:101 0-15\r
a=ptime:20\r
a=sendrecv\r
"""


def test_a_phone_with_static_numbers_and_no_rtpmap() -> None:
    line = parse_sdp(SNOM).media[0]
    assert (line.kind, line.port, line.protocol, line.host) == ("audio", 54938, "RTP/AVP", "192.0.2.7")
    assert [str(encoding) for encoding in line.encodings] == [
        "G722/8000",
        "PCMU/8000",
        "PCMA/8000",
        "GSM/8000",
        "G726-32/8000",
        "G729/8000",
        "telephone-event/8000",
    ]
    assert line.encodings[-1].fmtp == "0-15"
    assert line.ptime_ms == 20


@pytest.mark.parametrize("end", ["\r\n", "\n", "\r"])
def test_any_line_end_and_blank_lines(end: str) -> None:
    body = SNOM.decode().replace("\r\n", end) + end + end
    assert parse_sdp(body.encode()) == parse_sdp(SNOM)


def test_session_level_lines_reach_the_media_unless_it_has_its_own() -> None:
    body = (
        b"v=0\nc=IN IP4 192.0.2.1\na=inactive\na=ptime:30\n"
        b"m=audio 4000 RTP/AVP 0\nm=audio 4002 RTP/AVP 0\nc=IN IP6 2001:db8::1\na=sendonly\na=ptime:40\n"
    )
    first, second = parse_sdp(body).media
    assert (first.host, first.direction, first.ptime_ms) == ("192.0.2.1", Direction.INACTIVE, 30)
    assert (second.host, second.family, second.direction, second.ptime_ms) == (
        "2001:db8::1",
        "IP6",
        Direction.SENDONLY,
        40,
    )


@pytest.mark.parametrize("host", ["0.0.0.0", "::"])
def test_hold_by_address_is_seen(host: str) -> None:
    family = "IP6" if ":" in host else "IP4"
    line = parse_sdp(f"v=0\nc=IN {family} {host}\nm=audio 4000 RTP/AVP 0\n".encode()).media[0]
    assert line.is_held_by_address


def test_rtpmap_beats_the_static_number_and_nonsense_rtpmaps_are_not_believed() -> None:
    body = (
        b"v=0\nm=audio 4 RTP/AVP 0 96 97 130 x\na=rtpmap:0 PCMU/16000\na=rtpmap:96 nonsense\na=rtpmap:97 opus/48000/2\n"
    )
    encodings = parse_sdp(body).media[0].encodings
    assert [str(encoding) for encoding in encodings] == ["PCMU/16000", "payload type 96", "opus/48000/2"]


def test_ttl_ports_and_odd_ptimes_are_read() -> None:
    body = b"v=0\nm=audio 4000/2 RTP/AVP 0\nc=IN IP4 224.2.1.1/127/3\na=ptime:20.0\na=maxptime: 40\n"
    line = parse_sdp(body).media[0]
    assert (line.port, line.host, line.ptime_ms, line.maxptime_ms) == (4000, "224.2.1.1", 20, 40)


def test_payload_types_are_numbers_of_seven_bits_and_everything_else_is_left_out() -> None:
    """An Arabic three is a digit to Python; int() would make 3 of it, which is GSM."""
    formats = "0 127 128 0127 \u0663 -1 8x"
    body = f"v=0\nc=IN IP4 192.0.2.9\nm=audio 4000 RTP/AVP {formats}\na=rtpmap:127 opus/48000/2\n".encode()
    assert [encoding.payload_type for encoding in parse_sdp(body).media[0].encodings] == [0, 127]


def test_lines_that_are_not_rtp_have_no_encodings() -> None:
    line = parse_sdp(b"v=0\nm=application 9 UDP/DTLS/SCTP webrtc-datachannel\n").media[0]
    assert line.encodings == ()
    assert line.formats == ("webrtc-datachannel",)


@pytest.mark.parametrize(
    ("body", "wrong"),
    [
        (b"", "empty"),
        (b"hello", "line 1 is 'hello'"),
        (b"o=- 1 1 IN IP4 h\nv=0\n", "SDP starts with 'v=0'"),
        (b"v=1\n", "SDP starts with 'v=0'"),
        (b"v=0\nnonsense\n", "line 2"),
        (b"v=0\nc=IN IP4\n", "expected 'c=IN IP4 address'"),
        (b"v=0\nc=IN IP5 1.2.3.4\n", "expected 'c=IN IP4 address'"),
        (b"v=0\nc=IN IP4 1.2.3.4;x\n", "neither an address nor a name"),
        (b"v=0\nm=audio 1\n", "expected media, port, protocol and formats"),
        (b"v=0\nm=audio 70000 RTP/AVP 0\n", "expected 0 to 65535"),
        (b"v=0\nm=audio -1 RTP/AVP 0\n", "expected 0 to 65535"),
        ("v=0\nm=audio ٣ RTP/AVP 0\n".encode(), "expected 0 to 65535"),
        (b"v=0\n" + b"m=audio 1 RTP/AVP 0\n" * 65, "more than 64 m-lines"),
        (b"v=0\n" + b"a=x\n" * 20_000, "bytes of SDP"),
    ],
)
def test_what_is_wrong_is_said(body: bytes, wrong: str) -> None:
    with pytest.raises(SdpError, match=wrong):
        parse_sdp(body)


@given(some.binary(max_size=300))
def test_no_body_can_raise_anything_but_sdp_error(body: bytes) -> None:
    for data in (body, b"v=0\n" + body, SNOM + body):
        try:
            parse_sdp(data)
        except SdpError:
            continue


@given(
    some.lists(some.sampled_from(SNOM.decode().split("\r\n")), max_size=30),
    some.integers(0, 400),
    some.binary(max_size=4),
)
def test_shuffled_and_damaged_lines_never_raise_anything_else(lines: list[str], cut: int, junk: bytes) -> None:
    body = "\r\n".join(["v=0", *lines]).encode()
    try:
        parse_sdp(body[:cut] + junk + body[cut:])
    except SdpError:
        return
