"""Calls that we get, as ladders. RFC 3261 sections 9.2, 12.2.2, 13.3, 14.2 and 15."""

from __future__ import annotations

import pytest

from kallglot_media.sip.events import CallConfirmed, CallEnded, IncomingCall, MediaOffered, Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import FAR, SDP, Ladder, play

RINGING = """
    0.0 <- INVITE
    0.0 -> 100
    0.0 == IncomingCall
    0.1 -- ring
    0.1 -> 180
"""
CONFIRMED = (
    RINGING
    + """
    1.0 -- answer
    1.0 -> 200
    1.1 <- ACK
    1.1 == CallConfirmed
"""
)


def closed(ladder: Ladder, at_s: float = 800.0) -> None:
    ladder.advance(at_s)
    agent = ladder.agent
    assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)
    assert agent.next_time_s() is None
    assert agent._calls == {}


def test_a_call_is_answered_and_they_hang_up() -> None:
    ladder = play(
        CONFIRMED
        + """
        5.0 <- BYE
        5.0 -> 200/BYE
        5.0 == CallEnded remote 200
    """
    )
    first = ladder.events[0]
    assert isinstance(first, IncomingCall)
    assert (first.offer, first.source) == (SDP, FAR)
    trying, ringing, answer = ladder.sent[:3]
    assert trying.to.tag is None
    assert ringing.to.tag == answer.to.tag is not None
    assert answer.headers.first("Contact") == "<sip:kallglot@192.0.2.1:5060>"
    assert answer.body == SDP
    closed(ladder)


def test_a_call_is_answered_and_we_hang_up() -> None:
    ladder = play(
        CONFIRMED
        + """
        5.0 -- hangup
        5.0 -> BYE
        5.0 == CallEnded local 200
        5.1 <- 200/BYE
    """
    )
    bye = ladder.last("BYE")
    assert isinstance(bye, Request)
    assert (str(bye.uri), bye.to.tag) == ("sip:far@192.0.2.9:5060", "far-tag")
    closed(ladder)


def test_the_200_is_sent_again_until_the_ack() -> None:
    """RFC 3261 13.3.1.4."""
    ladder = play(
        RINGING
        + """
        1.0 -- answer
        1.0  -> 200
        1.5  -> 200
        2.5  -> 200
        4.5  -> 200
        8.5  -> 200
        12.5 -> 200
        13.0 <- ACK
        13.0 == CallConfirmed
        13.1 <- ACK again
        20.0 <- BYE
        20.0 -> 200/BYE
        20.0 == CallEnded remote 200
    """
    )
    closed(ladder)


def test_without_an_ack_the_call_is_ended() -> None:
    ladder = Ladder()
    ladder.run(RINGING + "1.0 -- answer\n33.1 <- 200/BYE")
    assert ladder.trace[-2:] == ["33 -> BYE", "33 == CallEnded timeout 408"]
    closed(ladder)


def test_hangup_before_the_ack_waits_for_it() -> None:
    """RFC 3261 section 15: no BYE by the callee before the ACK."""
    ladder = play(
        RINGING
        + """
        1.0 -- answer
        1.0 -> 200
        1.2 -- hangup
        1.2 == CallEnded local 200
        1.5 -> 200
        1.6 <- ACK
        1.6 -> BYE
        1.7 <- 200/BYE
    """
    )
    closed(ladder)


def test_hangup_before_the_ack_that_never_comes() -> None:
    ladder = Ladder()
    ladder.run(RINGING + "1.0 -- answer\n1.2 -- hangup\n33.1 <- 200/BYE")
    assert ladder.trace[-1] == "33 -> BYE"
    assert sum("CallEnded" in line for line in ladder.trace) == 1
    closed(ladder)


@pytest.mark.parametrize("status", [302, 404, 486, 488, 503, 603])
def test_refused(status: int) -> None:
    ladder = play(
        RINGING
        + f"""
        1.0 -- reject {status}
        1.0 -> {status}
        1.1 <- ACK failure
    """.replace("1.1 <-", f"1.0 == CallEnded local {status}\n1.1 <-")
    )
    closed(ladder)


def test_hangup_while_it_rings_is_480() -> None:
    ladder = play(
        RINGING
        + """
        1.0 -- hangup
        1.0 -> 480
        1.0 == CallEnded local 480
        1.1 <- ACK failure
    """
    )
    closed(ladder)


def test_cancelled_while_it_rings() -> None:
    ladder = play(
        RINGING
        + """
        1.0 <- CANCEL
        1.0 -> 200/CANCEL
        1.0 -> 487
        1.0 == CallEnded remote 487
        1.1 <- ACK failure
        1.2 -- answer
    """
    )
    assert ladder.last("200/CANCEL").to.tag == ladder.last("487").to.tag
    assert ladder.agent.counters["verb_too_late"] == 1
    closed(ladder)


def test_a_cancel_after_the_answer_changes_nothing() -> None:
    """RFC 3261 9.2: 200 for the CANCEL, and the call stands."""
    ladder = play(
        RINGING
        + """
        1.0 -- answer
        1.0 -> 200
        1.0 <- CANCEL
        1.0 -> 200/CANCEL
        1.1 <- ACK
        1.1 == CallConfirmed
    """
    )
    ladder.run("2.0 <- BYE")
    closed(ladder)


def test_a_cancel_for_nothing_is_481() -> None:
    ladder = play("""
        0.0 <- CANCEL branch=z9hG4bK-unknown
        0.0 -> 481/CANCEL
    """)
    closed(ladder)


def test_a_bye_while_it_rings() -> None:
    """RFC 3261 section 15: the caller may send BYE on an early dialog."""
    ladder = play(
        RINGING
        + """
        1.0 <- BYE
        1.0 -> 200/BYE
        1.0 -> 487
        1.0 == CallEnded remote 487
        1.1 <- ACK failure branch=z9hG4bK-far1
    """
    )
    closed(ladder)


def test_a_bye_instead_of_the_ack() -> None:
    ladder = play(
        RINGING
        + """
        1.0 -- answer
        1.0 -> 200
        1.2 <- BYE
        1.2 -> 200/BYE
        1.2 == CallEnded remote 200
    """
    )
    closed(ladder)


def test_ringing_is_said_again_every_minute_and_has_an_end() -> None:
    """RFC 3261 13.3.1.1."""
    ladder = play(
        RINGING
        + """
        60.1  -> 180
        120.1 -> 180
        150   -> 480
        150   == CallEnded timeout 480
        150.1 <- ACK failure
    """,
        AgentSettings(longest_ring_s=150),
    )
    closed(ladder)


def test_copies_of_the_invite_make_no_second_call() -> None:
    ladder = play("""
        0.0 <- INVITE
        0.0 -> 100
        0.0 == IncomingCall
        0.5 <- INVITE again
        0.5 -> 100
        0.6 -- ring
        0.6 -> 180
        1.5 <- INVITE again
        1.5 -> 180
    """)
    ladder.run("2.0 -- hangup\n2.1 <- ACK failure")
    closed(ladder)


def test_an_invite_without_offer_gets_ours_and_the_ack_has_the_answer() -> None:
    ladder = play("""
        0.0 <- INVITE nosdp
        0.0 -> 100
        0.0 == IncomingCall
        1.0 -- answer
        1.0 -> 200
        1.1 <- ACK sdp
        1.1 == CallConfirmed
    """)
    first, confirmed = ladder.events
    assert isinstance(first, IncomingCall)
    assert first.offer is None
    assert isinstance(confirmed, CallConfirmed)
    assert confirmed.sdp == SDP
    ladder.run("2.0 <- BYE")
    closed(ladder)


def test_responses_go_where_the_request_came_from() -> None:
    """RFC 3261 18.2.2 without rport: the source's address, the port of the Via. RFC 3581 with it: the source."""
    ladder = Ladder()
    ladder.source = Peer("udp", "198.51.100.7", 40_000)
    ladder.run("0.0 <- INVITE\n0.1 -- hangup")
    assert set(ladder.targets) == {Peer("udp", "198.51.100.7", 5060)}
    assert ladder.sent[-1].top_via.received == "198.51.100.7"


def test_a_caller_behind_a_nat_gets_our_bye_where_it_is() -> None:
    ladder = Ladder()
    ladder.source = Peer("udp", "198.51.100.7", 40_000)
    ladder.run("0.0 <- INVITE\n1.0 -- answer\n1.1 <- ACK\n2.0 -- hangup\n2.1 <- 200/BYE")
    assert ladder.targets[-1] == Peer("udp", "198.51.100.7", 40_000)
    closed(ladder)


def test_through_a_proxy_our_bye_takes_its_route() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE Record-Route:<sip:198.51.100.1:5080;lr>\n1.0 -- answer\n1.1 <- ACK\n2.0 -- hangup")
    bye = ladder.last("BYE")
    assert bye.headers.first("Route") == "<sip:198.51.100.1:5080;lr>"
    assert ladder.targets[-1] == Peer("udp", "198.51.100.1", 5080)
    assert ladder.last("200").headers.first("Record-Route") == "<sip:198.51.100.1:5080;lr>"


def test_a_bye_that_cannot_be_delivered_tries_the_contact() -> None:
    """The caller's connection is gone; its Contact says where else it is."""
    ladder = Ladder()
    ladder.source = Peer("udp", "192.0.2.9", 40_000)
    ladder.run("0.0 <- INVITE\n1.0 -- answer\n1.1 <- ACK\n2.0 -- hangup")
    assert ladder.targets[-1] == ladder.source
    ladder.agent.transport_failed(ladder.source, 2.1, "connection lost")
    ladder.collect(2.1)
    assert ladder.trace[-1] == "2.1 -> BYE"
    assert ladder.targets[-1] == FAR
    assert ladder.sent[-1].cseq.number == 2
    ladder.agent.transport_failed(FAR, 2.2, "connection refused")
    ladder.collect(2.2)
    assert ladder.trace[-1] == "2.1 -> BYE"
    closed(ladder)


def test_an_invitation_expires() -> None:
    """RFC 3261 13.3.1."""
    ladder = play("""
        0.0 <- INVITE Expires:20
        0.0 -> 100
        0.0 == IncomingCall
        20.0 -> 487
        20.0 == CallEnded timeout 487
        20.1 <- ACK failure
    """)
    closed(ladder)


def test_a_final_response_that_cannot_be_delivered() -> None:
    ladder = play("""
        0.0 <- INVITE
        0.0 -> 100
        0.0 == IncomingCall
        0.5 -- transport_failed
        0.5 == CallEnded error 503
        0.6 -- answer
    """)
    closed(ladder)


# ── inside the call ─────────────────────────────────────────────────────────────


def test_a_re_invite_is_answered() -> None:
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE
        2.0 -> 100
        2.0 == MediaOffered
        2.1 -- answer_offer
        2.1 -> 200
        2.2 <- ACK
        2.2 == CallConfirmed
        3.0 <- BYE
        3.0 -> 200/BYE
        3.0 == CallEnded remote 200
    """
    )
    offered = next(event for event in ladder.events if isinstance(event, MediaOffered))
    assert offered.offer == SDP
    closed(ladder)


def test_an_empty_re_invite_gets_our_offer_and_the_ack_has_the_answer() -> None:
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE nosdp
        2.0 -> 100
        2.0 == MediaOffered
        2.1 -- answer_offer
        2.1 -> 200
        2.6 -> 200
        2.7 <- ACK sdp
        2.7 == CallConfirmed
    """
    )
    assert getattr(ladder.events[-1], "sdp", None) == SDP
    assert getattr(ladder.events[-2], "offer", b"") is None
    ladder.run("3.0 <- BYE")
    closed(ladder)


def test_a_refused_re_invite_leaves_the_call_as_it_was() -> None:
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE
        2.0 -> 100
        2.0 == MediaOffered
        2.1 -- refuse_offer 488
        2.1 -> 488
        2.2 <- ACK failure
    """
    )
    assert ladder.agent.open_calls == 1
    ladder.run("3.0 <- BYE")
    closed(ladder)


def test_a_re_invite_that_nobody_answers_is_refused() -> None:
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE
        2.0 -> 100
        2.0 == MediaOffered
        5.0 -> 500
        5.1 <- ACK failure
        5.2 -- answer_offer
    """,
        AgentSettings(longest_offer_s=3),
    )
    ladder.run("6.0 <- BYE")
    closed(ladder)


def test_a_cancelled_re_invite() -> None:
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE
        2.0 -> 100
        2.0 == MediaOffered
        2.1 <- CANCEL
        2.1 -> 200/CANCEL
        2.1 -> 487
        2.2 <- ACK failure
    """
    )
    assert ladder.agent.open_calls == 1
    ladder.run("3.0 <- BYE")
    closed(ladder)


def test_a_second_re_invite_while_one_is_open() -> None:
    """RFC 3261 14.2: 500 with Retry-After of 0 to 10 s."""
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE
        2.0 -> 100
        2.0 == MediaOffered
        2.1 <- re-INVITE
        2.1 -> 500
        2.2 <- ACK failure
        2.3 -- answer_offer
        2.3 -> 200
        2.4 <- ACK cseq=2
        2.4 == CallConfirmed
    """
    )
    assert 0 <= int(ladder.last("500").headers.first("Retry-After") or "99") <= 10
    ladder.run("3.0 <- BYE")
    closed(ladder)


def test_no_ack_for_the_200_of_a_re_invite_ends_the_call() -> None:
    """RFC 3261 14.2."""
    ladder = Ladder()
    ladder.run(CONFIRMED + "2.0 <- re-INVITE\n2.0 -- answer_offer\n34.1 <- 200/BYE")
    assert ladder.trace[-2:] == ["34 -> BYE", "34 == CallEnded timeout 408"]
    closed(ladder)


def test_a_bye_while_a_re_invite_is_open() -> None:
    """RFC 3261 15.1.2: pending requests get 487."""
    ladder = play(
        CONFIRMED
        + """
        2.0 <- re-INVITE
        2.0 -> 100
        2.0 == MediaOffered
        2.1 <- BYE
        2.1 -> 200/BYE
        2.1 -> 487
        2.1 == CallEnded remote 200
    """
    )
    ladder.run("2.2 <- ACK failure")
    closed(ladder)


def test_a_re_invite_that_overtakes_the_ack() -> None:
    """RFC 5407 3.1.4: whoever sends a re-INVITE has seen our 200."""
    ladder = play(
        RINGING
        + """
        1.0 -- answer
        1.0 -> 200
        1.1 <- re-INVITE
        1.1 == CallConfirmed
        1.1 -> 100
        1.1 == MediaOffered
        1.2 -- answer_offer
        1.2 -> 200
        1.3 <- ACK
        1.3 == CallConfirmed
    """.replace("1.1 == CallConfirmed\n        1.1 -> 100", "1.1 -> 100\n        1.1 == CallConfirmed")
    )
    ladder.run("3.0 <- BYE")
    closed(ladder)


def test_a_re_invite_while_our_offer_waits_for_its_answer() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE nosdp\n1.0 -- answer\n1.1 <- re-INVITE")
    assert ladder.trace[-1] == "1.1 -> 491"
    ladder.run("1.2 <- ACK failure\n1.3 <- ACK cseq=1 sdp")
    assert ladder.trace[-1] == "1.3 == CallConfirmed"
    ladder.run("2.0 <- BYE")
    closed(ladder)


def test_a_re_invite_before_our_answer() -> None:
    ladder = Ladder()
    ladder.run(RINGING + "0.5 <- re-INVITE")
    assert ladder.trace[-1] == "0.5 -> 500"
    ladder.run("0.6 <- ACK failure\n1.0 <- CANCEL branch=z9hG4bK-far1\n1.1 <- ACK failure branch=z9hG4bK-far1")
    assert isinstance(ladder.events[-1], CallEnded)
    closed(ladder)


def test_update_is_an_offer_or_only_a_new_target() -> None:
    """RFC 3311."""
    ladder = play(
        CONFIRMED
        + """
        2.0 <- UPDATE nosdp Contact:<sip:new@192.0.2.9:5099>
        2.0 -> 200/UPDATE
        3.0 <- UPDATE Contact:<sip:new@192.0.2.9:5099>
        3.0 == MediaOffered
        3.1 -- answer_offer
        3.1 -> 200/UPDATE
        4.0 <- UPDATE Contact:<sip:new@192.0.2.9:5099>
        4.0 == MediaOffered
        4.1 -- refuse_offer 488
        4.1 -> 488/UPDATE
    """
    )
    ladder.run("5.0 -- hangup\n5.1 <- 200/BYE")
    assert ladder.targets[-1] == Peer("udp", "192.0.2.9", 5099)
    closed(ladder)


def test_other_requests_inside_a_call() -> None:
    ladder = play(
        CONFIRMED
        + """
        2.0 <- OPTIONS in
        2.0 -> 200/OPTIONS
        2.1 <- INFO Content-Type:application/dtmf-relay body=Signal=5|Duration=160
        2.1 -> 200/INFO
        2.1 == KeyPressed 5 160
        2.2 <- INFO
        2.2 -> 200/INFO
        2.3 <- PUBLISH
        2.3 -> 405/PUBLISH
        2.4 <- PRACK
        2.4 -> 481/PRACK
        2.5 <- re-INVITE Require:gruu
        2.5 -> 420
        2.6 <- ACK failure
        2.7 <- re-INVITE Content-Encoding:gzip
        2.7 -> 415
        2.8 <- ACK failure
        2.9 <- INFO cseq=1
        2.9 -> 500/INFO
    """.replace("OPTIONS in", "OPTIONS to=tag1")
    )
    assert ladder.agent.counters["info_dtmf"] == 1
    assert "INVITE" in (ladder.last("405/PUBLISH").headers.first("Allow") or "")
    assert ladder.last("420").headers.first("Unsupported") == "gruu"
    assert ladder.last("415").headers.first("Accept") == "application/sdp"
    assert ladder.agent.counters["out_of_order"] == 1
    assert ladder.agent.open_calls == 1
    ladder.run("3.0 <- BYE")
    closed(ladder)


def test_requests_for_dialogs_that_are_not_there() -> None:
    ladder = play("""
        0.0 <- BYE to=nothing
        0.0 -> 481/BYE
        0.1 <- re-INVITE to=nothing
        0.1 -> 481
        0.2 <- ACK failure
        0.3 <- ACK to=nothing cseq=9
        0.4 <- INFO new
        0.4 -> 481/INFO
    """)
    assert ladder.agent.counters["ack_without_dialog"] == 1
    closed(ladder)


def test_after_the_end_the_dialog_is_gone() -> None:
    ladder = Ladder()
    ladder.run(CONFIRMED + "2.0 <- BYE\n3.0 <- BYE")
    assert ladder.trace[-1] == "3 -> 481/BYE"
    closed(ladder)


@pytest.mark.parametrize(
    "contact", ["<sips:far@192.0.2.9>", "<sip:far@192.0.2.9;transport=tls>", "<sip:far@192.0.2.9;transport=ws>"]
)
def test_a_contact_with_a_transport_that_we_do_not_have_is_answered_where_the_call_came_from(contact: str) -> None:
    """Our BYE went to nobody, and the timer that wanted to send it was lost with all others that were due."""
    ladder = play(
        CONFIRMED.replace("0.0 <- INVITE", f"0.0 <- INVITE Contact:{contact}")
        + """
        5.0 -- hangup
        5.0 -> BYE
        5.0 == CallEnded local 200
        5.1 <- 200/BYE
    """
    )
    assert ladder.targets[-1] == FAR
    assert ladder.agent.counters["no_transport_to_contact"] == 1
    closed(ladder)


def test_a_mistake_of_ours_in_one_calls_timer_leaves_those_of_others() -> None:
    ladder = play(CONFIRMED.replace("    1.1 <- ACK\n    1.1 == CallConfirmed\n", ""))
    agent = ladder.agent
    asked: list[str] = []

    class Broken:
        state, is_over = None, True

        def on_timer(self, name: str, now_s: float) -> None:
            asked.append(name)
            raise RuntimeError("ours")

    agent._calls["broken"] = Broken()  # type: ignore[assignment]
    for number in range(3):
        agent._core.set_timer("broken", f"t{number}", 2.0)
    with pytest.raises(RuntimeError, match="ours"):
        agent.on_time(3.0)
    assert asked == ["t0", "t1", "t2"]
