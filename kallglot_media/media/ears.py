"""What comes in: one frame of every leg per tick, and where in it somebody speaks."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np

from kallglot_media.audio import own_voice
from kallglot_media.audio.conceal import Concealer, Erasure, history_samples
from kallglot_media.audio.condition import clipped_samples
from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.noise import comfort_noise
from kallglot_media.audio.own_voice import LOOK_MS
from kallglot_media.audio.pcm import FRAME_MS, Pcm16
from kallglot_media.audio.segment import Ended, Grew, SegmentEvent, Started
from kallglot_media.media.coders import G722Hearing, OpusHearing
from kallglot_media.media.cutter import Cutter
from kallglot_media.media.g722 import G722Decoder, decode_all
from kallglot_media.media.lanes import Lanes
from kallglot_media.media.leg import MOST_MADE_UP_FRAMES, Leg
from kallglot_media.media.messages import FromMedia, SpeechDropped, SpeechGrew, SpeechStarted, Utterance
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ, SILENCE, Rows

_QUIET_DBFS = -50.0  # softer: the jitter buffer may drop or add a frame unheard
_LOOK_BACK_FRAMES = -(-history_samples(RATE_HZ) // FRAME_SAMPLES)
_LEAST_COMPARISONS, _LEGS_FOR_EACH_COMPARISON = 4, 50
"""So many comparisons with what was told are made in one tick, lest it be late when all speak at once."""

_LOOK_FRAMES = LOOK_MS // FRAME_MS
_FRAME_BYTES = 2 * FRAME_SAMPLES


class Ears:
    """Pops, decodes, conceals and cuts, for all legs at once where that is possible."""

    def __init__(self, rows: Rows, lanes: Lanes, *, own_voice_guard: bool = True) -> None:
        """own_voice_guard: what a leg was told and what comes back of it is no speech."""
        self._rows = rows
        self._lanes = lanes
        self._guards = own_voice_guard
        self._listening: list[tuple[Leg, int, Cutter, float]] = []  # slot, and the floor of its rules
        self._deaf: list[int] = []
        self._wide: dict[int, G722Decoder] = {}  # by slot, of legs that hear
        self._silences = np.zeros((0, FRAME_SAMPLES), np.uint8)
        self._levels: list[float] = []
        self._quiet = np.zeros(0, np.bool_)

    @property
    def compares(self) -> bool:
        """Whether what legs are told is wanted, to be compared with what comes back."""
        return self._guards and bool(self._listening)

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
        self._listening = [
            (leg, leg.slot, leg.cutter, leg.cutter.floor_dbfs) for leg in by_slot.values() if leg.cutter is not None
        ]
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
        self._levels = levels.tolist()
        self._quiet = levels < _QUIET_DBFS
        return heard

    def skip(self, frames: int) -> None:
        """The process stood still: what should have been heard meanwhile is passed by."""
        self._lanes.leave_all()
        for leg in self._lanes.slow:
            for _ in range(min(frames, 2 * leg.jitter.waiting)):
                leg.jitter.pop()
        self._rows.forget()

    def cut(self, heard: Pcm16, tick: int) -> list[FromMedia]:
        """SpeechStarted, SpeechGrew and Utterance of the legs that are listened to."""
        if not self._listening:
            return []
        sound, levels, guards = heard.tobytes(), self._levels, self._guards
        awake: list[tuple[Leg, Cutter, bool]] = []
        compare: list[tuple[Leg, Cutter]] = []
        most = _LEAST_COMPARISONS + len(self._listening) // _LEGS_FOR_EACH_COMPARISON
        for leg, slot, cutter, floor_dbfs in self._listening:
            is_loud = levels[slot] >= floor_dbfs
            if cutter.asleep:
                if not is_loud:
                    continue
                self._wake(leg, cutter, tick)
            start = slot * _FRAME_BYTES
            is_speech = is_loud and cutter.detect(sound[start : start + _FRAME_BYTES], FRAME_SAMPLES)
            # when too many want it in one tick, what was found last stands
            if is_speech and guards and len(compare) < most and cutter.wants_comparison(tick):
                compare.append((leg, cutter))
            awake.append((leg, cutter, is_speech))
        if compare:
            self._compare(compare, tick)
        events: list[FromMedia] = []
        for leg, cutter, is_speech in awake:
            if is_speech and guards and cutter.is_own_voice:
                is_speech = False
                leg.counters["own_voice"] += 1
            slot = leg.slot
            cut = cutter.push(
                heard[slot], is_speech, (tick - leg.session.first_tick) * FRAME_SAMPLES, levels[slot], tick
            )
            if cut:
                events += [event for piece in cut for event in as_messages(leg, piece)]
        return events

    def flush(self, leg: Leg) -> list[FromMedia]:
        """End the utterance under way on this leg, if there is one."""
        if leg.cutter is None:
            return []
        return [event for piece in leg.cutter.segmenter.flush() for event in as_messages(leg, piece)]

    def _compare(self, legs: list[tuple[Leg, Cutter]], tick: int) -> None:
        """Look whether what sounds like speech is what these legs were told, coming back."""
        slots = [leg.slot for leg, _ in legs]
        voices = [cutter.own_voice for _, cutter in legs]
        heard = self._rows.heard_last(slots, tick, _LOOK_FRAMES)
        for (_, cutter), is_own in zip(
            legs, own_voice.compare(voices, heard, self._rows.told_before(slots, tick)), strict=True
        ):
            cutter.compared(is_own, tick)

    def _wake(self, leg: Leg, cutter: Cutter, tick: int) -> None:
        """What was not looked at while all was quiet may be an utterance's lead-in."""
        count = cutter.wake(tick)
        first_sample = leg.session.position(tick - count)
        for n, frame in enumerate(self._rows.last_frames(leg.slot, tick, count)):
            cutter.segmenter.push(frame, False, first_sample + n * FRAME_SAMPLES)

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


def as_messages(leg: Leg, piece: SegmentEvent) -> list[FromMedia]:
    """A segmenter's event as control hears it; a click after SpeechStarted is counted, too."""
    if isinstance(piece, Started):
        return [SpeechStarted(leg.leg_id, piece.at_sample)]
    if isinstance(piece, Ended):
        leg.counters["clipped"] += clipped_samples(piece.pcm)
        pcm = piece.pcm.astype("<i2").tobytes()
        return [Utterance(leg.leg_id, pcm, RATE_HZ, piece.first_sample, piece.speech_end_sample, piece.ended_by)]
    if isinstance(piece, Grew):
        pcm = piece.pcm.astype("<i2").tobytes()
        return [SpeechGrew(leg.leg_id, pcm, RATE_HZ, piece.first_sample, piece.speech_end_sample, piece.paused)]
    leg.counters["clicks"] += 1
    return [SpeechDropped(leg.leg_id, piece.at_sample)]
