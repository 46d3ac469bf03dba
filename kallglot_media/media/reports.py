"""RTCP of one leg: what we report about the peer, and what it reports about us. RFC 3550 section 6.4."""

from __future__ import annotations

from collections import Counter

from kallglot_media.media.rows import RATE_HZ
from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.receiver_stats import ReceiverStats
from kallglot_media.rtp.rtcp import (
    Description,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    RtcpError,
    SenderReport,
    build_compound,
    middle_of_ntp,
    ntp_time,
    parse_compound,
    round_trip_s,
)
from kallglot_media.rtp.xr import ExtendedReport, VoipMetrics

INTERVAL_S = 5.0
"""Between reports on average; each is half to one and a half times this away. Section 6.2 and 6.3.1."""


class Reports:
    """Keeps the books of both directions."""

    def __init__(self, ssrc: int) -> None:
        self.ssrc = ssrc
        self._name = Description(ssrc, f"{ssrc:08x}@kallglot")
        self._source: ReceiverStats | None = None
        self._sources = 0
        self._received = 0
        self._last_sr = 0
        self._last_sr_s = 0.0
        self._due_s = 0.0
        self._dice = ssrc
        self._sent_before = 0
        self._sent = 0
        self._peer: Counter[str] = Counter()
        self.round_trip_ms = 0.0  # 0: not known
        self.peer_metrics: VoipMetrics | None = None  # how the peer hears us, in its own words
        self.clock_hz = RATE_HZ  # of the RTP timestamps both ways

    # ── what the peer sends ──────────────────────────────────────────────────────

    def received(self, packet: RtpPacket, now_s: float, *, is_sound: bool) -> None:
        """An RTP packet of the peer came. Keys on an SSRC of their own (SIPp) do not change the source."""
        self._received += 1
        source = self._source
        if source is None or source.ssrc != packet.ssrc:
            if not is_sound:
                return
            self._sources += 1
            source = self._source = ReceiverStats(packet.ssrc, packet.sequence)
        source.push(packet.sequence, packet.timestamp, int(now_s * self.clock_hz))

    def smooth(self, ssrc: int, newest_sequence: int) -> tuple[int, int] | None:
        """What `go_on` wants back, brought up to date; None unless this packet of this source was the last one."""
        source = self._source
        if source is None or source.ssrc != ssrc:
            return None
        return source.books(newest_sequence & 0xFFFF)

    def go_on(self, came: int, transit: int, jitter_16: int) -> None:
        """So many packets of the source came since `smooth`, in order, and their numbers did not wrap."""
        self._received += came
        assert self._source is not None
        self._source.go_on(came, transit, jitter_16)

    @property
    def jitter_ms(self) -> float:
        """Interarrival jitter of the peer's RTP."""
        return 0.0 if self._source is None else 1000 * self._source.jitter_ticks / self.clock_hz

    @property
    def loss_ratio(self) -> float:
        """Of the packets that the present source's numbers promise, 0–1."""
        source = self._source
        if source is None or not source.valid or source.expected <= 0:
            return 0.0
        return max(0, source.lost) / source.expected

    @property
    def source_ssrc(self) -> int | None:
        """Whose sound this is."""
        return None if self._source is None else self._source.ssrc

    @property
    def peer_loss_ratio(self) -> float | None:
        """Of what we sent, what the peer missed, by its reports; None before the first."""
        return self._peer["peer_lost"] / self._sent if "peer_lost" in self._peer and self._sent else None

    def counters(self) -> dict[str, int]:
        """rtp_in, sources, and by name what the peer's RTCP says; absent until it said it."""
        return {"rtp_in": self._received, "sources": self._sources, **self._peer}

    # ── RTCP in ──────────────────────────────────────────────────────────────────

    def receive(self, datagram: bytes, now_s: float, *, wall_s: float) -> None:
        """A compound packet of the peer. Never raises for what is in it."""
        try:
            packets = parse_compound(datagram)
        except RtcpError:
            self._peer["rtcp_malformed"] += 1
            return
        self._peer["rtcp_in"] += 1
        for packet in packets:
            if isinstance(packet, SenderReport):
                self._last_sr, self._last_sr_s = middle_of_ntp(packet.ntp), now_s
            if isinstance(packet, SenderReport | ReceiverReport):
                for block in packet.reports:
                    self._read(block, wall_s)
            elif isinstance(packet, ExtendedReport):
                mine = [metrics for metrics in packet.voip if metrics.ssrc == self.ssrc]
                self.peer_metrics = mine[0] if mine else self.peer_metrics
            elif isinstance(packet, Goodbye):
                self._peer["rtcp_bye"] += 1

    def _read(self, block: ReportBlock, wall_s: float) -> None:
        """How the peer receives us."""
        if block.ssrc != self.ssrc:
            return
        self._peer["peer_lost"] = max(0, block.cumulative_lost)
        self._peer["peer_jitter_ms"] = 1000 * block.jitter_ticks // self.clock_hz
        round_trip = round_trip_s(ntp_time(wall_s), block.last_sr, block.delay_since_sr)
        if round_trip is not None:
            self.round_trip_ms = 1000 * round_trip
            self._peer["round_trip_ms"] = round(self.round_trip_ms)

    # ── RTCP out ─────────────────────────────────────────────────────────────────

    def due(self, now_s: float) -> bool:
        """Whether it is time for a report. The first comes after half an interval, as section 6.2 has it."""
        if self._due_s == 0.0:
            self._due_s = now_s + INTERVAL_S / 2 * self._factor()
        return now_s >= self._due_s

    def report(
        self,
        now_s: float,
        *,
        wall_s: float,
        rtp_timestamp: int,
        packets: int,
        octets: int,
        metrics: VoipMetrics | None = None,
    ) -> bytes:
        """An SR when we sent RTP since the last report, else an RR. packets, octets: sent so far, without headers.

        metrics  how we hear the peer, as an extended report
        """
        self._due_s = now_s + INTERVAL_S * self._factor()
        blocks = self._blocks(now_s)
        sent, self._sent_before, self._sent = packets - self._sent_before, packets, packets
        head: SenderReport | ReceiverReport = ReceiverReport(self.ssrc, blocks)
        if sent:
            wrapped = (packets & 0xFFFFFFFF, octets & 0xFFFFFFFF)
            head = SenderReport(self.ssrc, ntp_time(wall_s), rtp_timestamp, *wrapped, blocks)
        more = () if metrics is None else (ExtendedReport(self.ssrc, (metrics,)),)
        return build_compound((head, self._name, *more))

    def bye(self, now_s: float) -> bytes:
        """The leg ends. Section 6.6."""
        return build_compound((ReceiverReport(self.ssrc, self._blocks(now_s)), self._name, Goodbye((self.ssrc,))))

    def _blocks(self, now_s: float) -> tuple[ReportBlock, ...]:
        if self._source is None or not self._source.valid:
            return ()
        since_sr = int(65536 * (now_s - self._last_sr_s)) & 0xFFFFFFFF if self._last_sr else 0
        return (self._source.report(self._last_sr, since_sr),)

    def _factor(self) -> float:
        """0.5 to 1.5, another one each time, so that legs opened together do not report together."""
        self._dice = (1664525 * self._dice + 1013904223) & 0xFFFFFFFF
        return 0.5 + self._dice / 2**32
