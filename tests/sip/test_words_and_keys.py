"""MESSAGE (RFC 3428) and keys as INFO, inside calls and outside."""

from __future__ import annotations

import pytest

from kallglot_media.sip.events import MessageReceived
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.keypress import body_of, key_of
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.redirect import targets_of
from kallglot_media.sip.uri import Uri
from tests.support.call_ladder import Ladder, closed, play

CALLED = "0.0 <- INVITE\n0.1 -- answer\n0.2 <- ACK\n"


def info(content_type: str, body: bytes) -> Request:
    return Request("INFO", Uri.parse("sip:us@192.0.2.1"), Headers([("Content-Type", content_type)]), body)


@pytest.mark.parametrize(
    ("content_type", "body", "key"),
    [
        ("application/dtmf-relay", b"Signal=5\r\nDuration=160\r\n", ("5", 160)),
        ("application/dtmf-relay", b"Signal= *\nDuration= 100", ("*", 100)),
        ("application/dtmf-relay", b"Signal=11\r\nDuration=999999", ("#", 60_000)),
        ("application/dtmf-relay", b"signal=d", ("D", 250)),
        ("application/dtmf-relay", b"Signal=flash", None),
        ("application/dtmf-relay", b"", None),
        ("application/dtmf", b"7", ("7", 250)),
        ("application/dtmf", b"10\r\n", ("*", 250)),
        ("application/dtmf", b"\xff", None),
        ("text/plain", b"5", None),
    ],
)
def test_keys_as_phones_send_them(content_type: str, body: bytes, key: tuple[str, int] | None) -> None:
    found = key_of(info(content_type, body))
    assert (None if found is None else (found.key, found.duration_ms)) == key


def test_a_key_that_we_send_can_be_read() -> None:
    found = key_of(info("application/dtmf-relay", body_of("#", 200)))
    assert found is not None
    assert (found.key, found.duration_ms) == ("#", 200)


def test_words_and_keys_inside_a_call() -> None:
    ladder = Ladder()
    ladder.run(CALLED + "1 <- MESSAGE Content-Type:text/plain body=hello_there")
    assert ladder.trace[-2:] == ["1 -> 200/MESSAGE", "1 == MessageReceived"]
    told = ladder.events[-1]
    assert isinstance(told, MessageReceived)
    assert (told.call, told.content_type, told.body) == (ladder.events[0].call, "text/plain", b"hello there")
    ladder.run("2 -- message\n2.1 <- 200/MESSAGE\n3 -- press_key 5\n3.1 <- 415/INFO")
    ladder.run("4 <- MESSAGE Content-Type:image/png body=x")
    assert ladder.trace[-1] == "4 -> 415/MESSAGE"
    assert ladder.last("MESSAGE").body == "Grüß Gott".encode()
    assert ladder.last("INFO").body == b"Signal=5\r\nDuration=160\r\n"
    assert ladder.agent.counters["not_taken_info"] == 1
    ladder.run("5 -- hangup\n5.1 <- 200/BYE\n6 -- message")
    assert ladder.agent.counters["verb_too_late"] == 1
    closed(ladder)


def test_words_outside_of_calls() -> None:
    ladder = play("""
        0.0 <- MESSAGE new body=hello
        0.0 -> 200/MESSAGE
        0.0 == MessageReceived
    """)
    told = ladder.events[-1]
    assert isinstance(told, MessageReceived)
    assert (told.call, told.content_type) == ("", "text/plain")
    closed(ladder)


def test_where_a_302_sends_us() -> None:
    contacts = [
        "<sip:second@192.0.2.1>;q=0.5, <sip:first@192.0.2.2>",
        "<mailto:nobody@x>",
        "<sip:third@192.0.2.3>;q=nonsense",
        "<sip:first@192.0.2.2>",
        "<",
    ]
    response = Response(302, "Moved", Headers([("Contact", value) for value in contacts]))
    assert targets_of(response) == ("sip:first@192.0.2.2", "sip:second@192.0.2.1", "sip:third@192.0.2.3")
