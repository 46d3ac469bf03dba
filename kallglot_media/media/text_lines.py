"""The text of legs that have a text line (RFC 4103), beside the tick: who has none costs nothing.

Each line has a pair of ports of its own. What a peer types is counted and goes nowhere. RTCP goes both ways as for
sound: the text says by itself what was lost, but only RTCP tells us that our text does not arrive.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable

from kallglot_media.ids import Ids
from kallglot_media.media.messages import SendText, SetText, TextShown
from kallglot_media.media.ports import PortPair
from kallglot_media.media.reports import Reports
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.source_lock import SourceLock
from kallglot_media.media.srtp import Srtp
from kallglot_media.rtp.packet import RtpError, RtpPacket
from kallglot_media.rtp.realtime_text import CLOCK_HZ, TextFormat, TextReceiver, TextSender

_DATAGRAM_BYTES = 2048
_MOST_IN_A_TICK = 4  # datagrams of one line: people type a few a second
_MOST_IN_A_REPORT = 100  # packets that one report may say are lost: text is a few a second
_RTP_HEADER_BYTES = 12
Address = tuple[str, int]


class TextLine:
    """One leg's text. Nothing goes before `set`, and nothing while its port is 0.

    count  told by name of what happens: see docs/media.md
    """

    def __init__(self, settings: MediaSettings, ids: Ids, count: Callable[[str], None]) -> None:
        self._lock = SourceLock(allow_latch=settings.allow_latch, latch_s=settings.latch_s)
        self._numbers = {"ssrc": ids.ssrc(), "sequence": ids.rtp_sequence(), "first_ticks": ids.rtp_timestamp()}
        self._reports = Reports(self._numbers["ssrc"])
        self._reports.clock_hz = CLOCK_HZ
        self._packets = self._octets = 0
        self._count = count
        self._puts = self._told = 0
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
        self._puts += 1
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
            self._reports.received(packet, now_s, is_sound=True)
            before = self._receiver.counters.copy()
            self._receiver.push(packet)
            for name in (self._receiver.counters - before).elements():
                self._count(f"text_{name}")

    def take(self, now_s: float) -> tuple[bytes, Address] | None:
        """A datagram that is due, and where it goes."""
        remote = self._lock.remote
        if not self._sends or self._sender is None or remote is None:
            return None
        packet = self._sender.take(now_s)
        if packet is None:
            return None
        self._count("text_sent")
        self._packets, self._octets = self._packets + 1, self._octets + len(packet) - _RTP_HEADER_BYTES
        return packet if self._srtp is None else self._srtp.protect(packet), remote

    def shown(self) -> int | None:
        """How many texts were put, once all of them have gone; None when there is no news."""
        gone = self._receiver is None or self._sender is None or self._sender.drained
        if not gone or self._told == self._puts:
            return None
        self._told = self._puts
        return self._puts

    # ── RTCP ─────────────────────────────────────────────────────────────────────

    def receive_rtcp(self, datagram: bytes, source: Address, now_s: float, *, wall_s: float) -> None:
        """A report of the peer. Never raises for what is in it."""
        plain = datagram if self._srtp is None else self._srtp.unprotect_rtcp(datagram)
        remote = self._lock.remote
        if plain is None or remote is None or source[0] != remote[0]:
            self._count("text_rtcp_dropped")
            return
        self._count("text_rtcp_in")
        before = self._reports.counters().get("peer_lost", 0)
        self._reports.receive(plain, now_s, wall_s=wall_s)
        for _ in range(min(_MOST_IN_A_REPORT, self._reports.counters().get("peer_lost", 0) - before)):
            self._count("text_peer_lost")

    def report(self, now_s: float, *, wall_s: float) -> tuple[bytes, Address] | None:
        """A report that is due, and where it goes: the port behind the text's, RFC 3550 section 11."""
        if self._sender is None or self._receiver is None or not self._reports.due(now_s):
            return None
        made = self._reports.report(
            now_s,
            wall_s=wall_s,
            rtp_timestamp=self._sender.ticks(now_s),
            packets=self._packets,
            octets=self._octets,
        )
        return self._to_rtcp(made)

    def bye(self, now_s: float) -> tuple[bytes, Address] | None:
        """The last report; None when there never was a text line."""
        return None if self._receiver is None else self._to_rtcp(self._reports.bye(now_s))

    def _to_rtcp(self, packet: bytes) -> tuple[bytes, Address] | None:
        remote = self._lock.remote
        if remote is None or remote[1] >= 65_535:
            return None
        return packet if self._srtp is None else self._srtp.protect_rtcp(packet), (remote[0], remote[1] + 1)


class TextLines:
    """All of them, by the slot of their leg, with their sockets."""

    def __init__(self, settings: MediaSettings, ids: Ids, count: Callable[[int, str], None]) -> None:
        self._settings = settings
        self._ids = ids
        self._count = count
        self._lines: dict[int, tuple[PortPair, TextLine, str]] = {}

    def __bool__(self) -> bool:
        return bool(self._lines)

    def open(self, slot: int, leg_id: str, pair: PortPair) -> None:
        """A leg with a text line; its ports are ours from now on."""
        line = TextLine(self._settings, self._ids, lambda name: self._count(slot, name))
        self._lines[slot] = pair, line, leg_id

    def close(self, slot: int, now_s: float) -> None:
        """The leg is no more."""
        if (there := self._lines.pop(slot, None)) is not None:
            pair, line, _ = there
            if (last := line.bye(now_s)) is not None:
                with contextlib.suppress(OSError):
                    pair.rtcp.sendto(*last)
            pair.close()

    def apply(self, slot: int, message: SetText | SendText, now_s: float) -> None:
        """Do what control says; a leg without a line has just been told that there is none."""
        if (there := self._lines.get(slot)) is None:
            return
        if isinstance(message, SetText):
            there[1].set(message, now_s)
        else:
            there[1].put(message.text)

    def tick(self, now_s: float, *, wall_s: float) -> list[TextShown]:
        """Read what came, send what is due; whose text has gone by now."""
        shown = []
        for slot, (pair, line, leg_id) in self._lines.items():
            self._read(pair, line, now_s, wall_s)
            if (due := line.take(now_s)) is not None:
                try:
                    pair.rtp.sendto(*due)
                except OSError:
                    self._count(slot, "text_send_failed")
            if (report := line.report(now_s, wall_s=wall_s)) is not None:
                with contextlib.suppress(OSError):  # a report lost is like a report lost on the way
                    pair.rtcp.sendto(*report)
            if (count := line.shown()) is not None:
                shown.append(TextShown(leg_id, count))
        return shown

    def _read(self, pair: PortPair, line: TextLine, now_s: float, wall_s: float) -> None:
        with contextlib.suppress(OSError):  # nothing more there, or an ICMP error
            for _ in range(_MOST_IN_A_TICK):
                datagram, source = pair.rtp.recvfrom(_DATAGRAM_BYTES)
                line.receive(datagram, source[:2], now_s)
        with contextlib.suppress(OSError):
            for _ in range(_MOST_IN_A_TICK):
                datagram, source = pair.rtcp.recvfrom(_DATAGRAM_BYTES)
                line.receive_rtcp(datagram, source[:2], now_s, wall_s=wall_s)
