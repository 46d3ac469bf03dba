"""The client transactions as ladders: RFC 3261 section 17.1, RFC 6026."""

from __future__ import annotations

from kallglot_media.sip.message import Request, make_response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.timers import Timers
from kallglot_media.sip.transaction_client import InviteClient, NonInviteClient
from kallglot_media.sip.transaction_machine import Terminated, TransportFailed
from tests.support.ladder import make_request, play


def invite(*, reliable: bool = False, timers: Timers | None = None) -> InviteClient:
    return InviteClient(make_request("INVITE"), reliable=reliable, timers=timers)


def options(*, reliable: bool = False) -> NonInviteClient:
    return NonInviteClient(make_request("OPTIONS"), reliable=reliable)


def test_an_invite_nobody_hears_is_sent_seven_times_in_32_seconds() -> None:
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.5  -> INVITE
        1.5  -> INVITE
        3.5  -> INVITE
        7.5  -> INVITE
        15.5 -> INVITE
        31.5 -> INVITE
        31.9 == CALLING
        32.0 ^^ TimedOut
        32.0 == TERMINATED
        99.0 == TERMINATED
        """,
    )


def test_on_a_stream_an_invite_is_sent_once() -> None:
    play(
        invite(reliable=True),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        32.0 ^^ TimedOut
        32.0 == TERMINATED
        """,
    )


def test_a_provisional_response_ends_the_resending_for_good() -> None:
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  <- 100
        0.1  ^^ 100
        2.0  <- 180
        2.0  ^^ 180
        300  == PROCEEDING
        300  <- 200
        300  ^^ 200
        300  == ACCEPTED
        """,
    )


def test_a_2xx_is_passed_up_each_time_it_comes_until_timer_m() -> None:
    """RFC 6026 section 8.4: copies and forks need their ACK from the user."""
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.3  <- 200
        0.3  ^^ 200
        0.8  <- 200
        0.8  ^^ 200
        1.0  <- 180
        1.0  <- 486
        32.2 == ACCEPTED
        32.3 == TERMINATED
        33.0 <- 200
        """,
    )


def test_a_failure_is_acknowledged_each_time_it_comes_and_told_once() -> None:
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.5  -> INVITE
        0.6  <- 486
        0.6  -> ACK
        0.6  ^^ 486
        1.1  <- 486
        1.1  -> ACK
        2.0  <- 180
        2.1  <- 200
        32.5 == COMPLETED
        32.6 == TERMINATED
        """,
    )


def test_on_a_stream_a_failure_ends_the_transaction_at_once() -> None:
    play(
        invite(reliable=True),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  <- 407
        0.1  -> ACK
        0.1  ^^ 407
        0.1  == TERMINATED
        """,
    )


def test_other_base_timers_are_kept() -> None:
    play(
        invite(timers=Timers(t1_s=0.1)),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  -> INVITE
        0.3  -> INVITE
        0.7  -> INVITE
        1.5  -> INVITE
        3.1  -> INVITE
        6.3  -> INVITE
        6.4  ^^ TimedOut
        """,
    )


def test_a_transport_failure_is_told() -> None:
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  !! no route
        0.1  ^^ TransportFailed
        0.1  == TERMINATED
        """,
    )


def test_a_transport_failure_while_it_rings_changes_nothing() -> None:
    """The answer may come over another connection (section 18.2.2)."""
    play(
        invite(reliable=True),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  <- 180
        0.1  ^^ 180
        0.2  !! reset
        0.2  == PROCEEDING
        """,
    )


def test_an_ack_that_cannot_be_sent_is_told() -> None:
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  <- 486
        0.1  -> ACK
        0.1  ^^ 486
        0.2  !! reset
        0.2  ^^ TransportFailed
        0.2  == TERMINATED
        """,
    )


def test_giving_up_after_an_unanswered_cancel() -> None:
    play(
        invite(),
        """
        0.0  -- INVITE
        0.0  -> INVITE
        0.1  <- 180
        0.1  ^^ 180
        40.0 -- give up
        40.0 == TERMINATED
        41.0 <- 487
        """,
    )


def test_the_ack_for_a_failure_is_made_of_the_invite_and_the_response() -> None:
    """Section 17.1.1.3 and its example."""
    machine = invite()
    machine.start(0.0)
    machine.take_output()
    response = make_response(make_request("INVITE"), 486, to_tag="9fxced76sl")
    machine.receive(response, 0.1)
    (data,) = machine.take_output()
    ack = parse_message(data)
    assert isinstance(ack, Request)
    assert data.decode() == (
        "ACK sip:bob@biloxi.example.com SIP/2.0\r\n"
        "Via: SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK74bf9\r\n"
        "Max-Forwards: 70\r\n"
        "Route: <sip:p1.example.com;lr>\r\n"
        "From: Alice <sip:alice@atlanta.example.com>;tag=88sja8x\r\n"
        "To: Bob <sip:bob@biloxi.example.com>;tag=9fxced76sl\r\n"
        "Call-ID: 987asjd97y7atg@192.0.2.1\r\n"
        "CSeq: 986759 ACK\r\n"
        "Content-Length: 0\r\n"
        "\r\n"
    )


def test_an_options_nobody_hears_is_resent_up_to_every_t2() -> None:
    play(
        options(),
        """
        0.0  -- OPTIONS
        0.0  -> OPTIONS
        0.5  -> OPTIONS
        1.5  -> OPTIONS
        3.5  -> OPTIONS
        7.5  -> OPTIONS
        11.5 -> OPTIONS
        15.5 -> OPTIONS
        19.5 -> OPTIONS
        23.5 -> OPTIONS
        27.5 -> OPTIONS
        31.5 -> OPTIONS
        32.0 ^^ TimedOut
        32.0 == TERMINATED
        """,
    )


def test_after_a_provisional_response_an_options_is_resent_every_t2() -> None:
    play(
        options(),
        """
        0.0  -- OPTIONS
        0.0  -> OPTIONS
        0.1  <- 100
        0.1  ^^ 100
        0.5  -> OPTIONS
        4.5  -> OPTIONS
        5.0  <- 100
        5.0  ^^ 100
        8.5  -> OPTIONS
        9.0  <- 200
        9.0  ^^ 200
        9.1  <- 200
        13.9 == COMPLETED
        14.0 == TERMINATED
        """,
    )


def test_an_options_in_progress_still_times_out() -> None:
    play(
        options(reliable=True),
        """
        0.0  -- OPTIONS
        0.0  -> OPTIONS
        0.1  <- 100
        0.1  ^^ 100
        32.0 ^^ TimedOut
        32.0 == TERMINATED
        """,
    )


def test_on_a_stream_an_options_is_over_with_its_response() -> None:
    play(
        options(reliable=True),
        """
        0.0  -- OPTIONS
        0.0  -> OPTIONS
        0.1  <- 404
        0.1  ^^ 404
        0.1  == TERMINATED
        """,
    )


def test_an_options_that_cannot_be_sent_is_told_with_the_reason() -> None:
    machine = NonInviteClient(make_request("OPTIONS"), reliable=True, key="k1")
    machine.start(0.0)
    machine.transport_failed(0.0, "connection refused")
    assert machine.take_events() == [TransportFailed("k1", "connection refused"), Terminated("k1")]
    assert machine.next_time_s() is None


def test_late_timers_run_once_each_in_their_order() -> None:
    """A process that slept for a minute does not send a burst."""
    machine = invite()
    machine.start(0.0)
    machine.take_output()
    machine.on_time(60.0)
    assert len(machine.take_output()) == 1
    assert [type(event).__name__ for event in machine.take_events()] == ["TimedOut", "Terminated"]
