"""Calls that we make, as ladders. RFC 3261 sections 9.1, 13.2, 15 and 22."""

from __future__ import annotations

from kallglot_media.sip.events import CallAnswered, CallFailed
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import FAR, SDP, Ladder, play

ANSWERED = """
    0.0 -- invite
    0.0 -> INVITE
    0.1 <- 100
    0.2 <- 180
    0.2 == CallProgress
    1.0 <- 200
    1.0 -> ACK
    1.0 == CallAnswered
"""


def closed(ladder: Ladder, at_s: float = 400.0) -> None:
    """Nothing stays behind."""
    ladder.advance(at_s)
    agent = ladder.agent
    assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)
    assert agent.next_time_s() is None
    assert agent._calls == {}


def test_a_call_is_answered_and_we_hang_up() -> None:
    ladder = play(
        ANSWERED
        + """
        5.0 -- hangup
        5.0 -> BYE
        5.0 == CallEnded local 200
        5.1 <- 200/BYE
    """
    )
    invite, bye = ladder.sent[0], ladder.sent[-1]
    assert isinstance(bye, Request)
    assert invite.headers.first("Contact") == "<sip:kallglot@192.0.2.1:5060>"
    assert invite.top_via.wants_rport
    assert (bye.cseq.number, bye.to.tag, str(bye.uri)) == (2, "b", "sip:far@192.0.2.9:5060")
    assert set(ladder.targets) == {FAR}
    answered = next(event for event in ladder.events if isinstance(event, CallAnswered))
    assert answered.sdp == SDP
    closed(ladder)


def test_a_call_is_answered_and_they_hang_up() -> None:
    ladder = play(
        ANSWERED
        + """
        5.0 <- BYE Reason:Q.850;cause=16
        5.0 -> 200/BYE
        5.0 == CallEnded remote 200
        5.5 <- BYE again
        5.5 -> 200/BYE
    """
    )
    closed(ladder)


def test_each_copy_of_the_200_gets_its_ack() -> None:
    """RFC 3261 13.2.2.4: "The ACK MUST be [passed] … every time a retransmission of the 2xx final response arrives"."""
    ladder = play(
        ANSWERED
        + """
        1.5 <- 200 again
        1.5 -> ACK
        2.5 <- 200 again
        2.5 -> ACK
        3.0 -- hangup
        3.0 -> BYE
        3.0 == CallEnded local 200
        3.1 <- 200 again
        3.1 -> ACK
        3.2 <- 200/BYE
        3.3 <- 200 again
        3.3 -> ACK
    """
    )
    acks = {message.serialize() for message in ladder.sent if isinstance(message, Request) and message.method == "ACK"}
    assert len(acks) == 1
    closed(ladder)


def test_nobody_answers_the_invite() -> None:
    ladder = play("""
        0.0  -- invite
        0.0  -> INVITE
        0.5  -> INVITE
        1.5  -> INVITE
        3.5  -> INVITE
        7.5  -> INVITE
        15.5 -> INVITE
        31.5 -> INVITE
        32.0 == CallFailed 408
    """)
    closed(ladder)


def test_busy() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180
        0.1 == CallProgress
        0.5 <- 486
        0.5 -> ACK
        0.5 == CallFailed 486
        1.0 <- 486 again
        1.0 -> ACK
    """)
    closed(ladder)


def test_a_redirection_is_a_failure_with_the_new_place_in_it() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.4 <- 302 Contact:<sip:other@192.0.2.8>
        0.4 -> ACK
        0.4 == CallFailed 302
    """)
    failed = ladder.events[-1]
    assert isinstance(failed, CallFailed)
    assert failed.response is not None
    assert failed.response.contact is not None
    closed(ladder)


def test_hangup_while_it_rings_cancels() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.2 <- 180
        0.2 == CallProgress
        2.0 -- hangup
        2.0 -> CANCEL
        2.1 <- 200/CANCEL
        2.2 <- 487
        2.2 -> ACK
        2.2 == CallFailed 487
    """)
    invite, cancel = ladder.sent[0], ladder.last("CANCEL")
    assert cancel.top_via == invite.top_via
    assert cancel.cseq.number == invite.cseq.number
    closed(ladder)


def test_cancel_waits_for_the_first_provisional_response() -> None:
    """RFC 3261 9.1."""
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 -- hangup
        0.5 -> INVITE
        0.6 <- 100
        0.6 -> CANCEL
        0.7 <- 200/CANCEL
        0.7 <- 487
        0.7 -> ACK
        0.7 == CallFailed 487
    """)
    closed(ladder)


def test_hangup_before_anything_and_nothing_ever_comes() -> None:
    ladder = Ladder()
    ladder.run("0.0 -- invite\n0.1 -- hangup\n33.0 -- hangup")
    assert ladder.trace[-1] == "32 == CallFailed 487"
    assert not any("CANCEL" in line for line in ladder.trace)
    closed(ladder)


def test_a_200_that_crosses_the_cancel_is_acknowledged_and_ended() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.2 <- 180
        0.2 == CallProgress
        2.0 -- hangup
        2.0 -> CANCEL
        2.0 <- 200
        2.0 -> ACK
        2.0 -> BYE
        2.0 == CallFailed 487
        2.1 <- 200/CANCEL
        2.1 <- 200/BYE
    """)
    closed(ladder)


def test_a_200_as_first_response_after_hangup() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 -- hangup
        0.2 <- 200
        0.2 -> ACK
        0.2 -> BYE
        0.2 == CallFailed 487
        0.3 <- 200/BYE
    """)
    closed(ladder)


def test_a_cancelled_invite_without_final_response_is_given_up() -> None:
    """RFC 3261 9.1: 64*T1 after the CANCEL."""
    ladder = Ladder()
    ladder.run("0.0 -- invite\n0.1 <- 180\n1.0 -- hangup\n1.1 <- 200/CANCEL\n40.0 -- hangup")
    assert ladder.trace[-1] == "33 == CallFailed 487"
    closed(ladder)


def test_ringing_has_an_end() -> None:
    ladder = Ladder(AgentSettings(longest_ring_s=60))
    ladder.run("0.0 -- invite\n0.1 <- 180\n60.1 <- 200/CANCEL\n60.2 <- 487")
    assert ladder.trace[-3:] == ["60 -> CANCEL", "60.2 -> ACK", "60.2 == CallFailed 408"]
    closed(ladder)


def test_forks_ring_and_the_second_200_is_acknowledged_and_ended() -> None:
    """RFC 3261 13.2.2.4: each 2xx with another tag is a dialog of its own."""
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180 tag=x
        0.1 == CallProgress
        0.2 <- 180 tag=y
        0.2 == CallProgress
        0.3 <- 200 tag=y
        0.3 -> ACK
        0.3 == CallAnswered
        0.4 <- 200 tag=x
        0.4 -> ACK
        0.4 -> BYE
        0.5 <- 200 tag=x
        0.5 -> ACK
        0.6 <- 200/BYE
    """)
    assert ladder.last("BYE").to.tag == "x"
    assert ladder.agent.counters["forks_left"] == 1
    assert ladder.agent.open_calls == 1
    ladder.run("1.0 -- hangup\n1.1 <- 200/BYE")
    assert ladder.last("BYE").to.tag == "y"
    closed(ladder)


def test_forks_have_a_limit() -> None:
    ladder = Ladder(AgentSettings(max_forks=3))
    ladder.run("0.0 -- invite\n" + "\n".join(f"0.1 <- 180 tag=r{i}" for i in range(20)))
    assert ladder.agent.open_dialogs == 3
    ladder.run("\n".join(f"0.2 <- 200 tag=a{i}" for i in range(20)))
    assert ladder.agent.counters["forks_left"] == 3
    assert ladder.agent.counters["forks_over_limit"] == 17 + 16
    ladder.run("1.0 -- hangup")
    closed(ladder)


def test_early_media_comes_with_progress() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.2 <- 183 sdp
        0.2 == CallProgress
        0.3 <- 503
        0.3 -> ACK
        0.3 == CallFailed 503
    """)
    assert getattr(ladder.events[0], "sdp", None) == SDP
    closed(ladder)


CHALLENGE = 'WWW-Authenticate:Digest_realm="far",nonce="n1",qop="auth"'


def test_a_challenge_is_answered_once() -> None:
    """RFC 3261 22.2: same Call-ID, From and To, next CSeq, and an ACK for the 401."""
    ladder = play(f"""
        0.0 -- invite credentials
        0.0 -> INVITE
        0.1 <- 401 {CHALLENGE}
        0.1 -> ACK
        0.1 -> INVITE
        0.2 <- 200
        0.2 -> ACK
        0.2 == CallAnswered
    """)
    first, _, second, ack = ladder.sent
    assert (first.call_id, first.from_.tag) == (second.call_id, second.from_.tag)
    assert second.to.tag is None
    assert (first.cseq.number, second.cseq.number, ack.cseq.number) == (1, 2, 2)
    assert first.top_via.branch != second.top_via.branch
    signature = second.headers.first("Authorization") or ""
    assert 'username="alice"' in signature
    assert ack.headers.first("Authorization") == signature
    ladder.run("1.0 -- hangup\n1.1 <- 200/BYE")
    assert ladder.last("BYE").cseq.number == 3
    closed(ladder)


def test_a_second_challenge_means_that_the_password_is_wrong() -> None:
    ladder = play(f"""
        0.0 -- invite credentials
        0.0 -> INVITE
        0.1 <- 401 {CHALLENGE}
        0.1 -> ACK
        0.1 -> INVITE
        0.2 <- 401 {CHALLENGE}
        0.2 -> ACK
        0.2 == CallFailed 401
    """)
    closed(ladder)


def test_a_proxy_and_the_far_end_may_both_ask() -> None:
    ladder = play(f"""
        0.0 -- invite credentials
        0.0 -> INVITE
        0.1 <- 407 Proxy-Authenticate:Digest_realm="proxy",nonce="n1"
        0.1 -> ACK
        0.1 -> INVITE
        0.2 <- 401 {CHALLENGE}
        0.2 -> ACK
        0.2 -> INVITE
        0.3 <- 486
        0.3 -> ACK
        0.3 == CallFailed 486
    """)
    assert {"Proxy-Authorization", "Authorization"} <= {name for name, _ in ladder.last("INVITE").headers}
    closed(ladder)


def test_a_far_end_that_always_finds_our_nonce_stale_is_left() -> None:
    ladder = Ladder()
    challenges = [CHALLENGE.replace("n1", f"n{number}") + ",stale=true" for number in range(20)]
    ladder.run("0.0 -- invite credentials\n" + "\n".join(f"0.1 <- 401 {challenge}" for challenge in challenges))
    assert ladder.trace.count("0.1 -> INVITE") in range(1, 5)
    assert ladder.trace.count("0.1 == CallFailed 401") == 1
    closed(ladder)


def test_a_challenge_without_credentials_or_without_sense_is_a_failure() -> None:
    closed(
        play(f"""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 401 {CHALLENGE}
        0.1 -> ACK
        0.1 == CallFailed 401
    """)
    )
    closed(
        play("""
        0.0 -- invite credentials
        0.0 -> INVITE
        0.1 <- 401 WWW-Authenticate:Basic_realm="far"
        0.1 -> ACK
        0.1 == CallFailed 401
    """)
    )


def test_a_challenged_bye_is_signed_too() -> None:
    ladder = Ladder()
    ladder.run(f"""
        0.0 -- invite credentials
        0.2 <- 200
        1.0 -- hangup
        1.1 <- 401/BYE {CHALLENGE}
        1.2 <- 200/BYE
    """)
    assert ladder.trace[-3:] == ["1 -> BYE", "1 == CallEnded local 200", "1.1 -> BYE"]
    assert "Authorization" in ladder.last("BYE").headers
    closed(ladder)


def test_an_unanswered_bye_ends_all_the_same() -> None:
    ladder = Ladder()
    ladder.run(ANSWERED + "2.0 -- hangup")
    closed(ladder)


def test_byes_that_cross() -> None:
    ladder = play(
        ANSWERED
        + """
        2.0 -- hangup
        2.0 -> BYE
        2.0 == CallEnded local 200
        2.1 <- BYE
        2.1 -> 200/BYE
        2.2 <- 481/BYE
    """
    )
    closed(ladder)


def test_the_transport_fails() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 -- transport_failed
        0.1 == CallFailed 503
    """)
    closed(ladder)


def test_responses_that_make_no_sense_are_counted() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 180 Record-Route:nonsense
        0.1 == CallProgress
        0.1 <- 200 Record-Route:nonsense
        0.1 == CallFailed 502
        0.5 <- 200 again
        0.6 <- 200 tag=other
        0.6 -> ACK
        0.6 -> BYE
        0.7 <- 200/BYE
    """)
    assert ladder.agent.counters["response_unreadable"] == 3
    closed(ladder)


def test_verbs_after_the_end_do_nothing() -> None:
    ladder = play("""
        0.0 -- invite
        0.0 -> INVITE
        0.1 <- 486
        0.1 -> ACK
        0.1 == CallFailed 486
    """)
    ladder.advance(60)
    ladder.run("60 -- hangup\n60 -- answer_offer\n60 -- refuse_offer 488")
    assert ladder.agent.counters["verb_too_late"] == 3
    closed(ladder)
