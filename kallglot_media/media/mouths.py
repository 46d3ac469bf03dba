"""What goes out besides live voices: made speech and tones."""

from __future__ import annotations

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.playout import PlayFinished
from kallglot_media.audio.resample import resample
from kallglot_media.audio.tones import tone
from kallglot_media.media.leg import Leg
from kallglot_media.media.messages import FromMedia, Play, PlayLoop, PlayoutFinished, PlayoutStarted
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ, Rows


class Mouths:
    """Fills `rows.made` and `rows.playing` for the legs that have something to be told."""

    def __init__(self, rows: Rows) -> None:
        self._rows = rows
        self._busy: dict[int, Leg] = {}

    def play(self, leg: Leg, message: Play, tick: int) -> list[FromMedia]:
        """Queue speech; it ends a tone. A full line refuses it whole: it is finished before it began."""
        pcm: Pcm16 = np.frombuffer(message.pcm, "<i2").astype(np.int16)
        if message.rate_hz != RATE_HZ:
            pcm = resample(pcm, message.rate_hz, RATE_HZ)
        leg.tone = None
        self._busy[leg.slot] = leg
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
        self._busy[leg.slot] = leg

    def clear(self, leg: Leg, tick: int) -> list[FromMedia]:
        """Throw away what waits and fade out what sounds."""
        return [_finished(leg, finished, leg.session.position(tick)) for finished in leg.playout.clear()]

    def close(self, leg: Leg, tick: int) -> list[FromMedia]:
        """The leg goes away."""
        self._busy.pop(leg.slot, None)
        return self.clear(leg, tick)

    def pull(self, tick: int) -> list[FromMedia]:
        """The next frame for each leg; what began and what ended with it."""
        events: list[FromMedia] = []
        done = []
        made, playing = self._rows.made, self._rows.playing
        for slot, leg in self._busy.items():
            if (frame := leg.playout.pull_on(FRAME_SAMPLES)) is not None:
                made[slot] = frame
                playing[slot] = True
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
        for slot in done:
            del self._busy[slot]
        return events


def _finished(leg: Leg, it: PlayFinished, position: int) -> PlayoutFinished:
    return PlayoutFinished(leg.leg_id, it.play_id, position + it.offset, it.played_samples, it.total_samples)


def _next_of(leg: Leg, loop: Pcm16) -> Pcm16:
    frame: Pcm16 = loop.take(range(leg.tone_at, leg.tone_at + FRAME_SAMPLES), mode="wrap")
    leg.tone_at = (leg.tone_at + FRAME_SAMPLES) % len(loop)
    return frame
