"""What goes out: one frame to every leg's peer per tick, coded and in packets."""

from __future__ import annotations

from collections.abc import Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kallglot_media.media.g722 import G722Encoder, encode_all
from kallglot_media.media.guard import Guard
from kallglot_media.media.leg import COMFORT_NOISE, Leg
from kallglot_media.media.locks import NOTHING_LOCKED, Locked, Locks
from kallglot_media.media.rows import FRAME_SAMPLES, Rows
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.speaker import Speaker
from kallglot_media.rtp.packet import RtpPacket

Packet = tuple[int, bytes]
"""Slot and datagram."""


class Sending(NamedTuple):
    """What goes out in a tick.

    slots, packets  of legs that are treated alike: G.711 and G.722 in packets of 20 ms, PACKET[n]
    locked          the same, encrypted
    others          all else
    """

    slots: npt.NDArray[np.intp]
    packets: npt.NDArray[np.void]
    locked: Locked
    others: list[Packet]

    def all(self) -> list[Packet]:
        """One by one."""
        alike = zip(self.slots.tolist(), self.packets, strict=True)
        return [*((slot, packet.tobytes()) for slot, packet in alike), *self.locked.all(), *self.others]


_HANG_OVER_FRAMES = 10
_SIGN_OF_LIFE_FRAMES = 250
"""A packet of silence every five seconds keeps the ways through NAT open, and peers from taking us for gone."""


class Outgoing:
    """G.711 and G.722 in packets of 20 ms for all legs at once, and everything else leg by leg."""

    def __init__(self, rows: Rows, settings: MediaSettings, locks: Locks) -> None:
        self._rows = rows
        self._locks = locks
        self._suppress = settings.suppress_silence
        self._noise_dbov = settings.comfort_noise_dbov if settings.suppress_silence else None
        self._noisy: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)  # of _plain: are told to make comfort noise
        self._to_be_noisy: list[int] = []  # slots that are told so in this tick
        self._ssrcs: dict[int, int] = {}
        self._quiet_frames: npt.NDArray[np.intp] = np.zeros(0, np.intp)  # in a row, of each of _plain
        self._plain: list[int] = []
        self._rows_of_plain: npt.NDArray[np.intp] = np.zeros(0, np.intp)
        self._wide: dict[int, G722Encoder] = {}  # by slot, of _plain
        self._always: npt.NDArray[np.bool_] = np.zeros(0, np.bool_)  # of _plain: silence is sent
        self._speaking: list[tuple[Leg, Speaker]] = []
        self._guarded: list[tuple[Leg, Guard]] = []
        self._guards: dict[int, Guard] = {}

    def arrange(self, legs: Iterable[Leg]) -> None:
        """Legs came or went, or changed what they send. legs: by slot, ascending."""
        speakers = {leg.slot: leg.speaker for leg in legs if leg.sends}
        speaking = {slot for slot, speaker in speakers.items() if speaker is not None and speaker.is_needed}
        spoke = {leg.slot for leg, _ in self._speaking}
        self._speaking = [(leg, leg.speaker) for leg in legs if leg.slot in speaking and leg.speaker is not None]
        self._plain = [slot for slot in speakers if slot not in speaking]
        self._rows.mark([slot for slot in self._plain if slot in spoke])  # keys are over: a talk spurt begins
        if self._plain != self._rows_of_plain.tolist():
            self._rows_of_plain = np.array(self._plain, np.intp)
            self._quiet_frames = np.zeros(len(self._plain), np.intp)
        encoders = {leg.slot: leg.speaker.wide_encoder for leg in legs if leg.speaker is not None}
        self._wide = {slot: it for slot in self._plain if (it := encoders[slot]) is not None}
        self._always = np.array([slot in self._wide for slot in self._plain], np.bool_)
        told = {leg.slot for leg in legs if leg.remote is not None and leg.remote.comfort_noise} - set(self._wide)
        self._noisy = np.array([self._noise_dbov is not None and slot in told for slot in self._plain], np.bool_)
        self._ssrcs = {leg.slot: leg.reports.ssrc for leg in legs}
        self._guarded = [(leg, leg.guard) for leg in legs if leg.guard is not None]
        self._guards = {leg.slot: guard for leg, guard in self._guarded if leg.sends}

    def send(self, said: npt.NDArray[np.float32]) -> Sending:
        """The packets of this tick; all RTP clocks move on. said: float32[high, 160], used up."""
        rows = self._rows_of_plain if not self._suppress else self._those_that_hear(said)
        plain = self._rows.encode(said, rows)
        if self._wide:
            slots = list(self._wide)  # ascending, and each of them sends
            plain["payload"][np.searchsorted(rows, slots)] = encode_all(
                list(self._wide.values()), self._rows.spoken[slots]
            )
        others: list[Packet] = []
        guards, locked = self._guards, NOTHING_LOCKED
        if guards:
            guarded = self._locks.guarded[rows]
            locked = self._locks.lock(rows[guarded], plain[guarded])
            rows, plain = rows[~guarded], plain[~guarded]
        spoken = [packet for leg, speaker in self._speaking for packet in self._speak(leg, speaker)]
        for slot, data in [*spoken, *map(self._comfort_noise, self._to_be_noisy)]:
            guard = guards.get(slot)
            others.append((slot, data if guard is None else guard.lock(data)))
        for leg, guard in self._guarded:
            if guard.has_news:
                others += [(leg.slot, data) for data in guard.take_datagrams()]
        return Sending(rows, plain, locked, others)

    def _those_that_hear(self, said: npt.NDArray[np.float32]) -> npt.NDArray[np.intp]:
        """The legs that have something to hear, had not long ago, or are to be shown that we are there."""
        quiet = self._quiet_frames
        hears = said[self._rows_of_plain].any(axis=1)
        hears |= self._always
        again = self._rows_of_plain[hears & (quiet > _HANG_OVER_FRAMES)]
        np.copyto(quiet, np.where(hears, 0, quiet + 1))
        sign = (quiet > _HANG_OVER_FRAMES) & (quiet % _SIGN_OF_LIFE_FRAMES == 0)
        begins = quiet == _HANG_OVER_FRAMES + 1
        self._to_be_noisy = self._rows_of_plain[self._noisy & (sign | begins)].tolist()
        rows: npt.NDArray[np.intp] = self._rows_of_plain[(quiet <= _HANG_OVER_FRAMES) | (sign & ~self._noisy)]
        self._rows.mark(again.tolist())
        return rows

    def _comfort_noise(self, slot: int) -> Packet:
        """RFC 3389 section 3: in place of silence, the level alone; the next sound begins with the marker."""
        rows = self._rows
        assert self._noise_dbov is not None
        at = int(rows.timestamp[slot]) - FRAME_SAMPLES & 0xFFFFFFFF
        payload = bytes([-self._noise_dbov])
        packet = RtpPacket(COMFORT_NOISE, int(rows.sequence[slot]) & 0xFFFF, at, self._ssrcs[slot], payload)
        rows.sequence[slot] += 1
        return slot, packet.serialize()

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
