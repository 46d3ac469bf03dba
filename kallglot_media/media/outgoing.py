"""What goes out: one frame to every leg's peer per tick, coded and in packets."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import numpy.typing as npt

from kallglot_media.media.guard import Guard
from kallglot_media.media.leg import Leg
from kallglot_media.media.rows import FRAME_SAMPLES, PACKET_BYTES, Rows
from kallglot_media.media.speaker import Speaker

Packet = tuple[int, bytes]
"""Slot and datagram."""


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

    def send(self, said: npt.NDArray[np.float32]) -> list[Packet]:
        """The packets of this tick; all RTP clocks move on. said: float32[high, 160], used up."""
        slots, rows = (self._plain, self._rows_of_plain) if not self._suppress else self._those_that_hear(said)
        data = self._rows.encode(said, rows)
        starts = range(0, len(data), PACKET_BYTES)
        packets = [(slot, data[start : start + PACKET_BYTES]) for slot, start in zip(slots, starts, strict=True)]
        for leg, speaker in self._speaking:
            packets += self._speak(leg, speaker)
        if self._guards:
            guards = self._guards
            packets = [(slot, guards[slot].lock(data) if slot in guards else data) for slot, data in packets]
        for leg, guard in self._guarded:
            if guard.has_news:
                packets += [(leg.slot, data) for data in guard.take_datagrams()]
        return packets

    def _those_that_hear(self, said: npt.NDArray[np.float32]) -> tuple[list[int], npt.NDArray[np.intp]]:
        """The legs that have something to hear, had not long ago, or are to be shown that we are there."""
        quiet = self._quiet_frames
        hears = said[self._rows_of_plain].any(axis=1)
        again = self._rows_of_plain[hears & (quiet > _HANG_OVER_FRAMES)]
        np.copyto(quiet, np.where(hears, 0, quiet + 1))
        rows = self._rows_of_plain[(quiet <= _HANG_OVER_FRAMES) | (quiet % _SIGN_OF_LIFE_FRAMES == 0)]
        self._rows.mark(again.tolist())
        return rows.tolist(), rows

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
