"""Framing: RFC 3261 sections 7.5 and 18.3, RFC 5626 section 3.5.1."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.parser import MAX_MESSAGE_BYTES, parse_message
from kallglot_media.sip.stream import PONG, Framer
from tests.support.ladder import make_request


def with_body(body: bytes) -> bytes:
    request = make_request("INFO")
    request.body = body
    return request.serialize()


ONE, TWO = with_body(b""), with_body(b"hello\r\n\r\nINVITE not a message")


def test_messages_in_one_piece() -> None:
    framer = Framer()
    assert framer.feed(ONE + TWO + ONE) == [ONE, TWO, ONE]
    assert not framer.has_partial
    assert framer.take_replies() == []


def test_messages_byte_by_byte() -> None:
    framer = Framer()
    messages = [message for at in range(len(ONE + TWO)) for message in framer.feed((ONE + TWO)[at : at + 1])]
    assert messages == [ONE, TWO]


@given(some.lists(some.integers(1, 80), min_size=1, max_size=60), some.integers(0, 2))
def test_pieces_do_not_matter(sizes: list[int], line_ends: int) -> None:
    stream = (b"\r\n" * line_ends).join([ONE, TWO, ONE, TWO])
    framer, messages, at = Framer(), [], 0
    for size in sizes:
        messages += framer.feed(stream[at : at + size])
        at += size
    messages += framer.feed(stream[at:])
    assert messages == [ONE, TWO, ONE, TWO]
    assert not framer.has_partial


@given(some.lists(some.binary(max_size=200), max_size=10))
def test_no_stream_can_raise_anything_but_sip_error(pieces: list[bytes]) -> None:
    framer = Framer()
    for piece in pieces:
        try:
            framer.feed(piece)
        except SipError:
            assert framer.has_partial
            return


def test_framed_messages_parse() -> None:
    for data in Framer().feed(ONE + TWO):
        assert parse_message(data, stream=True).serialize() == data


def test_a_ping_gets_a_pong() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n\r\n") == []
    assert framer.take_replies() == [PONG]
    assert framer.take_replies() == []
    assert not framer.has_partial


def test_a_ping_in_pieces_gets_a_pong() -> None:
    framer = Framer()
    for piece in (b"\r", b"\n", b"\r"):
        framer.feed(piece)
        assert framer.take_replies() == []
    framer.feed(b"\n")
    assert framer.take_replies() == [PONG]


def test_a_pong_and_line_ends_before_a_message_get_nothing() -> None:
    framer = Framer()
    assert framer.feed(b"\r\n" + ONE + b"\r\n") == [ONE]
    assert framer.feed(ONE) == [ONE]
    assert framer.take_replies() == []


def test_a_flood_of_pings_gets_one_pong() -> None:
    framer = Framer()
    framer.feed(b"\r\n" * 30_000)
    assert framer.take_replies() == [PONG]
    assert not framer.has_partial


def test_half_a_message_is_partial() -> None:
    framer = Framer()
    framer.feed(TWO[:-1])
    assert framer.has_partial
    assert framer.feed(TWO[-1:]) == [TWO]


@pytest.mark.parametrize("spelling", [b"l: 5", b"CONTENT-LENGTH:5", b"Content-Length  :\t5  ", b"l:\r\n 5", b"L : 005"])
def test_content_length_in_every_spelling(spelling: bytes) -> None:
    data = with_body(b"12345").replace(b"Content-Length: 5", spelling)
    (message,) = Framer().feed(data)
    assert parse_message(message, stream=True).body == b"12345"


@pytest.mark.parametrize(
    ("spelling", "kind"),
    [
        (b"X: y", "no_content_length"),
        (b"Content-Length: 5\r\nl: 5", "no_content_length"),
        (b"Content-Length: -5", "bad_content_length"),
        (b"Content-Length: 5, 5", "bad_content_length"),
        (b"Content-Length:", "bad_content_length"),
        (b"Content-Length: " + b"9" * 5000, "bad_content_length"),
        (b"Content-Length: 65535", "too_large"),
    ],
)
def test_a_lost_frame_is_the_end_of_the_connection(spelling: bytes, kind: str) -> None:
    framer = Framer()
    with pytest.raises(SipError) as caught:
        framer.feed(with_body(b"12345").replace(b"Content-Length: 5", spelling))
    assert caught.value.kind == kind
    with pytest.raises(SipError):
        framer.feed(ONE)


def test_what_came_whole_before_the_frame_was_lost_is_not_lost() -> None:
    framer = Framer()
    assert framer.feed(ONE + b"\x16\x03\x01") == [ONE]
    assert framer.has_partial
    with pytest.raises(SipError, match="TLS"):
        framer.feed(b"")


@pytest.mark.parametrize("noise", [b"\x16\x03\x01\x02", b"\0", b" INVITE", b"\n\n", b"\rX"])
def test_another_protocol_is_noticed_at_its_first_byte(noise: bytes) -> None:
    with pytest.raises(SipError):
        Framer().feed(noise)


def test_headers_without_end_are_bounded() -> None:
    framer = Framer()
    for _ in range(MAX_MESSAGE_BYTES // 1000):
        assert framer.feed(b"A" * 1000) == []
    with pytest.raises(SipError) as caught:
        framer.feed(b"A" * 1000)
    assert caught.value.kind == "too_large"
    assert len(framer._buffer) == 0


def test_the_largest_message_passes() -> None:
    head = len(with_body(b"x" * 60_000)) - 60_000
    data = with_body(b"x" * (MAX_MESSAGE_BYTES - head))
    assert Framer().feed(data) == [data]
