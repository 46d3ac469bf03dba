"""How one sound file of a session gets onto the disk: as WAV, or sealed. Blocking; every method may raise OSError."""

from __future__ import annotations

import hashlib
import os
from pathlib import Path
from typing import Protocol

from kallglot_media.audio.wav import HEADER_BYTES, wav_header
from kallglot_media.media import sealed
from kallglot_media.media.sealed import CHUNK_SAMPLES, MAGIC, NONCE_BYTES, SLOT_BYTES, TAG_BYTES, Seal, SealError

FRAME_BYTES = 4
"""One sample of both channels."""

_READ_BYTES = 1 << 20


class TrackWriter(Protocol):
    """One dual-channel file that grows."""

    path: Path

    def write(self, first_sample: int, data: bytes | memoryview) -> None:
        """int16 little-endian, two channels, at this place; what lies between is silence."""
        ...

    def grown(self, samples: int) -> None:
        """It has so many samples now: whoever reads it sees that from here on."""
        ...

    def cut(self, samples: int) -> None:
        """Exactly so long, with silence where it was shorter."""
        ...

    def finish(self, samples: int) -> None:
        """It grows no more."""
        ...

    def samples_on_disk(self) -> int:
        """What is there, a torn last one counted."""
        ...

    def mend_torn(self) -> list[tuple[int, int]]:
        """After a crash: make silence of what nobody can read any more; (first sample, samples) of each."""
        ...

    def sync(self, *, everything: bool = False) -> None:
        """Against power loss; everything: the file's own entry, too."""
        ...

    def sha256(self) -> str:
        """Of the whole file as it is."""
        ...

    def close(self) -> None:
        """Let go of the file as it is."""
        ...


def write_at(fd: int, data: bytes | memoryview, offset: int) -> None:
    """All of `data`, or OSError: a disk that fills up may take only a part at first."""
    view = memoryview(data).cast("B")
    while view:
        written = os.pwrite(fd, view, offset)
        view, offset = view[written:], offset + written


class _File:
    """What both kinds have in common."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._fd = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o640)

    def sync(self, *, everything: bool = False) -> None:
        """See TrackWriter."""
        (os.fsync if everything else os.fdatasync)(self._fd)

    def sha256(self) -> str:
        """See TrackWriter."""
        digest = hashlib.sha256()
        offset = 0
        while block := os.pread(self._fd, _READ_BYTES, offset):
            digest.update(block)
            offset += len(block)
        return digest.hexdigest()

    def close(self) -> None:
        """See TrackWriter."""
        os.close(self._fd)


class PlainWriter(_File):
    """A WAV file whose header is right at every moment."""

    def __init__(self, path: Path, rate_hz: int) -> None:
        super().__init__(path)
        self._rate_hz = rate_hz

    def write(self, first_sample: int, data: bytes | memoryview) -> None:
        """See TrackWriter."""
        write_at(self._fd, data, HEADER_BYTES + first_sample * FRAME_BYTES)

    def grown(self, samples: int) -> None:
        """See TrackWriter."""
        write_at(self._fd, wav_header(self._rate_hz, 2, samples * FRAME_BYTES), 0)

    def cut(self, samples: int) -> None:
        """See TrackWriter."""
        os.ftruncate(self._fd, HEADER_BYTES + samples * FRAME_BYTES)

    def finish(self, samples: int) -> None:
        """See TrackWriter."""
        self.grown(samples)

    def mend_torn(self) -> list[tuple[int, int]]:
        """See TrackWriter. Half a sample frame is all that can be torn: it is cut off or filled up anyway."""
        return []

    def samples_on_disk(self) -> int:
        """See TrackWriter."""
        return -(-max(0, os.fstat(self._fd).st_size - HEADER_BYTES) // FRAME_BYTES)


class SealedWriter(_File):
    """The same under a key. The slot that grows is written again with each piece; what is behind it never again."""

    def __init__(self, path: Path, rate_hz: int, keys: tuple[bytes, ...]) -> None:
        """A file that is there is gone on with. Raises SealError for one that its keys do not open."""
        super().__init__(path)
        head = os.pread(self._fd, sealed.HEADER_BYTES, 0)
        try:
            self._seal = Seal.read(head, keys) if head[:8] == MAGIC else Seal.new(rate_hz, keys[0])
        except SealError as error:
            os.close(self._fd)
            raise OSError(0, f"{path.name} {error}", str(path)) from None
        self._slot = -1  # the one in _plain
        self._plain = bytearray()
        self._is_stored = True
        if head[:8] != MAGIC:
            write_at(self._fd, self._seal.header(), 0)

    def write(self, first_sample: int, data: bytes | memoryview) -> None:
        """See TrackWriter."""
        view = memoryview(data).cast("B")
        while view:
            slot, into = divmod(first_sample, CHUNK_SAMPLES)
            piece = view[: (CHUNK_SAMPLES - into) * FRAME_BYTES]
            self._put(slot, into * FRAME_BYTES, piece)
            view = view[len(piece) :]
            first_sample += len(piece) // FRAME_BYTES

    def _put(self, slot: int, at: int, piece: memoryview) -> None:
        if slot != self._slot:
            self._fill_up()  # as long as the disk refuses that, nothing goes on
            self._slot, self._plain = slot, bytearray()
        self._plain[len(self._plain) : at] = bytes(max(0, at - len(self._plain)))
        self._plain[at : at + len(piece)] = piece
        self._store()

    def _fill_up(self) -> None:
        """The slot before a hole becomes whole: only the last one may be short."""
        if self._slot < 0:
            return
        missing = CHUNK_SAMPLES * FRAME_BYTES - len(self._plain)
        if missing or not self._is_stored:
            self._plain.extend(bytes(missing))
            self._store()

    def _store(self) -> None:
        self._is_stored = False
        write_at(self._fd, self._seal.lock(self._slot, bytes(self._plain)), self._offset(self._slot))
        self._is_stored = True

    def mend_torn(self) -> list[tuple[int, int]]:
        """See TrackWriter."""
        samples, torn = self.samples_on_disk(), []
        for slot in range(-(-samples // CHUNK_SAMPLES)):
            first = slot * CHUNK_SAMPLES
            count = min(CHUNK_SAMPLES, samples - first)
            size = NONCE_BYTES + count * FRAME_BYTES + TAG_BYTES
            try:
                self._seal.unlock(slot, os.pread(self._fd, size, self._offset(slot)))
            except SealError:
                write_at(self._fd, bytes(size), self._offset(slot))
                torn.append((first, count))
        return torn

    def grown(self, samples: int) -> None:
        """See TrackWriter. A growing file's length is that on the disk."""

    def cut(self, samples: int) -> None:
        """See TrackWriter."""
        there = self.samples_on_disk()
        last = max(0, min(samples, there) - 1) // CHUNK_SAMPLES
        if there and samples != there:
            self._load(last)
            keep = (samples - last * CHUNK_SAMPLES) * FRAME_BYTES
            del self._plain[keep:]
            wanted = min(keep, CHUNK_SAMPLES * FRAME_BYTES)
            self._plain.extend(bytes(wanted - len(self._plain)))
        os.ftruncate(self._fd, sealed.file_bytes(samples))
        if there and samples and samples != there:
            self._store()
        self._slot = -1

    def _load(self, slot: int) -> None:
        locked = os.pread(self._fd, SLOT_BYTES, self._offset(slot))
        try:
            self._plain = bytearray(self._seal.unlock(slot, locked))
        except SealError as error:
            raise OSError(0, str(error), str(self.path)) from None
        self._slot = slot

    def finish(self, samples: int) -> None:
        """See TrackWriter."""
        self._seal = self._seal.finished(samples)
        write_at(self._fd, self._seal.header(), 0)

    def samples_on_disk(self) -> int:
        """See TrackWriter."""
        return sealed.samples_in(os.fstat(self._fd).st_size)

    @staticmethod
    def _offset(slot: int) -> int:
        return sealed.HEADER_BYTES + slot * SLOT_BYTES


def open_writer(path: Path, rate_hz: int, keys: tuple[bytes, ...]) -> TrackWriter:
    """Sealed when there are keys, else plain. Raises OSError."""
    return SealedWriter(path, rate_hz, keys) if keys else PlainWriter(path, rate_hz)
