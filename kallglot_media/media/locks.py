"""The locks of many legs at once: what `Guard` does with RTP of one, in the place where it lies.

unlocked = locks.unlock(arrivals)     what came and is sound is opened in `arrivals`; all else is left to Guard
locks.lock(slots, packets)            what goes out
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kallglot_media.media.guard import Guard
from kallglot_media.media.lanes import Arrivals, Slots
from kallglot_media.media.leg import Leg
from kallglot_media.media.rows import LOCKED_BYTES, PACKET_BYTES
from kallglot_media.media.srtp import Srtp, lock_all, unlock_all

_HEADER_BYTES = 12
Flags = npt.NDArray[np.bool_]


class Unlocked(NamedTuple):
    """Of each datagram that came.

    opened   it was encrypted and is not any longer
    refused  it cannot be opened: counted, and there is nothing more to do with it
    plain    it may be treated as RTP that is not encrypted: it was opened, or its leg has no lock
    """

    opened: Flags
    refused: Flags
    plain: Flags


class Locked(NamedTuple):
    """Encrypted packets: uint8[n, LOCKED_BYTES], of which the first `sizes` bytes are to be sent."""

    slots: Slots
    packets: npt.NDArray[np.uint8]
    sizes: npt.NDArray[np.int32]

    def all(self) -> list[tuple[int, bytes]]:
        """One by one."""
        each = zip(self.slots.tolist(), self.packets, self.sizes.tolist(), strict=True)
        return [(slot, packet[:size].tobytes()) for slot, packet, size in each]


NOTHING_LOCKED = Locked(np.zeros(0, np.intp), np.zeros((0, LOCKED_BYTES), np.uint8), np.zeros(0, np.int32))


class Locks:
    """The guards of the legs that have one."""

    def __init__(self) -> None:
        self._guards: dict[int, Guard] = {}
        self._guarded: Flags = np.zeros(0, np.bool_)  # by slot

    def arrange(self, legs: Iterable[Leg], high: int) -> None:
        """Legs came, went or changed."""
        self._guards = {leg.slot: leg.guard for leg in legs if leg.guard is not None}
        self._guarded = np.zeros(high, np.bool_)
        self._guarded[list(self._guards)] = True

    @property
    def guarded(self) -> Flags:
        """By slot, whether the leg has a lock."""
        return self._guarded

    def unlock(self, arrivals: Arrivals) -> Unlocked:
        """Open what is encrypted RTP, in `arrivals`."""
        guarded = self._guarded[arrivals.slots]
        opened, refused = np.zeros(len(guarded), np.bool_), np.zeros(len(guarded), np.bool_)
        if not guarded.any():
            return Unlocked(opened, refused, ~guarded)
        rows, srtp = self._sound(arrivals, guarded)
        if srtp:
            datagrams = arrivals.datagrams[rows]
            sizes = unlock_all(srtp, datagrams, arrivals.sizes[rows].astype(np.int32))
            opened[rows], refused[rows] = sizes >= 0, sizes < 0
            arrivals.datagrams[rows] = datagrams
            arrivals.sizes[rows] = sizes
            for n in np.flatnonzero(refused).tolist():
                self._guards[int(arrivals.slots[n])].refuse()
        return Unlocked(opened, refused, opened | ~guarded)

    def _sound(self, arrivals: Arrivals, guarded: Flags) -> tuple[Slots, list[Srtp]]:
        """Which are RTP of a leg that has its keys, short enough to be here as a whole; as Guard.unlock tells them."""
        first, second, sizes = arrivals.datagrams[:, 0], arrivals.datagrams[:, 1], arrivals.sizes
        fits = guarded & (sizes >= _HEADER_BYTES) & (sizes <= LOCKED_BYTES)
        fits &= (first >> 6 == 2) & ~((second >= 192) & (second <= 223))
        rows = np.flatnonzero(fits).tolist()
        pairs = [(n, self._guards[slot].srtp) for n, slot in zip(rows, arrivals.slots[rows].tolist(), strict=True)]
        with_keys = [(n, srtp) for n, srtp in pairs if srtp is not None]
        return np.array([n for n, _ in with_keys], np.intp), [srtp for _, srtp in with_keys]

    def lock(self, slots: Slots, packets: npt.NDArray[np.void]) -> Locked:
        """Encrypt a packet of each of these legs, which have keys. packets: PACKET[n]."""
        if not len(slots):
            return NOTHING_LOCKED
        room = np.zeros((len(slots), LOCKED_BYTES), np.uint8)
        room[:, :PACKET_BYTES] = packets.view(np.uint8).reshape(len(slots), PACKET_BYTES)
        sizes = lock_all([self._keys_of(slot) for slot in slots.tolist()], room, PACKET_BYTES)
        if (sizes < 0).any():
            slots, room, sizes = slots[sizes >= 0], room[sizes >= 0], sizes[sizes >= 0]
        return Locked(slots, room, sizes)

    def _keys_of(self, slot: int) -> Srtp:
        srtp = self._guards[slot].srtp
        assert srtp is not None, "a leg without keys sends nothing"
        return srtp
