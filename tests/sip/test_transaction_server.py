"""The server transactions as ladders: RFC 3261 section 17.2, RFC 6026."""

from __future__ import annotations

from kallglot_media.sip.message import make_response
from kallglot_media.sip.transaction_server import InviteServer, NonInviteServer
from tests.support.ladder import make_request, play


def invite(*, reliable: bool = False) -> InviteServer:
    return InviteServer(make_request("INVITE"), reliable=reliable)


def options(*, reliable: bool = False) -> NonInviteServer:
    return NonInviteServer(reliable=reliable)


def test_busy_call_is_resent_until_acked() -> None:
    """RFC 3261 17.2.1: 486 at T1, then doubling up to T2, until ACK."""
    play(
        invite(),
        """
        0.0  -- 100
        0.0  -> 100
        0.2  -- 486
        0.2  -> 486
        0.7  -> 486
        1.7  -> 486
        3.7  -> 486
        7.7  -> 486
        11.7 -> 486
        12.0 <- ACK
        12.0 == CONFIRMED
        12.5 <- ACK
        12.6 <- INVITE
        16.9 == CONFIRMED
        17.0 == TERMINATED
        """,
    )


def test_a_failure_nobody_acknowledges_is_given_up_and_told() -> None:
    play(
        invite(),
        """
        0.0  -- 486
        0.0  -> 486
        0.5  -> 486
        1.5  -> 486
        3.5  -> 486
        7.5  -> 486
        11.5 -> 486
        15.5 -> 486
        19.5 -> 486
        23.5 -> 486
        27.5 -> 486
        31.5 -> 486
        32.0 ^^ NoAck
        32.0 == TERMINATED
        """,
    )


def test_on_a_stream_a_failure_is_sent_once_and_over_with_its_ack() -> None:
    play(
        invite(reliable=True),
        """
        0.0  -- 486
        0.0  -> 486
        9.0  == COMPLETED
        9.0  <- ACK
        9.0  == TERMINATED
        """,
    )


def test_on_a_stream_too_an_ack_is_awaited_for_32_seconds_only() -> None:
    play(
        invite(reliable=True),
        """
        0.0  -- 486
        0.0  -> 486
        32.0 ^^ NoAck
        32.0 == TERMINATED
        """,
    )


def test_a_slow_user_gets_a_100_sent_after_200_ms() -> None:
    play(
        invite(),
        """
        0.1  <- INVITE         a copy: nothing to resend yet
        0.2  -> 100
        0.5  <- INVITE
        0.5  -> 100
        1.0  -- 180
        1.0  -> 180
        1.5  <- INVITE
        1.5  -> 180
        """,
    )


def test_a_quick_user_gets_no_100_sent() -> None:
    play(
        invite(),
        """
        0.1  -- 180
        0.1  -> 180
        9.0  == PROCEEDING
        """,
    )


def test_a_2xx_is_the_users_to_resend() -> None:
    """RFC 6026 section 7.1: copies of the INVITE are absorbed; each 2xx of the user goes out; ACKs go up."""
    play(
        invite(),
        """
        0.0  -- 200
        0.0  -> 200
        0.4  <- INVITE
        0.5  -- 200
        0.5  -> 200
        0.6  <- ACK            an RFC 2543 peer: same branch
        0.6  ^^ ACK
        0.7  -- 486            too late
        31.9 == ACCEPTED
        32.0 == TERMINATED
        """,
    )


def test_transport_failures_are_told_and_the_peer_may_still_come_back() -> None:
    play(
        invite(reliable=True),
        """
        0.0  -- 180
        0.0  -> 180
        0.1  !! reset
        0.1  ^^ TransportFailed
        0.2  -- 486
        0.2  -> 486
        0.3  !! reset
        0.3  ^^ TransportFailed
        0.3  == COMPLETED
        32.2 ^^ NoAck
        32.2 == TERMINATED
        """,
    )


def test_a_transport_failure_of_a_2xx_is_told() -> None:
    play(
        invite(reliable=True),
        """
        0.0  -- 200
        0.0  -> 200
        0.1  !! reset
        0.1  ^^ TransportFailed
        32.0 == TERMINATED
        """,
    )


def test_an_ack_before_any_answer_is_nothing() -> None:
    play(
        invite(),
        """
        0.0  -- 100
        0.0  -> 100
        0.1  <- ACK
        0.1  == PROCEEDING
        """,
    )


def test_our_own_failure_ends_an_invite_without_a_word() -> None:
    play(
        invite(),
        """
        0.1  -- give up
        0.1  == TERMINATED
        9.0  == TERMINATED
        """,
    )


def test_a_late_response_is_refused() -> None:
    machine = invite()
    machine.start(0.0)
    assert machine.send(make_response(make_request(), 486, to_tag="t"), 0.0)
    assert not machine.send(make_response(make_request(), 200, to_tag="t"), 0.1)


def test_copies_of_an_options_are_answered_for_32_seconds() -> None:
    play(
        options(),
        """
        0.0  <- OPTIONS
        0.1  -- 200
        0.1  -> 200
        0.5  <- OPTIONS
        0.5  -> 200
        0.6  -- 500
        32.0 == COMPLETED
        32.1 == TERMINATED
        32.2 <- OPTIONS
        """,
    )


def test_a_provisional_response_to_an_options_is_resent_when_asked() -> None:
    play(
        options(),
        """
        5.0  -- 100
        5.0  -> 100
        5.5  <- OPTIONS
        5.5  -> 100
        6.0  -- 100
        6.0  -> 100
        7.0  -- 404
        7.0  -> 404
        39.0 == TERMINATED
        """,
    )


def test_on_a_stream_an_options_is_over_with_its_answer() -> None:
    play(
        options(reliable=True),
        """
        0.1  -- 200
        0.1  -> 200
        0.1  == TERMINATED
        """,
    )


def test_an_answer_that_cannot_be_sent_ends_an_options() -> None:
    play(
        options(),
        """
        0.1  -- 100
        0.1  -> 100
        0.2  !! reset
        0.2  ^^ TransportFailed
        0.2  == TERMINATED
        """,
    )
