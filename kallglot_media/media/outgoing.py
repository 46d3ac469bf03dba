"""What goes out: one frame to every leg's peer per tick, coded and in packets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kallglot_media.media.guard import Guard
from kallglot_media.media.leg import Leg
from kallglot_media.media.rows import FRAME_SAMPLES, Rows
from kallglot_media.media.speaker import Speaker

Packet = tuple[int, bytes]
"""Slot and datagram."""


class Sending(NamedTuple):
    """What goes out in a tick.

    slots, packets  of legs that are treated alike: G.711 in packets of 20 ms, PACKET[n]
    others          all else
    """

    slots: npt.NDArray[np.intp]
    packets: npt.NDArray[np.void]
    others: list[Packet]

    def all(self) -> list[Packet]:
        """One by one."""
        alike = zip(self.slots.tolist(), self.packets, strict=True)
        return [*((slot, packet.tobytes()) for slot, packet in alike), *self.others]


_HANG_OVER_FRAMES = 10
_SIGN_OF_LIFE_FRAMES = 250
"""A packet of silence every five seconds keeps the ways through NAT open, and peers from taking us for gone."""


class Outgoing:
    """G.711 in packets of 20 ms for all legs at once, and everything else leg by leg."""

    def __init__(self, rows: Rows, *, suppress_silence: bool = False) -> None:
        """suppress_silence: legs that hear nothing get no packets (RFC 3551 section 4.1), but for one now and then."""
        self._rows = rows
        self._suppress = suppress_silence
        self._quiet_frames: npt.NDArray[np.intp] = np.zeros(0, np.intp)  # in a row, of each of _plain
        self._plain: list[int] = []
        self._rows_of_plain: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self._speaking: list[tuple[Leg, Speaker]] = []
        self._guarded: list[tuple[Leg, Guard]] = []
        self._guards: dict[int, Guard] = {}

    def arrange(self, legs: Iterable[Leg]) -> None:
        """Legs came or went, or changed what they send. legs: by slot, ascending."""
        speakers = {leg.slot: leg.speaker for leg in legs if leg.sends}
        speaking = {slot for slot, speaker in speakers.items() if speaker is not None and speaker.is_needed}
        self._speaking = [(leg, leg.speaker) for leg in legs if leg.slot in speaking and leg.speaker is not None]
        self._plain = [slot for slot in speakers if slot not in speaking]
        if self._plain != self._rows_of_plain.tolist():
            self._rows_of_plain = np.array(self._plain, np.intp)
            self._quiet_frames = np.zeros(len(self._plain), np.intp)
        self._guarded = [(leg, leg.guard) for leg in legs if leg.guard is not None]
        self._guards = {leg.slot: guard for leg, guard in self._guarded if leg.sends}

    def send(self, said: npt.NDArray[np.float32]) -> Sending:
        """The packets of this tick; all RTP clocks move on. said: float32[high, 160], used up."""
        rows = self._rows_of_plain if not self._suppress else self._those_that_hear(said)
        plain = self._rows.encode(said, rows)
        others: list[Packet] = []
        guards = self._guards
        if guards:
            locked = np.isin(rows, list(guards))
            packets = zip(rows[locked].tolist(), plain[locked], strict=True)
            others = [(slot, guards[slot].lock(packet.tobytes())) for slot, packet in packets]
            rows, plain = rows[~locked], plain[~locked]
        for leg, speaker in self._speaking:
            spoken = self._speak(leg, speaker)
            guard = guards.get(leg.slot)
            others += spoken if guard is None else [(slot, guard.lock(data)) for slot, data in spoken]
        for leg, guard in self._guarded:
            if guard.has_news:
                others += [(leg.slot, data) for data in guard.take_datagrams()]
        return Sending(rows, plain, others)

    def _those_that_hear(self, said: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """The legs that have something to hear, had not long ago, or are to be shown that we are there."""
        quiet = self._quiet_frames
        hears = said[self._rows_of_plain].any(axis=1)
        again = self._rows_of_plain[hears & (quiet > _HANG_OVER_FRAMES)]
        np.copyto(quiet, np.where(hears, 0, quiet + 1))
        rows: npt.NDArray[np.intp] = self._rows_of_plain[
            (quiet <= _HANG_OVER_FRAMES) | (quiet % _SIGN_OF_LIFE_FRAMES == 0)
        ]
        self._rows.mark(again.tolist())
        return rows

    @property
    def has_changed(self) -> bool:
        """Whether a leg that was treated alone need not be any longer, or has got its keys: `arrange` again."""
        if any(leg.sends and leg.slot not in self._guards for leg, _ in self._guarded):
            return True
        return not all(speaker.is_needed for _, speaker in self._speaking)

    def _speak(self, leg: Leg, speaker: Speaker) -> list[Packet]:
        rows, slot = self._rows, leg.slot
        at = int(rows.timestamp[slot]) - FRAME_SAMPLES  # encode has moved it on
        packets = speaker.speak(rows.spoken[slot], at, int(rows.sequence[slot]))
        rows.sequence[slot] += len(packets)
        return [(slot, packet) for packet in packets]
