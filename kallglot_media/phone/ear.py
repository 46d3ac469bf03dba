"""What a phone hears, on its own sample clock: gaps stay gaps, and late sound still finds its place."""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.pcm import Pcm16, samples_of
from kallglot_media.rtp.packet import unwrap


@dataclass(frozen=True, slots=True)
class HearRules:
    """When sound counts as somebody speaking.

    floor_dbfs   quieter frames are not speech: an original voice ducked under its translation must not count
    loud_frames  that many loud frames within `among_frames` make speech, so that a click does not
    """

    floor_dbfs: float = -35.0
    loud_frames: int = 5
    among_frames: int = 10


_RESYNC_MS = 200
"""RTP time that strays further than this from the time of arrival is a new stream or a wrong clock."""


class Ear:
    """Puts arriving frames where they belong and remembers when speech was heard.

    Positions are samples since the phone's clock began; sound before that is dropped.
    """

    def __init__(self, rate_hz: int = 8000, rules: HearRules | None = None) -> None:
        self.rate_hz = rate_hz
        self.first_sample: int | None = None
        """Where the first frame stands, None while nothing came."""
        self.speech_first_sample: int | None = None
        """Where speech was heard for the first time."""
        self.speech_last_sample: int | None = None
        """End of the last frame that was part of speech."""
        self._rules = rules or HearRules()
        self._recent: deque[tuple[int, bool]] = deque(maxlen=self._rules.among_frames)
        self._track = np.zeros(60 * rate_hz, np.int16)
        self._end = 0
        self._ssrc: int | None = None
        self._anchor = 0
        self._anchor_ticks = 0

    def hear(self, pcm: Pcm16, rtp_ticks: int, ssrc: int, arrived_at: int) -> None:
        """One packet's sound. rtp_ticks: its 32-bit timestamp; arrived_at: the phone's clock, in samples."""
        start = self._place(rtp_ticks, ssrc, arrived_at)
        if start < 0:
            return
        self._write(start, pcm)
        if self.first_sample is None:
            self.first_sample = start
        self._judge(start, pcm)

    def recording(self, until: int) -> Pcm16:
        """Everything heard from sample 0 to `until`, silence where nothing came."""
        self._grow(until)
        return self._track[:until].copy()

    def quiet_for(self, now: int) -> int:
        """Samples since the last speech; since 0 when none was heard yet."""
        return now - (self.speech_last_sample or 0)

    def _place(self, rtp_ticks: int, ssrc: int, arrived_at: int) -> int:
        if ssrc == self._ssrc:
            start = self._anchor + unwrap(rtp_ticks, self._anchor_ticks, 32) - self._anchor_ticks
            if abs(start - arrived_at) <= samples_of(_RESYNC_MS, self.rate_hz):
                return start
        self._ssrc, self._anchor, self._anchor_ticks = ssrc, arrived_at, rtp_ticks
        return arrived_at

    def _write(self, start: int, pcm: Pcm16) -> None:
        self._grow(start + len(pcm))
        self._track[start : start + len(pcm)] = pcm
        self._end = max(self._end, start + len(pcm))

    def _grow(self, size: int) -> None:
        if size > len(self._track):
            more = np.zeros(max(size, 2 * len(self._track)), np.int16)
            more[: self._end] = self._track[: self._end]
            self._track = more

    def _judge(self, start: int, pcm: Pcm16) -> None:
        self._recent.append((start, float(rms_dbfs(pcm)) > self._rules.floor_dbfs))
        loud = [at for at, is_loud in self._recent if is_loud]
        if self._recent[-1][1] and len(loud) >= self._rules.loud_frames:
            self.speech_last_sample = start + len(pcm)
            if self.speech_first_sample is None:
                self.speech_first_sample = loud[0]
