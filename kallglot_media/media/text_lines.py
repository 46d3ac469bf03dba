"""The text of legs that have a text line (RFC 4103), beside the tick: who has none costs nothing.

Each line has a pair of ports of its own. What a peer types is counted and goes nowhere. RTCP is neither sent nor read:
the text says by itself what was lost.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from kallglot_media.ids import Ids
from kallglot_media.media.messages import SendText, SetText
from kallglot_media.media.ports import PortPair
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.source_lock import SourceLock
from kallglot_media.media.srtp import Srtp
from kallglot_media.rtp.packet import RtpError, RtpPacket
from kallglot_media.rtp.realtime_text import TextFormat, TextReceiver, TextSender

_DATAGRAM_BYTES = 2048
_MOST_IN_A_TICK = 4  # datagrams of one line: people type a few a second


class TextLine:
    """One leg's text. Nothing goes before `set`, and nothing while its port is 0.

    count  told by name of what happens: see docs/media.md
    """

    def __init__(self, settings: MediaSettings, ids: Ids, count: Callable[[str], None]) -> None:
        self._lock = SourceLock(allow_latch=settings.allow_latch, latch_s=settings.latch_s)
        self._numbers = {"ssrc": ids.ssrc(), "sequence": ids.rtp_sequence(), "first_ticks": ids.rtp_timestamp()}
        self._count = count
        self._sender: TextSender | None = None
        self._receiver: TextReceiver | None = None
        self._srtp: Srtp | None = None
        self._sends = False

    def set(self, message: SetText, now_s: float) -> None:
        """What was agreed, first or again."""
        self._sends = message.send and message.port > 0
        if not message.port:
            self._receiver = None
            return
        self._lock.set((message.host, message.port), now_s)
        if message.keys is None:
            self._srtp = None
        else:
            self._srtp = self._srtp.goes_on(message.keys) if self._srtp else Srtp(message.keys)
        form = TextFormat(
            message.send_text_payload_type, message.send_red_payload_type, message.generations, message.cps
        )
        if self._sender is None:
            self._sender = TextSender(form, **self._numbers)
        else:
            self._sender.agree(form)
        self._receiver = TextReceiver(TextFormat(message.receive_text_payload_type, message.receive_red_payload_type))

    def put(self, text: str) -> None:
        """Text for the peer; none while nothing is agreed."""
        if self._sender is None or self._receiver is None:
            self._count("text_not_agreed")
            return
        dropped = self._sender.dropped_chars
        self._sender.put(text)
        if self._sender.dropped_chars > dropped:
            self._count("text_dropped")

    def receive(self, datagram: bytes, source: tuple[str, int], now_s: float) -> None:
        """A datagram came. Never raises for what is in it."""
        plain = datagram if self._srtp is None else self._srtp.unprotect(datagram)
        if plain is None:
            self._count("text_srtp")
            return
        try:
            packet = RtpPacket.parse(plain)
        except RtpError:
            self._count("text_malformed")
            return
        if self._receiver is None:
            self._count("text_not_agreed")
        elif not self._lock.accepts(source, packet.sequence, now_s):
            self._count("text_source")
        else:
            before = self._receiver.counters.copy()
            self._receiver.push(packet)
            for name in (self._receiver.counters - before).elements():
                self._count(f"text_{name}")

    def take(self, now_s: float) -> tuple[bytes, tuple[str, int]] | None:
        """A datagram that is due, and where it goes."""
        remote = self._lock.remote
        if not self._sends or self._sender is None or remote is None:
            return None
        packet = self._sender.take(now_s)
        if packet is None:
            return None
        self._count("text_sent")
        return packet if self._srtp is None else self._srtp.protect(packet), remote


class TextLines:
    """All of them, by the slot of their leg, with their sockets."""

    def __init__(self, settings: MediaSettings, ids: Ids, count: Callable[[int, str], None]) -> None:
        self._settings = settings
        self._ids = ids
        self._count = count
        self._lines: dict[int, tuple[PortPair, TextLine]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def open(self, slot: int, pair: PortPair) -> None:
        """A leg with a text line; its ports are ours from now on."""
        self._lines[slot] = pair, TextLine(self._settings, self._ids, lambda name: self._count(slot, name))

    def close(self, slot: int) -> None:
        """The leg is no more."""
        if (there := self._lines.pop(slot, None)) is not None:
            there[0].close()

    def apply(self, slot: int, message: SetText | SendText, now_s: float) -> None:
        """Do what control says; a leg without a line has just been told that there is none."""
        if (there := self._lines.get(slot)) is None:
            return
        if isinstance(message, SetText):
            there[1].set(message, now_s)
        else:
            there[1].put(message.text)

    def tick(self, now_s: float) -> None:
        """Read what came, send what is due."""
        for slot, (pair, line) in self._lines.items():
            with contextlib.suppress(OSError):  # nothing more there, or an ICMP error
                for _ in range(_MOST_IN_A_TICK):
                    datagram, source = pair.rtp.recvfrom(_DATAGRAM_BYTES)
                    line.receive(datagram, source[:2], now_s)
            if (due := line.take(now_s)) is not None:
                try:
                    pair.rtp.sendto(*due)
                except OSError:
                    self._count(slot, "text_send_failed")
