"""RTP data packets, RFC 3550 section 5.1.

 0                   1                   2                   3
 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1 2 3 4 5 6 7 8 9 0 1
|V=2|P|X|  CC   |M|     PT      |       sequence number         |
|                           timestamp                           |
|           synchronization source (SSRC) identifier            |
|            contributing source (CSRC) identifiers             |
"""

from __future__ import annotations

import struct
from typing import NamedTuple, Self

HEADER_BYTES = 12
_HEADER = struct.Struct("!BBHII")
_new = tuple.__new__  # half the time of the class call, and it runs for every datagram
_PLAIN = 0x80  # version 2, no padding, no extension, no CSRC: what nearly every phone sends


class RtpError(ValueError):
    """The bytes are not an RTP packet; the message says what is wrong, with numbers."""


class RtpPacket(NamedTuple):
    """One RTP packet. CSRCs, header extension and padding are checked and left out.

    sequence   16 bits, wraps
    timestamp  32 bits in ticks of the codec's RTP clock, wraps
    marker     for audio: first packet after a silence (RFC 3551 section 4.1)

    A named tuple, because it is made for every datagram: a frozen dataclass costs 1 µs more.
    """

    payload_type: int
    sequence: int
    timestamp: int
    ssrc: int
    payload: bytes
    marker: bool = False

    @classmethod
    def parse(cls, data: bytes) -> Self:
        """The packet in one datagram. Raises RtpError."""
        if len(data) < HEADER_BYTES:
            raise RtpError(f"{len(data)} bytes is shorter than the 12-byte RTP header")
        first, second, sequence, timestamp, ssrc = _HEADER.unpack_from(data)
        payload = data[HEADER_BYTES:] if first == _PLAIN else data[slice(*_payload_span(data, first))]
        return _new(cls, (second & 0x7F, sequence, timestamp, ssrc, payload, second > 0x7F))

    def serialize(self) -> bytes:
        """The datagram: plain header and payload."""
        return pack_header(self.payload_type, self.sequence, self.timestamp, self.ssrc, self.marker) + self.payload


def pack_header(payload_type: int, sequence: int, timestamp: int, ssrc: int, marker: bool = False) -> bytes:
    """The 12 header bytes of a packet without CSRC, extension and padding.

    sequence and timestamp are reduced to their 16 and 32 bits, so a caller may count on without wrapping.
    """
    second = payload_type | 0x80 if marker else payload_type
    return _HEADER.pack(_PLAIN, second, sequence & 0xFFFF, timestamp & 0xFFFFFFFF, ssrc)


def is_rtcp(data: bytes) -> bool:
    """Whether a datagram on a shared port is RTCP: "packet type" 192 to 223. RFC 5761 section 4."""
    return len(data) > 1 and data[0] >> 6 == 2 and 192 <= data[1] <= 223


def unwrap(counter: int, near: int, bits: int) -> int:
    """The value congruent to `counter` mod 2**bits that lies closest to `near`.

        unwrap(2, near=65_534, bits=16) == 65_538

    A counter exactly half a turn away is read as the past. This is the bookkeeping of
    RFC 3550 appendix A.1 (`cycles`) without its state.
    """
    span = 1 << bits
    ahead = (counter - near) & (span - 1)
    return near + (ahead if ahead < span >> 1 else ahead - span)


def _payload_span(data: bytes, first: int) -> tuple[int, int]:
    """Where the payload starts and ends when the header is not the plain one."""
    if first >> 6 != 2:
        raise RtpError(f"version is {first >> 6}, RTP is 2 (STUN and DTLS share the port)")
    size = len(data)
    start = HEADER_BYTES + 4 * (first & 0x0F)
    if start > size:
        raise RtpError(f"{first & 0x0F} CSRCs need {start} bytes, the datagram has {size}")
    if first & 0x10:  # section 5.3.1
        if size < start + 4:
            raise RtpError(f"header extension needs {start + 4} bytes, the datagram has {size}")
        start += 4 + 4 * int.from_bytes(data[start + 2 : start + 4])
        if start > size:
            raise RtpError(f"header extension ends at byte {start}, the datagram has {size}")
    if not first & 0x20:
        return start, size
    # "The last octet of the padding contains a count of how many padding octets should be ignored, including itself"
    padding = data[-1]
    if padding == 0 or start + padding > size:
        raise RtpError(f"padding says {padding} bytes, {size - start} are left after the headers")
    return start, size - padding
