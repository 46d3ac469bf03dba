"""Recordings on disk: customer.wav and agent.wav per session, valid at every moment.

Each file has two channels, left what the party said and right what was made of it, and
both start at sample 0 of the session's clock. Every chunk is written at the place its
position gives (a chunk that could not be written leaves a hole, which reads as silence)
and the header is rewritten behind it, so after `kill -9` the file plays and lacks at
most the last chunk. While a session is recorded its folder holds `recording.unfinished`,
locked by the recording process: a marker without a lock is a job for `repair_all`.
"""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.wav import HEADER_BYTES, WavError, parse_wav_header, wav_header
from kallglot_media.media.messages import RecordedFile, RecordingGap, SessionClosed
from kallglot_media.modes.plan import Party

TRACKS = (Party.CUSTOMER, Party.AGENT)
"""Whose file is at which index of a chunk int16[2, n_samples, 2]."""

MARKER = "recording.unfinished"
_FRAME_BYTES = 4  # two int16 channels
_LONGEST_GAP_S = 10  # a gap that goes on is told again this often
_READ_BYTES = 1 << 20


def file_name(party: Party) -> str:
    """customer.wav or agent.wav."""
    return f"{party}.wav"


def _header(samples: int, rate_hz: int) -> bytes:
    return wav_header(rate_hz, 2, samples * _FRAME_BYTES)


def _write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """All of `data`, or OSError: a disk that fills up may take only a part at first."""
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


def _sha256(fd: int) -> str:
    digest = hashlib.sha256()
    offset = 0
    while block := os.pread(fd, _READ_BYTES, offset):
        digest.update(block)
        offset += len(block)
    return digest.hexdigest()


class Recording:
    """The two files of one session. Blocking; `recorder_thread.Recorder` gives it a thread.

    Nothing here raises for the disk: what could not be written comes out of `take_gaps`.
    """

    def __init__(self, session_id: str, folder: Path, rate_hz: int) -> None:
        self.session_id = session_id
        self._folder = folder
        self._rate_hz = rate_hz
        self._marker_fd = -1
        self._fds: list[int] = []
        self._next_sample = 0
        self._unsynced_sample = 0
        self._gap: RecordingGap | None = None
        self._gap_told = 0
        self._gaps: list[RecordingGap] = []

    def write(self, first_sample: int, pcm: npt.NDArray[np.int16]) -> None:
        """`pcm` int16[2, n, 2] (file, sample, channel) belongs at `first_sample`; earlier holes are gaps."""
        if first_sample > self._next_sample:
            missing = first_sample - self._next_sample
            self._widen_gap(self._next_sample, missing, "the disk is slower than the calls: the writer's line is full")
        samples = pcm.shape[1]
        try:
            self._open()
            for fd, track in zip(self._fds, pcm, strict=True):
                _write_at(fd, track.data, HEADER_BYTES + first_sample * _FRAME_BYTES)
            self._write_headers(first_sample + samples)
        except OSError as error:
            self._widen_gap(first_sample, samples, _why(error, self._folder))
        else:
            self._end_gap()
        self._next_sample = first_sample + samples

    def sync(self) -> None:
        """Ask the disk to keep what is written, against power loss too. RecordingGap when it says no."""
        try:
            for fd in self._fds:
                os.fdatasync(fd)
        except OSError as error:
            lost = self._next_sample - self._unsynced_sample
            self._widen_gap(self._unsynced_sample, lost, _why(error, self._folder))
        self._unsynced_sample = self._next_sample

    def finish(self, samples: int) -> SessionClosed:
        """Both files at exactly `samples`, closed and summed; the marker goes away.

        When the disk refuses the last stretch, both are cut to what both have.
        """
        if samples > self._next_sample:
            self._widen_gap(self._next_sample, samples - self._next_sample, "the last chunk never came")
        files: tuple[RecordedFile, ...] = ()
        try:
            self._open()
            kept = self._make_equal(samples)
            if kept < samples:
                self._widen_gap(kept, samples - kept, f"{self._folder}: no room for the end")
            files = self._summed(kept)
            (self._folder / MARKER).unlink(missing_ok=True)
        except OSError as error:
            self._widen_gap(0, samples, _why(error, self._folder))
        self._end_gap()
        self.abandon()
        return SessionClosed(self.session_id, samples, files)

    def abandon(self) -> None:
        """Close the files as they are; the marker stays for `repair_all`."""
        for fd in (*self._fds, self._marker_fd):
            if fd >= 0:
                os.close(fd)
        self._fds, self._marker_fd = [], -1

    def take_gaps(self) -> list[RecordingGap]:
        """What could not be written since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def _open(self) -> None:
        """Marker first, so that no file is ever without one. Tried again at every chunk until it works."""
        if self._fds:
            return
        if self._marker_fd < 0:
            self._marker_fd = _lock_marker(self._folder, create=True)
            about = {"session_id": self.session_id, "rate_hz": self._rate_hz}
            _write_at(self._marker_fd, json.dumps(about).encode(), 0)
        fds: list[int] = []
        try:
            for party in TRACKS:
                fds.append(os.open(self._folder / file_name(party), os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640))
                _write_at(fds[-1], _header(0, self._rate_hz), 0)
        except OSError:
            for fd in fds:
                os.close(fd)
            raise
        self._fds = fds
        _sync_folder(self._folder)

    def _write_headers(self, samples: int) -> None:
        header = _header(samples, self._rate_hz)
        for fd in self._fds:
            _write_at(fd, header, 0)

    def _make_equal(self, samples: int) -> int:
        """Give both files `samples` samples, or as many as both can have; returns how many."""
        try:
            self._truncate(samples)
        except OSError:
            sizes = (os.fstat(fd).st_size for fd in self._fds)
            samples = max(0, min(sizes) - HEADER_BYTES) // _FRAME_BYTES
            self._truncate(samples)
        self._write_headers(samples)
        return samples

    def _truncate(self, samples: int) -> None:
        for fd in self._fds:
            os.ftruncate(fd, HEADER_BYTES + samples * _FRAME_BYTES)

    def _summed(self, samples: int) -> tuple[RecordedFile, ...]:
        for fd in self._fds:
            os.fsync(fd)
        return tuple(
            RecordedFile(str(self._folder / file_name(party)), party, samples, self._rate_hz, _sha256(fd))
            for party, fd in zip(TRACKS, self._fds, strict=True)
        )

    def _widen_gap(self, first_sample: int, samples: int, why: str) -> None:
        """The first chunk that fails is told at once, what follows it in pieces of ten seconds."""
        gap = self._gap
        if gap is None:
            self._gaps.append(RecordingGap(self.session_id, first_sample, samples, why))
            self._gap = RecordingGap(self.session_id, first_sample + samples, 0, why)
            return
        samples += gap.samples
        if samples >= _LONGEST_GAP_S * self._rate_hz:
            self._gaps.append(RecordingGap(self.session_id, gap.first_sample, samples, why))
            self._gap = RecordingGap(self.session_id, gap.first_sample + samples, 0, why)
        else:
            self._gap = RecordingGap(self.session_id, gap.first_sample, samples, why)

    def _end_gap(self) -> None:
        if self._gap is not None and self._gap.samples:
            self._gaps.append(self._gap)
        self._gap = None


def _why(error: OSError, folder: Path) -> str:
    return f"{error.filename or folder}: {error.strerror or error}"


def _lock_marker(folder: Path, *, create: bool) -> int:
    """The locked marker's descriptor. BlockingIOError when a living process records here."""
    fd = os.open(folder / MARKER, os.O_RDWR | os.O_CLOEXEC | (os.O_CREAT if create else 0), 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except OSError:
        os.close(fd)
        raise
    return fd


def _sync_folder(folder: Path) -> None:
    """The names of new files survive power loss only when the folder is synced."""
    fd = os.open(folder, os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        os.fsync(fd)
    finally:
        os.close(fd)


# ── after a crash ────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class RepairFailed:
    """A recording that could not be mended: `why` names the file and what the system said."""

    folder: Path
    why: str


def repair(folder: Path) -> SessionClosed | None:
    """Finish the recording that a dead process left in `folder`; None when there is none.

    The shorter file gets silence up to the length of the longer. None also while
    a living process still records there. Raises OSError when the disk refuses.
    """
    try:
        marker_fd = _lock_marker(folder, create=False)
    except (FileNotFoundError, BlockingIOError):
        return None
    try:
        session_id, rate_hz = _read_marker(marker_fd, folder)
        samples = max(_samples_in(folder / file_name(party)) for party in TRACKS)
    except OSError:
        os.close(marker_fd)
        raise
    recording = Recording(session_id, folder, rate_hz)
    recording._marker_fd = marker_fd
    recording._next_sample = samples
    closed = recording.finish(samples)
    if not closed.files:
        raise OSError("; ".join(gap.why for gap in recording.take_gaps()))
    return closed


def repair_all(root: Path) -> Iterator[SessionClosed | RepairFailed]:
    """Repair every unfinished recording under `root`, one at a time; one that fails does not stop the rest."""
    for marker in sorted(root.rglob(MARKER)):
        try:
            closed = repair(marker.parent)
        except OSError as error:
            yield RepairFailed(marker.parent, _why(error, marker.parent))
        else:
            if closed is not None:
                yield closed


def _read_marker(fd: int, folder: Path) -> tuple[str, int]:
    """session_id and rate_hz; a marker cut short by power loss gives way to what the folder tells."""
    try:
        about = json.loads(os.pread(fd, 4096, 0))
        return str(about["session_id"]), int(about["rate_hz"])
    except (ValueError, KeyError, TypeError):
        return folder.name, _rate_in(folder)


def _rate_in(folder: Path) -> int:
    for party in TRACKS:
        try:
            with (folder / file_name(party)).open("rb") as file:
                return parse_wav_header(file.read(HEADER_BYTES)).rate_hz
        except (FileNotFoundError, WavError):
            continue
    return 8000


def _samples_in(path: Path) -> int:
    """Samples per channel on disk, a torn last one counted: it is padded, not lost."""
    size = path.stat().st_size if path.exists() else 0
    return -(-max(0, size - HEADER_BYTES) // _FRAME_BYTES)
