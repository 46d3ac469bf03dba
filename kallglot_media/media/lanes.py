"""The fast way in, for all legs at once: packets that come as they should.

Nearly every packet is the one that was to come next: right source, right type, next number, next timestamp, while
sound is in reserve. What a leg and its jitter buffer do with such a packet is always the same, so it is done here in
array operations over all legs that are "in their lane". Whatever is out of the ordinary (a hole, a jump, a key, a
pause, another address) takes the leg out first: `leave` hands everything over to `Leg` and `JitterBuffer`, who alone
know what to do then. When all is well again `settle` takes the leg back in.

    taken = lanes.arrive(arrivals, plain)    what is not taken goes to Leg.receive, after lanes.leave(slot)
    lanes.pop(codes)                  the tick: one payload of each leg in its lane
    lanes.settle()                    the end of the tick

A leg sounds, counts and reports the same on either way (tests/media/test_lanes.py).
"""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterable
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kallglot_media.media.leg import Leg
from kallglot_media.media.rows import BYTE_A_SAMPLE, FRAME_SAMPLES, LOCKED_BYTES, PACKET, PACKET_BYTES, RATE_HZ, grown
from kallglot_media.media.source_lock import Address
from kallglot_media.rtp.jitter import Smooth

NAME_BYTES = 28
"""Of a socket address: sockaddr_in6, or sockaddr_in and zeros."""

_RING_FRAMES = 32  # more in reserve is out of the ordinary
_WINDOW_FRAMES = 50  # as often as the jitter buffer judges its reserve
_VERSION_2 = 0x80
_TURN_OF_SEQUENCE = 1 << 16

Slots = npt.NDArray[np.intp]


@dataclass(frozen=True, slots=True)
class Arrivals:
    """Datagrams of the RTP ports of so many legs, one of each.

    slots      whose
    datagrams  uint8[n, LOCKED_BYTES], the first bytes of each; of a shorter one it is not said what stands behind it
    sizes      of the whole datagrams
    names      uint8[n, NAME_BYTES], where they come from, as `name_of`
    at_s       when they came
    whole      whole(n): the datagram as it came, of which only the beginning is here
    source     source(n): where it comes from
    """

    slots: Slots
    datagrams: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int64]
    names: npt.NDArray[np.uint8]
    at_s: npt.NDArray[np.float64]
    whole: Callable[[int], bytes]
    source: Callable[[int], Address]

    @property
    def heads(self) -> npt.NDArray[np.void]:
        """PACKET[n], as long as a packet of sound that is not encrypted."""
        return self.datagrams[:, :PACKET_BYTES].view(PACKET)[:, 0]


def name_of(address: Address) -> bytes | None:
    """The socket address as the kernel writes it, NAME_BYTES long; None for what is no numeric address."""
    host, port = address[0], address[1]
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    try:
        binary = socket.inet_pton(family, host)
        head = int(family).to_bytes(2, "little" if _LITTLE else "big") + port.to_bytes(2, "big")
    except (OSError, OverflowError):
        return None
    if family == socket.AF_INET6:
        head += bytes(4)
    return (head + binary).ljust(NAME_BYTES, b"\0")


_LITTLE = np.little_endian


class Lanes:
    """The state of a leg's stream, one row for each slot; see the module."""

    def __init__(self, most_ms: int) -> None:
        """most_ms: the most that a jitter buffer holds."""
        self._most_waiting = min(_RING_FRAMES - 1, most_ms * RATE_HZ // 1000 // FRAME_SAMPLES)
        self._legs: dict[int, Leg] = {}  # that hear and could be in a lane
        self._slow: dict[int, Leg] = {}  # that hear and are in none
        self._rows: Slots = np.zeros(0, np.intp)  # in a lane
        self._stale = False  # _rows is
        self._on = np.zeros(0, np.bool_)
        self._kind = np.zeros(0, np.uint8)
        self._ssrc = np.zeros(0, np.uint32)
        self._names = np.zeros((0, NAME_BYTES), np.uint8)
        self._next = np.zeros(0, np.int64)  # number of the next packet; -1: none is
        self._end = np.zeros(0, np.int64)
        self._play = np.zeros(0, np.int64)
        self._ring = np.zeros((0, _RING_FRAMES, FRAME_SAMPLES), np.uint8)
        self._first = np.zeros(0, np.intp)  # in the ring
        self._waiting = np.zeros(0, np.intp)
        self._came = np.zeros(0, np.int64)
        self._played = np.zeros(0, np.int64)
        self._low = np.zeros(0, np.int64)
        self._high = np.zeros(0, np.int64)
        self._frames = np.zeros(0, np.int64)
        self._waits_for_quiet = np.zeros(0, np.bool_)
        self._last_s = np.zeros(0, np.float64)
        self._transit = np.zeros(0, np.int64)
        self._jitter_16 = np.zeros(0, np.int64)

    @property
    def slow(self) -> list[Leg]:
        """The legs that hear and are in no lane now."""
        return list(self._slow.values())

    @property
    def count(self) -> int:
        """Legs in a lane."""
        return int(self._on.sum())

    def arrange(self, hearing: Iterable[Leg], high: int) -> None:
        """Legs came, went or changed; those were taken out by `leave` before. hearing: that hear now."""
        self._legs = {}
        self._slow = {}
        if high > len(self._on):
            self._grow(high)
        for leg in hearing:
            slot = leg.slot
            if not self._on[slot]:
                self._slow[slot] = leg
            if leg.remote is not None and leg.remote.codec in BYTE_A_SAMPLE:
                self._legs[slot] = leg

    # ── arrival and clock ────────────────────────────────────────────────────────

    def arrive(self, arrivals: Arrivals, plain: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """Take what is as it should be; says for each whether it was taken.

        plain: bool[n], False for what is encrypted still and not to be looked at
        """
        slots, heads = arrivals.slots, arrivals.heads
        sequence = heads["sequence"].astype(np.int64)
        stamp = heads["timestamp"].astype(np.int64)
        end = self._end[slots]
        fits: npt.NDArray[np.bool_] = self._on[slots] & (arrivals.sizes == PACKET_BYTES)
        fits &= plain
        fits &= heads["first"] == _VERSION_2
        fits &= heads["second"] == self._kind[slots]
        fits &= heads["ssrc"] == self._ssrc[slots]
        fits &= sequence == self._next[slots]
        fits &= stamp == (end & 0xFFFFFFFF)
        fits &= self._waiting[slots] <= self._most_waiting
        fits &= (arrivals.names.view(np.uint32) == self._names.view(np.uint32)[slots]).all(axis=1)
        if fits.all():
            self._take(slots, heads["payload"], sequence, stamp, arrivals.at_s)
        elif fits.any():
            self._take(slots[fits], heads["payload"][fits], sequence[fits], stamp[fits], arrivals.at_s[fits])
        return fits

    def _take(
        self,
        slots: Slots,
        payloads: npt.NDArray[np.uint8],
        sequence: npt.NDArray[np.int64],
        stamp: npt.NDArray[np.int64],
        at_s: npt.NDArray[np.float64],
    ) -> None:
        waiting = self._waiting[slots]
        self._ring[slots, (self._first[slots] + waiting) % _RING_FRAMES] = payloads
        self._waiting[slots] = waiting + 1
        self._end[slots] += FRAME_SAMPLES
        after = sequence + 1
        after[after == _TURN_OF_SEQUENCE] = -1
        self._next[slots] = after
        self._came[slots] += 1
        self._last_s[slots] = at_s
        # RFC 3550 A.8, as ReceiverStats has it
        transit = ((at_s * RATE_HZ).astype(np.int64) - stamp) & 0xFFFFFFFF
        difference = (transit - self._transit[slots]) & 0xFFFFFFFF
        np.minimum(difference, 0x100000000 - difference, out=difference)
        jitter = self._jitter_16[slots]
        self._jitter_16[slots] = jitter + difference - ((jitter + 8) >> 4)
        self._transit[slots] = transit

    def pop(self, codes: npt.NDArray[np.uint8], quiet: npt.NDArray[np.bool_]) -> None:
        """The tick: the payload whose turn it is into codes[slot]. Legs that have none leave.

        quiet  bool[high], as JitterBuffer.pop has it: where the reserve waits for that to be mended, the leg leaves too
        """
        rows = self._in_lane()
        dry = self._waiting[rows] == 0
        dry |= self._waits_for_quiet[rows] & quiet[rows]
        if dry.any():
            for slot in rows[dry].tolist():
                self.leave(slot)
            rows = self._in_lane()
        first = self._first[rows]
        codes[rows] = self._ring[rows, first]
        self._first[rows] = (first + 1) % _RING_FRAMES
        self._waiting[rows] -= 1
        self._played[rows] += 1
        play = self._play[rows] + FRAME_SAMPLES
        self._play[rows] = play
        reserve = self._end[rows] - play
        self._low[rows] = np.minimum(self._low[rows], reserve)
        self._high[rows] = np.maximum(self._high[rows], reserve)
        self._frames[rows] += 1

    def _in_lane(self) -> Slots:
        if self._stale:
            self._rows = np.flatnonzero(self._on)
            self._stale = False
        return self._rows

    # ── in and out ───────────────────────────────────────────────────────────────

    def settle(self) -> None:
        """The end of a tick: reserves are judged whose time has come, legs whose stream runs smoothly come in."""
        rows = self._in_lane()
        for slot in rows[self._frames[rows] >= _WINDOW_FRAMES].tolist():
            self._judge(slot)
        for slot, leg in list(self._slow.items()):
            if slot in self._legs:
                self._join(slot, leg)

    def leave_all(self) -> None:
        """Every leg for itself."""
        for slot in self._in_lane().tolist():
            self.leave(slot)

    def leave(self, slot: int) -> None:
        """Hand the leg's stream over to the leg; nothing to do when it is in no lane."""
        if not self.has(slot):
            return
        self._tell(slot)
        self._on[slot] = False
        self._stale = True
        self._slow[slot] = self._legs[slot]

    def has(self, slot: int) -> bool:
        """Whether the leg is in a lane: then it is heard, and has been all the time."""
        return slot < len(self._on) and bool(self._on[slot])

    def tell(self, slot: int) -> None:
        """The leg's own books are as they would be had it not been in a lane."""
        if self.has(slot):
            if self._frames[slot] >= _WINDOW_FRAMES:
                self._judge(slot)
            if self._on[slot]:
                self._tell(slot)

    def _judge(self, slot: int) -> None:
        """Its reserve: a leg that is to add or drop a frame now leaves."""
        reserve = self._legs[slot].jitter.judge(self._window(slot))
        self._low[slot], self._high[slot], self._frames[slot] = reserve.window
        self._waits_for_quiet[slot] = reserve.adjust_frames != 0
        if reserve.adjust_frames and reserve.may_adjust(quiet=False):
            self.leave(slot)

    def _window(self, slot: int) -> tuple[int, int, int]:
        return int(self._low[slot]), int(self._high[slot]), int(self._frames[slot])

    def _tell(self, slot: int) -> None:
        leg = self._legs[slot]
        came, first = int(self._came[slot]), int(self._first[slot])
        places = [(first + n) % _RING_FRAMES for n in range(int(self._waiting[slot]))]
        waiting = [self._ring[slot, place].tobytes() for place in places]
        leg.jitter.go_on(came, int(self._played[slot]), waiting, self._window(slot))
        if came:
            leg.reports.go_on(came, int(self._transit[slot]), int(self._jitter_16[slot]))
            leg.last_rtp_s = float(self._last_s[slot])
        self._came[slot] = self._played[slot] = 0

    def _join(self, slot: int, leg: Leg) -> None:
        """Take the leg in when its stream runs smoothly."""
        if leg.made_up_frames or leg.silent or leg.concealer is not None or not leg.lock.is_sure:
            return
        smooth = leg.jitter.smooth()
        if smooth is None or len(smooth.waiting) >= _RING_FRAMES:
            return
        books = leg.reports.smooth(smooth.ssrc, smooth.newest_sequence)
        name = name_of(leg.lock.remote) if leg.lock.remote is not None else None
        if books is None or name is None or leg.remote is None:
            return
        self._names[slot] = np.frombuffer(name, np.uint8)
        self._kind[slot] = leg.remote.receive_payload_type
        self._transit[slot], self._jitter_16[slot] = books
        self._enter(slot, smooth)
        self._last_s[slot] = leg.last_rtp_s
        del self._slow[slot]

    def _enter(self, slot: int, smooth: Smooth) -> None:
        self._ssrc[slot] = smooth.ssrc
        after = (smooth.newest_sequence + 1) & 0xFFFF
        self._next[slot] = after or -1
        self._play[slot], self._end[slot] = smooth.play, smooth.end
        self._low[slot], self._high[slot], self._frames[slot] = smooth.window
        self._came[slot] = self._played[slot] = self._first[slot] = 0
        self._waiting[slot] = len(smooth.waiting)
        self._waits_for_quiet[slot] = smooth.waits_for_quiet
        for place, payload in enumerate(smooth.waiting):
            self._ring[slot, place] = np.frombuffer(payload, np.uint8)
        self._on[slot] = True
        self._stale = True

    def _grow(self, high: int) -> None:
        rows = max(64, 2 * high)
        for name, array in list(vars(self).items()):
            if isinstance(array, np.ndarray) and name != "_rows":
                setattr(self, name, grown(array, rows))


def beginnings_of(datagrams: list[bytes]) -> npt.NDArray[np.uint8]:
    """uint8[n, LOCKED_BYTES]: the first bytes of each datagram."""
    joined = bytearray().join([data[:LOCKED_BYTES].ljust(LOCKED_BYTES, b"\0") for data in datagrams])
    return np.frombuffer(joined, np.uint8).reshape(-1, LOCKED_BYTES)
