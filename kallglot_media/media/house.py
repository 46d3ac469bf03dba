"""What each leg needs now and then: to be told lost, to be reported on, to report."""

from __future__ import annotations

from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import FromMedia
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ, Rows

HOUSE_TICKS = 50
"""Each leg's slow business (reports, losses, statistics) has its turn once a second."""

STATS_TURNS = 5
"""Every so many turns LegStats goes to control."""


class House:
    """Keeps it. epoch_s: Unix time when now_s was 0."""

    def __init__(self, rows: Rows, rtp_timeout_s: float, epoch_s: float) -> None:
        self._rows = rows
        self._rtp_timeout_s = rtp_timeout_s
        self._epoch_s = epoch_s

    def turn(self, tick: int) -> range:
        """The slots whose turn it is: a fiftieth of all in each tick."""
        return range(tick % HOUSE_TICKS, self._rows.high, HOUSE_TICKS)

    def may_wait(self, leg: Leg, tick: int, now_s: float) -> bool:
        """Whether nothing is to be done for a leg in its lane, which holds less than the shortest RTP timeout."""
        return not (_is_for_stats(leg, tick) or leg.lost_told or leg.guard is not None or leg.reports.due(now_s))

    def keep(self, leg: Leg, tick: int, now_s: float) -> tuple[list[FromMedia], bytes | None]:
        """A leg's turn: what control is told, and the RTCP report when one is due."""
        events: list[FromMedia] = []
        if (lost := leg.lost_rtp(now_s, self._rtp_timeout_s)) is not None:
            events.append(lost)
        if _is_for_stats(leg, tick):
            events.append(leg.stats())
        if leg.guard is not None:
            leg.guard.on_time()
        return events, self._report(leg, now_s) if leg.reports.due(now_s) else None

    def _report(self, leg: Leg, now_s: float) -> bytes:
        rows = self._rows
        sent = int(rows.sequence[leg.slot]) - leg.first_sequence
        return leg.reports.report(
            now_s,
            wall_s=now_s + self._epoch_s,
            rtp_timestamp=int(rows.timestamp[leg.slot]) * leg.reports.clock_hz // RATE_HZ & 0xFFFFFFFF,
            packets=sent,
            octets=sent * FRAME_SAMPLES,
            metrics=leg.quality().metrics,
        )


def _is_for_stats(leg: Leg, tick: int) -> bool:
    return (tick // HOUSE_TICKS + leg.slot) % STATS_TURNS == 0
