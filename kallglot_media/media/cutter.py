"""Voice detection and cutting of one leg, asleep while nobody speaks.

Half of a conversation is listening. While a leg is quieter than the floor and no utterance is
under way, nothing needs to be looked at: its sound is kept by the plane, and what an
utterance wants as lead-in is handed over when the leg wakes.
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
_COMPARE_TICKS = 2  # comparing takes longer than all else that a leg needs in a tick
_COMPARE_IN_SPEECH_TICKS = 25
_CALM_FRAMES = 25  # the detector's own hang-over and the evidence for a start are over by then


class Cutter:
    """A detector, a segmenter, and when they may rest.

    detect  detect(bytes of a frame, its samples): whether it is speech
    own_voice, is_own_voice  for `own_voice.compare`, and what it found last
    asleep  the caller pushes nothing while the leg is under the floor; then `wake`, then push
    """

    def __init__(self, rules: SegmentRules) -> None:
        detector = webrtcvad.Vad(rules.aggressiveness)._vad
        self.detect: Callable[[bytes, int], bool] = partial(_webrtcvad.process, detector, RATE_HZ)
        self.segmenter = Segmenter(rules, RATE_HZ)
        self.floor_dbfs = rules.floor_dbfs
        self.asleep = False
        self._lead_frames = -(-rules.lead_ms // _FRAME_MS)
        self._may_sleep = self._lead_frames < PAST_FRAMES
        self._calm_frames = 0
        self._last_tick = 0
        self.own_voice = OwnVoice()
        self._compared_tick = -_COMPARE_TICKS
        self.is_own_voice = False

    def wants_comparison(self, tick: int) -> bool:
        """Whether it is time to look if this is the leg's own voice: speech may start, or has gone on for a while."""
        is_person = self.segmenter.in_speech and not self.is_own_voice
        return tick - self._compared_tick >= (_COMPARE_IN_SPEECH_TICKS if is_person else _COMPARE_TICKS)

    def compared(self, is_own_voice: bool, tick: int) -> None:
        """What `own_voice.compare` said of what sounds like speech now."""
        self._compared_tick = tick
        self.is_own_voice = is_own_voice

    def push(
        self, frame: Pcm16, is_speech: bool, first_sample: int, level_dbfs: float, tick: int
    ) -> list[SegmentEvent]:
        """The frame of `tick`; what it starts or ends. Without speech for long enough it falls asleep."""
        self._last_tick = tick
        segmenter = self.segmenter
        events = segmenter.push(frame, is_speech, first_sample, level_dbfs)
        if is_speech or segmenter.in_speech:
            self._calm_frames = 0
        else:
            self._calm_frames += 1
            self.asleep = self._may_sleep and self._calm_frames > _CALM_FRAMES and level_dbfs < self.floor_dbfs
        return events

    def wake(self, tick: int) -> int:
        """Somebody may be speaking; returns how many frames before this tick the segmenter still needs."""
        self.asleep = False
        self._calm_frames = 0
        return min(self._lead_frames, tick - self._last_tick - 1)
