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
import json
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.wav import HEADER_BYTES, WavError, parse_wav_header
from kallglot_media.media import chain
from kallglot_media.media.messages import RecordedFile, RecordingGap, SessionClosed
from kallglot_media.media.sealed import MAGIC, SealError, keys_here
from kallglot_media.media.track_writers import TrackWriter, open_writer, write_at
from kallglot_media.modes.plan import Party

TRACKS = (Party.CUSTOMER, Party.AGENT)
"""Whose file is at which index of a chunk int16[2, n_samples, 2]."""

MARKER = "recording.unfinished"
FACTS = "recording.json"
"""What a finished recording says about itself: lengths, sums, and where the disk refused."""

_LONGEST_GAP_S = 10  # a gap that goes on is told again this often


def file_name(party: Party) -> str:
    """customer.wav or agent.wav."""
    return f"{party}.wav"


class Recording:
    """The two files of one session. Blocking; `recorder_thread.Recorder` gives it a thread.

    Nothing here raises for the disk: what could not be written comes out of `take_gaps`.
    """

    def __init__(self, session_id: str, folder: Path, rate_hz: int, keys: tuple[bytes, ...] = ()) -> None:
        """keys: to seal it with the first of them; none: plain WAV."""
        self.session_id = session_id
        self._keys = keys
        self._folder = folder
        self._rate_hz = rate_hz
        self._marker_fd = -1
        self._tracks: list[TrackWriter] = []
        self._next_sample = 0
        self._unsynced_sample = 0
        self._gap: RecordingGap | None = None
        self._gap_told = 0
        self._gaps: list[RecordingGap] = []
        self._all_gaps: list[RecordingGap] = []

    def write(self, first_sample: int, pcm: npt.NDArray[np.int16]) -> None:
        """`pcm` int16[2, n, 2] (file, sample, channel) belongs at `first_sample`; earlier holes are gaps."""
        if first_sample > self._next_sample:
            missing = first_sample - self._next_sample
            self._widen_gap(self._next_sample, missing, "the disk is slower than the calls: the writer's line is full")
        samples = pcm.shape[1]
        try:
            self._open()
            for track, sound in zip(self._tracks, pcm, strict=True):
                track.write(first_sample, sound.data)
            for track in self._tracks:
                track.grown(first_sample + samples)
        except OSError as error:
            self._widen_gap(first_sample, samples, _why(error, self._folder))
        else:
            self._end_gap()
        self._next_sample = first_sample + samples

    def sync(self) -> None:
        """Ask the disk to keep what is written, against power loss too. RecordingGap when it says no."""
        try:
            for track in self._tracks:
                track.sync()
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
            self._write_facts(kept, files)
            (self._folder / MARKER).unlink(missing_ok=True)
        except OSError as error:
            self._widen_gap(0, samples, _why(error, self._folder))
        self._end_gap()
        self.abandon()
        return SessionClosed(self.session_id, samples, files)

    def mend(self, marker_fd: int) -> SessionClosed:
        """Finish what another process has left: both files at the length of the longer."""
        self._marker_fd = marker_fd
        samples = 0
        try:
            self._tracks = [open_writer(self._folder / file_name(p), self._rate_hz, self._keys) for p in TRACKS]
            samples = max(track.samples_on_disk() for track in self._tracks)
            torn = [hole for track in self._tracks for hole in track.mend_torn()]
            for first_sample, count in torn:
                self._tell_gap(RecordingGap(self.session_id, first_sample, count, "half written when it was killed"))
        except OSError as error:
            self._widen_gap(0, 0, _why(error, self._folder))
            self.abandon()
            return SessionClosed(self.session_id, 0)
        self._next_sample = samples
        return self.finish(samples)

    def abandon(self) -> None:
        """Close the files as they are; the marker stays for `repair_all`."""
        for track in self._tracks:
            track.close()
        if self._marker_fd >= 0:
            os.close(self._marker_fd)
        self._tracks, self._marker_fd = [], -1

    def take_gaps(self) -> list[RecordingGap]:
        """What could not be written since the last call."""
        gaps, self._gaps = self._gaps, []
        return gaps

    def _open(self) -> None:
        """Marker first, so that no file is ever without one. Tried again at every chunk until it works."""
        if self._tracks:
            return
        if self._marker_fd < 0:
            self._marker_fd = _lock_marker(self._folder, create=True)
            about = {"session_id": self.session_id, "rate_hz": self._rate_hz}
            write_at(self._marker_fd, json.dumps(about).encode(), 0)
        tracks: list[TrackWriter] = []
        try:
            for party in TRACKS:
                tracks.append(open_writer(self._folder / file_name(party), self._rate_hz, self._keys))
                tracks[-1].grown(0)
        except OSError:
            for track in tracks:
                track.close()
            raise
        self._tracks = tracks
        _sync_folder(self._folder)

    def _make_equal(self, samples: int) -> int:
        """Give both files `samples` samples, or as many as both can have; returns how many."""
        try:
            self._cut(samples)
        except OSError:
            samples = min(samples, *(track.samples_on_disk() for track in self._tracks))
            self._cut(samples)
        for track in self._tracks:
            track.finish(samples)
        return samples

    def _cut(self, samples: int) -> None:
        for track in self._tracks:
            track.cut(samples)

    def _summed(self, samples: int) -> tuple[RecordedFile, ...]:
        for track in self._tracks:
            track.sync(everything=True)
        return tuple(
            RecordedFile(str(track.path), party, samples, self._rate_hz, track.sha256())
            for party, track in zip(TRACKS, self._tracks, strict=True)
        )

    def _write_facts(self, samples: int, files: tuple[RecordedFile, ...]) -> None:
        """recording.json, and the link in the chain of all recordings."""
        gaps = [*self._all_gaps, *([self._gap] if self._gap is not None and self._gap.samples else [])]
        facts = {
            "session_id": self.session_id,
            "samples": samples,
            "rate_hz": self._rate_hz,
            "sealed": bool(self._keys),
            "files": {Path(file.path).name: file.sha256 for file in files},
            "gaps": [{"first_sample": gap.first_sample, "samples": gap.samples, "why": gap.why} for gap in gaps],
        }
        half_done = self._folder / f".{FACTS}"
        try:
            half_done.write_text(json.dumps(facts, indent=1) + "\n", encoding="utf-8")
            half_done.replace(self._folder / FACTS)
            chain.append(self._folder.parent, facts)
        except OSError as error:  # the sound is there: it is not given up for what is said about it
            self._tell_gap(RecordingGap(self.session_id, samples, 0, f"{FACTS}: {_why(error, self._folder)}"))

    def _widen_gap(self, first_sample: int, samples: int, why: str) -> None:
        """The first chunk that fails is told at once, what follows it in pieces of ten seconds."""
        gap = self._gap
        if gap is None:
            self._tell_gap(RecordingGap(self.session_id, first_sample, samples, why))
            self._gap = RecordingGap(self.session_id, first_sample + samples, 0, why)
            return
        samples += gap.samples
        if samples >= _LONGEST_GAP_S * self._rate_hz:
            self._tell_gap(RecordingGap(self.session_id, gap.first_sample, samples, why))
            self._gap = RecordingGap(self.session_id, gap.first_sample + samples, 0, why)
        else:
            self._gap = RecordingGap(self.session_id, gap.first_sample, samples, why)

    def _end_gap(self) -> None:
        if self._gap is not None and self._gap.samples:
            self._tell_gap(self._gap)
        self._gap = None

    def _tell_gap(self, gap: RecordingGap) -> None:
        self._gaps.append(gap)
        self._all_gaps.append(gap)


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
        keys = _keys_for(folder)
    except OSError:
        os.close(marker_fd)
        raise
    recording = Recording(session_id, folder, rate_hz, keys)
    closed = recording.mend(marker_fd)
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


def _keys_for(folder: Path) -> tuple[bytes, ...]:
    """The keys, when the files there are sealed. Raises OSError when they are needed and not there."""
    path = folder / file_name(TRACKS[0])
    try:
        with path.open("rb") as file:
            if file.read(len(MAGIC)) != MAGIC:
                return ()
        keys = keys_here()
    except FileNotFoundError:
        return ()
    except SealError as error:
        raise OSError(0, str(error), str(path)) from None
    if not keys:
        raise OSError(0, f"{path.name} is sealed; set KALLGLOT_RECORDING_KEY", str(path))
    return keys
