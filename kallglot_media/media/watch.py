"""Who of all legs that are listened to speaks, and what is cut out of it.

What a frame is, speech or none, is found out in its own tick. A leg's segmenter gets it later, with those that came
meanwhile: it and its list of frames lie somewhere in memory, and to fetch them for every leg in every tick takes
longer than what is done there. It gets them at once when something may come of it, so that all that is said to
control is said in the tick in which it would have been (`Segmenter.next_event`).
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import NamedTuple

import numpy as np
import numpy.typing as npt

from kallglot_media.audio import own_voice
from kallglot_media.audio.condition import clipped_samples
from kallglot_media.audio.own_voice import LOOK_MS
from kallglot_media.audio.pcm import FRAME_MS, Pcm16
from kallglot_media.audio.segment import Ended, Grew, SegmentEvent, Started
from kallglot_media.media.cutter import Cutter
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import FromMedia, SpeechDropped, SpeechGrew, SpeechStarted, Utterance
from kallglot_media.media.rows import FRAME_SAMPLES, PAST_FRAMES, RATE_HZ, Rows, grown

_FRAME_BYTES = 2 * FRAME_SAMPLES
_COMPARE_TICKS = 2  # comparing takes longer than all else that a leg needs in a tick
_COMPARE_IN_SPEECH_TICKS = 25
_LEAST_COMPARISONS, _LEGS_FOR_EACH_COMPARISON = 4, 100
"""So many comparisons with what was told are made in one tick, lest it be late when all speak at once."""

_LOOK_FRAMES = LOOK_MS // FRAME_MS

_Slots = npt.NDArray[np.intp]


class _Listened(NamedTuple):
    leg: Leg
    cutter: Cutter


class Watch:
    """`arrange` when legs come, go or are listened to anew; then `look` in every tick.

    Arrays have a row for each slot; frames from the tick `_from` of a slot on are still to be pushed.
    """

    def __init__(self, rows: Rows, *, guards: bool) -> None:
        """guards: what a leg was told and what comes back of it is no speech."""
        self._rows = rows
        self._guards = guards
        self._by_slot: dict[int, _Listened] = {}
        self._slots: _Slots = np.zeros(0, np.intp)
        self._floors = np.zeros(0, np.float64)  # of _slots
        self._detectors: list[Callable[[bytes, int], bool]] = []
        self._tick = 0  # the next to be looked at
        self._speech = np.zeros((PAST_FRAMES, 0), np.bool_)  # by tick
        self._levels = np.zeros((PAST_FRAMES, 0), np.float32)
        self._places = np.arange(2 * PAST_FRAMES) % PAST_FRAMES
        self._from = np.zeros(0, np.int64)
        self._due = np.zeros(0, np.int64)  # in this tick something may come of it
        self._on_speech = np.zeros(0, np.bool_)  # and in the first tick that is speech
        self._asleep = np.zeros(0, np.bool_)
        self._in_speech = np.zeros(0, np.bool_)
        self._compared = np.zeros(0, np.int64)
        self._is_own = np.zeros(0, np.bool_)

    def __bool__(self) -> bool:
        """Whether there is any leg to look at."""
        return bool(self._by_slot)

    def arrange(self, legs: Iterable[Leg], high: int) -> None:
        """These are there now; high: one above the last slot."""
        if high > len(self._from):
            self._grow(high)
        before, self._by_slot = self._by_slot, {}
        for leg in legs:
            if leg.cutter is not None:
                self._by_slot[leg.slot] = _Listened(leg, leg.cutter)
                if leg.slot not in before or before[leg.slot].cutter is not leg.cutter:
                    self._begin(leg.slot)
        self._slots = np.array(list(self._by_slot), np.intp)
        self._floors = np.array([it.cutter.floor_dbfs for it in self._by_slot.values()], np.float64)
        self._detectors = [it.cutter.detect for it in self._by_slot.values()]

    def look(self, heard: Pcm16, levels: npt.NDArray[np.float32], tick: int) -> list[FromMedia]:
        """SpeechStarted, SpeechGrew and Utterance in this tick. heard: int16[high, 160]; levels: float32[high]."""
        slots = self._slots
        self._tick = tick + 1
        if not slots.size:
            return []
        place = tick % PAST_FRAMES
        self._levels[place, : len(levels)] = levels
        loud = levels[slots] >= self._floors
        for slot in slots[loud & self._asleep[slots]].tolist():
            self._wake(slot, tick)
        is_speech = self._detect(heard, slots, loud)
        if self._guards:
            self._take_own_voice_out(slots, is_speech, tick)
        self._speech[place, slots] = is_speech
        due = (self._due[slots] <= tick) | (is_speech & self._on_speech[slots])
        due |= tick - self._from[slots] >= PAST_FRAMES - 1
        due &= ~self._asleep[slots]
        return [event for slot in slots[due].tolist() for event in self._push(slot, tick)]

    def skip(self, ticks: int) -> list[FromMedia]:
        """So many are left out, and what was heard before them will be forgotten."""
        awake = self._slots[~self._asleep[self._slots]].tolist()
        events = [event for slot in awake for event in self._push(slot, self._tick - 1)]
        self._due[:] = 0  # the hole may end an utterance
        self._tick += ticks
        self._from[self._slots] = self._tick
        return events

    def flush(self, leg: Leg) -> list[FromMedia]:
        """End the utterance under way on this leg, if there is one."""
        if leg.cutter is None:
            return []
        events: list[FromMedia] = []
        known = self._by_slot.get(leg.slot)
        if known is not None and known.cutter is leg.cutter and not self._asleep[leg.slot]:
            events += self._push(leg.slot, self._tick - 1)
        for piece in leg.cutter.segmenter.flush():
            events += as_messages(leg, piece)
        return events

    # ── one tick ─────────────────────────────────────────────────────────────────

    def _detect(self, heard: Pcm16, slots: _Slots, loud: npt.NDArray[np.bool_]) -> npt.NDArray[np.bool_]:
        """bool[n], of each of these slots whether it is speech: what is under the floor never is."""
        is_speech = np.zeros(len(slots), np.bool_)
        loud_ones = np.flatnonzero(loud)
        sound, detectors = heard.tobytes(), self._detectors
        starts = (slots[loud_ones] * _FRAME_BYTES).tolist()
        is_speech[loud_ones] = [
            detectors[n](sound[start : start + _FRAME_BYTES], FRAME_SAMPLES)
            for n, start in zip(loud_ones.tolist(), starts, strict=True)
        ]
        return is_speech

    def _take_own_voice_out(self, slots: _Slots, is_speech: npt.NDArray[np.bool_], tick: int) -> None:
        """What was told and comes back is no speech.

        When too many want to know, those come first who have waited longest for what they need; for the others what
        was found last stands.
        """
        is_person = self._in_speech[slots] & ~self._is_own[slots]
        wait = np.where(is_person, _COMPARE_IN_SPEECH_TICKS, _COMPARE_TICKS)
        waited = tick - self._compared[slots]
        wanted = np.flatnonzero(is_speech & (waited >= wait))
        if wanted.size:
            most = _LEAST_COMPARISONS + len(slots) // _LEGS_FOR_EACH_COMPARISON
            if wanted.size > most:
                wanted = wanted[np.argsort(-waited[wanted] / wait[wanted], kind="stable")[:most]]
            self._compare(slots[wanted].tolist(), tick)
        own = is_speech & self._is_own[slots]
        if own.any():
            for slot in slots[own].tolist():
                self._by_slot[slot].leg.counters["own_voice"] += 1
            is_speech &= ~own

    def _compare(self, slots: list[int], tick: int) -> None:
        """Look whether what sounds like speech is what these legs were told, coming back."""
        voices = [self._by_slot[slot].cutter.own_voice for slot in slots]
        heard = self._rows.heard_last(slots, tick, _LOOK_FRAMES)
        self._is_own[slots] = own_voice.compare(voices, heard, self._rows.told_before(slots, tick))
        self._compared[slots] = tick

    def _wake(self, slot: int, tick: int) -> None:
        """What was not looked at while all was quiet may be an utterance's lead-in."""
        cutter = self._by_slot[slot].cutter
        cutter.wake()
        self._asleep[slot] = False
        first = max(int(self._from[slot]), tick - cutter.lead_frames)
        self._speech[np.arange(first, tick) % PAST_FRAMES, slot] = False
        self._from[slot] = first

    def _push(self, slot: int, tick: int) -> list[FromMedia]:
        """What has come up to this tick, the last that was looked at, to its segmenter."""
        first = int(self._from[slot])
        leg, cutter = self._by_slot[slot]
        position = (first - leg.session.first_tick) * FRAME_SAMPLES
        events: list[FromMedia] = []
        if first <= tick:
            places = self._places[first % PAST_FRAMES : first % PAST_FRAMES + tick - first + 1]
            frames = [*self._rows.last_frames(slot, tick, tick - first), self._rows.heard[slot]]
            speech, levels = self._speech[places, slot].tolist(), self._levels[places, slot].tolist()
            for piece in cutter.push_all(frames, speech, levels, position):
                events += as_messages(leg, piece)
            position += len(frames) * FRAME_SAMPLES
            self._from[slot] = tick + 1
        self._settle(slot, cutter, position, tick)
        return events

    def _settle(self, slot: int, cutter: Cutter, position: int, tick: int) -> None:
        """When to push again. position: the end of what has been pushed."""
        segmenter = cutter.segmenter
        at, self._on_speech[slot] = segmenter.next_event()
        self._due[slot] = tick + max(1, -(-(at - position) // FRAME_SAMPLES))
        self._in_speech[slot] = segmenter.in_speech
        self._asleep[slot] = cutter.asleep

    # ── rows ─────────────────────────────────────────────────────────────────────

    def _begin(self, slot: int) -> None:
        """Somebody is listened to from the next tick on."""
        self._from[slot] = self._tick
        self._due[slot] = self._tick
        self._compared[slot] = self._tick - _COMPARE_TICKS
        self._on_speech[slot] = self._asleep[slot] = self._in_speech[slot] = self._is_own[slot] = False

    def _grow(self, high: int) -> None:
        for name, array in list(vars(self).items()):
            if isinstance(array, np.ndarray) and name not in ("_slots", "_floors", "_places"):
                setattr(self, name, grown(array, max(64, 2 * high), axis=-1))


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
