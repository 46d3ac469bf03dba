"""WAV files as bytes: headers for recordings that grow, and reading what others wrote.

Our header always has the same 80 bytes, so it can be written over while a file grows. It keeps
room in a JUNK chunk for the 64-bit sizes of RF64 (EBU Tech 3306), which takes over beyond 4 GiB:

    RIFF size WAVE | JUNK 28 … | fmt  16 … | data size | samples
    RF64  -1  WAVE | ds64 28 … | fmt  16 … | data  -1  | samples
"""

from __future__ import annotations

import struct
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.pcm import Pcm16

HEADER_BYTES = 80
_PCM = 1
_EXTENSIBLE = 0xFFFE
_UNKNOWN_32 = 0xFFFFFFFF
_CHUNK = struct.Struct("<4sI")
_FORMAT = struct.Struct("<HHIIHH")
_DS64 = struct.Struct("<QQQI")


class WavError(ValueError):
    """The bytes are not a WAV file that we can read; the message names the mistake."""


@dataclass(frozen=True, slots=True)
class WavInfo:
    """What a header says.

    data_start  where in the file the samples begin
    data_bytes  their length as declared, which is wrong in a file that was cut
    """

    channels: int
    rate_hz: int
    data_start: int
    data_bytes: int

    @property
    def frame_bytes(self) -> int:
        """Bytes of one sample of all channels."""
        return 2 * self.channels


def wav_header(rate_hz: int, channels: int, data_bytes: int) -> bytes:
    """The first 80 bytes of an int16 WAV file with this much sound; RF64 where RIFF cannot say it."""
    riff_bytes = HEADER_BYTES - 8 + data_bytes + data_bytes % 2
    form = _FORMAT.pack(_PCM, channels, rate_hz, rate_hz * channels * 2, channels * 2, 16)
    if riff_bytes < _UNKNOWN_32:
        head = _CHUNK.pack(b"RIFF", riff_bytes) + b"WAVE" + _CHUNK.pack(b"JUNK", _DS64.size) + bytes(_DS64.size)
        return head + _CHUNK.pack(b"fmt ", _FORMAT.size) + form + _CHUNK.pack(b"data", data_bytes)
    sizes = _DS64.pack(riff_bytes, data_bytes, data_bytes // (2 * channels), 0)
    head = _CHUNK.pack(b"RF64", _UNKNOWN_32) + b"WAVE" + _CHUNK.pack(b"ds64", _DS64.size) + sizes
    return head + _CHUNK.pack(b"fmt ", _FORMAT.size) + form + _CHUNK.pack(b"data", _UNKNOWN_32)


def wav_bytes(pcm: Pcm16, rate_hz: int) -> bytes:
    """A whole file. pcm: int16[n] for mono, or int16[n, channels]."""
    channels = 1 if pcm.ndim == 1 else pcm.shape[1]
    samples = pcm.astype("<i2").tobytes()
    return wav_header(rate_hz, channels, len(samples)) + samples


def parse_wav_header(head: bytes) -> WavInfo:
    """What the start of a file says; `head` must reach up to the samples (ours: 80 bytes). Raises WavError."""
    if len(head) < 12 or head[:4] not in (b"RIFF", b"RF64") or head[8:12] != b"WAVE":
        raise WavError(f"does not start with RIFF or RF64 and WAVE, but with {head[:12]!r}")
    found: tuple[int, int] | None = None
    long_data_bytes: int | None = None
    position = 12
    while position + _CHUNK.size <= len(head):
        name, size = _CHUNK.unpack_from(head, position)
        body = position + _CHUNK.size
        if name == b"data":
            if found is None:
                raise WavError(f"data chunk at byte {position} comes before the fmt chunk")
            known_bytes = long_data_bytes if size == _UNKNOWN_32 and long_data_bytes is not None else size
            return WavInfo(found[0], found[1], body, known_bytes)
        if name == b"fmt ":
            found = _parse_format(head[body : body + size])
        elif name == b"ds64" and len(head) >= body + _DS64.size:
            long_data_bytes = _DS64.unpack_from(head, body)[1]
        position = body + size + size % 2
    raise WavError(f"no data chunk in the first {len(head)} bytes")


def read_wav(data: bytes) -> tuple[Pcm16, int]:
    """(samples, rate_hz) of a whole file; samples int16[n] for mono, else int16[n, channels]. Raises WavError.

    A file whose sizes were never set, or that was cut, gives the samples there are.
    """
    info = parse_wav_header(data)
    there = min(info.data_bytes, len(data) - info.data_start) if info.data_bytes else len(data) - info.data_start
    whole = there - there % info.frame_bytes
    pcm = np.frombuffer(data, "<i2", whole // 2, info.data_start).astype(np.int16)
    return (pcm if info.channels == 1 else pcm.reshape(-1, info.channels)), info.rate_hz


def fix_sizes(head: bytes, file_bytes: int) -> tuple[bytes, int]:
    """Mend one of our files that was cut by a crash: (header to write over its first 80 bytes, its right length).

    The right length is never more than file_bytes: half a sample frame at the end is to be cut off.
    Raises WavError for a file that is not ours.
    """
    info = parse_wav_header(head)
    if info.data_start != HEADER_BYTES:
        raise WavError(f"samples start at byte {info.data_start}, in our files at {HEADER_BYTES}")
    data_bytes = (file_bytes - HEADER_BYTES) // info.frame_bytes * info.frame_bytes
    return wav_header(info.rate_hz, info.channels, data_bytes), HEADER_BYTES + data_bytes


def _parse_format(body: bytes) -> tuple[int, int]:
    """(channels, rate_hz) of a fmt chunk that says int16 PCM."""
    if len(body) < _FORMAT.size:
        raise WavError(f"fmt chunk has {len(body)} bytes, want {_FORMAT.size}")
    coding, channels, rate_hz, _, frame_bytes, bits = _FORMAT.unpack_from(body)
    if coding == _EXTENSIBLE and len(body) >= 26:
        coding = int.from_bytes(body[24:26], "little")
    if coding != _PCM or bits != 16:
        raise WavError(f"coding {coding} with {bits} bits; want PCM (1) with 16 bits, e.g. from sox -b 16 -e signed")
    if not channels or not rate_hz or frame_bytes != 2 * channels:
        raise WavError(f"{channels} channels at {rate_hz} Hz in blocks of {frame_bytes} bytes do not fit together")
    return channels, rate_hz
