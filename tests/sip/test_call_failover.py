"""One call, several targets: RFC 3263 section 4.3. Who calls is told of the last failure only."""

from __future__ import annotations

from kallglot_media.sip.events import CallFailed, Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import AgentSettings, Target
from kallglot_media.sip.uri import Uri
from tests.sip.test_call_caller import closed
from tests.support.call_ladder import FAR, SPARE, play


def test_503_sends_the_call_to_the_next_target() -> None:
    """Same Call-ID, From and CSeq, another branch."""
    ladder = play("""
        0.0 -- invite spare
        0.0 -> INVITE
        0.1 <- 503
        0.1 -> ACK
        0.1 -> INVITE
        0.2 <- 200
        0.2 -> ACK
        0.2 == CallAnswered
        5.0 -- hangup
        5.0 -> BYE
        5.0 == CallEnded local 200
        5.1 <- 200/BYE
    """)
    first, second = (message for message in ladder.sent if message.cseq.method == "INVITE" and message.body)
    assert (first.call_id, first.from_, first.cseq) == (second.call_id, second.from_, second.cseq)
    assert first.top_via.branch != second.top_via.branch
    assert ladder.targets[:3] == [FAR, FAR, SPARE]
    assert ladder.agent.counters["next_target"] == 1
    closed(ladder)


def test_a_silent_target_is_passed_over_after_a_while() -> None:
    """Timer B would take 32 s, longer than most phones ring."""
    ladder = play("""
        0.0 -- invite spare
        0.0 -> INVITE
        0.5 -> INVITE
        1.5 -> INVITE
        3.5 -> INVITE
        4.0 -> INVITE
        4.1 <- 180
        4.1 == CallProgress
        9.0 <- 200
        9.0 -> ACK
        9.0 == CallAnswered
        9.5 -- hangup
        9.5 -> BYE
        9.5 == CallEnded local 200
        9.6 <- 200/BYE
    """)
    assert ladder.targets[3:5] == [FAR, SPARE]
    closed(ladder)


def test_a_target_that_said_trying_may_take_its_time() -> None:
    ladder = play("""
        0.0  -- invite spare
        0.0  -> INVITE
        0.1  <- 100
        20.0 <- 486
        20.0 -> ACK
        20.0 == CallFailed 486
    """)
    closed(ladder)


def test_a_target_that_cannot_be_reached_is_passed_over() -> None:
    ladder = play("""
        0.0 -- invite spare
        0.0 -> INVITE
        0.1 -- transport_failed
        0.1 -> INVITE
        0.2 <- 404
        0.2 -> ACK
        0.2 == CallFailed 404
    """)
    closed(ladder)


def test_only_the_last_failure_is_told() -> None:
    ladder = play(
        """
        0.0 -- invite spare spare
        0.0 -> INVITE
        0.1 <- 503
        0.1 -> ACK
        0.1 -> INVITE
        0.2 <- 503
        0.2 -> ACK
        0.2 -> INVITE
        0.7 -> INVITE
        1.7 -> INVITE
        2.0 <- 503
        2.0 -> ACK
        2.0 == CallFailed 503
    """,
        AgentSettings(next_target_s=3.0),
    )
    assert sum(isinstance(event, CallFailed) for event in ladder.events) == 1
    closed(ladder)


def test_a_cancelled_call_goes_nowhere_else() -> None:
    ladder = play("""
        0.0 -- invite spare
        0.0 -> INVITE
        0.1 <- 100
        0.2 -- hangup
        0.2 -> CANCEL
        0.3 <- 200/CANCEL
        0.3 <- 503
        0.3 -> ACK
        0.3 == CallFailed 487
    """)
    closed(ladder)


def test_early_dialogs_of_the_failed_target_are_forgotten() -> None:
    ladder = play("""
        0.0 -- invite spare
        0.0 -> INVITE
        0.1 <- 180
        0.1 == CallProgress
        0.2 <- 503
        0.2 -> ACK
        0.2 -> INVITE
        0.3 <- 486
        0.3 -> ACK
        0.3 == CallFailed 486
    """)
    assert ladder.agent.open_dialogs == 0
    closed(ladder)


def test_targets_over_transports_that_we_do_not_speak_are_left_out() -> None:
    ladder = play("0.0 -- drain")
    ladder.agent.invite(
        to="sip:b@192.0.2.9",
        from_="sip:a@192.0.2.1",
        destination=FAR,
        others=[Peer("tls", "192.0.2.10", 5061)],
        sdp=None,
        now_s=1.0,
    )
    ladder.collect(1.0)
    ladder.agent.transport_failed(FAR, 1.1, "refused")
    ladder.collect(1.1)
    assert ladder.trace[-1] == "1.1 == CallFailed 503"


def test_another_contact_of_the_same_person_is_called_when_one_is_busy() -> None:
    """RFC 3261 16.7: a sequential search goes on after any refusal but a 6xx. To stays, the Request-URI changes."""
    ladder = play("0.0 -- drain")
    contact = Target(SPARE, Uri.parse("sip:anna@192.0.2.9:5070"), ("<sip:p.example;lr>",))
    ladder.agent.invite(
        to="sip:anna@here", from_="sip:a@192.0.2.1", destination=FAR, others=[contact, contact], sdp=None, now_s=1.0
    )
    ladder.collect(1.0)
    ladder.run("1.1 <- 486\n1.2 <- 600")
    invites = [message for message in ladder.sent if isinstance(message, Request) and message.method == "INVITE"]
    assert [str(message.uri) for message in invites] == ["sip:anna@here", "sip:anna@192.0.2.9:5070"]
    assert [message.headers.all("Route") for message in invites] == [[], ["<sip:p.example;lr>"]]
    assert [str(message.to) for message in invites] == ["<sip:anna@here>"] * 2
    assert ladder.trace[-1] == "1.2 == CallFailed 600"
    closed(ladder)
