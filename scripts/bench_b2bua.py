"""A back-to-back user agent of nothing but the SIP stack and its sockets, for scripts/bench_sip.py to load.

    python scripts/bench_b2bua.py PORT CALLEE_PORT

A call that comes in goes out to 127.0.0.1:CALLEE_PORT with the same SDP; ringing, answer and BYE are passed on.
No routes, no media, no recording: what is measured is the stack, as it is of a signalling-only B2BUA. Ends at SIGTERM.
"""

from __future__ import annotations

import asyncio
import json
import signal
import sys

import uvloop

from kallglot_media.net.shell import Listen, SipShell
from kallglot_media.random_ids import RandomIds
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import (
    CallAnswered,
    CallEnded,
    CallFailed,
    CallProgress,
    IncomingCall,
    Peer,
    SipEvent,
)
from kallglot_media.sip.settings import AgentSettings

HOST = "127.0.0.1"


class Glue:
    """Two calls are one."""

    def __init__(self, callee_port: int) -> None:
        settings = AgentSettings(max_calls=100_000, max_transactions=1_000_000)
        self.shell = SipShell(SipAgent(RandomIds(), settings), self._on_event)
        self._callee = Peer("udp", HOST, callee_port)
        self._other: dict[str, str] = {}

    def _on_event(self, event: SipEvent) -> None:
        agent, now_s = self.shell.agent, self.shell.now_s()
        if isinstance(event, IncomingCall):
            onward = agent.invite(
                to=f"sip:{event.request.uri.user}@{HOST}:{self._callee.port}",
                from_=f"<sip:{event.request.from_.uri.user}@{HOST}>",
                destination=self._callee,
                sdp=event.offer,
                now_s=now_s,
            )
            self._other[event.call], self._other[onward] = onward, event.call
        elif isinstance(event, CallProgress):
            agent.ring(self._other[event.call], now_s, status=180)
        elif isinstance(event, CallAnswered):
            agent.answer(self._other[event.call], event.sdp or b"", now_s)
        elif isinstance(event, CallFailed):
            agent.reject(self._forget(event.call), event.status, now_s)
        elif isinstance(event, CallEnded) and event.call in self._other:
            agent.hangup(self._forget(event.call), now_s)

    def _forget(self, call: str) -> str:
        other = self._other.pop(call)
        self._other.pop(other, None)
        return other


async def main(port: int, callee_port: int) -> None:
    glue = Glue(callee_port)
    await glue.shell.start([Listen("udp", HOST, port)])
    ended = asyncio.Event()
    asyncio.get_running_loop().add_signal_handler(signal.SIGTERM, ended.set)
    await ended.wait()
    print(json.dumps(dict(glue.shell.counters())), flush=True)
    await glue.shell.stop()


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1]), int(sys.argv[2])))
