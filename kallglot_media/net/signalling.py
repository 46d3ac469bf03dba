"""The SIP verbs that sessions use, with the clock, the sending and name resolution taken care of."""

from __future__ import annotations

import asyncio

from kallglot_media.call.ports import DialError, SipHeaders
from kallglot_media.net.finder import Finder
from kallglot_media.net.shell import SipShell
from kallglot_media.sip.settings import Credentials


class ShellSignalling:
    """call.ports.Signalling on a SipShell."""

    def __init__(self, shell: SipShell, finder: Finder) -> None:
        self._shell = shell
        self._finder = finder
        self._loop = asyncio.get_running_loop()

    async def dial(
        self, *, to: str, from_: str, sdp: bytes, headers: SipHeaders = (), credentials: Credentials | None = None
    ) -> str:
        """Resolve `to` and send an INVITE to the first address, then to the others; the call's name.

        Raises DialError. CallFailed comes when the last address has failed (RFC 3263 section 4.3).
        """
        found = await self._finder.find(to, from_, self._loop.time())
        first = found.targets[0]
        try:
            call = self._shell.agent.invite(
                to=found.to,
                from_=found.from_,
                destination=first.peer,
                request_uri=str(first.uri) if first.uri is not None else None,
                others=found.targets[1:],
                sdp=sdp,
                now_s=self._loop.time(),
                headers=[*headers, *found.headers, *(("Route", route) for route in first.route)],
                credentials=credentials or found.credentials,
            )
        except ValueError as error:
            raise DialError(480, str(error)) from error
        self._finder.began(call, found)
        self._shell.drain()
        return call

    def ring(self, call: str, *, status: int = 180, sdp: bytes | None = None) -> None:
        self._shell.agent.ring(call, self._loop.time(), status=status, sdp=sdp)
        self._shell.drain()

    def answer(self, call: str, sdp: bytes) -> None:
        self._shell.agent.answer(call, sdp, self._loop.time())
        self._shell.drain()

    def reject(self, call: str, status: int, *, reason: str | None = None, headers: SipHeaders = ()) -> None:
        self._shell.agent.reject(call, status, self._loop.time(), reason=reason, headers=headers)
        self._shell.drain()

    def hangup(self, call: str, *, reason: str | None = None) -> None:
        self._shell.agent.hangup(call, self._loop.time(), reason=reason)
        self._shell.drain()

    def answer_offer(self, call: str, sdp: bytes) -> None:
        self._shell.agent.answer_offer(call, sdp, self._loop.time())
        self._shell.drain()

    def reoffer(self, call: str, sdp: bytes) -> None:
        self._shell.agent.reoffer(call, sdp, self._loop.time())
        self._shell.drain()

    def accept_transfer(self, call: str) -> None:
        self._shell.agent.accept_transfer(call, self._loop.time())
        self._shell.drain()

    def refuse_transfer(self, call: str, status: int) -> None:
        self._shell.agent.refuse_transfer(call, status, self._loop.time())
        self._shell.drain()

    def tell_transfer(self, call: str, status: int) -> None:
        self._shell.agent.tell_transfer(call, status, self._loop.time())
        self._shell.drain()

    def refer(self, call: str, to: str, *, replaces_call: str | None = None) -> None:
        self._shell.agent.refer(call, to, self._loop.time(), replaces_call=replaces_call)
        self._shell.drain()

    def press_key(self, call: str, key: str, duration_ms: int) -> None:
        self._shell.agent.press_key(call, key, duration_ms, self._loop.time())
        self._shell.drain()

    def message(self, call: str, text: str) -> None:
        self._shell.agent.message(call, text, self._loop.time())
        self._shell.drain()

    def refuse_offer(self, call: str, status: int, *, headers: SipHeaders = ()) -> None:
        self._shell.agent.refuse_offer(call, status, self._loop.time(), headers=headers)
        self._shell.drain()
