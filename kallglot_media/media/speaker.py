"""What a leg sends when it is not G.711 or G.722 in packets of 20 ms, or while it sends keys."""

from __future__ import annotations

from collections import deque
from dataclasses import replace

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.coders import CODINGS, encoder_of, packet_ms
from kallglot_media.media.g722 import G722Encoder
from kallglot_media.media.messages import SetRemote
from kallglot_media.media.rows import BYTE_A_SAMPLE, RATE_HZ
from kallglot_media.rtp.dtmf import DtmfSender
from kallglot_media.rtp.packet import RtpPacket

GAP_MS = 100
"""Silence between two keys: ITU-T Q.24 asks for 40 ms or more."""

_FRAME_MS = 20


class Speaker:
    """Frames of 20 ms in, RTP packets out, by the agreement in `remote`."""

    def __init__(self, remote: SetRemote, ssrc: int) -> None:
        self._remote = remote
        self._ssrc = ssrc
        self._packet_ms = packet_ms(remote.codec, remote.ptime_ms)
        self._packet_samples = self._packet_ms * RATE_HZ // 1000
        self.clock_factor = CODINGS[remote.codec].clock_hz // RATE_HZ
        self._encoder = encoder_of(remote.codec)
        self._pending: Pcm16 = np.zeros(0, np.int16)
        self._keys: deque[tuple[str, int]] = deque()
        self._press: deque[RtpPacket | None] = deque()
        self._marker = True

    def goes_on(self, remote: SetRemote) -> bool:
        """Whether a new agreement changes nothing here but where packets go."""
        same = replace(remote, host="", port=0, send=True, receive=True)
        return same == replace(self._remote, host="", port=0, send=True, receive=True)

    @property
    def is_needed(self) -> bool:
        """Whether the plane cannot do it for all legs at once."""
        plain = self._remote.codec in BYTE_A_SAMPLE and self._packet_ms == _FRAME_MS
        return not plain or bool(self._keys or self._press)

    @property
    def wide_encoder(self) -> G722Encoder | None:
        """The coder of a leg whose frames are coded with those of all such legs, when it has one."""
        return self._encoder if isinstance(self._encoder, G722Encoder) else None

    def press(self, digits: str, duration_ms: int) -> bool:
        """Send keys from the next frame on, in place of sound; False when the peer agreed to none."""
        if self._remote.dtmf_send_payload_type is None:
            return False
        self._keys.extend((digit, duration_ms) for digit in digits)
        return True

    def speak(self, frame: Pcm16, at: int, sequence: int) -> list[bytes]:
        """The packets that are due. at: of the frame, on the 8 kHz clock; sequence: of the next packet; unwrapped."""
        if self._keys or self._press:
            self._pending = self._pending[:0]
            self._marker = True
            packet = self._next_of_press(at)
            return [packet._replace(sequence=sequence & 0xFFFF).serialize()] if packet else []
        sound = np.concatenate([self._pending, frame])
        start = at - len(self._pending)
        size = self._packet_samples
        whole = len(sound) // size * size
        packets = [self._packet(sound[n : n + size], start + n, sequence + n // size) for n in range(0, whole, size)]
        self._pending = sound[whole:]
        return packets

    def _packet(self, pcm: Pcm16, at: int, sequence: int) -> bytes:
        marker, self._marker = self._marker, False
        timestamp = at * self.clock_factor & 0xFFFFFFFF
        payload = self._encoder.encode(pcm)
        packet = RtpPacket(
            self._remote.send_payload_type, sequence & 0xFFFF, timestamp, self._ssrc, payload, marker=marker
        )
        return packet.serialize()

    def _next_of_press(self, at: int) -> RtpPacket | None:
        """RFC 4733 section 2.5.1: a packet each 20 ms, all with the timestamp of the key's start."""
        if not self._press:
            digit, duration_ms = self._keys.popleft()
            payload_type = self._remote.dtmf_send_payload_type
            assert payload_type is not None
            sender = DtmfSender(payload_type, self._remote.dtmf_clock_hz)
            timestamp = at * self.clock_factor & 0xFFFFFFFF
            self._press.extend(sender.packets(digit, duration_ms, sequence=0, timestamp=timestamp, ssrc=self._ssrc))
            self._press.extend([None] * (GAP_MS // _FRAME_MS))
        return self._press.popleft()
