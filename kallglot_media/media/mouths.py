"""What goes out besides live voices: made speech and tones."""

from __future__ import annotations

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.playout import PlayFinished
from kallglot_media.audio.resample import resample
from kallglot_media.audio.tones import tone
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import FromMedia, Play, PlayLoop, PlayoutFinished, PlayoutStarted
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ, Rows, grown

_LENT_FRAMES = 12


class Mouths:
    """Fills `rows.made` and `rows.playing` for the legs that have something to be told.

    In the middle of made speech nothing happens but that it goes on: such legs' next frames are lent of their queues, a
    dozen at once, and then played for all of them in one step.
    """

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._busy: dict[int, Leg] = {}  # without those that play what is lent
        self._lent_to: dict[int, Leg] = {}
        self._slots: npt.NDArray[np.intp] = np.zeros(0, np.intp)  # of _lent_to
        self._lent = np.zeros((0, _LENT_FRAMES, FRAME_SAMPLES), np.int16)  # by slot
        self._at = np.zeros(0, np.intp)
        self._end = np.zeros(0, np.intp)

    def play(self, leg: Leg, message: Play, tick: int) -> list[FromMedia]:
        """Queue speech; it ends a tone. A full line refuses it whole: it is finished before it began."""
        pcm: Pcm16 = np.frombuffer(message.pcm, "<i2").astype(np.int16)
        if message.rate_hz != RATE_HZ:
            pcm = resample(pcm, message.rate_hz, RATE_HZ)
        leg.tone = None
        self._busy[leg.slot] = leg
        self._take_back(leg)  # so that it knows how much waits
        if not leg.playout.put(message.play_id, pcm):
            return []
        leg.counters["playout_full"] += 1
        return [PlayoutFinished(leg.leg_id, message.play_id, leg.session.position(tick), 0, len(pcm))]

    def play_tone(self, leg: Leg, name: str) -> None:
        """Loop a tone while no speech plays."""
        self._loop(leg, tone(name, RATE_HZ))

    def play_loop(self, leg: Leg, message: PlayLoop) -> None:
        """Loop sound from elsewhere while no speech plays; none at all is silence."""
        pcm: Pcm16 = np.frombuffer(message.pcm, "<i2").astype(np.int16)
        if message.rate_hz != RATE_HZ:
            pcm = resample(pcm, message.rate_hz, RATE_HZ)
        if len(pcm):
            self._loop(leg, pcm)

    def _loop(self, leg: Leg, pcm: Pcm16) -> None:
        leg.tone = pcm
        leg.tone_at = 0
        if leg.slot not in self._lent_to:
            self._busy[leg.slot] = leg

    def clear(self, leg: Leg, tick: int) -> list[FromMedia]:
        """Throw away what waits and fade out what sounds."""
        if leg.slot in self._lent_to:
            self._take_back(leg)
            self._busy[leg.slot] = leg
        return [_finished(leg, finished, leg.session.position(tick)) for finished in leg.playout.clear()]

    def close(self, leg: Leg, tick: int) -> list[FromMedia]:
        """The leg goes away."""
        finished = self.clear(leg, tick)
        self._busy.pop(leg.slot, None)
        return finished

    def pull(self, tick: int) -> list[FromMedia]:
        """The next frame for each leg; what began and what ended with it."""
        events: list[FromMedia] = []
        done, lent = [], []
        made, playing = self._rows.made, self._rows.playing
        played_out = self._play_lent()
        for slot, leg in self._busy.items():
            if (frames := leg.playout.lend(FRAME_SAMPLES, _LENT_FRAMES)) is not None:
                made[slot], playing[slot] = frames[0], True
                if len(frames) > 1:
                    self._keep(leg, frames)
                    lent.append(slot)
                continue
            pulled = leg.playout.pull(FRAME_SAMPLES)
            playing[slot] = pulled.pcm is not None
            if pulled.pcm is not None:
                made[slot] = pulled.pcm
            elif leg.tone is not None:
                made[slot] = _next_of(leg, leg.tone)
            else:
                made[slot] = 0
                done.append(slot)
            position = leg.session.position(tick)
            events += [PlayoutStarted(leg.leg_id, it.play_id, position + it.offset) for it in pulled.started]
            events += [_finished(leg, it, position) for it in pulled.finished]
        for slot in (*done, *lent):
            del self._busy[slot]
        self._busy |= played_out
        if lent or played_out:
            self._slots = np.array(list(self._lent_to), np.intp)
        return events

    # ── what is lent ─────────────────────────────────────────────────────────────

    def _keep(self, leg: Leg, frames: Pcm16) -> None:
        """Its first frame is played in this tick, by the caller."""
        slot = leg.slot
        if slot >= len(self._at):
            self._grow(self._rows.capacity)
        self._lent[slot, : len(frames)] = frames
        self._at[slot], self._end[slot] = 1, len(frames)
        self._lent_to[slot] = leg

    def _play_lent(self) -> dict[int, Leg]:
        """One frame of all that is lent; returns those whose last it was: in the next tick each is looked at itself."""
        slots = self._slots
        at = self._at[slots]
        self._rows.made[slots] = self._lent[slots, at]
        self._at[slots] = at + 1
        return {slot: self._lent_to.pop(slot) for slot in slots[at + 1 == self._end[slots]].tolist()}

    def _take_back(self, leg: Leg) -> None:
        """What is lent and was not heard belongs to the queue again."""
        slot = leg.slot
        if self._lent_to.pop(slot, None) is not None:
            leg.playout.give_back(self._lent[slot, self._at[slot] : self._end[slot]].reshape(-1).copy())
            self._slots = np.array(list(self._lent_to), np.intp)

    def _grow(self, rows: int) -> None:
        for name in ("_lent", "_at", "_end"):
            setattr(self, name, grown(getattr(self, name), rows))


def _finished(leg: Leg, it: PlayFinished, position: int) -> PlayoutFinished:
    return PlayoutFinished(leg.leg_id, it.play_id, position + it.offset, it.played_samples, it.total_samples)


def _next_of(leg: Leg, loop: Pcm16) -> Pcm16:
    frame: Pcm16 = loop.take(range(leg.tone_at, leg.tone_at + FRAME_SAMPLES), mode="wrap")
    leg.tone_at = (leg.tone_at + FRAME_SAMPLES) % len(loop)
    return frame
