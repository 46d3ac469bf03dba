"""Calls of forty minutes with everything that happens in them, on every transport and over bad networks."""

from __future__ import annotations

from dataclasses import dataclass, field

import pytest

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import (
    CallAnswered,
    CallEnded,
    CallFailed,
    IncomingCall,
    KeyPressed,
    MediaOffered,
    MessageReceived,
    OfferAnswered,
    OfferFailed,
    Peer,
    ProgressConfirmed,
    SipEvent,
    TransferAsked,
    TransferProgress,
)
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import NEW_SDP, SDP
from tests.support.counting_ids import CountingIds
from tests.support.pretend_network import Node, PretendNetwork, Weather

FORTY_MINUTES_S = 2400.0
HELD = SDP.replace(b"m=audio 4000 RTP/AVP 0\r\n", b"m=audio 4000 RTP/AVP 0\r\na=sendonly\r\n")
BUSY, CAROL = "sip:busy@192.0.2.3", "sip:carol@192.0.2.3"


@dataclass
class World:
    """We, in the middle; the customer's side at `.1`, the agent's phone at `.2`, and who it transfers to at `.3`."""

    transport: str
    weather: Weather
    seed: int
    trail: list[str] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.network = PretendNetwork(self.weather, self.seed)
        settings = AgentSettings(session_expires_s=600)
        self.us = self._node("0", settings, self._at_us)
        self.phone = self._node("2", AgentSettings(session_expires_s=300), self._at_phone)
        self.third = self._node("3", AgentSettings(session_expires_s=0), self._at_third)
        self.call = ""
        self.phones_call = ""
        self.new_call = ""
        self.referred: TransferAsked | None = None

    def _node(self, name: str, settings: AgentSettings, on_event: object) -> Node:
        peer = Peer(self.transport, f"192.0.2.{name}", 5060)
        return self.network.add(SipAgent(CountingIds(name), settings), peer, on_event)  # type: ignore[arg-type]

    # ── what each of them does ──────────────────────────────────────────────────

    def _at_us(self, event: SipEvent, now_s: float) -> None:
        agent = self.us.agent
        if isinstance(event, MediaOffered):
            agent.answer_offer(event.call, SDP, now_s)
        elif isinstance(event, TransferAsked):
            self.referred = event
            agent.accept_transfer(event.call, now_s)
            self.new_call = self._invite(event.to)
        elif isinstance(event, CallAnswered) and event.call == self.new_call and self.referred is not None:
            agent.tell_transfer(self.referred.call, 200, now_s)
            self.trail.append("transferred")
        elif isinstance(event, CallFailed) and event.call == self.new_call and self.referred is not None:
            agent.tell_transfer(self.referred.call, event.status, now_s)
            self.trail.append(f"transfer failed {event.status}")
        elif isinstance(event, OfferAnswered):
            self.trail.append("our offer taken")
        elif isinstance(event, CallEnded):
            self.trail.append(f"ended {(event.call == self.call and 'old') or 'new'} {event.by}")

    def _at_phone(self, event: SipEvent, now_s: float) -> None:
        agent = self.phone.agent
        if isinstance(event, IncomingCall):
            self.phones_call = event.call
            agent.ring(event.call, now_s, status=183, sdp=SDP)
            self.network.at(now_s + 3, lambda: agent.answer(event.call, SDP, self.network.now_s))
        elif isinstance(event, MediaOffered):
            agent.answer_offer(event.call, SDP, now_s)
        elif isinstance(event, OfferAnswered):
            self.trail.append("their offer taken")
        elif isinstance(event, OfferFailed):
            self.trail.append("their offer failed")
        elif isinstance(event, TransferProgress):
            self.trail.append(f"told {event.status}{' over' if event.over else ''}")
            if event.over and event.status == 200:
                agent.hangup(event.call, now_s)

    def _at_third(self, event: SipEvent, now_s: float) -> None:
        agent = self.third.agent
        if isinstance(event, IncomingCall):
            if event.request.uri.user == "busy":
                agent.reject(event.call, 486, now_s)
            else:
                agent.ring(event.call, now_s)
                agent.answer(event.call, SDP, now_s)
        elif isinstance(event, MediaOffered):
            agent.answer_offer(event.call, SDP, now_s)

    def _invite(self, to: str) -> str:
        third = to.endswith("3")
        destination = self.third.peer if third else self.phone.peer
        return self.us.agent.invite(
            to=to, from_="sip:us@192.0.2.0", destination=destination, sdp=SDP, now_s=self.network.now_s
        )

    # ── the story ───────────────────────────────────────────────────────────────

    def tell(self) -> None:
        network, us, phone = self.network, self.us.agent, self.phone.agent
        self.call = self._invite("sip:agent@192.0.2.2")
        plan = [
            (60.0, lambda: phone.reoffer(self.phones_call, HELD, network.now_s)),  # first hold, theirs
            (120.0, lambda: phone.reoffer(self.phones_call, SDP, network.now_s)),
            (500.0, lambda: us.reoffer(self.call, HELD, network.now_s)),  # second hold, ours
            (620.0, lambda: us.reoffer(self.call, NEW_SDP, network.now_s)),
            (900.0, lambda: phone.refer(self.phones_call, BUSY, network.now_s)),  # fails: the call goes on
            (1000.0, lambda: phone.press_key(self.phones_call, "5", 200, network.now_s)),
            (1010.0, lambda: us.message(self.call, "hello", network.now_s)),
            (1500.0, lambda: phone.reoffer(self.phones_call, HELD, network.now_s)),  # third hold, theirs
            (1650.0, lambda: phone.reoffer(self.phones_call, SDP, network.now_s)),
            (2000.0, lambda: phone.refer(self.phones_call, CAROL, network.now_s)),  # works
            (FORTY_MINUTES_S, lambda: us.hangup(self.new_call, network.now_s)),
        ]
        for at_s, act in plan:
            network.at(at_s, act)
        network.run(FORTY_MINUTES_S + 600.0)


def nothing_is_open(*nodes: Node) -> None:
    for node in nodes:
        agent = node.agent
        assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)
        assert agent._calls == {}
        assert agent.next_time_s() is None


WHOLE_STORY = [
    "their offer taken",
    "their offer taken",
    "our offer taken",
    "our offer taken",
    "told 100",
    "transfer failed 486",
    "told 486 over",
    "their offer taken",
    "their offer taken",
    "told 100",
    "transferred",
    "told 200 over",
    "ended old remote",
    "ended new local",
]


@pytest.mark.parametrize("transport", ["udp", "tcp", "tls", "ws", "wss"])
def test_forty_minutes_with_three_holds_and_two_transfers(transport: str) -> None:
    world = World(transport, Weather(delay_s=(0.02, 0.02)), seed=1)
    world.tell()
    assert world.trail == WHOLE_STORY
    assert world.us.agent.counters["session_refreshed"] + world.phone.agent.counters["session_refreshed"] >= 5
    assert any(isinstance(event, KeyPressed) for event in world.us.events)
    assert any(isinstance(event, MessageReceived) for event in world.phone.events)
    assert any(isinstance(event, ProgressConfirmed) for event in world.phone.events)
    nothing_is_open(world.us, world.phone, world.third)


@pytest.mark.parametrize("seed", range(8))
def test_the_same_with_every_fifth_datagram_lost(seed: int) -> None:
    world = World("udp", Weather(loss=0.2, doubled=0.1, delay_s=(0.01, 0.3)), seed)
    world.tell()
    assert sorted(world.trail) == sorted(WHOLE_STORY)
    nothing_is_open(world.us, world.phone, world.third)


@pytest.mark.parametrize("seed", range(6))
def test_whatever_is_lost_nothing_stays_open(seed: int) -> None:
    """Half of everything is lost: calls fail, transfers fail, but all of it ends."""
    world = World("udp", Weather(loss=0.5, delay_s=(0.01, 0.6)), seed)
    world.tell()
    world.network.run(6000.0)
    for call in [event.call for event in world.us.events]:
        world.us.agent.hangup(call, world.network.now_s)
    for node in (world.phone, world.third):
        for event in node.events:
            node.agent.hangup(event.call, world.network.now_s)
    world.network.run(8000.0)
    nothing_is_open(world.us, world.phone, world.third)


@pytest.mark.parametrize("at_s", [30.0, 610.0, 901.0, 2001.0])
def test_a_peer_that_vanishes_in_mid_call_is_missed(at_s: float) -> None:
    """Session timers: nobody keeps a call with somebody who is gone."""
    world = World("udp", Weather(delay_s=(0.02, 0.02)), seed=1)

    def vanish() -> None:
        world.network.weather = Weather(loss=1.0)

    world.network.at(at_s, vanish)
    world.tell()
    world.network.run(6000.0)
    ended = {event.call for event in world.us.events if isinstance(event, CallEnded | CallFailed)}
    assert world.call in ended
    nothing_is_open(world.us, world.phone, world.third)
