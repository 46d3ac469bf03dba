"""A phone's screen: what comes on the text line of its call (RFC 4103). It types nothing itself."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Callable
from typing import cast

from kallglot_media.rtp.packet import RtpError, RtpPacket
from kallglot_media.rtp.realtime_text import TextFormat, TextReceiver, TextScreen
from kallglot_media.sdp.types import AgreedText


class TextLine(asyncio.DatagramProtocol):
    """One port. on_line: told each line that is finished."""

    def __init__(self, on_line: Callable[[str], None] = lambda line: None) -> None:
        self.screen = TextScreen()
        self.on_line = on_line
        self._host = ""
        self._receiver: TextReceiver | None = None
        self._refused: Counter[str] = Counter()
        self._transport: asyncio.DatagramTransport | None = None

    async def open(self, host: str) -> int:
        """Bind a port of `host`; its number."""
        self._transport, _ = await asyncio.get_running_loop().create_datagram_endpoint(
            lambda: self, local_addr=(host, 0), family=socket.AF_INET6 if ":" in host else socket.AF_INET
        )
        return cast(int, self._transport.get_extra_info("sockname")[1])

    def close(self) -> None:
        """Free the port."""
        if self._transport is not None:
            self._transport.close()

    def connect(self, agreed: AgreedText | None) -> None:
        """What offer and answer came to; None: the other side has no text."""
        if agreed is None:
            self._receiver = None
            return
        self._host = agreed.remote_host
        form = TextFormat(agreed.receive_text_payload_type, agreed.receive_red_payload_type)
        if self._receiver is None:
            self._receiver = TextReceiver(form)

    def datagram_received(self, data: bytes, addr: tuple[str, int]) -> None:
        """From asyncio."""
        if self._receiver is None or addr[0] != self._host:
            self._refused["source"] += 1
            return
        try:
            packet = RtpPacket.parse(data)
        except RtpError:
            self._refused["malformed"] += 1
            return
        for line in self.screen.show(self._receiver.push(packet)):
            self.on_line(line)

    @property
    def counters(self) -> dict[str, int]:
        """Packets by what became of them; empty when there was no text line."""
        known = self._receiver.counters if self._receiver is not None else Counter[str]()
        return {name: count for name, count in (known + self._refused).items() if count}
