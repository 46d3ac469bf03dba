"""How a leg sounds to both its ends: from the jitter buffer's books, RTCP and the E-model."""

from __future__ import annotations

from dataclasses import dataclass

from kallglot_media.media.reports import Reports
from kallglot_media.rtp.jitter import JitterBuffer
from kallglot_media.rtp.quality import IMPAIRMENTS, mos, r_factor
from kallglot_media.rtp.xr import UNKNOWN, VoipMetrics

_PACKET_MS = 20.0
_OUR_PART_MS = 20.0
"""From a frame's turn until it is sent on: up to a tick."""

_THEIR_BUFFER_MS = 60.0
"""What the peer's jitter buffer is taken for until its XR says better."""

_NOT_YET_MS = 200  # packets for so long, before anything is judged


@dataclass(frozen=True, slots=True)
class Quality:
    """mos: of what we hear; peer_mos: of what the peer hears of us. None while nothing can be said."""

    mos: float | None
    peer_mos: float | None
    metrics: VoipMetrics | None


UNHEARD = Quality(None, None, None)


def measure(jitter: JitterBuffer, reports: Reports, codec: str) -> Quality:
    """The quality since the leg began."""
    return Quality(*_ours(jitter, reports, codec), _metrics(jitter, reports, codec))


def _ours(jitter: JitterBuffer, reports: Reports, codec: str) -> tuple[float | None, float | None]:
    heard = _rating(jitter, reports, codec)
    return (None if heard is None else round(mos(heard), 2)), _peers(reports, codec)


def _delay_ms(jitter: JitterBuffer, reports: Reports) -> float:
    """One way, from the peer's mouth to the end of our jitter buffer and on."""
    return reports.round_trip_ms / 2 + _PACKET_MS + max(jitter.target_ms, jitter.depth_ms) + _OUR_PART_MS


def _rating(jitter: JitterBuffer, reports: Reports, codec: str) -> float | None:
    stats = jitter.stats
    if stats.played < _NOT_YET_MS // _PACKET_MS:
        return None
    return r_factor(
        IMPAIRMENTS[codec],
        loss_ratio=stats.lost / (stats.lost + stats.played),
        delay_ms=_delay_ms(jitter, reports),
        burst_ratio=jitter.bursts.burst_ratio(stats.played),
    )


def _peers(reports: Reports, codec: str) -> float | None:
    """What the peer says itself (XR), else what follows from its report."""
    if (told := reports.peer_metrics) is not None and told.mos_listening is not None:
        return told.mos_listening
    if (loss_ratio := reports.peer_loss_ratio) is None:
        return None
    delay_ms = reports.round_trip_ms / 2 + _PACKET_MS + _THEIR_BUFFER_MS
    return round(mos(r_factor(IMPAIRMENTS[codec], loss_ratio=loss_ratio, delay_ms=delay_ms)), 2)


def _metrics(jitter: JitterBuffer, reports: Reports, codec: str) -> VoipMetrics | None:
    """For our XR; None before there is anything to say."""
    rating = _rating(jitter, reports, codec)
    if rating is None or reports.source_ssrc is None:
        return None
    stats = jitter.stats
    all_packets = stats.lost + stats.played
    late = min(stats.late, stats.lost)  # each of these was counted as lost, too
    listening = r_factor(
        IMPAIRMENTS[codec],
        loss_ratio=stats.lost / all_packets,
        delay_ms=0.0,
        burst_ratio=jitter.bursts.burst_ratio(stats.played),
    )
    return VoipMetrics(
        ssrc=reports.source_ssrc,
        loss_ratio=(stats.lost - late) / all_packets,
        discard_ratio=(late + stats.overflow) / all_packets,
        bursts=jitter.bursts.metrics(_PACKET_MS),
        round_trip_ms=round(reports.round_trip_ms),
        end_system_ms=round(jitter.target_ms + 2 * _OUR_PART_MS),
        r_factor=min(100, round(rating)) if rating else UNKNOWN,
        mos_listening=mos(listening),
        mos_conversation=mos(rating),
        jitter_ms=jitter.target_ms,
        jitter_max_ms=max(jitter.target_ms, jitter.depth_ms),
        jitter_abs_max_ms=jitter.rules.max_ms,
    )
