"""What comes in: one frame of every leg per tick, and where in it somebody speaks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kallglot_media.audio.conceal import Concealer, Erasure, history_samples
from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.noise import comfort_noise
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.coders import G722Hearing, OpusHearing
from kallglot_media.media.g722 import G722Decoder, decode_all
from kallglot_media.media.lanes import Lanes
from kallglot_media.media.leg import MOST_MADE_UP_FRAMES, Leg
from kallglot_media.media.messages import FromMedia
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ, SILENCE, Rows
from kallglot_media.media.watch import Watch

_QUIET_DBFS = -50.0  # softer: the jitter buffer may drop or add a frame unheard
_LOOK_BACK_FRAMES = -(-history_samples(RATE_HZ) // FRAME_SAMPLES)


class Ears:
    """Pops, decodes, conceals and cuts, for all legs at once where that is possible."""

    def __init__(self, rows: Rows, lanes: Lanes, *, own_voice_guard: bool = True) -> None:
        """own_voice_guard: what a leg was told and what comes back of it is no speech."""
        self._rows = rows
        self._lanes = lanes
        self._guards = own_voice_guard
        self._watch = Watch(rows, guards=own_voice_guard)
        self._deaf: list[int] = []
        self._wide: dict[int, G722Decoder] = {}  # by slot, of legs that hear
        self._silences = np.zeros((0, FRAME_SAMPLES), np.uint8)
        self._levels = np.zeros(0, np.float32)
        self._quiet = np.zeros(0, np.bool_)

    @property
    def compares(self) -> bool:
        """Whether what legs are told is wanted, to be compared with what comes back."""
        return self._guards and bool(self._watch)

    def arrange(self, legs: Iterable[Leg]) -> None:
        """Legs came or went, or changed what is wanted of them."""
        by_slot = {leg.slot: leg for leg in legs}
        self._lanes.arrange([leg for leg in by_slot.values() if leg.receives], self._rows.high)
        self._wide = {
            leg.slot: leg.hearing.decoder
            for leg in by_slot.values()
            if leg.receives and isinstance(leg.hearing, G722Hearing)
        }
        self._deaf = [leg.slot for leg in by_slot.values() if not leg.receives]
        self._watch.arrange(by_slot.values(), self._rows.high)
        silences = [by_slot[row].silence if row in by_slot else SILENCE[0] for row in range(self._rows.high)]
        self._silences = np.frombuffer(b"".join(silences), np.uint8).reshape(-1, FRAME_SAMPLES)
        more = self._rows.high - len(self._quiet)
        self._quiet = np.append(self._quiet, np.zeros(max(0, more), np.bool_))

    def hear(self, tick: int) -> Pcm16:
        """int16[high, 160]: the next frame of each leg's peer, out of its jitter buffer or made up."""
        codes = self._silences.copy()
        quiet = self._quiet
        self._lanes.pop(codes, quiet)
        coded: list[tuple[Leg, bytes]] = []
        odd: list[tuple[Leg, bool]] = []  # not simply a frame after a frame; whether one came
        missing: set[int] = set()
        for leg in self._lanes.slow:
            payload = leg.jitter.pop(bool(quiet[leg.slot]))
            if payload is None:
                odd.append((leg, False))
                missing.add(leg.slot)
                continue
            if isinstance(leg.hearing, OpusHearing):
                coded.append((leg, payload))
            else:
                codes[leg.slot] = np.frombuffer(payload, np.uint8)
            if leg.made_up_frames or leg.jitter.skipped:
                odd.append((leg, True))
        heard = self._rows.decode(codes, tick)
        for leg, payload in coded:
            heard[leg.slot] = leg.decode(payload)
        wide = [slot for slot in self._wide if slot not in missing]
        if wide:
            heard[wide] = decode_all([self._wide[slot] for slot in wide], codes[wide])
        heard[self._deaf] = 0  # A-law has no zero: its silence is 8
        for leg, came in odd:
            self._mend(leg, came, tick)
        levels = rms_dbfs(heard)
        self._levels = levels
        self._quiet = levels < _QUIET_DBFS
        return heard

    def skip(self, frames: int) -> list[FromMedia]:
        """The process stood still: what should have been heard meanwhile is passed by."""
        events = self._watch.skip(frames)
        self._lanes.leave_all()
        for leg in self._lanes.slow:
            for _ in range(min(frames, 2 * leg.jitter.waiting)):
                leg.jitter.pop()
        self._rows.forget()
        return events

    def cut(self, heard: Pcm16, tick: int) -> list[FromMedia]:
        """SpeechStarted, SpeechGrew and Utterance of the legs that are listened to."""
        return self._watch.look(heard, self._levels, tick)

    def flush(self, leg: Leg) -> list[FromMedia]:
        """End the utterance under way on this leg, if there is one."""
        return self._watch.flush(leg)

    def _mend(self, leg: Leg, came: bool, tick: int) -> None:
        """Make a frame up where none came, and join the first real one to what was made up.

        The concealer is only there round a loss, so that whole frames cost nothing.
        """
        frame = self._rows.heard[leg.slot]
        concealer = leg.concealer
        if came:
            leg.note_lost(leg.session.position(tick))
            if concealer is not None:
                frame[:] = concealer.good(frame)
            elif leg.jitter.skipped:  # it follows another frame than the one it was spoken after
                frame[:] = Erasure(self._rows.last_frames(leg.slot, tick, _LOOK_BACK_FRAMES).reshape(-1)).join(frame)
            leg.concealer, leg.made_up_frames = None, 0
            return
        if leg.silent or leg.made_up_frames >= MOST_MADE_UP_FRAMES:
            leg.concealer = None
            frame[:] = comfort_noise(leg.noise_dbov, FRAME_SAMPLES, tick) if leg.silent else 0
            return
        leg.made_up_frames += 1
        leg.counters["made_up"] += 1
        pieces = leg.jitter.pieces
        if leg.hearing is not None:
            made = leg.hearing.conceal(pieces, leg.jitter.following)
            if made is not None:
                frame[:] = made
                return
        if concealer is None:
            concealer = leg.concealer = self._concealer_of(leg, tick)
        frame[:] = concealer.patch([(at, leg.decode(piece)) for at, piece in pieces]) if pieces else concealer.conceal()

    def _concealer_of(self, leg: Leg, tick: int) -> Concealer:
        """One that knows what was heard last."""
        concealer = Concealer()
        for frame in self._rows.last_frames(leg.slot, tick, _LOOK_BACK_FRAMES):
            concealer.good(frame)
        return concealer
