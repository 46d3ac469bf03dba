"""Transfers: REFER and NOTIFY in both roles, RFC 3515 and 4488, and calls that replace others, RFC 3891."""

from __future__ import annotations

import pytest

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import IncomingCall, TransferAsked
from kallglot_media.sip.message import Request
from kallglot_media.sip.refer import make_sipfrag, read_sipfrag
from kallglot_media.sip.replaces import Replaces, replacing
from tests.support.call_ladder import Ladder, closed, play

CALLED = """
    0.0 <- INVITE
    0.0 -> 100
    0.0 == IncomingCall
    0.1 -- answer
    0.1 -> 200
    0.2 <- ACK
    0.2 == CallConfirmed
"""
CALLING = """
    0.0 -- invite
    0.0 -> INVITE
    0.1 <- 200
    0.1 -> ACK
    0.1 == CallAnswered
"""
ASKED = """
    1.0 <- REFER Refer-To:<sip:carol@192.0.2.7> Referred-By:<sip:far@192.0.2.9>
    1.0 == TransferAsked
"""
ACCEPTED = (
    ASKED
    + """
    1.1 -- accept_transfer
    1.1 -> 202/REFER
    1.1 -> NOTIFY
    1.2 <- 200/NOTIFY
"""
)


def notify(ladder: Ladder) -> tuple[str, str, bytes]:
    """(Event, Subscription-State, body) of the last NOTIFY."""
    message = ladder.last("NOTIFY")
    assert message.content_type == "message/sipfrag"
    headers = message.headers
    return headers.first("Event") or "", headers.first("Subscription-State") or "", message.body


@pytest.mark.parametrize("start", [CALLED, CALLING])
def test_a_blind_transfer_that_works(start: str) -> None:
    ladder = play(start + ACCEPTED)
    asked = ladder.events[-1]
    assert isinstance(asked, TransferAsked)
    assert (asked.to, asked.replaces, asked.referred_by) == ("sip:carol@192.0.2.7", None, "<sip:far@192.0.2.9>")
    assert notify(ladder) == ("refer", "active;expires=180", b"SIP/2.0 100 Trying\r\n")
    assert "Contact" in ladder.last("202/REFER").headers
    ladder.run("2.0 -- tell_transfer 180")
    assert notify(ladder)[2] == b"SIP/2.0 180 Ringing\r\n"
    ladder.run("2.1 <- 200/NOTIFY\n3.0 -- tell_transfer 200")
    assert notify(ladder) == ("refer", "terminated;reason=noresource", b"SIP/2.0 200 OK\r\n")
    ladder.run("3.1 <- 200/NOTIFY\n3.2 -- tell_transfer 200\n4.0 <- BYE")
    assert ladder.trace[-2:] == ["4 -> 200/BYE", "4 == CallEnded remote 200"]
    closed(ladder)


def test_who_transfers_and_hangs_up_at_once_still_gets_the_news() -> None:
    """RFC 5057: the subscription is another use of the dialog, and outlives the BYE."""
    ladder = play(
        CALLED
        + ACCEPTED
        + """
        1.3 <- BYE
        1.3 -> 200/BYE
        1.3 == CallEnded remote 200
        3.0 -- tell_transfer 200
        3.0 -> NOTIFY
        3.1 <- 200/NOTIFY
    """
    )
    assert ladder.agent.open_calls == 0
    closed(ladder)


def test_news_that_nobody_wants_any_more() -> None:
    ladder = play(
        CALLED
        + ASKED
        + """
        1.1 -- accept_transfer
        1.1 -> 202/REFER
        1.1 -> NOTIFY
        1.2 <- 481/NOTIFY
        2.0 -- tell_transfer 200
    """
    )
    ladder.run("3 <- BYE")
    closed(ladder)


def test_a_transfer_that_fails_leaves_the_call() -> None:
    ladder = Ladder()
    ladder.run(CALLED + ACCEPTED + "2.0 -- tell_transfer 486\n2.1 <- 200/NOTIFY")
    assert notify(ladder)[1:] == ("terminated;reason=noresource", b"SIP/2.0 486 Busy Here\r\n")
    assert ladder.agent.open_calls == 1
    # The next one is told apart by the number of its REFER. RFC 3515 2.4.6.
    ladder.run("3.0 <- REFER Refer-To:<sip:dave@192.0.2.8>\n3.1 -- accept_transfer\n3.2 <- 200/NOTIFY")
    number = ladder.last("202/REFER").cseq.number
    assert notify(ladder)[0] == f"refer;id={number}"
    ladder.run("4.0 -- tell_transfer 200\n4.1 <- 200/NOTIFY\n5 <- BYE")
    closed(ladder)


def test_a_transfer_of_which_nothing_is_heard_ends_after_a_while() -> None:
    ladder = Ladder()
    ladder.run(CALLED + ACCEPTED)
    ladder.advance(181.2)
    assert notify(ladder)[1] == "terminated;reason=timeout"
    ladder.run("181.3 <- 200/NOTIFY\n182 <- BYE")
    closed(ladder)


def test_no_news_when_none_are_wanted() -> None:
    """RFC 4488."""
    ladder = play(
        CALLED
        + """
        1.0 <- REFER Refer-To:<sip:carol@192.0.2.7> Refer-Sub:false Require:norefersub
        1.0 == TransferAsked
        1.1 -- accept_transfer
        1.1 -> 200/REFER
        1.2 -- tell_transfer 200
    """
    )
    assert ladder.last("200/REFER").headers.first("Refer-Sub") == "false"
    ladder.run("2 <- BYE")
    closed(ladder)


def test_an_attended_transfer_says_whom_to_replace() -> None:
    ladder = Ladder()
    ladder.run(
        CALLED + "1 <- REFER Refer-To:<sip:carol@192.0.2.7;method=INVITE?Replaces=a%40b%3Bto-tag%3D1%3Bfrom-tag%3D2>"
    )
    asked = ladder.events[-1]
    assert isinstance(asked, TransferAsked)
    assert (asked.to, asked.replaces) == ("sip:carol@192.0.2.7", "a@b;to-tag=1;from-tag=2")


@pytest.mark.parametrize(
    "refer_to",
    ["", "Refer-To:<sip:a@b> Refer-To:<sip:c@d>", "Refer-To:<http://x>", "Refer-To:<sip:a@b;method=BYE>", "Refer-To:<"],
)
def test_a_refer_to_nobody_is_400(refer_to: str) -> None:
    ladder = Ladder()
    ladder.run(CALLED + f"1 <- REFER {refer_to}")
    assert ladder.trace[-1] == "1 -> 400/REFER"


def test_refused_unanswered_and_one_too_many() -> None:
    ladder = play(
        CALLED
        + """
        1.0 <- REFER Refer-To:<sip:a@b>
        1.0 == TransferAsked
        1.1 <- REFER Refer-To:<sip:c@d>
        1.1 -> 491/REFER
        1.2 -- refuse_transfer 603
        1.2 -> 603/REFER
        2.0 <- REFER Refer-To:<sip:a@b>
        2.0 == TransferAsked
        2.1 <- BYE
        2.1 -> 200/BYE
        2.1 -> 487/REFER
        2.1 == CallEnded remote 200
        2.2 -- accept_transfer
    """.replace("2.1 -> 200/BYE\n        2.1 -> 487/REFER", "2.1 -> 200/BYE\n        2.1 -> 487/REFER")
    )
    closed(ladder)
    ladder = Ladder()
    ladder.run(CALLED + "1 <- REFER Refer-To:<sip:a@b>")
    ladder.advance(11.1)
    assert ladder.trace[-1] == "11 -> 500/REFER"


def test_a_refer_before_the_call_is_there() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE\n0.1 -- ring\n0.2 <- REFER Refer-To:<sip:a@b>")
    assert ladder.trace[-1] == "0.2 -> 481/REFER"
    ladder.run("0.3 <- REFER new Refer-To:<sip:a@b>")
    assert ladder.trace[-1] == "0.3 -> 481/REFER"


# ── as the one who sends away ───────────────────────────────────────────────────


@pytest.mark.parametrize("start", [CALLED, CALLING])
def test_we_send_somebody_away(start: str) -> None:
    ladder = play(
        start
        + """
        1.0 -- refer
        1.0 -> REFER
        1.1 <- 202/REFER
        1.2 <- NOTIFY Event:refer Subscription-State:active;expires=60 body=SIP/2.0_100_Trying
        1.2 -> 200/NOTIFY
        1.2 == TransferProgress 100
        2.0 <- NOTIFY Event:refer;id=2 Subscription-State:terminated;reason=noresource body=SIP/2.0_200_OK|
        2.0 -> 200/NOTIFY
        2.0 == TransferProgress 200 over
        2.1 <- NOTIFY Event:refer Subscription-State:terminated
        2.1 -> 481/NOTIFY
        3.0 -- hangup
        3.0 -> BYE
        3.0 == CallEnded local 200
        3.1 <- 200/BYE
    """
    )
    assert ladder.last("REFER").headers.first("Refer-To") == "<sip:carol@192.0.2.7>"
    closed(ladder)


@pytest.mark.parametrize(
    ("answers", "told"),
    [
        ("1.1 <- 603/REFER", "1.1 == TransferProgress 603 over"),
        ("1.1 <- 202/REFER Refer-Sub:false", "1.1 == TransferProgress 202 over"),
        ("1.1 <- 202/REFER\n1.2 <- NOTIFY Event:refer body=SIP/2.0_486_Busy", "1.2 == TransferProgress 486 over"),
        (
            "1.1 <- 202/REFER\n1.2 <- NOTIFY Event:refer Subscription-State:terminated body=nonsense",
            "1.2 == TransferProgress 100 over",
        ),
    ],
)
def test_how_it_can_end(answers: str, told: str) -> None:
    ladder = Ladder()
    ladder.run(CALLED + "1.0 -- refer\n" + answers)
    assert ladder.trace[-1] == told
    assert ladder.agent.open_calls == 1


def test_no_news_at_all_is_a_failure() -> None:
    ladder = Ladder()
    ladder.run(CALLED + "1.0 -- refer\n1.1 <- 202/REFER")
    ladder.advance(40)
    assert ladder.trace[-1] == "33.1 == TransferProgress 408 over"
    ladder.run("41 -- refer\n41.1 -- refer")
    assert ladder.trace[-1] == "41.1 == TransferProgress 491"
    ladder.run("42 <- BYE")
    closed(ladder)


def test_news_of_something_else() -> None:
    ladder = Ladder()
    ladder.run(CALLED + "1.0 -- refer\n1.1 <- NOTIFY Event:presence")
    assert ladder.trace[-1] == "1.1 -> 489/NOTIFY"


def test_attended_by_us() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE\n0.1 -- answer\n0.2 <- ACK\n1.0 <- INVITE call=other tag=ot\n1.1 -- answer")
    first = ladder.events[0].call
    ladder.run(f"1.2 <- ACK call=other tag=ot\n2.0 -- refer {first}")
    assert ladder.last("REFER").headers.first("Refer-To") == (
        "<sip:carol@192.0.2.7?Replaces=far-call%40test%3Bto-tag%3Dfar-tag%3Bfrom-tag%3Dtag1>"
    )
    ladder.run("3.0 -- refer call_gone")
    assert ladder.trace[-1] == "3 == TransferProgress 481 over"


# ── Replaces ────────────────────────────────────────────────────────────────────


def test_a_call_takes_the_place_of_another() -> None:
    ladder = play(
        CALLED
        + """
        5.0 <- INVITE call=new tag=n Replaces:far-call@test;to-tag=tag1;from-tag=far-tag
        5.0 -> 100
        5.0 == IncomingCall
        5.1 -- answer
        5.1 -> 200
        5.1 -> BYE
        5.1 == CallEnded local 200
        5.2 <- 200/BYE
    """
    )
    incoming = ladder.events[2]
    assert isinstance(incoming, IncomingCall)
    assert incoming.replaces == ladder.events[0].call
    assert "replaced" in (ladder.last("BYE").headers.first("Reason") or "")
    assert ladder.agent.open_calls == 1


@pytest.mark.parametrize(
    ("replaces", "status"),
    [
        ("far-call@test;to-tag=tag1;from-tag=far-tag;early-only", 486),
        ("far-call@test;to-tag=tag1;from-tag=other", 481),
        ("unknown;to-tag=1;from-tag=2", 481),
        ("far-call@test;to-tag=tag1", 400),
        ("far-call@test;to-tag=tag1;from-tag=far-tag,b;to-tag=1;from-tag=1", 400),
    ],
)
def test_what_cannot_be_replaced(replaces: str, status: int) -> None:
    ladder = Ladder()
    ladder.run(CALLED + f"5.0 <- INVITE call=new tag=n Require:replaces Replaces:{replaces}")
    assert ladder.trace[-1] == f"5 -> {status}"
    assert ladder.agent.open_calls == 1


def test_a_call_that_rings_here_cannot_be_replaced_but_one_of_ours_can() -> None:
    ladder = Ladder()
    ladder.run(
        "0.0 <- INVITE\n0.1 -- ring\n1 <- INVITE call=n tag=n Replaces:far-call@test;to-tag=tag1;from-tag=far-tag"
    )
    assert ladder.trace[-1] == "1 -> 481"
    ladder = Ladder()
    ladder.run("0.0 -- invite\n0.1 <- 180")
    ours = ladder.last("INVITE")
    assert isinstance(ours, Request)
    ladder.run(f"1 <- INVITE call=n tag=n Replaces:{ours.call_id};to-tag={ours.from_.tag};from-tag=b")
    assert ladder.trace[-1] == "1 == IncomingCall"
    ladder.run("1.1 -- answer")
    assert "CANCEL" in ladder.trace[-1]


# ── values ──────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("text", ["a@b;to-tag=1;from-tag=2", "a@b;to-tag=1;from-tag=2;early-only"])
def test_replaces_comes_back_as_it_was(text: str) -> None:
    assert str(Replaces.parse(text)) == text


@pytest.mark.parametrize("text", ["", ";to-tag=1;from-tag=2", "a", "a;to-tag=1", "a;;;=", "a;from-tag=1"])
def test_replaces_that_says_nothing(text: str) -> None:
    with pytest.raises(SipError):
        Replaces.parse(text)


def test_the_far_end_of_a_dialog_without_tags() -> None:
    """RFC 3891 6.1: 0 stands for no tag."""
    assert str(replacing(("c", "ours", ""))) == "c;to-tag=0;from-tag=ours"
    assert Replaces.parse("c;to-tag=ours;from-tag=0").key == ("c", "ours", "")


def test_sipfrags() -> None:
    assert read_sipfrag(make_sipfrag(503, "no\r\nluck")) == (503, "no luck")
    assert read_sipfrag(b"SIP/2.0 200") == (200, "")
    assert read_sipfrag(b"HTTP/1.1 200 OK") is None
