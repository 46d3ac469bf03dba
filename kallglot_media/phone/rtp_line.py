"""A phone's RTP: one pair of sockets, G.711 both ways, keys as RFC 4733 events. Decides nothing about the call."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter, deque
from collections.abc import Callable
from typing import cast

import numpy as np

from kallglot_media.audio.g711 import DECODERS, ENCODERS
from kallglot_media.audio.pcm import FRAME_MS, Pcm16
from kallglot_media.ids import Ids
from kallglot_media.phone.ear import Ear
from kallglot_media.phone.report import RtpReport
from kallglot_media.phone.rough_path import SMOOTH, PathRules, RoughPath
from kallglot_media.rtp.dtmf import DtmfReceiver, DtmfSender
from kallglot_media.rtp.packet import RtpError, RtpPacket
from kallglot_media.rtp.receiver_stats import ReceiverStats
from kallglot_media.sdp.types import Agreed

RATE_HZ = 8000
KEY_MS = 120
BETWEEN_KEYS_MS = 80
_PAIR_TRIES = 50


class RtpLine(asyncio.DatagramProtocol):
    """Frames out on the phone's clock, packets in to its ear.

    now   the phone's clock in samples, None while it does not run yet: sound before the answer is not kept
    path  what becomes of the packets that it sends
    """

    def __init__(self, ids: Ids, ear: Ear, now: Callable[[], int | None], path: PathRules = SMOOTH) -> None:
        self.heard_keys = ""
        self._ear = ear
        self._now = now
        self._ssrc = ids.ssrc()
        self._sequence = ids.rtp_sequence()
        self._first_ticks = ids.rtp_timestamp()
        self._agreed: Agreed | None = None
        self._transports: list[asyncio.DatagramTransport] = []
        self._stats: dict[int, ReceiverStats] = {}
        self._receiver = DtmfReceiver(RATE_HZ)
        self._keys: deque[str] = deque()
        self._presses: deque[RtpPacket | None] = deque()
        self._sent = 0
        self._path = RoughPath(path)
        self._refused: Counter[str] = Counter()

    async def open(self, host: str) -> int:
        """Bind an even port of `host` and the odd one after it; the even one's number. RFC 3550 section 11."""
        loop = asyncio.get_running_loop()
        for _ in range(_PAIR_TRIES):
            pair = _free_pair(host)
            if pair is not None:
                rtp, _ = await loop.create_datagram_endpoint(lambda: self, sock=pair[0])
                rtcp, _ = await loop.create_datagram_endpoint(asyncio.DatagramProtocol, sock=pair[1])
                self._transports = [rtp, rtcp]
                return cast(int, pair[0].getsockname()[1])
        raise OSError(None, f"no pair of ports is free on {host}")

    def close(self) -> None:
        """Free the ports."""
        for transport in self._transports:
            transport.close()

    def connect(self, agreed: Agreed) -> None:
        """Where sound goes and how it is coded, from offer and answer."""
        self._agreed = agreed

    # ── out ──────────────────────────────────────────────────────────────────────

    @property
    def is_pressing(self) -> bool:
        """Whether keys are still being sent."""
        return bool(self._keys or self._presses)

    def press(self, digits: str) -> None:
        """Send these keys from the next frame on, in place of sound. Nothing, when the peer agreed to no events."""
        if self._agreed is not None and self._agreed.dtmf_send_payload_type is not None:
            self._keys.extend(digits)
        else:
            self._refused["keys without telephone-event"] += len(digits)

    def send(self, frame: Pcm16, at_sample: int) -> None:
        """One 20 ms frame; nothing before connect() and while the peer holds us."""
        agreed = self._agreed
        if agreed is None or not agreed.send:
            return
        ticks = (self._first_ticks + at_sample) & 0xFFFFFFFF
        key = self._next_key_packet(ticks, agreed)
        if key is not None:
            self._put(key, agreed)
            return
        payload = ENCODERS[agreed.codec](frame).tobytes()
        sequence = self._sequence & 0xFFFF
        self._put(RtpPacket(agreed.send_payload_type, sequence, ticks, self._ssrc, payload, self._sent == 0), agreed)

    def _next_key_packet(self, ticks: int, agreed: Agreed) -> RtpPacket | None:
        """The packet of a press that is due in this frame; None: sound goes out."""
        if not self._presses and self._keys:
            sender = DtmfSender(cast(int, agreed.dtmf_send_payload_type), RATE_HZ)
            self._presses.extend(
                sender.packets(self._keys.popleft(), KEY_MS, sequence=self._sequence, timestamp=ticks, ssrc=self._ssrc)
            )
            self._presses.extend([None] * (BETWEEN_KEYS_MS // FRAME_MS))
        return self._presses.popleft() if self._presses else None

    def _put(self, packet: RtpPacket, agreed: Agreed) -> None:
        if self._transports and not self._transports[0].is_closing():
            self._sequence += 1
            self._sent += 1
            delay_s = self._path.delay_s()
            if delay_s:
                asyncio.get_running_loop().call_later(delay_s, self._hand_over, packet, agreed)
            elif delay_s is not None:
                self._hand_over(packet, agreed)

    def _hand_over(self, packet: RtpPacket, agreed: Agreed) -> None:
        if not self._transports[0].is_closing():
            self._transports[0].sendto(packet.serialize(), (agreed.remote_host, agreed.remote_port))

    # ── in ───────────────────────────────────────────────────────────────────────

    def datagram_received(self, data: bytes, addr: object) -> None:
        """From asyncio: one datagram on the RTP port."""
        now, agreed = self._now(), self._agreed
        if now is None or agreed is None:
            self._refused["before the answer"] += 1
            return
        try:
            packet = RtpPacket.parse(data)
        except RtpError:
            self._refused["no RTP"] += 1
            return
        self._hear(packet, agreed, now)

    def _hear(self, packet: RtpPacket, agreed: Agreed, now: int) -> None:
        if packet.payload_type == agreed.dtmf_receive_payload_type:
            press = self._receiver.push(packet)
            self.heard_keys += press.digit if press else ""
        elif packet.payload_type == agreed.receive_payload_type:
            pcm = DECODERS[agreed.codec](np.frombuffer(packet.payload, np.uint8))
            self._ear.hear(pcm, packet.timestamp, packet.ssrc, now)
        else:
            self._refused[f"payload type {packet.payload_type}"] += 1
            return
        stats = self._stats.setdefault(packet.ssrc, ReceiverStats(packet.ssrc, packet.sequence))
        stats.push(packet.sequence, packet.timestamp, now)

    def report(self) -> RtpReport:
        """The numbers of the call so far; jitter: of the source with most packets."""
        sources = sorted(self._stats.values(), key=lambda stats: stats.received)
        return RtpReport(
            sent_packets=self._sent,
            received_packets=sum(stats.received for stats in sources),
            lost_packets=sum(max(0, stats.lost) for stats in sources),
            jitter_ms=sources[-1].jitter_ticks * 1000 / RATE_HZ if sources else 0.0,
            withheld_packets=self._path.lost,
            refused=dict(self._refused),
        )


def _free_pair(host: str) -> tuple[socket.socket, socket.socket] | None:
    """Sockets on an even port and the one after it; None when the kernel's choice does not allow that."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    first, second = socket.socket(family, socket.SOCK_DGRAM), socket.socket(family, socket.SOCK_DGRAM)
    try:
        first.bind((host, 0))
        port = first.getsockname()[1]
        if port % 2 == 0:
            second.bind((host, port + 1))
            return first, second
    except OSError:
        if not first.getsockname()[1]:
            first.close()
            second.close()
            raise
    first.close()
    second.close()
    return None
