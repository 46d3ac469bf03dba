"""What the recorder gets: four tracks per session, cut into chunks, written in one array step per tick."""

from __future__ import annotations

import heapq
from typing import Protocol

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.rows import grown
from kallglot_media.modes.plan import Party, Plan

CHUNK_FRAMES = 25
"""Half a second: what is lost at most when the process is killed, with the chunk being written."""

NOBODY = 0
"""The slot whose sound is always silence."""

_FILE = {Party.CUSTOMER: 0, Party.AGENT: 1}


class RecordingSink(Protocol):
    """Where chunks go: `recorder_thread.Recorder`, or a list in tests."""

    def open(self, session_id: str, folder: str, rate_hz: int) -> None: ...

    def write(self, session_id: str, first_sample: int, pcm: Pcm16) -> None: ...

    def close(self, session_id: str, samples: int) -> None: ...


def right_tracks(plan: Plan, slots: dict[Party, int]) -> tuple[list[int], list[int]]:
    """Which listeners' made speech goes into customer.wav and agent.wav.

    What listener L hears is the words of `plan.made[L]`, so it stands in that party's file. Where the
    plan names nobody (announcements, tones), or the AI, which has no file, it stands in the file
    of L's opposite, so that nothing played is lost.
    """
    files: tuple[list[int], list[int]] = ([], [])
    for listener, slot in slots.items():
        talker = plan.made.get(listener)
        files[_FILE[talker] if talker in _FILE else 1 - _FILE[listener]].append(slot)
    return files


class Tracks:
    """The chunks under way of all recorded sessions.

    Rows start at different places of their first chunk, so that their chunks do not all end in one tick.
    """

    def __init__(self, sink: RecordingSink, frame_samples: int) -> None:
        self._sink = sink
        self._frame = frame_samples
        self._session: dict[int, str] = {}
        self._free: list[int] = []
        self._pcm = np.zeros((0, 2, CHUNK_FRAMES, frame_samples, 2), np.int16)
        self._left = np.zeros((0, 2), np.intp)
        self._right = np.zeros((0, 2), np.intp)
        self._more_right: dict[int, tuple[list[int], list[int]]] = {}
        self._start = np.zeros(0, np.intp)  # frame of the chunk where its sound starts
        self._end = np.zeros(0, np.intp)  # and ends
        self._first_sample = np.zeros(0, np.int64)  # of the chunk, on the session's clock
        self._rows = np.zeros(0, np.intp)

    def open(self, session_id: str, folder: str, rate_hz: int) -> int:
        """Start recording; returns the row."""
        if not self._free:
            self._grow()
        row = heapq.heappop(self._free)
        self._session[row] = session_id
        self._rows = np.array(sorted(self._session), np.intp)
        self._start[row] = self._end[row] = row % CHUNK_FRAMES
        self._first_sample[row] = 0
        self.set_sources(row, (NOBODY, NOBODY), ([], []))
        self._sink.open(session_id, folder, rate_hz)
        return row

    def set_sources(self, row: int, left: tuple[int, int], right: tuple[list[int], list[int]]) -> None:
        """left: whose voice goes into customer.wav and agent.wav; right: whose made speech, any number each."""
        self._left[row] = left
        self._right[row] = [slots[0] if slots else NOBODY for slots in right]
        more = (right[0][1:], right[1][1:])
        if any(more):
            self._more_right[row] = more
        else:
            self._more_right.pop(row, None)

    def tick(self, heard: Pcm16, made: Pcm16) -> None:
        """Append one frame to every row. heard, made: int16[n_slots, frame_samples]."""
        rows = self._rows
        if not rows.size:
            return
        frame = np.empty((rows.size, 2, self._frame, 2), np.int16)
        frame[..., 0] = heard[self._left[rows]]
        frame[..., 1] = made[self._right[rows]]
        self._pcm[rows, :, self._end[rows]] = frame
        for row, files in self._more_right.items():
            self._add(row, files, made)
        self._end[rows] += 1
        for row in rows[self._end[rows] == CHUNK_FRAMES].tolist():
            self._flush(row)

    def skip(self, frames: int) -> None:
        """The clock goes on without sound: the recorder fills the hole."""
        for row in self._rows.tolist():
            self._flush(row)
            self._first_sample[row] += frames * self._frame

    def close(self, row: int) -> int:
        """Hand over the last chunk and end the recording; returns its length in samples per channel."""
        self._flush(row)
        samples = int(self._first_sample[row])
        session_id = self._session.pop(row)
        self._more_right.pop(row, None)
        self._rows = np.array(sorted(self._session), np.intp)
        heapq.heappush(self._free, row)
        self._sink.close(session_id, samples)
        return samples

    def _add(self, row: int, files: tuple[list[int], list[int]], made: Pcm16) -> None:
        """Two listeners hear the same party's words: both are in the track, saturated."""
        for file, slots in enumerate(files):
            track = self._pcm[row, file, self._end[row], :, 1]
            for slot in slots:
                track[:] = np.clip(track.astype(np.int32) + made[slot], -32768, 32767)

    def _flush(self, row: int) -> None:
        start, end = int(self._start[row]), int(self._end[row])
        first_sample = int(self._first_sample[row])
        if end > start:
            chunk = self._pcm[row, :, start:end].reshape(2, -1, 2)
            self._sink.write(self._session[row], first_sample, chunk.copy())
        self._first_sample[row] += (end - start) * self._frame
        self._start[row] = self._end[row] = 0

    def _grow(self) -> None:
        had = len(self._start)
        rows = max(8, 2 * had)
        for name in ("_pcm", "_left", "_right", "_start", "_end", "_first_sample"):
            setattr(self, name, grown(getattr(self, name), rows))
        for row in range(had, rows):
            heapq.heappush(self._free, row)
