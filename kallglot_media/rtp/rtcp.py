"""RTCP: sender and receiver reports, source descriptions, goodbyes (RFC 3550 section 6); extended reports (RFC 3611).

 0                   1                   2                   3
|V=2|P|    RC   |   PT 200..207 |   length in words, minus one  |
"""

from __future__ import annotations

import struct
from collections.abc import Sequence
from dataclasses import dataclass

from kallglot_media.rtp.xr import ExtendedReport, build_voip, parse_voip_blocks

_HEADER = struct.Struct("!BBH")
_WORD = struct.Struct("!I")
_SENDER = struct.Struct("!QIII")
_BLOCK = struct.Struct("!IIIIII")
_SR, _RR, _SDES, _BYE, _XR = 200, 201, 202, 203, 207
_MOST = 31  # reports, chunks or sources: the count has 5 bits
_CNAME = 1
_NTP_EPOCH_S = 2_208_988_800  # 1900 to 1970


class RtcpError(ValueError):
    """The bytes are not a compound RTCP packet; the message says what is wrong, with numbers."""


@dataclass(frozen=True, slots=True)
class ReportBlock:
    """How one source was received. Section 6.4.1.

    fraction_lost     of the packets since the last report, 0–255 for 0–1
    cumulative_lost   since the start; negative when there were duplicates
    highest_sequence  extended with the cycles, 32 bits
    jitter_ticks      of the RTP clock
    last_sr           the middle 32 bits of the last SR's NTP time, 0: none yet
    delay_since_sr    in 1/65536 s
    """

    ssrc: int
    fraction_lost: int
    cumulative_lost: int
    highest_sequence: int
    jitter_ticks: int
    last_sr: int = 0
    delay_since_sr: int = 0


@dataclass(frozen=True, slots=True)
class SenderReport:
    """ntp: 64 bits, 32.32 seconds since 1900, at which the RTP clock showed rtp_timestamp."""

    ssrc: int
    ntp: int
    rtp_timestamp: int
    packets: int
    octets: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class ReceiverReport:
    ssrc: int
    reports: tuple[ReportBlock, ...] = ()


@dataclass(frozen=True, slots=True)
class Description:
    """One chunk of an SDES packet. Items other than CNAME are in `items` as (type, text)."""

    ssrc: int
    cname: str
    items: tuple[tuple[int, str], ...] = ()


@dataclass(frozen=True, slots=True)
class Goodbye:
    ssrcs: tuple[int, ...]
    reason: str = ""


RtcpPacket = SenderReport | ReceiverReport | Description | Goodbye | ExtendedReport


def ntp_time(unix_s: float) -> int:
    """Unix time as the 64 bits of an SR."""
    seconds = int(unix_s)
    return (seconds + _NTP_EPOCH_S) << 32 | int((unix_s - seconds) * 2**32)


def middle_of_ntp(ntp: int) -> int:
    """What a report block says in last_sr."""
    return ntp >> 16 & 0xFFFFFFFF


def round_trip_s(now_ntp: int, last_sr: int, delay_since_sr: int) -> float | None:
    """The round trip that a report block about us tells, section 6.4.1; None before our first SR, or when it lies."""
    if not last_sr:
        return None
    units = (middle_of_ntp(now_ntp) - last_sr - delay_since_sr) & 0xFFFFFFFF
    return units / 65536 if units < 1 << 31 else None


# ── build ────────────────────────────────────────────────────────────────────────


def build_compound(packets: Sequence[RtcpPacket]) -> bytes:
    """One datagram. Raises ValueError where section 6.1 would be broken: a report comes first, a CNAME is there."""
    if not packets or not isinstance(packets[0], SenderReport | ReceiverReport):
        raise ValueError("a compound RTCP packet starts with an SR or RR")
    if not any(isinstance(packet, Description) for packet in packets):
        raise ValueError("a compound RTCP packet carries an SDES with the CNAME")
    return b"".join(_build(packet) for packet in packets)


def _build(packet: RtcpPacket) -> bytes:
    if isinstance(packet, SenderReport):
        body = _WORD.pack(packet.ssrc) + _SENDER.pack(packet.ntp, packet.rtp_timestamp, packet.packets, packet.octets)
        return _wrap(_SR, len(packet.reports), body + b"".join(map(_build_block, packet.reports)))
    if isinstance(packet, ReceiverReport):
        blocks = b"".join(map(_build_block, packet.reports))
        return _wrap(_RR, len(packet.reports), _WORD.pack(packet.ssrc) + blocks)
    if isinstance(packet, Description):
        items = b"".join(_build_item(kind, text) for kind, text in ((_CNAME, packet.cname), *packet.items))
        chunk = _WORD.pack(packet.ssrc) + items + b"\x00"  # "terminated by one or more null octets", to a word
        return _wrap(_SDES, 1, chunk + bytes(-len(chunk) % 4))
    if isinstance(packet, ExtendedReport):
        return _wrap(_XR, 0, _WORD.pack(packet.ssrc) + b"".join(map(build_voip, packet.voip)))
    reason = packet.reason.encode()[:255]
    text = bytes([len(reason)]) + reason if reason else b""
    sources = b"".join(_WORD.pack(ssrc) for ssrc in packet.ssrcs)
    return _wrap(_BYE, len(packet.ssrcs), sources + text + bytes(-len(text) % 4))


def _build_item(kind: int, text: str) -> bytes:
    encoded = text.encode()
    if len(encoded) > 255:
        raise ValueError(f"an SDES item holds 255 bytes, this one has {len(encoded)}")
    return bytes([kind, len(encoded)]) + encoded


def _build_block(block: ReportBlock) -> bytes:
    lost = min(max(block.cumulative_lost, -(1 << 23)), (1 << 23) - 1) & 0xFFFFFF
    return _BLOCK.pack(
        block.ssrc,
        block.fraction_lost << 24 | lost,
        block.highest_sequence & 0xFFFFFFFF,
        block.jitter_ticks & 0xFFFFFFFF,
        block.last_sr,
        block.delay_since_sr,
    )


def _wrap(packet_type: int, count: int, body: bytes) -> bytes:
    if count > _MOST:
        raise ValueError(f"an RTCP packet holds {_MOST} reports, chunks or sources, not {count}")
    return _HEADER.pack(0x80 | count, packet_type, len(body) // 4) + body


# ── parse ────────────────────────────────────────────────────────────────────────


def parse_compound(data: bytes) -> tuple[RtcpPacket, ...]:
    """The packets of one datagram, in order; kinds that we do not use (APP, feedback) are left out. Raises RtcpError.

    Reduced-size RTCP (RFC 5506) is taken too, so the first need not be a report.
    """
    if not data:
        raise RtcpError("0 bytes")
    found: list[RtcpPacket] = []
    position = 0
    while position < len(data):
        left = len(data) - position
        if left < _HEADER.size:
            raise RtcpError(f"{left} bytes at byte {position} are shorter than the 4-byte RTCP header")
        first, packet_type, words = _HEADER.unpack_from(data, position)
        if first >> 6 != 2:
            raise RtcpError(f"version at byte {position} is {first >> 6}, RTCP is 2")
        size = 4 * (words + 1)
        if size > left:
            raise RtcpError(f"packet type {packet_type} at byte {position} says {size} bytes, {left} are left")
        body = data[position + _HEADER.size : position + size]
        position += size
        if first & 0x20:
            body = _without_padding(body, is_last=position == len(data))
        found += _parse_one(packet_type, first & 0x1F, body)
    return tuple(found)


def _without_padding(body: bytes, *, is_last: bool) -> bytes:
    """Section 6.4.1: "padding is only required on one individual packet", the last."""
    if not is_last:
        raise RtcpError("padding in a packet that is not the last")
    padding = body[-1] if body else 0
    if padding == 0 or padding % 4 or padding > len(body):
        raise RtcpError(f"padding says {padding} bytes in a body of {len(body)}")
    return body[:-padding]


def _parse_one(packet_type: int, count: int, body: bytes) -> list[RtcpPacket]:
    if packet_type == _SR:
        _want(body, 24 + 24 * count, "SR", count)
        ntp, timestamp, packets, octets = _SENDER.unpack_from(body, 4)
        blocks = _parse_blocks(body, 24, count)
        return [SenderReport(_word(body, 0), ntp, timestamp, packets, octets, blocks)]
    if packet_type == _RR:
        _want(body, 4 + 24 * count, "RR", count)
        return [ReceiverReport(_word(body, 0), _parse_blocks(body, 4, count))]
    if packet_type == _SDES:
        return _parse_descriptions(body, count)
    if packet_type == _BYE:
        _want(body, 4 * count, "BYE", count)
        return [Goodbye(tuple(_word(body, 4 * i) for i in range(count)), _parse_reason(body[4 * count :]))]
    if packet_type == _XR:
        return [_parse_extended(body)]
    return []


def _parse_extended(body: bytes) -> ExtendedReport:
    _want(body, 4, "XR", 0)
    try:
        return ExtendedReport(_word(body, 0), parse_voip_blocks(body[4:]))
    except ValueError as error:
        raise RtcpError(str(error)) from None


def _want(body: bytes, size: int, name: str, count: int) -> None:
    if len(body) < size:
        raise RtcpError(f"{name} with count {count} needs {size} bytes, has {len(body)}")


def _word(body: bytes, at: int) -> int:
    return int.from_bytes(body[at : at + 4])


def _parse_blocks(body: bytes, start: int, count: int) -> tuple[ReportBlock, ...]:
    blocks = []
    for at in range(start, start + 24 * count, 24):
        ssrc, lost, highest, jitter, last_sr, delay = _BLOCK.unpack_from(body, at)
        cumulative = lost & 0xFFFFFF
        cumulative -= (cumulative & 0x800000) << 1
        blocks.append(ReportBlock(ssrc, lost >> 24, cumulative, highest, jitter, last_sr, delay))
    return tuple(blocks)


def _parse_descriptions(body: bytes, count: int) -> list[RtcpPacket]:
    found: list[RtcpPacket] = []
    at = 0
    for index in range(count):
        if at + 4 > len(body):
            raise RtcpError(f"SDES says {count} chunks, its {len(body)} bytes end in chunk {index + 1}")
        ssrc = _word(body, at)
        at += 4
        items: list[tuple[int, str]] = []
        while at < len(body) and body[at] != 0:
            if at + 2 > len(body) or at + 2 + body[at + 1] > len(body):
                raise RtcpError(f"SDES item {body[at]} at byte {at} runs past the end at {len(body)}")
            end = at + 2 + body[at + 1]
            items.append((body[at], body[at + 2 : end].decode("utf-8", "replace")))
            at = end
        at += 4 - at % 4  # the null that ends the list, and padding to a word
        cname = next((text for kind, text in items if kind == _CNAME), "")
        found.append(Description(ssrc, cname, tuple(item for item in items if item[0] != _CNAME)))
    return found


def _parse_reason(rest: bytes) -> str:
    if not rest or not rest[0]:
        return ""
    if 1 + rest[0] > len(rest):
        raise RtcpError(f"BYE reason says {rest[0]} bytes, {len(rest) - 1} are left")
    return rest[1 : 1 + rest[0]].decode("utf-8", "replace")
