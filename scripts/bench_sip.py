"""How many calls a core sets up and ends, and whether open dialogs slow it down.

    python scripts/bench_sip.py [--calls 3000] [--dialogs 5000]

Two agents joined in memory, no sockets: INVITE 100 180 200 ACK BYE 200, with real identifiers, the
pretend clock moving 4 ms per call so that all timers of ended calls are paid for too. Prints Markdown.
Both ends run in this process; "per end" is what a server does for its half of a call.
"""

from __future__ import annotations

import argparse
import platform
import time

from kallglot_media.random_ids import RandomIds
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import IncomingCall, Peer
from kallglot_media.sip.settings import AgentSettings

SDP = (
    b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0 8 101\r\n"
    b"a=rtpmap:101 telephone-event/8000\r\n"
)
CALLER, CALLEE = Peer("udp", "192.0.2.1", 5060), Peer("udp", "192.0.2.2", 5060)
GAP_S = 0.004


class Pair:
    """A caller, a callee that answers at once, and the clock."""

    def __init__(self) -> None:
        settings = AgentSettings(max_calls=1_000_000, max_transactions=1_000_000)
        self.caller, self.callee = SipAgent(RandomIds(), settings), SipAgent(RandomIds(), settings)
        self.caller.set_address("udp", CALLER.host, CALLER.port)
        self.callee.set_address("udp", CALLEE.host, CALLEE.port)
        self.now_s = 0.0
        self.answered = 0

    def call(self, *, hangup: bool) -> None:
        call = self.caller.invite(
            to="sip:b@192.0.2.2", from_="sip:a@192.0.2.1", destination=CALLEE, sdp=SDP, now_s=self.now_s
        )
        self.drain()
        if hangup:
            self.caller.hangup(call, self.now_s)
            self.drain()
        self.pass_time(GAP_S)

    def pass_time(self, seconds: float) -> None:
        self.now_s += seconds
        for agent in (self.caller, self.callee):
            while (due_s := agent.next_time_s()) is not None and due_s <= self.now_s:
                agent.on_time(self.now_s)
        self.drain()

    def drain(self) -> None:
        busy = True
        while busy:
            busy = False
            for agent, here, other in ((self.caller, CALLER, self.callee), (self.callee, CALLEE, self.caller)):
                for data, _ in agent.take_datagrams():
                    other.receive(data, here, self.now_s)
                    busy = True
                for event in agent.take_events():
                    busy = True
                    if isinstance(event, IncomingCall):
                        agent.ring(event.call, self.now_s)
                        agent.answer(event.call, SDP, self.now_s)
                        self.answered += 1


def rate(pair: Pair, calls: int, *, hangup: bool) -> float:
    """Calls per second of CPU, both ends together."""
    before, answered = time.process_time(), pair.answered
    for _ in range(calls):
        pair.call(hangup=hangup)
    if pair.answered - answered != calls:
        raise SystemExit(f"{calls} calls placed, {pair.answered - answered} answered")
    return calls / (time.process_time() - before)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--calls", type=int, default=3000)
    parser.add_argument("--dialogs", type=int, default=5000)
    options = parser.parse_args()
    print(f"CPython {platform.python_version()}, {platform.machine()}\n")
    both = rate(Pair(), options.calls, hangup=True)
    print("| calls/s of one core | both ends | per end |\n|---|---|---|")
    print(f"| set up and ended | {both:.0f} | {2 * both:.0f} |\n")
    print("| open dialogs | set-ups/s, both ends |\n|---|---|")
    pair = Pair()
    for _ in range(5):
        found = rate(pair, options.dialogs // 5, hangup=False)
        pair.pass_time(64.0)  # transactions of these calls are over; their dialogs stay
        print(f"| {pair.callee.open_dialogs} | {found:.0f} |")


if __name__ == "__main__":
    main()
