"""Requests of ours that make no dialog, and methods that somebody else answers."""

from __future__ import annotations

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import Peer, RequestAnswered, SipEvent
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import AgentSettings, Reply
from kallglot_media.sip.uri import Uri
from tests.support.counting_ids import CountingIds
from tests.support.pretend_network import PretendNetwork, Weather

NEAR, FAR = Peer("udp", "192.0.2.1", 5060), Peer("udp", "192.0.2.2", 5060)


def question(method: str = "OPTIONS") -> Request:
    headers = [
        ("From", "<sip:us@192.0.2.1>;tag=t"),
        ("To", "<sip:192.0.2.2>"),
        ("Call-ID", "c"),
        ("Max-Forwards", "70"),
    ]
    return Request(method, Uri.parse("sip:192.0.2.2"), Headers([*headers, ("CSeq", f"1 {method}")]))


def ask(network: PretendNetwork, far: AgentSettings | None, method: str = "OPTIONS") -> tuple[SipAgent, list[SipEvent]]:
    near = SipAgent(CountingIds("n"))
    told: list[SipEvent] = []
    network.add(near, NEAR, lambda event, now_s: told.append(event))
    if far is not None:
        network.add(SipAgent(CountingIds("f"), far), FAR)
    assert near.request(question(method), FAR, 0.0) == "req_n1"
    network.run(60.0)
    return near, told


def statuses(told: list[SipEvent]) -> list[tuple[str, int]]:
    return [(event.call, event.status) for event in told if isinstance(event, RequestAnswered)]


def test_the_answer_is_told_once_and_nothing_is_left() -> None:
    near, told = ask(PretendNetwork(Weather(loss=0.3, doubled=0.3), seed=4), AgentSettings())
    assert statuses(told) == [("req_n1", 200)]
    assert near.open_transactions == 0
    assert near._errands == {}


def test_silence_is_408() -> None:
    near, told = ask(PretendNetwork(), None)
    assert statuses(told) == [("req_n1", 408)]
    assert near._errands == {}


def test_a_peer_that_cannot_be_reached_is_503() -> None:
    near = SipAgent(CountingIds())
    near.set_address(NEAR.transport, NEAR.host, NEAR.port)
    near.request(question(), FAR, 0.0)
    near.transport_failed(FAR, 0.1, "port unreachable")
    (event,) = near.take_events()
    assert isinstance(event, RequestAnswered)
    assert (event.status, event.reason, event.response) == (503, "port unreachable", None)


def test_a_method_that_somebody_else_answers() -> None:
    seen: list[tuple[str, Peer, float]] = []

    def registrar(request: Request, source: Peer, now_s: float) -> Reply:
        seen.append((request.method, source, now_s))
        return Reply(423, (("Min-Expires", "60"),))

    _, told = ask(PretendNetwork(), AgentSettings(answerers={"REGISTER": registrar}), "REGISTER")
    (event,) = told
    assert isinstance(event, RequestAnswered)
    assert event.response is not None
    assert event.response.headers.first("Min-Expires") == "60"
    assert seen == [("REGISTER", NEAR, 0.005)]
