"""A network in memory with loss, delay, reordering and doubling, all from one seed, in pure time."""

from __future__ import annotations

import heapq
import random
from collections.abc import Callable
from dataclasses import dataclass, field

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import Peer, SipEvent

OnEvent = Callable[[SipEvent, float], None]


@dataclass(frozen=True, slots=True)
class Weather:
    """loss, doubled: chances for each datagram. delay_s: from … to, drawn anew each time, which reorders."""

    loss: float = 0.0
    doubled: float = 0.0
    delay_s: tuple[float, float] = (0.005, 0.005)


@dataclass(slots=True)
class Node:
    agent: SipAgent
    peer: Peer
    on_event: OnEvent
    events: list[SipEvent] = field(default_factory=list)


class PretendNetwork:
    """Agents by address, datagrams in flight, and a clock that jumps from one happening to the next.

    wire  every datagram handed in, as (time, from, to, first line), whether or not it arrives
    """

    def __init__(self, weather: Weather | None = None, seed: int = 1) -> None:
        self.now_s = 0.0
        self.weather = weather or Weather()
        self.wire: list[tuple[float, Peer, Peer, str]] = []
        self._chance = random.Random(seed)
        self._nodes: dict[Peer, Node] = {}
        self._flying: list[tuple[float, int, bytes, Peer, Peer]] = []
        self._planned: list[tuple[float, int, Callable[[], None]]] = []
        self._count = 0

    def add(self, agent: SipAgent, peer: Peer, on_event: OnEvent | None = None) -> Node:
        """Put an agent on the network at `peer`; it is told its address."""
        agent.set_address(peer.transport, peer.host, peer.port)
        node = Node(agent, peer, on_event or (lambda event, now_s: None))
        self._nodes[peer] = node
        return node

    def at(self, at_s: float, act: Callable[[], None]) -> None:
        """Do something at a time of the pretend clock."""
        self._count += 1
        heapq.heappush(self._planned, (at_s, self._count, act))

    def run(self, until_s: float) -> None:
        """Let everything happen that happens until then."""
        self.drain()
        while (at_s := self._next_s()) is not None and at_s <= until_s:
            self.now_s = max(self.now_s, at_s)
            while self._planned and self._planned[0][0] <= self.now_s:
                heapq.heappop(self._planned)[2]()
            while self._flying and self._flying[0][0] <= self.now_s:
                _, _, data, source, target = heapq.heappop(self._flying)
                node = self._nodes.get(target)
                if node is not None:
                    node.agent.receive(data, source, self.now_s)
                self.drain()
            for node in self._nodes.values():
                due_s = node.agent.next_time_s()
                if due_s is not None and due_s <= self.now_s:
                    node.agent.on_time(self.now_s)
            self.drain()
        self.now_s = until_s

    def drain(self) -> None:
        """What a shell does: take what each agent has to send and to tell, until nothing is left."""
        busy = True
        while busy:
            busy = False
            for node in self._nodes.values():
                for data, target in node.agent.take_datagrams():
                    self._send(data, node.peer, target)
                    busy = True
                for event in node.agent.take_events():
                    node.events.append(event)
                    node.on_event(event, self.now_s)
                    busy = True

    def _send(self, data: bytes, source: Peer, target: Peer) -> None:
        first_line = data.split(b"\r\n", 1)[0].decode("utf-8", "replace")
        self.wire.append((self.now_s, source, target, first_line))
        if source.transport == "udp" and self._chance.random() < self.weather.loss:
            return
        copies = 2 if self._chance.random() < self.weather.doubled else 1
        for _ in range(copies):
            self._count += 1
            delay_s = self._chance.uniform(*self.weather.delay_s)
            heapq.heappush(self._flying, (self.now_s + delay_s, self._count, data, source, target))

    def _next_s(self) -> float | None:
        times = [node.agent.next_time_s() for node in self._nodes.values()]
        found = [time_s for time_s in times if time_s is not None]
        if self._flying:
            found.append(self._flying[0][0])
        if self._planned:
            found.append(self._planned[0][0])
        return min(found) if found else None
