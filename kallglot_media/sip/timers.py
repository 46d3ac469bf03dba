"""The timers of RFC 3261 section 17, table 4, with L and M of RFC 6026."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum


class Timer(StrEnum):
    """Named as in the RFC; TRYING is the unnamed 200 ms of section 17.2.1."""

    A = "A"
    B = "B"
    D = "D"
    E = "E"
    F = "F"
    G = "G"
    H = "H"
    I = "I"  # noqa: E741 - the RFC's name
    J = "J"
    K = "K"
    L = "L"
    M = "M"
    TRYING = "TRYING"


UNRELIABLE_ONLY = frozenset({Timer.A, Timer.E, Timer.G})
"""Resending is for datagrams: a stream does it itself."""
ZERO_WHEN_RELIABLE = frozenset({Timer.D, Timer.I, Timer.J, Timer.K})
"""These wait for copies of messages, and a stream makes none."""


@dataclass(frozen=True, slots=True)
class Timers:
    """The base values, in seconds.

    t1_s      an estimate of the round trip; first resend interval
    t2_s      the longest resend interval of non-INVITE requests and INVITE responses
    t4_s      how long a message stays in the network
    d_s       how long copies of a failure response to INVITE are awaited
    trying_s  after this long without any response to an INVITE, a 100 is sent
    """

    t1_s: float = 0.5
    t2_s: float = 4.0
    t4_s: float = 5.0
    d_s: float = 32.0
    trying_s: float = 0.2

    @property
    def give_up_s(self) -> float:
        """64·T1: timers B, F, H, J, L and M."""
        return 64 * self.t1_s

    def delay_s(self, timer: Timer, *, reliable: bool) -> float | None:
        """How long `timer` runs when it is started; None when it does not exist on this transport."""
        if reliable and timer in UNRELIABLE_ONLY:
            return None
        if reliable and timer in ZERO_WHEN_RELIABLE:
            return 0.0
        match timer:
            case Timer.A | Timer.E | Timer.G:
                return self.t1_s
            case Timer.I | Timer.K:
                return self.t4_s
            case Timer.D:
                return self.d_s
            case Timer.TRYING:
                return self.trying_s
            case _:
                return self.give_up_s

    def backed_off_s(self, timer: Timer, delay_s: float) -> float:
        """The next resend interval after `delay_s`: doubled; E and G no longer than T2, A without limit (B ends it)."""
        return 2 * delay_s if timer is Timer.A else min(2 * delay_s, self.t2_s)
