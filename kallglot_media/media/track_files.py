"""Reading the sound files of a session: customer.wav and agent.wav, finished or still growing, a piece at a time.

    with open_track(folder, Party.CUSTOMER) as track:
        pcm = track.read(0, 8000)          # int16[8000, 2]: left what the party said, right what was made of it

A file of a call of an hour has 115 MB, so nothing here reads one as a whole.
"""

from __future__ import annotations

import os
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Protocol, Self

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.wav import WavError, WavInfo, parse_wav_header, wav_header
from kallglot_media.media import sealed
from kallglot_media.media.sealed import CHUNK_SAMPLES, Seal, SealError
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
        self._fd = _open(path)
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


class SealedTrack:
    """A file under a key (`sealed`), opened slot by slot as it is read."""

    def __init__(self, path: Path, keys: Sequence[bytes]) -> None:
        """Raises TrackError."""
        self.path = path
        self._fd = _open(path)
        try:
            self._seal = Seal.read(os.pread(self._fd, sealed.HEADER_BYTES, 0), keys)
            self._check_length()
        except SealError as error:
            os.close(self._fd)
            raise TrackError(f"{path}: {error}") from None

    def _check_length(self) -> None:
        self.rate_hz = self._seal.rate_hz
        stat = os.fstat(self._fd)
        self.modified_ns = stat.st_mtime_ns
        self.samples = sealed.samples_in(stat.st_size)
        if self._seal.samples is not None and self._seal.samples != self.samples:
            raise SealError(f"has {self.samples} samples, it was finished with {self._seal.samples}")

    def read(self, first_sample: int, count: int) -> npt.NDArray[np.int16]:
        """See Track.read."""
        end = min(first_sample + max(0, count), self.samples)
        first_slot = first_sample // CHUNK_SAMPLES
        slots = range(first_slot, -(-end // CHUNK_SAMPLES))
        plain = b"".join(self._slot(slot) for slot in slots)
        start = (first_sample - first_slot * CHUNK_SAMPLES) * FRAME_BYTES
        data = plain[start : start + max(0, end - first_sample) * FRAME_BYTES]
        return np.frombuffer(data, "<i2").reshape(-1, CHANNELS).astype(np.int16, copy=False)

    def _slot(self, slot: int) -> bytes:
        locked = os.pread(self._fd, sealed.SLOT_BYTES, sealed.HEADER_BYTES + slot * sealed.SLOT_BYTES)
        try:
            return self._seal.unlock(slot, locked)
        except SealError as error:
            raise TrackError(f"{self.path}: {error}") from None

    def close(self) -> None:
        """Give the file back."""
        os.close(self._fd)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


def _open(path: Path) -> int:
    try:
        return os.open(path, os.O_RDONLY | os.O_CLOEXEC)
    except OSError as error:
        raise TrackError(f"{path}: {(error.strerror or str(error)).lower()}") from None


def open_track(folder: Path, party: Party) -> Track:
    """The party's file in a session's folder, sealed (with the keys of the environment) or not. Raises TrackError."""
    return open_file(folder / f"{party}.wav")


def open_file(path: Path) -> Track:
    """One sound file of a session. Raises TrackError."""
    fd = _open(path)
    try:
        is_sealed = os.pread(fd, len(sealed.MAGIC), 0) == sealed.MAGIC
    finally:
        os.close(fd)
    if not is_sealed:
        return PlainTrack(path)
    try:
        return SealedTrack(path, sealed.keys_here())
    except SealError as error:
        raise TrackError(f"{path}: {error}") from None


def wav_head(track: Track) -> bytes:
    """The header of a WAV file with this track's sound."""
    return wav_header(track.rate_hz, CHANNELS, track.samples * FRAME_BYTES)
