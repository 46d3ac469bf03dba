"""How a leg sounds, as a number: losses in bursts and gaps (RFC 3611), and the E-model (ITU-T G.107, G.113).

    r = r_factor(G711, loss_ratio=0.01, delay_ms=120.0)        # 86.6
    mos(r)                                                     # 4.25

The E-model judges what a network does to speech: coding, losses and delay. What the lines at its ends add (noise,
level, echo) stands at the Recommendation's default values.
"""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

GMIN = 16
"""So many packets without loss end a burst: RFC 3611 section 4.7.2's recommended value."""

_DEFAULT_R = 93.2  # G.107 (2015): with every parameter at its default
_RO = 94.77  # basic signal-to-noise ratio of the defaults
_TELR_DB = 65.0
_WEPL_DB = 110.0


@dataclass(frozen=True, slots=True)
class Impairment:
    """What a codec costs. G.113 Appendix I: equipment impairment `ie`, robustness against loss `bpl`."""

    ie: float
    bpl: float


G711 = Impairment(0.0, 25.1)
"""With concealment as Appendix I of G.711 does it; without it `bpl` is 4.3."""

IMPAIRMENTS: Mapping[str, Impairment] = {
    "PCMU": G711,
    "PCMA": G711,
    "G722": G711,
    "opus": Impairment(5.0, 20.0),
}
"""By codec. G.722 is narrowed to G.711's band and concealed like it. For narrow-band Opus there is no value: that of
the GSM enhanced full rate codec, and a robustness between that (10) and G.711's, for its in-band FEC."""


def r_factor(codec: Impairment, *, loss_ratio: float, delay_ms: float, burst_ratio: float = 1.0) -> float:
    """The transmission rating, 0 (nothing is understood) to 93.2.

    loss_ratio   of the packets that were not there when their turn came, 0–1
    delay_ms     mouth to ear, one way
    burst_ratio  mean length of a burst of losses, over what it would be at random (G.107 section 7.4)
    """
    loss_percent = 100.0 * min(1.0, max(0.0, loss_ratio))
    ie_eff = codec.ie
    if loss_percent:
        ie_eff += (95.0 - codec.ie) * loss_percent / (loss_percent / max(1.0, burst_ratio) + codec.bpl)
    delay_ms = max(0.0, delay_ms)
    return min(_DEFAULT_R, max(0.0, _DEFAULT_R - ie_eff - (_delay_impairment(delay_ms) - _delay_impairment(0.0))))


def _delay_impairment(delay_ms: float) -> float:
    """Id = Idte + Idle + Idd. G.107 section 7.3; the round trip is twice the way."""
    terv = _TELR_DB - 40.0 * math.log10((1 + delay_ms / 10) / (1 + delay_ms / 150)) + 6 * math.exp(-0.3 * delay_ms**2)
    half_te: float = (_RO - (80 + 2.5 * (terv - 14))) / 2
    talker: float = (half_te + math.sqrt(half_te**2 + 100) - 1) * (1 - math.exp(-delay_ms))
    half_le: float = (_RO - 10.5 * (_WEPL_DB + 7) * (2 * delay_ms + 1) ** -0.25) / 2
    listener: float = half_le + math.sqrt(half_le**2 + 169)
    if delay_ms <= 100:
        return talker + listener
    x = math.log2(delay_ms / 100)
    too_long: float = 25 * ((1 + x**6) ** (1 / 6) - 3 * (1 + (x / 3) ** 6) ** (1 / 6) + 2)
    return talker + listener + too_long


def mos(r: float) -> float:
    """The mean opinion score that goes with a rating, 1.0 to 4.5. G.107 annex B."""
    if r <= 0:
        return 1.0
    if r >= 100:
        return 4.5
    return max(1.0, 1 + 0.035 * r + r * (r - 60) * (100 - r) * 7e-6)


@dataclass(frozen=True, slots=True)
class BurstMetrics:
    """Densities: share of packets lost, 0–1. Lengths in ms, means. RFC 3611 section 4.7.2."""

    burst_density: float
    gap_density: float
    burst_ms: float
    gap_ms: float


class Bursts:
    """Counts losses into bursts and gaps, by the four-state model of RFC 3611 appendix A.2.

    It is told of losses only: how many packets came in between follows from the sequence numbers.
    """

    __slots__ = ("_burst_lost", "_c11", "_c13", "_c14", "_c22", "_c23", "_c33", "_last_lost", "lost", "runs")

    def __init__(self) -> None:
        self.lost = 0
        self.runs = 0  # of losses one after another
        self._last_lost: int | None = None
        self._burst_lost = 0
        self._c11 = self._c13 = self._c14 = self._c22 = self._c23 = self._c33 = 0

    def missing(self, first_sequence: int, packets: int) -> None:
        """Packets `first_sequence` … are lost. Numbers are unwrapped and never go back."""
        if self._last_lost is None or self._last_lost >= first_sequence:
            came = GMIN  # nothing is known of before: as after a gap
        else:
            came = first_sequence - self._last_lost - 1
        self.runs += came > 0
        for _ in range(min(packets, 1000)):
            self._one(came)
            came = 0
        self.lost += packets
        self._last_lost = first_sequence + packets - 1

    def _one(self, came: int) -> None:
        if came >= GMIN:
            if self._burst_lost == 1:
                self._c14 += 1
            else:
                self._c13 += 1
            self._burst_lost = 1
            self._c11 += came
            return
        self._burst_lost += 1
        if came == 0:
            self._c33 += 1
        else:
            self._c23 += 1
            self._c22 += came - 1

    def burst_ratio(self, received: int) -> float:
        """How much longer the runs of losses are than they would be at random; 1 or more. G.107 section 7.4."""
        if not self.runs or not received:
            return 1.0
        share = self.lost / (self.lost + received)
        return max(1.0, self.lost / self.runs * (1 - share))

    def metrics(self, packet_ms: float) -> BurstMetrics:
        """For a report; zeros while nothing was lost."""
        if not self.lost:
            return BurstMetrics(0.0, 0.0, 0.0, 0.0)
        c31, c32 = self._c13, self._c23
        total = self._c11 + self._c14 + self._c13 + self._c22 + self._c23 + c31 + c32 + self._c33
        p32 = c32 / (c31 + c32 + self._c33) if c31 + c32 + self._c33 else 0.0
        p23 = 1.0 if self._c22 + self._c23 < 1 else 1 - self._c22 / (self._c22 + self._c23)
        burst_density = p23 / (p23 + p32) if p23 + p32 else 0.0
        gap_density = self._c14 / (self._c11 + self._c14) if self._c11 + self._c14 else 0.0
        bursts = max(1, self._c13)
        gap_ms = (self._c11 + self._c14 + self._c13) * packet_ms / bursts
        return BurstMetrics(burst_density, gap_density, max(0.0, total * packet_ms / bursts - gap_ms), gap_ms)
