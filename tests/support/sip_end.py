"""A SIP agent with its shell on real sockets, and a way to wait for what it is told."""

from __future__ import annotations

import asyncio

from kallglot_media.net.shell import Listen, SipShell
from kallglot_media.net.sip_tcp import SipTcp, TcpLimits
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import IncomingCall, Peer, SipEvent
from kallglot_media.sip.settings import AgentSettings
from tests.support.call_ladder import SDP
from tests.support.counting_ids import CountingIds

HOST = "127.0.0.1"
started: list[SipShell] = []
"""Shells that the test has to stop; tests/net/conftest.py does."""


class End:
    """answers: whether it takes calls at once."""

    def __init__(self, name: str, limits: TcpLimits | None = None, settings: AgentSettings | None = None) -> None:
        self.agent = SipAgent(CountingIds(name), settings)
        self.shell = SipShell(self.agent, self._on_event, tcp_limits=limits)
        self.events: asyncio.Queue[SipEvent] = asyncio.Queue()
        self.answers = True

    async def start(self, *transports: str | Listen) -> list[Peer]:
        """Listen: on a free port of 127.0.0.1 where only the transport is named."""
        started.append(self.shell)
        return await self.shell.start(
            [listen if isinstance(listen, Listen) else Listen(listen, HOST, 0) for listen in transports]
        )

    def _on_event(self, event: SipEvent) -> None:
        self.events.put_nowait(event)
        if isinstance(event, IncomingCall) and self.answers:
            self.agent.answer(event.call, SDP, self.shell.now_s())

    async def told(self, kind: type[SipEvent]) -> SipEvent:
        """The next event of this kind; others before it are forgotten."""
        while not isinstance(event := await self.events.get(), kind):
            pass
        return event

    def call(self, to: Peer, *, sdp: bytes = SDP, others: tuple[Peer, ...] = ()) -> str:
        """Call it; the name of the call."""
        call = self.agent.invite(
            to=f"sip:b@{HOST}",
            from_=f"sip:a@{HOST}",
            destination=to,
            sdp=sdp,
            now_s=self.shell.now_s(),
            others=others,
        )
        self.shell.drain()
        return call

    def hangup(self, call: str) -> None:
        """End a call."""
        self.agent.hangup(call, self.shell.now_s())
        self.shell.drain()

    def tcp(self) -> SipTcp:
        """Its only listener that makes connections."""
        return next(transport for transport in self.shell._transports.values() if isinstance(transport, SipTcp))
