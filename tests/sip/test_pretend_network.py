"""Two agents over bad networks: every call is set up and ends, and nothing stays behind."""

from __future__ import annotations

import random

import pytest

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import (
    CallAnswered,
    CallEnded,
    CallFailed,
    IncomingCall,
    MediaOffered,
    Peer,
    SipEvent,
)
from tests.support.call_ladder import SDP
from tests.support.counting_ids import CountingIds
from tests.support.pretend_network import Node, PretendNetwork, Weather

CALLER = Peer("udp", "192.0.2.1", 5060)
CALLEE = Peer("udp", "192.0.2.2", 5060)


def two(weather: Weather, seed: int) -> tuple[PretendNetwork, Node, Node]:
    network = PretendNetwork(weather, seed)
    caller = SipAgent(CountingIds("a"))
    callee = SipAgent(CountingIds("b"))

    def on_callee(event: SipEvent, now_s: float) -> None:
        if isinstance(event, IncomingCall):
            callee.ring(event.call, now_s)
            network.at(now_s + 1.0, lambda: callee.answer(event.call, SDP, network.now_s))
        elif isinstance(event, MediaOffered):
            callee.answer_offer(event.call, SDP, now_s)

    return network, network.add(caller, CALLER), network.add(callee, CALLEE, on_callee)


def place(network: PretendNetwork, caller: SipAgent) -> str:
    return caller.invite(
        to="sip:b@192.0.2.2", from_="sip:a@192.0.2.1", destination=CALLEE, sdp=SDP, now_s=network.now_s
    )


def nothing_is_open(*nodes: Node) -> None:
    for node in nodes:
        agent = node.agent
        assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)
        assert agent._calls == {}
        assert agent.next_time_s() is None


def test_a_call_over_a_clean_network() -> None:
    network, caller, callee = two(Weather(), seed=1)
    call = place(network, caller.agent)
    network.run(2.0)
    assert isinstance(caller.events[-1], CallAnswered)
    caller.agent.hangup(call, network.now_s)
    network.run(100.0)
    assert [type(event).__name__ for event in callee.events] == ["IncomingCall", "CallConfirmed", "CallEnded"]
    assert [line for _, _, _, line in network.wire][:1] == ["INVITE sip:b@192.0.2.2 SIP/2.0"]
    nothing_is_open(caller, callee)


def test_a_call_over_a_stream_sends_every_message_once() -> None:
    network = PretendNetwork()
    caller, callee = SipAgent(CountingIds("a")), SipAgent(CountingIds("b"))
    at_caller = network.add(caller, Peer("tcp", "192.0.2.1", 40_000))
    at_callee = network.add(callee, Peer("tcp", "192.0.2.2", 5060))
    call = caller.invite(to="sip:b@192.0.2.2", from_="sip:a@192.0.2.1", destination=at_callee.peer, sdp=SDP, now_s=0.0)
    network.run(30.0)
    callee.ring(at_callee.events[0].call, network.now_s)
    callee.answer(at_callee.events[0].call, SDP, network.now_s)
    network.run(31.0)
    caller.hangup(call, network.now_s)
    network.run(100.0)
    lines = [line.split(" SIP/2.0")[0].replace("SIP/2.0 ", "").split(" ")[0] for _, _, _, line in network.wire]
    assert lines == ["INVITE", "100", "180", "200", "ACK", "BYE", "200"]
    nothing_is_open(at_caller, at_callee)


@pytest.mark.parametrize("seed", range(6))
@pytest.mark.parametrize(
    "weather",
    [
        Weather(loss=0.3, delay_s=(0.01, 0.08)),
        Weather(doubled=0.3, delay_s=(0.01, 0.6)),
        Weather(loss=0.3, doubled=0.2, delay_s=(0.0, 1.5)),
    ],
    ids=["loss", "reordering", "both"],
)
def test_calls_are_set_up_and_end_over_a_bad_network(weather: Weather, seed: int) -> None:
    network, caller, callee = two(weather, seed)
    chance = random.Random(seed)
    for _ in range(20):
        call = place(network, caller.agent)
        who = caller if chance.random() < 0.7 else None
        at_s = network.now_s + chance.uniform(0.0, 30.0)
        if who is not None:
            network.at(at_s, lambda call=call: caller.agent.hangup(call, network.now_s))  # type: ignore[misc]
        network.run(network.now_s + 0.3)
    network.run(60.0)
    for node in (caller, callee):
        for event in list(node.events):
            node.agent.hangup(event.call, network.now_s)
    network.run(1000.0)
    nothing_is_open(caller, callee)
    ended = {event.call for event in caller.events if isinstance(event, CallEnded | CallFailed)}
    assert len(ended) == 20
    for node in (caller, callee):
        endings = [event.call for event in node.events if isinstance(event, CallEnded | CallFailed)]
        assert len(endings) == len(set(endings))
    announced = {event.call for event in callee.events if isinstance(event, IncomingCall)}
    assert announced == {event.call for event in callee.events if isinstance(event, CallEnded)}


def test_thirty_percent_loss_still_connects_nearly_every_call() -> None:
    """Seven INVITEs, seven 200s within 32 s: at 30 % loss about one call in ten thousand fails."""
    network, caller, callee = two(Weather(loss=0.3, delay_s=(0.01, 0.05)), seed=7)
    calls = [place(network, caller.agent) for _ in range(50)]
    network.run(40.0)
    answered = {event.call for event in caller.events if isinstance(event, CallAnswered)}
    assert answered == set(calls)
    for call in calls:
        caller.agent.hangup(call, network.now_s)
    network.run(1000.0)
    nothing_is_open(caller, callee)


def test_the_callee_vanishes() -> None:
    network, caller, callee = two(Weather(), seed=1)
    call = place(network, caller.agent)
    network.run(3.0)
    network.weather = Weather(loss=1.0)
    caller.agent.hangup(call, network.now_s)
    callee.agent.hangup(callee.events[0].call, network.now_s)
    network.run(100.0)
    nothing_is_open(caller, callee)
