"""Where somebody speaks on a track: with the voice detection and the segmenter of the media plane, nothing else."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
import webrtcvad

from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of
from kallglot_media.audio.segment import Ended, Segmenter, SegmentRules, Started

SAME_PLAY_MS = 60
"""Zeros shorter than this inside made speech are a quiet consonant; longer ones stand between two pieces."""


@dataclass(frozen=True, slots=True)
class Span:
    """From start_ms to end_ms on the recording's clock."""

    start_ms: float
    end_ms: float

    def overlap_ms(self, other: Span) -> float:
        """How long both last at once."""
        return max(0.0, min(self.end_ms, other.end_ms) - max(self.start_ms, other.start_ms))


def spoken(pcm: Pcm16, rate_hz: int, rules: SegmentRules) -> list[Span]:
    """What somebody said on an original track, one span for each utterance; clicks are left out."""
    detector = webrtcvad.Vad(rules.aggressiveness)
    segmenter = Segmenter(rules, rate_hz)
    frame = samples_of(FRAME_MS, rate_hz)
    spans: list[Span] = []
    began: int | None = None
    for at in range(0, len(pcm) - frame + 1, frame):
        piece = np.ascontiguousarray(pcm[at : at + frame])
        for event in segmenter.push(piece, detector.is_speech(piece.tobytes(), rate_hz), at):
            began = _take(event, began, spans, rate_hz)
    for event in segmenter.flush():
        began = _take(event, began, spans, rate_hz)
    return spans


def _take(event: object, began: int | None, spans: list[Span], rate_hz: int) -> int | None:
    if isinstance(event, Started):
        return event.at_sample
    if isinstance(event, Ended):
        start = event.first_sample if began is None else began
        spans.append(Span(1000 * start / rate_hz, 1000 * event.speech_end_sample / rate_hz))
    return None


def made(pcm: Pcm16, rate_hz: int) -> list[Span]:
    """What the server said on a made track: it is silent to the last bit between two plays."""
    sounding = np.flatnonzero(pcm)
    if not len(sounding):
        return []
    breaks = np.flatnonzero(np.diff(sounding) > samples_of(SAME_PLAY_MS, rate_hz))
    starts = [sounding[0], *sounding[breaks + 1]]
    ends = [*sounding[breaks], sounding[-1]]
    return [Span(1000 * int(a) / rate_hz, 1000 * (int(b) + 1) / rate_hz) for a, b in zip(starts, ends, strict=True)]
