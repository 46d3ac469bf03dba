"""The thread that writes recordings, so that no tick ever waits for a disk."""

from __future__ import annotations

import threading
import time
import traceback
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from queue import SimpleQueue

import numpy as np
import numpy.typing as npt

from kallglot_media.media.messages import FromMedia, RecordingGap, SessionClosed
from kallglot_media.media.recorder import Recording

_BUSY_BATCHES = 16  # more than this in the line: writing comes before syncing


@dataclass(frozen=True, slots=True)
class _Open:
    session_id: str
    folder: Path
    rate_hz: int


@dataclass(frozen=True, slots=True)
class _Chunk:
    session_id: str
    first_sample: int
    pcm: npt.NDArray[np.int16]


@dataclass(frozen=True, slots=True)
class _Close:
    session_id: str
    samples: int


_Job = _Open | _Chunk | _Close


class Recorder:
    """Takes chunks from the tick and writes them behind its back.

    The line to the thread holds at most `longest_line_bytes` of sound: a chunk that does
    not fit is left out, which the thread notices and reports as a RecordingGap. Jobs wait for
    `hand_over`, after the tick: a writer that wakes up during one takes the interpreter's lock from it.
    """

    def __init__(
        self,
        *,
        longest_line_bytes: int = 64 * 1024 * 1024,
        sync_s: float | None = 5.0,
        keys: tuple[bytes, ...] = (),
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """sync_s, keys: see MediaSettings.recorder_sync_s and media.sealed."""
        self._sync_s = sync_s
        self._keys = keys
        self._line: SimpleQueue[list[_Job] | None] = SimpleQueue()
        self._jobs: list[_Job] = []
        self._longest_line_bytes = longest_line_bytes
        self._queued_bytes = 0  # only the tick's thread writes this one
        self._written_bytes = 0  # only the writer's
        self._events: deque[FromMedia] = deque()
        self._clock = clock
        self._synced_s: dict[str, float] = {}
        self._thread = threading.Thread(target=self._run, name="recorder", daemon=True)
        self.left_out = 0

    def start(self) -> None:
        """Start writing."""
        self._thread.start()

    def stop(self, deadline_s: float) -> bool:
        """Write what is in the line; False when that took longer than `deadline_s`."""
        self.hand_over()
        self._line.put(None)
        self._thread.join(deadline_s)
        return not self._thread.is_alive()

    def open(self, session_id: str, folder: str, rate_hz: int) -> None:
        """Start customer.wav and agent.wav in `folder`."""
        self._jobs.append(_Open(session_id, Path(folder), rate_hz))

    def write(self, session_id: str, first_sample: int, pcm: npt.NDArray[np.int16]) -> None:
        """Queue `pcm` int16[2, n, 2] (file, sample, channel); the caller does not touch it again."""
        if self._queued_bytes - self._written_bytes + pcm.nbytes > self._longest_line_bytes:
            self.left_out += 1
            return
        self._queued_bytes += pcm.nbytes
        self._jobs.append(_Chunk(session_id, first_sample, pcm))

    def close(self, session_id: str, samples: int) -> None:
        """Finish the files at `samples` per channel; SessionClosed comes out of `take_events`."""
        self._jobs.append(_Close(session_id, samples))

    def hand_over(self) -> None:
        """What came since the last call goes to the thread, all at once."""
        if self._jobs:
            self._line.put(self._jobs)
            self._jobs = []

    def take_events(self) -> list[FromMedia]:
        """RecordingGap and SessionClosed since the last call."""
        return [self._events.popleft() for _ in range(len(self._events))]

    def _run(self) -> None:
        recordings: dict[str, Recording] = {}
        while (batch := self._line.get()) is not None:
            for job in batch:
                self._try(job, recordings)
        for recording in recordings.values():
            recording.abandon()

    def _try(self, job: _Job, recordings: dict[str, Recording]) -> None:
        try:
            self._do(job, recordings)
        except Exception as error:
            # ours: it ends this session's recording, not the others', and repair finds what there is
            traceback.print_exc()
            why = f"recorder: {type(error).__name__}: {error}"
            self._events.append(RecordingGap(job.session_id, 0, 0, why))
            if job.session_id in recordings:
                recordings.pop(job.session_id).abandon()
            if isinstance(job, _Close):
                self._events.append(SessionClosed(job.session_id, job.samples))

    def _do(self, job: _Job, recordings: dict[str, Recording]) -> None:
        if isinstance(job, _Open):
            recordings[job.session_id] = Recording(job.session_id, job.folder, job.rate_hz, self._keys)
            self._synced_s[job.session_id] = self._clock()
            return
        recording = recordings.get(job.session_id)
        if isinstance(job, _Chunk):
            self._written_bytes += job.pcm.nbytes
            if recording is not None:
                self._write(job, recording)
        elif recording is None:
            self._events.append(SessionClosed(job.session_id, job.samples))
        else:
            closed = recording.finish(job.samples)
            del recordings[job.session_id], self._synced_s[job.session_id]
            self._events.extend((*recording.take_gaps(), closed))

    def _write(self, chunk: _Chunk, recording: Recording) -> None:
        recording.write(chunk.first_sample, chunk.pcm)
        now_s = self._clock()
        due = self._sync_s is not None and now_s - self._synced_s[chunk.session_id] >= self._sync_s
        if due and self._line.qsize() < _BUSY_BATCHES:
            recording.sync()
            self._synced_s[chunk.session_id] = now_s
        self._events.extend(recording.take_gaps())
