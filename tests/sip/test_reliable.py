"""Reliable provisional responses, RFC 3262, in both roles."""

from __future__ import annotations

import pytest

from kallglot_media.sip.events import CallConfirmed, MediaOffered, ProgressConfirmed
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import SDP, Ladder, closed, play

REQUIRED = """
    0.0 <- INVITE Require:100rel
    0.0 -> 100
    0.0 == IncomingCall
"""


def test_required_even_for_180_and_sent_until_the_prack() -> None:
    ladder = play(
        REQUIRED
        + """
        0.1 -- ring
        0.1 -> 180
        0.6 -> 180
        1.6 -> 180
        2.0 <- PRACK RAck:2_1_INVITE
        2.0 -> 200/PRACK
        2.0 == ProgressConfirmed
        2.1 <- PRACK RAck:2_1_INVITE
        2.1 -> 481/PRACK
        3.0 -- answer
        3.0 -> 200
        3.1 <- ACK cseq=1
        3.1 == CallConfirmed
        5.0 <- BYE
        5.0 -> 200/BYE
        5.0 == CallEnded remote 200
    """
    )
    ringing = ladder.last("180")
    assert (ringing.headers.first("Require"), ringing.headers.first("RSeq")) == ("100rel", "2")
    assert ladder.last("200").body == SDP
    closed(ladder)


def test_supported_is_enough_when_there_are_media() -> None:
    ladder = play("""
        0.0 <- INVITE Supported:100rel
        0.0 -> 100
        0.0 == IncomingCall
        0.1 -- ring
        0.1 -> 180
        0.2 -- ring 183 sdp
        0.2 -> 183
        0.3 <- PRACK RAck:2_1_INVITE
        0.3 -> 200/PRACK
        0.3 == ProgressConfirmed
        0.4 -- answer
        0.4 -> 200
        0.5 <- ACK cseq=1
        0.5 == CallConfirmed
    """)
    assert "RSeq" not in ladder.last("180").headers
    assert ladder.last("183").headers.first("RSeq") == "2"
    # The answer is known; a second one would be another offer. RFC 6337 section 3.1.1.
    assert ladder.last("200").body == b""
    ladder.run("1 <- BYE")
    closed(ladder)


def test_unless_the_settings_say_only_when_required() -> None:
    ladder = play(
        """
        0.0 <- INVITE Supported:100rel
        0.0 -> 100
        0.0 == IncomingCall
        0.2 -- ring 183 sdp
        0.2 -> 183
        0.3 -- hangup
        0.3 -> 480
        0.3 == CallEnded local 480
        0.4 <- ACK failure
    """,
        AgentSettings(reliable_media=False),
    )
    assert "RSeq" not in ladder.last("183").headers
    closed(ladder)


def test_the_next_one_waits_for_the_prack() -> None:
    ladder = play(
        REQUIRED
        + """
        0.1 -- ring
        0.1 -> 180
        0.2 -- ring 183 sdp
        0.3 <- PRACK RAck:2_1_INVITE
        0.3 -> 183
        0.3 -> 200/PRACK
        0.3 == ProgressConfirmed
        0.4 <- PRACK RAck:3_1_INVITE
        0.4 -> 200/PRACK
        0.4 == ProgressConfirmed
    """
    )
    assert ladder.last("183").headers.first("RSeq") == "3"
    ladder.run("1 -- hangup\n1.1 <- ACK failure")
    closed(ladder)


def test_the_answer_waits_for_the_prack_of_media() -> None:
    """Section 3: "in that case, it MUST NOT send a final response until those … are acknowledged"."""
    ladder = play(
        REQUIRED
        + """
        0.1 -- ring 183 sdp
        0.1 -> 183
        0.2 -- answer
        0.6 -> 183
        0.7 <- PRACK RAck:2_1_INVITE
        0.7 -> 200/PRACK
        0.7 -> 200
        0.7 == ProgressConfirmed
        0.8 <- ACK cseq=1
        0.8 == CallConfirmed
    """
    )
    ladder.run("1 <- BYE")
    closed(ladder)


def test_without_a_prack_the_call_is_refused() -> None:
    ladder = Ladder()
    ladder.run(REQUIRED + "0.1 -- ring")
    ladder.advance(32.2)
    assert ladder.trace[-2:] == ["32.1 -> 504", "32.1 == CallEnded timeout 504"]
    ladder.run("33 <- ACK failure")
    closed(ladder)


def test_cancelled_while_a_prack_is_missing() -> None:
    ladder = play(
        REQUIRED
        + """
        0.1 -- ring 183 sdp
        0.1 -> 183
        0.2 -- answer
        0.3 <- CANCEL
        0.3 -> 200/CANCEL
        0.3 -> 487
        0.3 == CallEnded remote 487
        0.4 <- ACK failure
        0.5 <- PRACK RAck:2_1_INVITE
        0.5 -> 481/PRACK
    """
    )
    closed(ladder)


def test_our_offer_in_a_183_is_answered_in_the_prack() -> None:
    ladder = play("""
        0.0 <- INVITE nosdp Supported:100rel
        0.0 -> 100
        0.0 == IncomingCall
        0.1 -- ring 183 sdp
        0.1 -> 183
        0.2 <- PRACK sdp RAck:2_1_INVITE
        0.2 -> 200/PRACK
        0.2 == ProgressConfirmed
        0.3 -- answer
        0.3 -> 200
        0.4 <- ACK cseq=1
        0.4 == CallConfirmed
    """)
    confirmed = next(event for event in ladder.events if isinstance(event, ProgressConfirmed))
    assert confirmed.sdp == SDP
    assert ladder.last("200").body == b""
    last = ladder.events[-1]
    assert isinstance(last, CallConfirmed)
    ladder.run("1 <- BYE")
    closed(ladder)


def test_a_new_offer_in_a_prack_and_in_an_update() -> None:
    ladder = play("""
        0.0 <- INVITE Supported:100rel
        0.0 -> 100
        0.0 == IncomingCall
        0.1 -- ring 183 sdp
        0.1 -> 183
        0.2 <- PRACK sdp RAck:2_1_INVITE
        0.2 == MediaOffered
        0.3 -- answer_offer
        0.3 -> 200/PRACK
        0.4 <- UPDATE
        0.4 == MediaOffered
        0.5 -- answer_offer
        0.5 -> 200/UPDATE
        0.6 <- re-INVITE
        0.6 -> 500
    """)
    assert isinstance(ladder.events[1], MediaOffered)
    assert ladder.last("200/PRACK").body == SDP
    ladder.run("0.7 <- ACK failure\n1 -- hangup\n1.1 <- ACK failure")
    ladder.advance(100)
    assert ladder.agent.open_calls == 0


@pytest.mark.parametrize(
    "rack", ["", "1_1_INVITE", "2_2_INVITE", "2_1_BYE", "x_1_INVITE", "2_1", "99999999999_1_INVITE"]
)
def test_a_prack_for_something_else_is_481(rack: str) -> None:
    ladder = Ladder()
    ladder.run(REQUIRED + f"0.1 -- ring\n0.2 <- PRACK {f'RAck:{rack}' if rack else ''}")
    assert ladder.trace[-1] == "0.2 -> 481/PRACK"
    assert ladder.agent.counters["prack_for_nothing"] == 1


def test_an_update_before_any_answer_is_too_early() -> None:
    """RFC 3311 5.2: the offer in the INVITE has no answer yet."""
    ladder = Ladder()
    ladder.run("0.0 <- INVITE\n0.1 -- ring\n0.2 <- UPDATE")
    assert ladder.trace[-1] == "0.2 -> 500/UPDATE"
    assert "Retry-After" in ladder.last("500/UPDATE").headers


def test_our_own_update_before_the_answer() -> None:
    ladder = play("""
        0.0 <- INVITE Supported:100rel Allow:UPDATE,PRACK
        0.0 -> 100
        0.0 == IncomingCall
        0.1 -- ring 183 sdp
        0.1 -> 183
        0.2 -- reoffer
        0.3 <- PRACK RAck:2_1_INVITE
        0.3 -> 200/PRACK
        0.3 == ProgressConfirmed
        0.4 -- reoffer
        0.4 -> UPDATE
        0.5 <- 200/UPDATE sdp
        0.5 == OfferAnswered
    """)
    ladder.run("1 -- hangup\n1.1 <- ACK failure")
    closed(ladder)


# ── our INVITE ──────────────────────────────────────────────────────────────────


def test_each_reliable_18x_gets_a_prack_once_and_in_order() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180 Require:100rel RSeq:7
        0.1 -> PRACK
        0.1 == CallProgress
        0.2 <- 180 again
        0.3 <- 200/PRACK
        0.4 <- 183 sdp Require:100rel RSeq:9
        0.5 <- 183 sdp Require:100rel RSeq:8
        0.5 -> PRACK
        0.5 == CallProgress
        0.6 <- 200/PRACK
        1.0 <- 200 nosdp
        1.0 -> ACK
        1.0 == CallAnswered
    """)
    pracks = [message for message in ladder.sent if isinstance(message, Request) and message.method == "PRACK"]
    assert [prack.headers.first("RAck") for prack in pracks] == ["7 1 INVITE", "8 1 INVITE"]
    assert [prack.cseq.number for prack in pracks] == [2, 3]
    assert pracks[0].to.tag == "b"
    assert "100rel" in (ladder.last("INVITE").headers.first("Supported") or "")
    assert ladder.agent.counters["provisional_response_again"] == 2
    ladder.run("2 -- hangup\n2.1 <- 200/BYE")
    assert ladder.last("BYE").cseq.number == 4
    closed(ladder)


def test_a_prack_is_sent_again_like_any_request() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 183 sdp Require:100rel RSeq:7
        0.1 -> PRACK
        0.1 == CallProgress
        0.6 -> PRACK
        1.0 <- 481/PRACK
    """)
    assert ladder.agent.counters["prack_refused"] == 1
    ladder.run("2 -- hangup\n2.1 <- 200/CANCEL\n2.1 <- 487")
    closed(ladder)


def test_each_fork_counts_for_itself() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180 tag=x Require:100rel RSeq:7
        0.1 -> PRACK
        0.1 == CallProgress
        0.2 <- 180 tag=y Require:100rel RSeq:500
        0.2 -> PRACK
        0.2 == CallProgress
        0.3 <- 180 Require:100rel tag=x RSeq:9
    """)
    ladder.run("1 -- hangup\n1 <- 487")
    ladder.advance(100)
    assert ladder.agent.open_calls == 0


def test_update_in_an_early_call_of_ours() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 183 sdp Require:100rel RSeq:7 Allow:UPDATE Contact:<sip:far@192.0.2.9>
        0.1 -> PRACK
        0.1 == CallProgress
        0.2 <- 200/PRACK
        0.3 <- UPDATE
        0.3 == MediaOffered
        0.4 -- answer_offer
        0.4 -> 200/UPDATE
        0.5 -- reoffer
        0.5 -> UPDATE
        0.6 <- UPDATE
        0.6 -> 491/UPDATE
        0.7 <- 200/UPDATE sdp
        0.7 == OfferAnswered
        1.0 <- 200 nosdp
        1.0 -> ACK
        1.0 == CallAnswered
        2.0 <- BYE
        2.0 -> 200/BYE
        2.0 == CallEnded remote 200
    """)
    closed(ladder)
