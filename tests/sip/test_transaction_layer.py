"""Matching, strays, deadlines: RFC 3261 sections 17.1.3, 17.2.3, 18.2.2, RFC 6026 section 8.9."""

from __future__ import annotations

import pytest

from kallglot_media.sip.companions import make_ack, make_cancel
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response, make_response, mark_received
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.transaction import (
    AckReceived,
    RequestReceived,
    ResponseReceived,
    State,
    Terminated,
    TimedOut,
    TransactionEvent,
    TransactionLayer,
    TransportFailed,
)
from kallglot_media.sip.via import Via
from tests.support.ladder import make_request, name_of

PEER = Peer("udp", "192.0.2.1", 5060)
STREAM = Peer("tcp", "192.0.2.1", 40_000)


class Table:
    """A layer with short words for what tests do to it."""

    def __init__(self) -> None:
        self.layer = TransactionLayer()

    def get(self, message: Request | Response, source: Peer = PEER, now_s: float = 0.0) -> list[TransactionEvent]:
        self.layer.receive(message, source, now_s)
        return self.layer.take_events()

    def get_request(self, request: Request, source: Peer = PEER, now_s: float = 0.0) -> RequestReceived:
        (event,) = self.get(request, source, now_s)
        assert isinstance(event, RequestReceived)
        return event

    def answer(self, key: str, request: Request, status: int, now_s: float = 0.0) -> bool:
        return self.layer.respond(key, make_response(request, status, to_tag="ours"), now_s)

    def sent(self) -> list[tuple[str, Peer]]:
        return [(name_of(parse_message(data)), peer) for data, peer in self.layer.take_output()]

    def run_to(self, now_s: float) -> list[TransactionEvent]:
        while (due_s := self.layer.next_time_s()) is not None and due_s <= now_s:
            self.layer.on_time(due_s)
        return self.layer.take_events()


@pytest.fixture
def table() -> Table:
    return Table()


def with_via(request: Request, via: str) -> Request:
    request.headers.set("Via", via)
    return request


def ack_for(request: Request) -> Request:
    return make_ack(request, make_response(request, 486, to_tag="ours"))


# -- servers --


def test_a_copy_of_a_request_is_answered_again_and_told_once(table: Table) -> None:
    key = table.get_request(make_request("OPTIONS")).transaction
    table.answer(key, make_request("OPTIONS"), 200)
    assert table.get(make_request("OPTIONS"), now_s=1.0) == []
    assert table.sent() == [("200", PEER), ("200", PEER)]


def test_another_branch_host_port_or_method_is_another_request(table: Table) -> None:
    via = "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bK1"
    first = table.get_request(with_via(make_request("OPTIONS"), via)).transaction
    others = [
        with_via(make_request("OPTIONS"), via.replace("bK1", "bK2")),
        with_via(make_request("OPTIONS"), via.replace("5060", "5061")),
        with_via(make_request("OPTIONS"), via.replace("192.0.2.1", "192.0.2.2")),
        with_via(make_request("INFO"), via),
    ]
    keys = {first} | {table.get_request(other).transaction for other in others}
    assert len(keys) == 5


def test_sent_by_compares_without_case_and_what_we_added_does_not_count(table: Table) -> None:
    first = with_via(make_request("OPTIONS"), "SIP/2.0/UDP Pc.Example.COM;branch=z9hG4bK1;rport")
    again = with_via(make_request("OPTIONS"), "SIP/2.0/UDP pc.example.com;rport;branch=z9hG4bK1")
    mark_received(first, "192.0.2.1", 5060)
    table.get_request(first)
    assert table.get(again) == []


def test_an_ack_for_a_failure_belongs_to_its_invite(table: Table) -> None:
    invite = make_request("INVITE")
    key = table.get_request(invite).transaction
    table.answer(key, invite, 486)
    assert table.get(ack_for(invite)) == []
    assert table.layer.state_of(key) is State.CONFIRMED


def test_an_ack_for_a_2xx_has_its_own_branch_and_goes_up(table: Table) -> None:
    invite = make_request("INVITE")
    key = table.get_request(invite).transaction
    table.answer(key, invite, 200)
    ack = with_via(make_request("ACK"), "SIP/2.0/UDP 192.0.2.1:5060;branch=z9hG4bKother")
    assert table.get(ack) == [AckReceived(None, ack, PEER)]


def test_an_ack_for_a_2xx_with_the_branch_of_its_invite_goes_up_too(table: Table) -> None:
    invite = make_request("INVITE")
    key = table.get_request(invite).transaction
    table.answer(key, invite, 200)
    ack = ack_for(invite)
    assert table.get(ack) == [AckReceived(key, ack, PEER)]


def test_an_ack_before_a_final_response_is_counted(table: Table) -> None:
    invite = make_request("INVITE")
    table.get_request(invite)
    assert table.get(ack_for(invite)) == []
    assert table.layer.counters["early_ack"] == 1


def test_a_cancel_is_a_transaction_of_its_own_and_knows_its_invite(table: Table) -> None:
    invite = make_request("INVITE")
    key = table.get_request(invite).transaction
    event = table.get_request(make_cancel(invite))
    assert event.transaction != key
    assert event.cancels == key
    assert not event.merged


def test_a_cancel_for_nothing_says_so(table: Table) -> None:
    event = table.get_request(make_cancel(make_request("INVITE")))
    assert event.cancels is None


def test_the_same_request_over_another_path_is_merged(table: Table) -> None:
    """8.2.2.2: answered 482 by the user."""
    assert not table.get_request(make_request("INVITE", branch="z9hG4bKpath1")).merged
    assert table.get_request(make_request("INVITE", branch="z9hG4bKpath2")).merged


def test_a_request_inside_a_dialog_is_never_merged(table: Table) -> None:
    for branch in ("z9hG4bK1", "z9hG4bK2"):
        request = make_request("INVITE", branch=branch)
        request.headers.set("To", "<sip:bob@biloxi.example.com>;tag=ours")
        assert not table.get_request(request).merged


def test_a_response_too_late_is_refused_and_counted(table: Table) -> None:
    request = make_request("OPTIONS")
    key = table.get_request(request, STREAM).transaction
    assert table.answer(key, request, 200)
    assert table.layer.open_transactions == 0
    assert not table.answer(key, request, 200)
    assert not table.answer("no such key", request, 200)
    assert table.layer.counters["late_response"] == 2


# -- RFC 2543 peers: no cookie in the branch --


@pytest.mark.parametrize(
    "via", ["SIP/2.0/UDP 192.0.2.1", "SIP/2.0/UDP 192.0.2.1;branch=1", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK"]
)
def test_old_peers_are_matched_by_everything_else(table: Table, via: str) -> None:
    invite = with_via(make_request("INVITE"), via)
    key = table.get_request(invite).transaction
    assert table.get(with_via(make_request("INVITE"), via)) == []
    assert table.get_request(make_cancel(invite)).cancels == key
    table.answer(key, invite, 486)
    assert table.get(ack_for(invite)) == []
    assert table.layer.state_of(key) is State.CONFIRMED


def test_an_old_peers_ack_with_a_tag_we_never_gave_is_somebody_elses(table: Table) -> None:
    invite = with_via(make_request("INVITE"), "SIP/2.0/UDP 192.0.2.1")
    key = table.get_request(invite).transaction
    table.answer(key, invite, 486)
    ack = make_ack(invite, make_response(invite, 486, to_tag="theirs"))
    assert table.get(ack) == [AckReceived(None, ack, PEER)]
    assert table.layer.state_of(key) is State.COMPLETED


def test_old_peers_calls_differ_by_any_number(table: Table) -> None:
    keys = set()
    for name, value in [
        ("Max-Forwards", "70"),
        ("CSeq", "2 INVITE"),
        ("Call-ID", "other"),
        ("From", "<sip:a@b>;tag=other"),
        ("To", "<sip:bob@biloxi.example.com>;tag=x"),
    ]:
        request = with_via(make_request("INVITE"), "SIP/2.0/UDP 192.0.2.1")
        request.headers.set(name, value)
        keys.add(table.get_request(request).transaction)
        assert table.get(request) == []
    assert len(keys) == 5


# -- clients --


def test_a_response_finds_its_request(table: Table) -> None:
    invite = make_request("INVITE")
    key = table.layer.request(invite, PEER, 0.0)
    response = make_response(invite, 180, to_tag="t")
    assert table.get(response) == [ResponseReceived(key, response)]
    assert table.sent() == [("INVITE", PEER)]


def test_a_cancel_shares_the_branch_and_not_the_transaction(table: Table) -> None:
    invite = make_request("INVITE")
    invite_key = table.layer.request(invite, PEER, 0.0)
    cancel = make_cancel(invite)
    cancel_key = table.layer.request(cancel, PEER, 0.0)
    ok = make_response(cancel, 200, to_tag="t")
    assert table.get(ok) == [ResponseReceived(cancel_key, ok)]
    gone = make_response(invite, 487, to_tag="t")
    assert table.get(gone) == [ResponseReceived(invite_key, gone)]
    assert [name for name, _ in table.sent()] == ["INVITE", "CANCEL", "ACK"]


def test_stray_responses_are_counted_and_dropped(table: Table) -> None:
    """RFC 6026 section 8.9: a 2xx too."""
    invite = make_request("INVITE")
    assert table.get(make_response(invite, 486, to_tag="t")) == []
    assert table.get(make_response(invite, 200, to_tag="t")) == []
    assert table.layer.counters == {"stray_response": 1, "stray_response_2xx": 1}


def test_a_response_to_somebody_elses_request_of_the_same_branch_is_stray(table: Table) -> None:
    request = make_request("OPTIONS")
    table.get_request(request)
    assert table.get(make_response(request, 200, to_tag="t")) == []
    assert table.layer.counters["stray_response"] + table.layer.counters["stray_response_2xx"] == 1


def test_a_branch_is_used_once(table: Table) -> None:
    table.layer.request(make_request("OPTIONS"), PEER, 0.0)
    with pytest.raises(ValueError, match="branch"):
        table.layer.request(make_request("OPTIONS"), PEER, 0.0)
    with pytest.raises(ValueError, match="branch"):
        table.layer.request(with_via(make_request("OPTIONS"), "SIP/2.0/UDP me"), PEER, 0.0)
    with pytest.raises(ValueError, match="ACK"):
        table.layer.request(make_request("ACK"), PEER, 0.0)


def test_abandoned_transactions_are_gone(table: Table) -> None:
    key = table.layer.request(make_request("INVITE"), PEER, 0.0)
    table.layer.abandon(key, 1.0)
    table.layer.abandon(key, 1.0)
    assert table.layer.take_events() == [Terminated(key)]
    assert table.layer.open_transactions == 0


# -- transports --


def test_streams_are_reliable(table: Table) -> None:
    table.layer.request(make_request("INVITE"), STREAM, 0.0)
    assert table.layer.next_time_s() == 32.0


def test_a_failed_peer_fails_its_transactions_only(table: Table) -> None:
    key = table.layer.request(make_request("INVITE", branch="z9hG4bK1"), STREAM, 0.0)
    other = table.layer.request(make_request("INVITE", branch="z9hG4bK2"), PEER, 0.0)
    table.layer.transport_failed(STREAM, 0.1, "refused")
    assert table.layer.take_events() == [TransportFailed(key, "refused"), Terminated(key)]
    assert table.layer.state_of(other) is State.CALLING
    table.layer.transport_failed(STREAM, 0.2, "refused")
    assert table.layer.take_events() == []


@pytest.mark.parametrize(
    ("via", "source", "back_to"),
    [
        ("SIP/2.0/UDP 192.0.2.1:5070;branch=z9hG4bK1", PEER, Peer("udp", "192.0.2.1", 5070)),
        ("SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1", Peer("udp", "192.0.2.9", 6000), Peer("udp", "192.0.2.9", 5060)),
        ("SIP/2.0/UDP 10.0.0.1:5070;branch=z9hG4bK1;rport", Peer("udp", "192.0.2.9", 1), Peer("udp", "192.0.2.9", 1)),
        ("SIP/2.0/TCP 10.0.0.1:5070;branch=z9hG4bK1", STREAM, STREAM),
        ("SIP/2.0/UDP 10.0.0.1;maddr=203.0.113.1;branch=z9hG4bK1", PEER, PEER),
    ],
)  # fmt: skip
def test_responses_go_where_section_18_2_2_says(table: Table, via: str, source: Peer, back_to: Peer) -> None:
    request = with_via(make_request("OPTIONS"), via)
    mark_received(request, source.host, source.port)
    table.answer(table.get_request(request, source).transaction, request, 200)
    assert table.sent() == [("200", back_to)]


# -- deadlines --


def test_a_thousand_transactions_leave_nothing_behind(table: Table) -> None:
    for number in range(1000):
        now_s = number / 100
        request = make_request("OPTIONS", branch=f"z9hG4bK{number}")
        request.headers.set("Call-ID", str(number))
        if number % 2:
            table.layer.request(request, PEER, now_s)
        else:
            table.answer(table.get_request(request, PEER, now_s).transaction, request, 200, now_s)
    assert table.layer.open_transactions == 1000
    events = table.run_to(1000.0)
    assert sum(isinstance(event, TimedOut) for event in events) == 500
    assert table.layer.open_transactions == 0
    assert table.layer.next_time_s() is None
    assert not table.layer._by_peer
    assert not table.layer._merge


def test_left_over_deadlines_do_not_pile_up(table: Table) -> None:
    """A request answered at once leaves timers E and F behind, 32 s long."""
    for number in range(2000):
        request = make_request("OPTIONS", branch=f"z9hG4bK{number}")
        table.layer.request(request, STREAM, 0.0)
        table.get(make_response(request, 200, to_tag="t"), STREAM)
    assert table.layer.open_transactions == 0
    assert table.layer.next_time_s() is None


def test_the_next_time_is_the_earliest(table: Table) -> None:
    table.layer.request(make_request("INVITE", branch="z9hG4bK1"), STREAM, 0.0)
    table.layer.request(make_request("INVITE", branch="z9hG4bK2"), PEER, 1.0)
    assert table.layer.next_time_s() == 1.5
    table.layer.on_time(1.4)
    table.layer.take_output()
    table.layer.on_time(1.5)
    assert table.sent() == [("INVITE", PEER)]


def test_a_via_keeps_its_ends() -> None:
    """The sent-by of RFC 5118 section 4.5, both spellings."""
    assert Via.parse("SIP/2.0/UDP [2001:db8::9:1];received=[2001:db8::9:255];branch=z").received == "2001:db8::9:255"
