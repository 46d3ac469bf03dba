"""The codecs that legs may have. G.711 is treated for all legs at once (`rows`); the others have a coder each.

G.722's coders are asked for whole frames together (`g722.decode_all`, `encode_all`).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Protocol

from kallglot_media.audio import g711
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media import opus
from kallglot_media.media.g722 import G722Decoder, G722Encoder
from kallglot_media.media.opus import OpusEncoder, OpusVouchers
from kallglot_media.rtp.packet import RtpPacket


class Encoder(Protocol):
    """Sound at 8 kHz in, payloads out."""

    def encode(self, pcm: Pcm16) -> bytes:
        """The payload of one packet."""
        ...


class Hearing(Protocol):
    """What a leg with a coder of its own does with what comes.

    Between `enter` and `decode` stands the jitter buffer, which counts a byte as 1/8 ms and may cut anywhere.
    """

    def enter(self, packet: RtpPacket) -> RtpPacket | None:
        """What goes into the jitter buffer; None when the payload is none of this codec."""
        ...

    def decode(self, payload: bytes) -> Pcm16:
        """As many samples as `payload` has bytes."""
        ...

    def conceal(self, pieces: Sequence[tuple[int, bytes]], following: bytes | None) -> Pcm16 | None:
        """A frame that did not come whole; None when the codec has no way of its own."""
        ...


class LawEncoder:
    """G.711 for legs whose packets are not 20 ms long. law: "PCMU" or "PCMA"."""

    def __init__(self, law: str) -> None:
        self._encode = g711.ENCODERS[law]

    def encode(self, pcm: Pcm16) -> bytes:
        """The payload of one packet."""
        return self._encode(pcm).tobytes()


class G722Hearing:
    """Bytes may be cut anywhere, and the loss of some is made up from the sound before them."""

    def __init__(self) -> None:
        self.decoder = G722Decoder()

    def enter(self, packet: RtpPacket) -> RtpPacket:
        """The packet itself."""
        return packet

    def decode(self, payload: bytes) -> Pcm16:
        """As many samples as `payload` has bytes."""
        return self.decoder.decode(payload)

    def conceal(self, pieces: Sequence[tuple[int, bytes]], following: bytes | None) -> None:
        """The plane does it, as for G.711."""


class OpusHearing:
    """Vouchers stand for packets, and libopus makes up what was lost."""

    def __init__(self) -> None:
        self._vouchers = OpusVouchers()
        self.enter = self._vouchers.voucher
        self.decode = self._vouchers.decode
        self.conceal = self._vouchers.conceal


@dataclass(frozen=True, slots=True)
class Coding:
    """How one codec is done.

    clock_hz     of its RTP timestamps
    hearing      makes what decodes; None: G.711, decoded by table for all legs at once
    packet_ms    lengths of packets that it can make, ascending
    """

    clock_hz: int
    hearing: type[G722Hearing] | type[OpusHearing] | None
    packet_ms: tuple[int, ...]


_ANY_LENGTH = (10, 20, 30, 40, 50, 60)

CODINGS: Mapping[str, Coding] = {
    "PCMU": Coding(8000, None, _ANY_LENGTH),
    "PCMA": Coding(8000, None, _ANY_LENGTH),
    "G722": Coding(8000, G722Hearing, (20, 40, 60)),
    "opus": Coding(opus.CLOCK_HZ, OpusHearing, (10, 20, 40, 60)),
}


def encoder_of(codec: str) -> Encoder:
    """A new encoder. KeyError for a codec that is not in CODINGS; OpusMissing where libopus is not."""
    if codec == "opus":
        return OpusEncoder()
    return G722Encoder() if codec == "G722" else LawEncoder(codec)


def packet_ms(codec: str, wished_ms: int) -> int:
    """The longest packet that the codec can make and that is no longer than the peer wishes, at least the shortest."""
    lengths = CODINGS[codec].packet_ms
    return max((length for length in lengths if length <= wished_ms), default=lengths[0])
