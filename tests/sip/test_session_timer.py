"""Session timers, RFC 4028: the agreement by itself, and as ladders."""

from __future__ import annotations

import pytest

from kallglot_media.sip.message import Request, make_response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.session_timer import SessionTimer
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import SDP, Ladder, closed, play


def invite(*headers: str) -> Request:
    lines = [
        "INVITE sip:us@192.0.2.1 SIP/2.0",
        "Via: SIP/2.0/UDP 192.0.2.9;branch=z9hG4bK-1",
        "Max-Forwards: 70",
        "From: <sip:far@192.0.2.9>;tag=f",
        "To: <sip:us@192.0.2.1>",
        "Call-ID: c",
        "CSeq: 1 INVITE",
        *headers,
    ]
    message = parse_message(("\r\n".join(lines) + "\r\n\r\n").encode())
    assert isinstance(message, Request)
    return message


@pytest.mark.parametrize(
    ("asked", "answer", "we_refresh", "interval_s"),
    [
        # Nobody speaks of timers: there is none.
        ([], {}, False, None),
        # Table 2 of RFC 4028.
        (["Supported: timer"], {"Session-Expires": "1800;refresher=uas", "Require": "timer"}, True, 1800),
        (
            ["Supported: timer", "Session-Expires: 600"],
            {"Session-Expires": "600;refresher=uas", "Require": "timer"},
            True,
            600,
        ),
        (
            ["k: timer", "x: 600;refresher=uac"],
            {"Session-Expires": "600;refresher=uac", "Require": "timer"},
            False,
            600,
        ),
        (["Session-Expires: 600"], {"Session-Expires": "600;refresher=uas"}, True, 600),
        (["Session-Expires: 600;refresher=uac"], {"Session-Expires": "600;refresher=uas"}, True, 600),
        # We may shorten, but not below Min-SE.
        (["Supported: timer", "Session-Expires: 7200"], {"Session-Expires": "1800;refresher=uas"}, True, 1800),
        (
            ["Supported: timer", "Session-Expires: 7200", "Min-SE: 3600"],
            {"Session-Expires": "3600;refresher=uas"},
            True,
            3600,
        ),
        (["Supported: timer", "Session-Expires: nonsense"], {"Session-Expires": "1800;refresher=uas"}, True, 1800),
    ],
)
def test_what_we_answer(asked: list[str], answer: dict[str, str], we_refresh: bool, interval_s: int | None) -> None:
    timer = SessionTimer()
    headers = dict(timer.answer_headers(invite(*asked)))
    assert headers | answer == headers
    assert bool(headers) == bool(answer)
    assert (timer.we_refresh, timer.interval_s) == (we_refresh, interval_s)


def test_who_refreshes_stays_when_a_refresh_does_not_say() -> None:
    timer = SessionTimer()
    timer.answer_headers(invite("Supported: timer", "Session-Expires: 600;refresher=uac"))
    timer.answer_headers(invite("Supported: timer", "Session-Expires: 600"))
    assert not timer.we_refresh


@pytest.mark.parametrize(
    ("header", "interval_s", "we_refresh"),
    [
        ("1800;refresher=uac", 1800, True),
        ("1800;refresher=uas", 1800, False),
        ("1800;Refresher=UAS", 1800, False),
        ("1800", 1800, True),
        ("5;refresher=uac", 90, True),
        ("1800;;;=", 1800, True),
        (None, None, False),
    ],
)
def test_what_we_take_for_agreed(header: str | None, interval_s: int | None, we_refresh: bool) -> None:
    timer = SessionTimer()
    fields = [("Session-Expires", header)] if header else []
    timer.agreed(make_response(invite(), 200, headers=fields))
    assert (timer.interval_s, timer.we_refresh) == (interval_s, we_refresh)


def test_when_things_are_due() -> None:
    """RFC 4028 section 10."""
    timer = SessionTimer()
    timer.answer_headers(invite("Supported: timer", "Session-Expires: 90"))
    assert (timer.refresh_after_s, timer.end_after_s) == (45, 60)
    timer.answer_headers(invite("Supported: timer", "Session-Expires: 1800;refresher=uac"))
    assert (timer.refresh_after_s, timer.end_after_s) == (None, 1768)


CALLED = """
    0.0 <- INVITE Supported:timer Session-Expires:{expires} Allow:{allow}
    0.0 -> 100
    0.0 == IncomingCall
    0.1 -- answer
    0.1 -> 200
    0.2 <- ACK
    0.2 == CallConfirmed
"""


def test_too_short_is_422() -> None:
    ladder = play("""
        0.0 <- INVITE Supported:timer Session-Expires:60
        0.0 -> 422
    """)
    assert ladder.last("422").headers.first("Min-SE") == "90"
    closed(ladder)


def test_we_refresh_with_update() -> None:
    ladder = play(
        CALLED.format(expires="120", allow="INVITE,UPDATE")
        + """
        60.1  -> UPDATE
        60.2  <- 200/UPDATE Session-Expires:120;refresher=uac
        120.2 -> UPDATE
        120.3 <- 200/UPDATE Session-Expires:120;refresher=uac
        130   <- BYE
        130   -> 200/BYE
        130   == CallEnded remote 200
    """
    )
    update = ladder.last("UPDATE")
    assert update.body == b""
    assert update.headers.first("Session-Expires") == "120;refresher=uac"
    assert ladder.agent.counters["session_refreshed"] == 2
    closed(ladder)


def test_we_refresh_with_a_reinvite_that_changes_nothing() -> None:
    ladder = play(
        CALLED.format(expires="120", allow="INVITE")
        + """
        60.1 -> INVITE
        60.2 <- 200 Session-Expires:120;refresher=uac
        60.2 -> ACK
        60.3 <- 200 again
        60.3 -> ACK
        70   <- BYE
        70   -> 200/BYE
        70   == CallEnded remote 200
    """
    )
    assert ladder.last("INVITE").body == SDP
    closed(ladder)


def test_a_refresh_that_nobody_answers_ends_the_call() -> None:
    ladder = Ladder()
    ladder.run(CALLED.format(expires="120", allow="UPDATE"))
    ladder.advance(88.2)  # 120 s are over 32 s later, and so is the UPDATE
    assert ladder.trace[-2:] == ["88.1 -> BYE", "88.1 == CallEnded timeout 408"]
    ladder.run("88.3 <- 200/BYE")
    closed(ladder)


def test_a_refresh_that_the_peer_knows_nothing_of_ends_the_call() -> None:
    ladder = play(
        CALLED.format(expires="120", allow="UPDATE")
        + """
        60.1 -> UPDATE
        60.2 <- 481/UPDATE
        60.2 -> BYE
        60.2 == CallEnded timeout 408
        60.3 <- 481/BYE
    """
    )
    closed(ladder)


def test_a_refused_refresh_is_tried_until_the_session_ends() -> None:
    ladder = Ladder()
    ladder.run(CALLED.format(expires="120", allow="UPDATE"))
    for at_s in (60.2, 72.2, 84.2):
        ladder.run(f"{at_s} <- 500/UPDATE")
    assert [line for line in ladder.trace if "UPDATE" in line] == ["60.1 -> UPDATE", "72.1 -> UPDATE", "84.1 -> UPDATE"]
    ladder.run("90 <- 200/BYE")
    assert "88.1 == CallEnded timeout 408" in ladder.trace
    closed(ladder)


def test_they_refresh_or_the_call_ends() -> None:
    ladder = play(
        CALLED.format(expires="300;refresher=uac", allow="UPDATE")
        + """
        150 <- UPDATE nosdp Supported:timer Session-Expires:300;refresher=uac
        150 -> 200/UPDATE
        300 <- re-INVITE Supported:timer Session-Expires:300;refresher=uac
        300 -> 100
        300 == MediaOffered
        300 -- answer_offer
        300 -> 200
        300 <- ACK
        300 == CallConfirmed
        568 -> BYE
        568 == CallEnded timeout 408
        568.1 <- 200/BYE
    """
    )
    ok = ladder.last("200/UPDATE")
    assert (ok.headers.first("Session-Expires"), ok.headers.first("Require")) == ("300;refresher=uac", "timer")
    assert ladder.agent.counters["session_expired"] == 1
    closed(ladder)


def test_a_refresh_that_asks_for_too_little_is_422_and_the_call_goes_on() -> None:
    ladder = play(
        CALLED.format(expires="300;refresher=uac", allow="UPDATE")
        + """
        10 <- UPDATE nosdp Supported:timer Session-Expires:30
        10 -> 422/UPDATE
        11 <- re-INVITE Supported:timer Session-Expires:30
        11 -> 422
        11 <- ACK failure
    """
    )
    assert ladder.agent.open_calls == 1


def test_our_invite_asks_for_a_timer_and_takes_422() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 422 Min-SE:3600
        0.1 -> ACK
        0.1 -> INVITE
        0.2 <- 422 Min-SE:nonsense
        0.2 -> ACK
        0.2 == CallFailed 422
    """)
    first, second = (message for message in ladder.sent if isinstance(message, Request) and message.method == "INVITE")
    assert (first.headers.first("Session-Expires"), first.headers.first("Min-SE")) == ("1800", "90")
    assert (second.headers.first("Session-Expires"), second.headers.first("Min-SE")) == ("3600", "3600")
    assert (first.cseq.number, second.cseq.number) == (1, 2)
    assert "timer" in (second.headers.first("Supported") or "")
    closed(ladder)


def test_we_refresh_a_call_of_ours() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 200 Session-Expires:1800;refresher=uac Allow:UPDATE
        0.1 -> ACK
        0.1 == CallAnswered
        900.1 -> UPDATE
        900.2 <- 422/UPDATE Min-SE:2000
        900.2 -> UPDATE
        900.3 <- 200/UPDATE Session-Expires:2000;refresher=uac
        1000 -- hangup
        1000 -> BYE
        1000 == CallEnded local 200
        1000.1 <- 200/BYE
    """)
    assert ladder.last("UPDATE").headers.first("Session-Expires") == "2000;refresher=uac"
    closed(ladder)


def test_no_timer_when_the_settings_have_none() -> None:
    ladder = play(
        """
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 200
        0.1 -> ACK
        0.1 == CallAnswered
        9000 <- BYE
        9000 -> 200/BYE
        9000 == CallEnded remote 200
    """,
        AgentSettings(session_expires_s=0),
    )
    assert "Session-Expires" not in ladder.last("INVITE").headers
    closed(ladder)
