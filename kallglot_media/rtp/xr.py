"""RTCP extended reports: the VoIP metrics block. RFC 3611 section 4.7.

 0                   1                   2                   3
|     BT=7      |   reserved    |       block length = 8        |
|                        SSRC of source                         |
|   loss rate   | discard rate  | burst density |  gap density  |
|       burst duration          |         gap duration          |
|     round trip delay          |       end system delay        |
| signal level  |  noise level  |     RERL      |     Gmin      |
|   R factor    | ext. R factor |    MOS-LQ     |    MOS-CQ     |
|   RX config   |   reserved    |          JB nominal           |
|          JB maximum           |          JB abs max           |
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

from kallglot_media.rtp.quality import GMIN, BurstMetrics

UNKNOWN = 127
"""Of levels, R factors and MOS: not known."""

_BLOCK = struct.Struct("!BBHIBBBBHHHHbbBBBBBBBBHHH")
_VOIP = 7
_WORDS = 8
_RX_CONFIG = 0b1011_0001
"""Section 4.7.6: standard concealment, adaptive jitter buffer, which adjusts at the rate of 1/(2·1) s."""


@dataclass(frozen=True, slots=True)
class VoipMetrics:
    """loss, discard and densities: 0–1; delays and lengths in ms; r_factor 0–100 or UNKNOWN; mos 1.0–5.0 or None.

    discard_ratio   came, but too late
    end_system_ms   what we add ourselves, in both directions together
    jitter_*_ms     of the jitter buffer: now, at most for now, at most ever
    """

    ssrc: int
    loss_ratio: float
    discard_ratio: float
    bursts: BurstMetrics
    round_trip_ms: int
    end_system_ms: int
    r_factor: int
    mos_listening: float | None
    mos_conversation: float | None
    jitter_ms: int
    jitter_max_ms: int
    jitter_abs_max_ms: int


@dataclass(frozen=True, slots=True)
class ExtendedReport:
    """An XR packet with its VoIP metrics blocks; blocks of other kinds are left out."""

    ssrc: int
    voip: tuple[VoipMetrics, ...] = ()


def _ratio(value: float) -> int:
    """ "The fraction … expressed as a fixed point number with the binary point at the left edge"."""
    return min(255, max(0, int(256 * value)))


def _ms(value: float) -> int:
    return min(0xFFFF, max(0, round(value)))


def _mos(value: float | None) -> int:
    return UNKNOWN if value is None else min(50, max(10, round(10 * value)))


def build_voip(metrics: VoipMetrics) -> bytes:
    """The block's 36 bytes."""
    bursts = metrics.bursts
    return _BLOCK.pack(
        _VOIP, 0, _WORDS, metrics.ssrc,
        _ratio(metrics.loss_ratio), _ratio(metrics.discard_ratio),
        _ratio(bursts.burst_density), _ratio(bursts.gap_density),
        _ms(bursts.burst_ms), _ms(bursts.gap_ms), _ms(metrics.round_trip_ms), _ms(metrics.end_system_ms),
        UNKNOWN, UNKNOWN, UNKNOWN, GMIN,
        metrics.r_factor, UNKNOWN, _mos(metrics.mos_listening), _mos(metrics.mos_conversation),
        _RX_CONFIG, 0, _ms(metrics.jitter_ms), _ms(metrics.jitter_max_ms), _ms(metrics.jitter_abs_max_ms),
    )  # fmt: skip


def parse_voip_blocks(blocks: bytes) -> tuple[VoipMetrics, ...]:
    """The VoIP metrics blocks of an XR packet's body behind its SSRC. Raises ValueError for blocks that run over."""
    found = []
    at = 0
    while at < len(blocks):
        if len(blocks) - at < 4:
            raise ValueError(f"{len(blocks) - at} bytes are shorter than the header of an XR block")
        kind, words = blocks[at], int.from_bytes(blocks[at + 2 : at + 4])
        end = at + 4 + 4 * words
        if end > len(blocks):
            raise ValueError(f"XR block {kind} says {4 * words} bytes, {len(blocks) - at - 4} are left")
        if kind == _VOIP:
            if words != _WORDS:
                raise ValueError(f"a VoIP metrics block has {_WORDS} words, not {words}")
            found.append(_parse_voip(blocks[at:end]))
        at = end
    return tuple(found)


def _parse_voip(block: bytes) -> VoipMetrics:
    values = _BLOCK.unpack(block)
    _, _, _, ssrc, loss, discard, burst, gap, burst_ms, gap_ms, round_trip_ms, end_system_ms = values[:12]
    r, _, listening, conversation, _, _, jitter_ms, jitter_max_ms, jitter_abs_max_ms = values[16:]
    return VoipMetrics(
        ssrc, loss / 256, discard / 256, BurstMetrics(burst / 256, gap / 256, burst_ms, gap_ms),
        round_trip_ms, end_system_ms, r,
        None if listening == UNKNOWN else listening / 10, None if conversation == UNKNOWN else conversation / 10,
        jitter_ms, jitter_max_ms, jitter_abs_max_ms,
    )  # fmt: skip
