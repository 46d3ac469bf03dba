"""Logging on: ladders with a registrar of ours, and with one that says what a test wants. RFC 3261 section 10.2."""

from __future__ import annotations

from collections.abc import Callable

import pytest

from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response, make_response, mark_received
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.register import (
    TABLE,
    Do,
    NotRegistered,
    On,
    Registered,
    Registration,
    RegistrationPlan,
    State,
    Unregistered,
)
from kallglot_media.sip.registrar import Registrar, RegistrarRules
from kallglot_media.sip.routing import Address
from kallglot_media.sip.settings import Credentials, Reply
from tests.support.counting_ids import CountingIds

HERE = Address("10.0.0.7", 5060)
DOMAIN = "sip:k.example"
FarEnd = Callable[[Request], Response | None]


class Line:
    """A registration and what is at the other end of it. seen_at: where the far end sees us (a NAT)."""

    def __init__(self, plan: RegistrationPlan, far: FarEnd | Registrar, seen_at: Peer | None = None) -> None:
        self.registration = Registration(plan, CountingIds())
        self.now_s = 0.0
        self.sent: list[Request] = []
        self.asked: list[str] = []
        self.told: list[object] = []
        self.far, self.seen_at = far, seen_at or Peer("udp", HERE.host, HERE.port)

    def run(self, until_s: float) -> None:
        """Let everything happen until then; the far end answers at once."""
        self.exchange()
        while (due_s := self.registration.next_time_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.registration.on_time(self.now_s)
            self.exchange()
        self.now_s = until_s

    def exchange(self) -> None:
        while (ask := self.registration.take_ask()) is not None:
            self.asked.append(ask.registrar)
            request = self.registration.make_request(ask, HERE, "udp")
            request.headers.insert_first("Via", f"SIP/2.0/UDP {HERE};branch=z9hG4bK{ask.number};rport")
            self.sent.append(request)
            response = self.answer(request)
            if response is None:
                self.registration.unanswered(ask, 408, "no response", self.now_s)
            else:
                self.registration.answered(response, self.now_s)
        self.told += self.registration.take_events()

    def answer(self, request: Request) -> Response | None:
        arrived = parse_message(request.serialize())
        assert isinstance(arrived, Request)
        mark_received(arrived, self.seen_at.host, self.seen_at.port)
        if isinstance(self.far, Registrar):
            reply = self.far.receive(arrived, self.seen_at, self.now_s)
            return make_response(arrived, reply.status, reply.reason, to_tag="x", headers=reply.headers)
        return self.far(arrived)


def plan(**more: object) -> RegistrationPlan:
    values: dict[str, object] = {"aor": "sip:anna@k.example", "credentials": Credentials("anna", "secret")}
    return RegistrationPlan(**(values | more))  # type: ignore[arg-type]


def registrar(**rules: int) -> Registrar:
    return Registrar(CountingIds(), RegistrarRules(**rules), {"anna": "secret"}.get)  # type: ignore[arg-type]


def says(*replies: Reply | None) -> FarEnd:
    """A far end that gives these answers in order, the last one again and again."""
    left = list(replies)

    def answer(request: Request) -> Response | None:
        reply = left.pop(0) if len(left) > 1 else left[0]
        if reply is None:
            return None
        return make_response(request, reply.status, reply.reason, to_tag="x", headers=reply.headers)

    return answer


def test_log_on_stay_so_and_log_off() -> None:
    far = registrar()
    line = Line(plan(), far)
    line.registration.start(0.0)
    line.run(10_000.0)
    assert line.told == [Registered(DOMAIN, 300)]
    assert line.registration.is_registered
    assert far.registered(10_000.0) == {"anna": 1}
    assert line.sent[1].headers.first("CSeq") == "2 REGISTER"
    assert len({request.call_id for request in line.sent}) == 1
    # refreshed 32 s before the end, and signed without being asked while the nonce is good
    assert len(line.sent) < 2 + 2 * 10_000 / 268
    line.registration.stop(10_000.0)
    line.run(10_000.0)
    assert line.told[1:] == [Unregistered()]
    assert far.registered(10_000.0) == {}
    assert line.registration.next_time_s() is None


def test_423_is_asked_again_with_what_the_registrar_wants() -> None:
    line = Line(plan(expires_s=100), registrar(min_expires_s=600))
    line.registration.start(0.0)
    line.run(0.0)
    assert [request.headers.first("Expires") for request in line.sent] == ["100", "100", "600"]
    assert line.told == [Registered(DOMAIN, 600)]


def test_behind_a_nat_the_address_that_the_registrar_sees_is_registered() -> None:
    far = registrar()
    line = Line(plan(), far, seen_at=Peer("udp", "198.51.100.9", 40_001))
    line.registration.start(0.0)
    line.run(0.0)
    (found,) = far.contacts("anna", 0.0)
    assert str(found.uri) == "sip:kallglot@198.51.100.9:40001"
    assert line.sent[1].headers.first("Contact") == "<sip:kallglot@198.51.100.9:40001>;expires=300"
    line.seen_at = Peer("udp", "198.51.100.9", 50_002)  # the NAT forgot us, and gave another port
    line.run(1000.0)
    assert [str(found.uri) for found in far.contacts("anna", 1000.0)] == ["sip:kallglot@198.51.100.9:50002"]
    assert line.told == [Registered(DOMAIN, 300)]


def test_follow_nat_can_be_off_and_a_nat_that_changes_with_each_packet_makes_no_loop() -> None:
    line = Line(plan(follow_nat=False), registrar(), seen_at=Peer("udp", "198.51.100.9", 40_001))
    line.registration.start(0.0)
    line.run(0.0)
    assert line.sent[-1].headers.first("Contact") == "<sip:kallglot@10.0.0.7:5060>;expires=300"
    restless = Line(plan(), registrar())
    ports = iter(range(40_000, 50_000))
    answer = restless.answer

    def moving(request: Request) -> Response | None:
        restless.seen_at = Peer("udp", "198.51.100.9", next(ports))
        return answer(request)

    restless.answer = moving  # type: ignore[method-assign]
    restless.registration.start(0.0)
    restless.run(0.0)
    assert restless.told == [Registered(DOMAIN, 300)]
    assert len(restless.sent) < 6


def test_a_wrong_password_is_tried_again_later_and_ever_more_rarely() -> None:
    line = Line(plan(credentials=Credentials("anna", "wrong")), registrar())
    line.registration.start(0.0)
    line.run(7200.0)
    assert [(event.status, event.retry_s >= 15.0) for event in line.told if isinstance(event, NotRegistered)] == [
        (401, True)
    ] * len(line.told)
    waits = [event.retry_s for event in line.told if isinstance(event, NotRegistered)]
    assert waits[:4] == pytest.approx([15.0, 30.0, 60.0, 120.0], rel=0.01)
    assert max(waits) <= 1800.0
    assert not line.registration.is_registered


def test_the_next_registrar_is_asked_when_one_is_silent_or_busy() -> None:
    far = says(None, Reply(503), Reply(200, (("Expires", "60"),)))
    line = Line(plan(registrars=("sip:a.example", "sip:b.example", "sip:c.example")), far)
    line.registration.start(0.0)
    line.run(0.0)
    assert line.asked == ["sip:a.example", "sip:b.example", "sip:c.example"]
    assert line.told == [Registered("sip:c.example", 60)]
    line.run(40.0)
    assert line.asked[3:] == ["sip:c.example"]


def test_when_all_are_silent_it_rests_and_begins_with_the_first() -> None:
    line = Line(plan(registrars=("sip:a.example", "sip:b.example")), says(None))
    line.registration.start(0.0)
    line.run(20.0)
    assert line.asked == ["sip:a.example", "sip:b.example"] * 2
    (first, *_) = line.told
    assert isinstance(first, NotRegistered)
    assert (first.status, first.why) == (408, "no response")
    assert first.retry_s == pytest.approx(15.0, rel=0.01)


def test_a_registration_that_is_lost_is_told_once_and_found_again() -> None:
    line = Line(plan(), says(Reply(200), Reply(500), Reply(503, (("Retry-After", "200 (busy)"),)), Reply(200)))
    line.registration.start(0.0)
    line.run(2000.0)
    kinds = [(type(event).__name__, getattr(event, "retry_s", 0.0)) for event in line.told]
    assert [name for name, _ in kinds] == ["Registered", "NotRegistered", "NotRegistered", "Registered"]
    assert kinds[2][1] == 200.0


def test_the_time_granted_is_that_of_our_own_contact() -> None:
    contacts = "<sip:kallglot@10.0.0.99>;expires=11, <sip:kallglot@10.0.0.7>;expires=120"
    line = Line(plan(), says(Reply(200, (("Contact", contacts), ("Expires", "999")))))
    line.registration.start(0.0)
    line.run(0.0)
    assert line.told == [Registered(DOMAIN, 120)]
    assert line.registration.next_time_s() == 88.0


def test_an_answer_to_an_older_request_is_not_heard() -> None:
    registration = Registration(plan(), CountingIds())
    registration.start(0.0)
    ask = registration.take_ask()
    assert ask is not None
    old = registration.make_request(ask, HERE, "udp")
    old.headers.insert_first("Via", "SIP/2.0/UDP 10.0.0.7:5060;branch=z9hG4bK1")
    registration.stop(0.0)
    registration.answered(make_response(old, 200), 0.1)
    assert registration.state is State.LEAVING
    registration.unanswered(ask, 408, "late", 0.2)
    assert registration.state is State.LEAVING


def test_stop_before_start_and_while_resting() -> None:
    line = Line(plan(), says(None))
    line.registration.stop(0.0)
    line.run(0.0)
    assert line.told == [Unregistered()]
    resting = Line(plan(), says(None))
    resting.registration.start(0.0)
    resting.run(0.0)
    resting.registration.stop(1.0)
    resting.run(9999.0)
    assert resting.told[1:] == [Unregistered()]


def test_the_table_has_no_holes() -> None:
    """Every state but the last is left by something, every event and action is used."""
    assert {state for state, _ in TABLE} == set(State) - {State.ENDED}
    assert {event for _, event in TABLE} == set(On)
    assert {action for _, actions in TABLE.values() for action in actions} == set(Do)
    assert all(
        any(to is not state for (at, _), (to, _) in TABLE.items() if at is state) for state in {s for s, _ in TABLE}
    )
    assert all((state, On.STOP) in TABLE for state in set(State) - {State.LEAVING, State.ENDED})
