"""Voice detection and cutting of one leg, asleep while nobody speaks.

Half of a conversation is listening. While a leg is quieter than the floor and no utterance is
under way, nothing needs to be looked at: its sound is kept by the plane, and what an
utterance wants as lead-in is handed over when the leg wakes. See `watch.py` for all legs together.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import partial

import _webrtcvad  # what webrtcvad.Vad calls after checks that cost as much as a fifth of the detection
import webrtcvad

from kallglot_media.audio.own_voice import OwnVoice
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.segment import Segmenter, SegmentEvent, SegmentRules
from kallglot_media.media.rows import PAST_FRAMES, RATE_HZ

_FRAME_MS = 20
_CALM_FRAMES = 25  # the detector's own hang-over and the evidence for a start are over by then


class Cutter:
    """A detector, a segmenter, and when they may rest.

    detect       detect(bytes of a frame, its samples): whether it is speech
    lead_frames  so many frames before the one that woke it are wanted, too
    asleep       nothing need be pushed while the leg is under the floor
    """

    def __init__(self, rules: SegmentRules) -> None:
        detector = webrtcvad.Vad(rules.aggressiveness)._vad
        self.detect: Callable[[bytes, int], bool] = partial(_webrtcvad.process, detector, RATE_HZ)
        self.segmenter = Segmenter(rules, RATE_HZ)
        self.own_voice = OwnVoice()
        self.floor_dbfs = rules.floor_dbfs
        self.lead_frames = -(-rules.lead_ms // _FRAME_MS)
        self.asleep = False
        self._may_sleep = self.lead_frames < PAST_FRAMES
        self._calm_frames = 0

    def push(self, frame: Pcm16, is_speech: bool, first_sample: int, level_dbfs: float) -> list[SegmentEvent]:
        """The next frame; what it starts or ends. Without speech for long enough it falls asleep."""
        segmenter = self.segmenter
        events = segmenter.push(frame, is_speech, first_sample, level_dbfs)
        if is_speech or segmenter.in_speech:
            self._calm_frames = 0
            self.asleep = False
        else:
            self._calm_frames += 1
            self.asleep = self._may_sleep and self._calm_frames > _CALM_FRAMES and level_dbfs < self.floor_dbfs
        return events

    def push_all(
        self, frames: list[Pcm16], is_speech: list[bool], levels_dbfs: list[float], first_sample: int
    ) -> list[SegmentEvent]:
        """`push` of them one by one, where nothing comes of any but the last; they are kept."""
        segmenter, count = self.segmenter, len(frames) - 1
        if count > 0 and segmenter.absorb(frames[:-1], is_speech[:-1], levels_dbfs[:-1], first_sample):
            self._calm_frames = 0 if segmenter.in_speech else self._calm_frames + count
            return self.push(frames[-1], is_speech[-1], first_sample + count * len(frames[0]), levels_dbfs[-1])
        events: list[SegmentEvent] = []
        for n, frame in enumerate(frames):
            events += self.push(frame, is_speech[n], first_sample + n * len(frame), levels_dbfs[n])
        return events

    def wake(self) -> None:
        """Somebody may be speaking."""
        self.asleep = False
        self._calm_frames = 0
