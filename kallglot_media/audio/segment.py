"""Cuts one voice into utterances. Time is counted in samples, not read off a clock.

Whether a frame is speech comes in from outside (webrtcvad); here it is decided when that makes
an utterance. No sample is ever in two utterances, and none between the first and the last
sample of one is missing.
"""

from __future__ import annotations

from collections import deque
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.pcm import FRAME_MS, Pcm16, samples_of
from kallglot_media.audio.pieces import Piece, end_of_speech, join, quietest_place, split


@dataclass(frozen=True, slots=True)
class SegmentRules:
    """When an utterance starts and ends.

    aggressiveness  webrtcvad mode 0–3: 3 calls the least sound speech
    start_ms        this much speech before we believe it
    stop_ms         this much silence ends the utterance
    lead_ms         kept from before the start: "p", "t", "k" are quiet
    tail_ms         kept after the last speech frame
    longest_ms      an utterance is cut here, at the quietest place of its last second
    shortest_ms     less speech than this is a click, not an utterance
    floor_dbfs      frames quieter than this are never speech
    partial_ms      while somebody speaks, what is new is told this often (`Grew`); 0: not at all
    pause_ms        with partial_ms: a silence of this length within an utterance is told at once
    """

    aggressiveness: int = 2
    start_ms: int = 60
    stop_ms: int = 500
    lead_ms: int = 240
    tail_ms: int = 200
    longest_ms: int = 15_000
    shortest_ms: int = 120
    floor_dbfs: float = -50.0
    partial_ms: int = 0
    pause_ms: int = 240


@dataclass(frozen=True, slots=True)
class Started:
    """Speech is believed; it began at `at_sample`. Not said again after a cut at longest_ms."""

    at_sample: int


@dataclass(frozen=True, slots=True)
class Grew:
    """An utterance goes on. After one that was cut at longest_ms, the next begins anew at the cut.

    pcm                int16, what is new since the last of these
    first_sample       position of pcm[0]; that of an utterance's first one is the utterance's own
    speech_end_sample  end of the last speech frame so far
    paused             the talker has just been silent for pause_ms
    """

    pcm: Pcm16
    first_sample: int
    speech_end_sample: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Ended:
    """An utterance.

    pcm                int16, with lead-in and tail
    first_sample       position of pcm[0]
    speech_end_sample  end of the last speech frame in pcm
    ended_by           "silence", "longest" or "close"
    """

    pcm: Pcm16
    first_sample: int
    speech_end_sample: int
    ended_by: str


@dataclass(frozen=True, slots=True)
class Dropped:
    """What Started announced was a click of `speech_ms`, shorter than shortest_ms."""

    at_sample: int
    speech_ms: int


SegmentEvent = Started | Grew | Ended | Dropped


NEVER = 1 << 60
"""A sample that no call gets to."""

_new = tuple.__new__  # a third of the time of the class call, and it runs for every frame


class Segmenter:
    """Frames of one leg in, `Started`, `Grew`, `Ended` and `Dropped` out.

    Hysteresis: to start, speech frames must outnumber silent ones by start_ms (each silent
    frame takes one back); to go on, two speech frames in a row are needed, so that a click in
    the pause does not keep an utterance open.
    """

    def __init__(self, rules: SegmentRules, rate_hz: int = 8000) -> None:
        self._rules = rules
        self._rate_hz = rate_hz
        self._start_frames = max(1, rules.start_ms // FRAME_MS)
        self._stop_samples = samples_of(max(FRAME_MS, rules.stop_ms), rate_hz)
        self._tail_samples = samples_of(rules.tail_ms, rate_hz)
        self._longest_samples = samples_of(max(rules.longest_ms, 2 * FRAME_MS), rate_hz)
        self._lead_samples = samples_of(rules.lead_ms, rate_hz)
        self._partial_samples = samples_of(rules.partial_ms, rate_hz)
        self._pause_samples = samples_of(rules.pause_ms, rate_hz)
        self._told_to = 0  # the end of what Grew has told
        self._told_speech_end = 0
        self._told_pieces = 0  # of _pieces
        self._pause_told = False
        self._before: deque[Piece] = deque()  # idle: the newest sound, lead-in and what may be speech
        self._before_samples = 0
        self._evidence = 0  # idle: speech frames minus silent ones
        self._evidence_from = 0  # where the evidence began
        self._pieces: list[Piece] | None = None  # the utterance under way
        self._samples = 0  # in _pieces
        self._first_sample = 0  # of _pieces
        self._speech_end = 0
        self._speech_samples = 0
        self._run = 0  # speech frames in a row
        self._began_at = 0
        self._carried = False  # the utterance goes on from one cut at longest_ms
        self._next_sample: int | None = None

    @property
    def in_speech(self) -> bool:
        """Whether an utterance is under way."""
        return self._pieces is not None

    def next_event(self) -> tuple[int, bool]:
        """(sample, on_speech): no push of a frame that ends before `sample` returns anything, whatever is in it.

        But with on_speech a frame that is speech may. For who pushes several frames together: see `media/watch.py`.
        """
        if self._pieces is None:
            return NEVER, True
        earliest = min(self._speech_end + self._stop_samples, self._first_sample + self._longest_samples)
        if not self._partial_samples:
            return earliest, False
        is_new = self._speech_end > self._told_speech_end
        if is_new or not self._pause_told:
            earliest = min(earliest, self._speech_end + self._pause_samples)
        if not is_new:
            return earliest, True
        return min(earliest, self._told_to + self._partial_samples), False

    def push(
        self, frame: Pcm16, is_speech: bool, first_sample: int, level_dbfs: float | None = None
    ) -> list[SegmentEvent]:
        """Take in the next frame; mostly returns an empty list.

        first_sample  its position; a gap after the frame before it counts as silence
        level_dbfs    its RMS level where the caller has it, e.g. from a batch; else measured here if needed
        """
        events: list[SegmentEvent] = []
        if first_sample != self._next_sample and self._next_sample is not None:
            events = self._fill_gap(self._next_sample, first_sample)
        self._next_sample = first_sample + len(frame)
        if not is_speech and self._pieces is None:
            piece = _new(Piece, (frame.copy(), False, -100.0))
        else:
            level = float(rms_dbfs(frame)) if level_dbfs is None else level_dbfs
            piece = _new(Piece, (frame.copy(), is_speech and level >= self._rules.floor_dbfs, level))
        if self._pieces is None:
            self._wait(piece, first_sample, events)
        else:
            self._go_on(piece, first_sample, events)
        return events

    def absorb(self, frames: list[Pcm16], is_speech: list[bool], levels_dbfs: list[float], first_sample: int) -> bool:
        """What `push` of them one by one does where `next_event` says that nothing comes of it; a quarter of its time.

        False, and nothing is done, when there is speech in them without an utterance, or an utterance before a hole.
        frames  as long as each other, and kept: they must not change later
        """
        if self._pieces is None and any(is_speech):
            return False
        if first_sample != self._next_sample and self._next_sample is not None:
            if self._pieces is not None or first_sample < self._next_sample:
                return False
            self._forget_before()
        size = len(frames[0])
        self._next_sample = first_sample + size * len(frames)
        if self._pieces is None:
            self._evidence = max(0, self._evidence - len(frames))
            self._before.extend([_new(Piece, (frame, False, -100.0)) for frame in frames[:-1]])
            self._before_samples += size * (len(frames) - 1)
            self._remember(_new(Piece, (frames[-1], False, -100.0)), self._next_sample - size)
            return True
        self._pieces.extend(map(Piece._make, zip(frames, is_speech, levels_dbfs, strict=True)))
        self._samples += size * len(frames)
        for n, speaks in enumerate(is_speech):
            if speaks:
                self._run += 1
                self._speech_samples += size
                start = first_sample + n * size
                if self._run >= 2 or start == self._speech_end:
                    self._speech_end = start + size
            else:
                self._run = 0
        return True

    def flush(self) -> list[SegmentEvent]:
        """The leg closes: what is under way ends here, by "close"."""
        events: list[SegmentEvent] = []
        if self._pieces is not None:
            self._finish("close", events)
        self._forget_before()
        return events

    # ── one piece ────────────────────────────────────────────────────────────────

    def _take(self, piece: Piece, first_sample: int, events: list[SegmentEvent]) -> None:
        if self._pieces is None:
            self._wait(piece, first_sample, events)
        else:
            self._go_on(piece, first_sample, events)

    def _wait(self, piece: Piece, first_sample: int, events: list[SegmentEvent]) -> None:
        """Idle: keep the lead-in and gather evidence."""
        if piece.is_speech:
            if self._evidence == 0:
                self._evidence_from = first_sample
            self._evidence += 1
        elif self._evidence:
            self._evidence -= 1
        self._remember(piece, first_sample)
        if self._evidence >= self._start_frames:
            self._begin(first_sample + len(piece.pcm))
            events.append(Started(self._began_at))

    def _remember(self, piece: Piece, first_sample: int) -> None:
        before = self._before
        before.append(piece)
        size = len(piece.pcm)
        self._before_samples += size
        keep = self._lead_samples
        if self._evidence:
            keep += first_sample + size - self._evidence_from
        while before and self._before_samples - len(before[0].pcm) >= keep:
            self._before_samples -= len(before.popleft().pcm)

    def _begin(self, end_sample: int) -> None:
        """Speech is believed: the lead-in becomes the start of an utterance."""
        self._pieces = list(self._before)
        self._samples = self._before_samples
        self._first_sample = end_sample - self._samples
        self._began_at = self._evidence_from
        self._speech_end = end_sample
        self._speech_samples = sum(len(piece.pcm) for piece in self._pieces if piece.is_speech)
        self._run = 1
        self._carried = False
        self._told_to, self._told_pieces, self._told_speech_end = self._first_sample, 0, 0
        self._pause_told = False
        self._forget_before()

    def _go_on(self, piece: Piece, first_sample: int, events: list[SegmentEvent]) -> None:
        """In an utterance: it may end by silence or by its length."""
        assert self._pieces is not None
        pcm, is_speech, _ = piece
        size = len(pcm)
        self._pieces.append(piece)
        self._samples += size
        end = first_sample + size
        if is_speech:
            self._run += 1
            self._speech_samples += size
            if self._run >= 2 or first_sample == self._speech_end:
                self._speech_end = end
        else:
            self._run = 0
        if not is_speech and end - self._speech_end >= self._stop_samples:
            self._finish("silence", events)
        elif self._samples >= self._longest_samples:
            self._cut(events)
        elif self._partial_samples:
            self._tell_growth(end, events)

    def _tell_growth(self, end: int, events: list[SegmentEvent]) -> None:
        """Every partial_ms while there is new speech, and at once where a pause begins; never for a click."""
        assert self._pieces is not None
        if self._speech_end > self._told_speech_end:
            self._pause_told = False
        paused = not self._pause_told and not self._run and end - self._speech_end >= self._pause_samples
        due = end - self._told_to >= self._partial_samples and self._speech_end > self._told_speech_end
        enough = self._carried or self._speech_samples * 1000 >= self._rules.shortest_ms * self._rate_hz
        if not enough or not (due or paused):
            return
        new = self._pieces[self._told_pieces :]
        events.append(Grew(join(new), self._told_to, self._speech_end, paused))
        self._pause_told = self._pause_told or paused
        self._told_to, self._told_pieces, self._told_speech_end = end, len(self._pieces), self._speech_end

    # ── the end ──────────────────────────────────────────────────────────────────

    def _finish(self, ended_by: str, events: list[SegmentEvent]) -> None:
        """End the utterance `tail_ms` after its speech; the silence behind it may be the next one's lead-in."""
        assert self._pieces is not None
        length = min(self._samples, self._speech_end + self._tail_samples - self._first_sample)
        head, rest = split(self._pieces, length)
        first_sample = self._first_sample
        speech_ms = self._speech_samples * 1000 // self._rate_hz
        self._pieces = None
        if speech_ms >= self._rules.shortest_ms or self._carried:
            events.append(Ended(join(head), first_sample, self._speech_end, ended_by))
        else:
            events.append(Dropped(self._began_at, speech_ms))
        self._wait_after(rest, first_sample + length)

    def _wait_after(self, rest: list[Piece], first_sample: int) -> None:
        """Go idle with what was not used as lead-in."""
        self._forget_before()
        for piece in rest:
            self._remember(piece, first_sample)
            first_sample += len(piece.pcm)

    def _cut(self, events: list[SegmentEvent]) -> None:
        """Longest: cut in the middle of the quietest frame of the last second, and go on with the rest."""
        assert self._pieces is not None
        at = quietest_place(self._pieces, self._rate_hz)
        head, rest = split(self._pieces, at)
        cut_sample = self._first_sample + at
        end = end_of_speech(head, self._first_sample)
        if end is not None:
            events.append(Ended(join(head), self._first_sample, end, "longest"))
        rest_speech_end = end_of_speech(rest, cut_sample)
        if rest_speech_end is None:
            self._pieces = None
            self._wait_after(rest, cut_sample)
            return
        self._pieces = rest
        self._samples -= at
        self._first_sample = self._began_at = cut_sample
        self._speech_end = rest_speech_end
        self._speech_samples = sum(len(piece.pcm) for piece in rest if piece.is_speech)
        self._carried = True
        self._told_to, self._told_pieces, self._told_speech_end = cut_sample, 0, 0

    def _fill_gap(self, expected: int, first_sample: int) -> list[SegmentEvent]:
        """The clock skipped frames: silence stands in for them."""
        if first_sample < expected:
            raise ValueError(f"frame at sample {first_sample} after one that ended at {expected}")
        events: list[SegmentEvent] = []
        frame = samples_of(FRAME_MS, self._rate_hz)
        while expected < first_sample and self._pieces is not None:
            size = min(frame, first_sample - expected)
            self._take(Piece(np.zeros(size, np.int16), False, -100.0), expected, events)
            expected += size
        if expected < first_sample:
            self._forget_before()
        return events

    def _forget_before(self) -> None:
        self._before.clear()
        self._before_samples = 0
        self._evidence = 0
