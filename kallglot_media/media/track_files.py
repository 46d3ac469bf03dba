"""Reading the sound files of a session: customer.wav and agent.wav, finished or still growing, a piece at a time.

    with open_track(folder, Party.CUSTOMER) as track:
        pcm = track.read(0, 8000)          # int16[8000, 2]: left what the party said, right what was made of it

A file of a call of an hour has 115 MB, so nothing here reads one as a whole.
"""

from __future__ import annotations

import os
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.wav import WavError, WavInfo, parse_wav_header, wav_header
from kallglot_media.modes.plan import Party

CHANNELS = 2
FRAME_BYTES = 2 * CHANNELS
"""One sample of both channels."""

_HEAD_BYTES = 4096  # other programs may have put chunks in front of the samples


class TrackError(Exception):
    """A sound file of a session cannot be read: the message names the file, what is there, and what would do."""


class Track(Protocol):
    """One dual-channel file, as it was when it was opened. samples: of each channel; modified_ns: Unix time."""

    rate_hz: int
    samples: int
    modified_ns: int

    def read(self, first_sample: int, count: int) -> npt.NDArray[np.int16]:
        """int16[n, 2], n less than `count` only at the end of the file. Raises TrackError."""
        ...

    def close(self) -> None:
        """Give the file back."""
        ...

    def __enter__(self) -> Self: ...

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None: ...


class PlainTrack:
    """A WAV file as the recorder writes it, or as anybody else does."""

    def __init__(self, path: Path) -> None:
        """Raises TrackError."""
        self.path = path
        try:
            self._fd = os.open(path, os.O_RDONLY | os.O_CLOEXEC)
        except OSError as error:
            raise TrackError(f"{path}: {(error.strerror or str(error)).lower()}") from None
        try:
            self._info = self._parse()
        except TrackError:
            os.close(self._fd)
            raise
        self.rate_hz = self._info.rate_hz
        stat = os.fstat(self._fd)
        self.modified_ns = stat.st_mtime_ns
        there = stat.st_size - self._info.data_start
        declared = self._info.data_bytes or there  # sizes that nobody ever set: what there is
        self.samples = max(0, min(there, declared)) // FRAME_BYTES

    def _parse(self) -> WavInfo:
        try:
            info = parse_wav_header(os.pread(self._fd, _HEAD_BYTES, 0))
        except WavError as error:
            raise TrackError(f"{self.path}: {error}") from None
        if info.channels != CHANNELS:
            raise TrackError(f"{self.path}: has {info.channels} channel(s), a recording of a session has {CHANNELS}")
        return info

    def read(self, first_sample: int, count: int) -> npt.NDArray[np.int16]:
        """See Track.read."""
        count = max(0, min(count, self.samples - first_sample))
        data = os.pread(self._fd, count * FRAME_BYTES, self._info.data_start + first_sample * FRAME_BYTES)
        whole = len(data) - len(data) % FRAME_BYTES
        return np.frombuffer(data, "<i2", whole // 2).reshape(-1, CHANNELS).astype(np.int16, copy=False)

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def open_track(folder: Path, party: Party) -> Track:
    """The party's file in a session's folder. Raises TrackError."""
    return PlainTrack(folder / f"{party}.wav")


def wav_head(track: Track) -> bytes:
    """The header of a WAV file with this track's sound."""
    return wav_header(track.rate_hz, CHANNELS, track.samples * FRAME_BYTES)
