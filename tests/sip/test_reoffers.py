"""Offers of our own inside a call: re-INVITE and UPDATE, RFC 3261 section 14.1, RFC 3311."""

from __future__ import annotations

import pytest

from kallglot_media.sip.events import OfferAnswered, Peer
from kallglot_media.sip.message import Request
from tests.support.call_ladder import NEW_SDP, SDP, Ladder, closed, play

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


@pytest.mark.parametrize("start", [CALLED, CALLING])
def test_new_media_are_offered_and_taken(start: str) -> None:
    ladder = play(
        start
        + """
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- 100
        1.2 <- 200 Contact:<sip:moved@192.0.2.9:5099>
        1.2 -> ACK
        1.2 == OfferAnswered
        1.7 <- 200 again
        1.7 -> ACK
        5.0 -- hangup
        5.0 -> BYE
        5.0 == CallEnded local 200
        5.1 <- 200/BYE
    """
    )
    invite = next(m for m in reversed(ladder.sent) if isinstance(m, Request) and m.method == "INVITE")
    assert invite.body == NEW_SDP
    ack = ladder.last("ACK")
    assert isinstance(ack, Request)
    assert (str(ack.uri), ack.cseq.number) == ("sip:moved@192.0.2.9:5099", invite.cseq.number)
    answered = next(event for event in ladder.events if isinstance(event, OfferAnswered))
    assert answered.sdp == SDP
    assert ladder.targets[-1] == Peer("udp", "192.0.2.9", 5099)
    closed(ladder)


@pytest.mark.parametrize("start", [CALLED, CALLING])
def test_refused_media_leave_the_call_as_it_was(start: str) -> None:
    ladder = play(
        start
        + """
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- 488
        1.1 -> ACK
        1.1 == OfferFailed 488
        2.0 <- BYE
        2.0 -> 200/BYE
        2.0 == CallEnded remote 200
    """
    )
    closed(ladder)


@pytest.mark.parametrize(("start", "least_s", "most_s"), [(CALLING, 2.1, 4.0), (CALLED, 0.0, 2.0)])
def test_glare_is_tried_again_after_a_while(start: str, least_s: float, most_s: float) -> None:
    """14.1: the owner of the Call-ID waits longer, so that the two do not meet again."""
    ladder = Ladder()
    ladder.run(start + "1.0 -- reoffer\n1.1 <- 491")
    due_s = ladder.agent.next_time_s()
    while due_s is not None and ladder.trace[-1] != f"{round(due_s, 3):g} -> INVITE" and due_s < 6.0:
        ladder.advance(due_s)
        if ladder.trace[-1].endswith("-> INVITE"):
            break
        due_s = ladder.agent.next_time_s()
    assert due_s is not None
    assert least_s <= due_s - 1.1 <= most_s
    ladder.run(f"{due_s + 0.1} <- 200")
    assert ladder.trace[-1].endswith("OfferAnswered")
    assert ladder.agent.counters["glare_of_ours"] == 1
    ladder.run(f"{due_s + 1} <- BYE")
    closed(ladder)


def test_later_means_later() -> None:
    ladder = play(
        CALLING
        + """
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- 500 Retry-After:3
        1.1 -> ACK
        4.1 -> INVITE
        4.2 <- 500 Retry-After:3600
        4.2 -> ACK
        4.2 == OfferFailed 500
    """
    )
    assert ladder.agent.open_calls == 1


@pytest.mark.parametrize("status", [408, 481])
def test_a_peer_that_does_not_know_the_call_loses_it(status: int) -> None:
    """12.2.1.2."""
    ladder = play(
        CALLING
        + f"""
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- {status}
        1.1 -> ACK
        1.1 -> BYE
        1.1 == CallEnded timeout 408
        1.2 <- 481/BYE
    """
    )
    closed(ladder)


def test_a_peer_that_says_nothing_loses_it_too() -> None:
    ladder = Ladder()
    ladder.run(CALLED + "1.0 -- reoffer\n33.1 <- 200/BYE")
    assert ladder.trace[-2:] == ["33 -> BYE", "33 == CallEnded timeout 408"]
    closed(ladder)


def test_theirs_meanwhile_is_glare() -> None:
    ladder = play(
        CALLING
        + """
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- re-INVITE
        1.1 -> 491
        1.2 <- ACK failure
        1.3 <- UPDATE
        1.3 -> 491/UPDATE
        1.4 <- UPDATE nosdp
        1.4 -> 200/UPDATE
    """
    )
    assert ladder.agent.counters["glare"] == 2


def test_ours_waits_for_theirs() -> None:
    ladder = play(
        CALLED
        + """
        1.0 <- re-INVITE
        1.0 -> 100
        1.0 == MediaOffered
        1.1 -- reoffer
        1.2 -- answer_offer
        1.2 -> 200
        1.3 <- ACK
        1.3 -> INVITE
        1.3 == CallConfirmed
        1.4 <- 200
        1.4 -> ACK
        1.4 == OfferAnswered
    """
    )
    ladder.run("2 <- BYE")
    closed(ladder)


def test_ours_waits_for_the_call_to_be_confirmed_and_the_last_one_counts() -> None:
    ladder = play("""
        0.0 <- INVITE
        0.0 -> 100
        0.0 == IncomingCall
        0.1 -- reoffer
        0.2 -- answer
        0.2 -> 200
        0.3 -- reoffer
        0.4 <- ACK
        0.4 -> INVITE
        0.4 == CallConfirmed
        0.5 <- 488
        0.5 -> ACK
        0.5 == OfferFailed 488
    """)
    ladder.run("2 <- BYE")
    closed(ladder)


def test_hung_up_while_an_offer_is_open() -> None:
    ladder = play(
        CALLING
        + """
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- 100
        1.2 -- hangup
        1.2 -> BYE
        1.2 == CallEnded local 200
        1.3 <- 200/BYE
        1.4 <- 200
        1.4 -> ACK
    """
    )
    closed(ladder)


def test_bye_crosses_our_offer() -> None:
    ladder = play(
        CALLED
        + """
        1.0 -- reoffer
        1.0 -> INVITE
        1.1 <- BYE
        1.1 -> 200/BYE
        1.1 == CallEnded remote 200
        1.2 <- 487
        1.2 -> ACK
    """
    )
    closed(ladder)


def test_a_challenge_is_answered() -> None:
    ladder = Ladder()
    ladder.run("0.0 -- invite credentials\n0.1 <- 200\n1.0 -- reoffer")
    ladder.run('1.1 <- 401 WWW-Authenticate:Digest_realm="r",nonce="n"')
    assert ladder.trace[-2:] == ["1.1 -> ACK", "1.1 -> INVITE"]
    assert "Authorization" in ladder.last("INVITE").headers
    ladder.run("1.2 <- 200")
    assert "Authorization" in ladder.last("ACK").headers
    assert ladder.trace[-1] == "1.2 == OfferAnswered"
    ladder.run("2 <- BYE")
    closed(ladder)


def test_a_callee_that_says_bye_to_a_ringing_call() -> None:
    """Against RFC 3261 section 15, but seen: the INVITE is cancelled."""
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180
        0.1 == CallProgress
        0.2 <- BYE
        0.2 -> 200/BYE
        0.2 -> CANCEL
        0.3 <- 200/CANCEL
        0.4 <- 487
        0.4 -> ACK
        0.4 == CallFailed 487
    """)
    closed(ladder)


def test_a_bye_of_one_fork_leaves_the_others() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180 tag=x
        0.1 == CallProgress
        0.2 <- 180
        0.2 == CallProgress
        0.3 <- BYE tag=x
        0.3 -> 200/BYE
        1.0 <- 200
        1.0 -> ACK
        1.0 == CallAnswered
    """)
    ladder.run("2 <- BYE")
    closed(ladder)


@pytest.mark.parametrize("start", [CALLED, CALLING])
def test_an_offer_that_gets_no_final_response_is_given_up(start: str) -> None:
    """A provisional response stops timer B, and nothing else would end the transaction."""
    ladder = play(
        start
        + """
        1.0  -- reoffer
        1.0  -> INVITE
        1.1  <- 100
        65.0 == OfferFailed 504
        66.0 -- hangup
        66.0 -> BYE
        66.0 == CallEnded local 200
        66.1 <- 200/BYE
    """
    )
    assert ladder.agent.counters["re_invite_unanswered"] == 1
    closed(ladder)


def test_a_call_that_ends_meanwhile_leaves_nothing_behind() -> None:
    ladder = play(
        CALLED
        + """
        1.0  -- reoffer
        1.0  -> INVITE
        1.1  <- 183
        2.0  <- BYE
        2.0  -> 200/BYE
        2.0  == CallEnded remote 200
    """
    )
    closed(ladder)
