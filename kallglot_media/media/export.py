"""Recordings as one file to listen to: WAV, MP3 or Ogg/Opus of a session's folder, however long it is.

    path = export_recording(folder, "stereo", "mp3")        # folder/exports/stereo.mp3

| channel | left | right |
|---|---|---|
| `mixed` | everything: both parties and what was made of their words, in one channel | |
| `stereo` | the customer, and the customer's words made over | the agent, and the agent's words made over |
| `customer`, `agent` | what the party said | what was made of it |

Blocking, an hour of MP3 takes a minute: call it in a thread. Ten seconds of sound are in memory at a time.
"""

from __future__ import annotations

import contextlib
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.wav import wav_header
from kallglot_media.media.track_files import Track, TrackError, open_track
from kallglot_media.modes.plan import Party

if TYPE_CHECKING:
    from av.container import OutputContainer

ExportChannel = Literal["mixed", "customer", "agent", "stereo"]
ExportFormat = Literal["wav", "mp3", "ogg"]

CHANNELS: tuple[ExportChannel, ...] = ("mixed", "customer", "agent", "stereo")
FORMATS: tuple[ExportFormat, ...] = ("wav", "mp3", "ogg")
MEDIA_TYPES: Mapping[ExportFormat, str] = {"wav": "audio/wav", "mp3": "audio/mpeg", "ogg": "audio/ogg"}

FOLDER = "exports"
"""Of a session's folder: deleting the one deletes the other."""

_PIECE_S = 10
_BIT_RATES = {("mp3", 1): 32_000, ("mp3", 2): 48_000, ("ogg", 1): 20_000, ("ogg", 2): 32_000}
"""Telephone speech: more is not heard."""

_MP3_RATE_HZ = 16_000  # at 8 kHz MP3 is MPEG 2.5, which not every player knows

_Stereo = npt.NDArray[np.int16]


class ExportError(Exception):
    """There is no such export: the message names what is there and what would do."""


def export_recording(
    folder: Path, channel: ExportChannel, file_format: ExportFormat, *, out: Path | None = None
) -> Path:
    """The session in `folder` as one file; returns its path. Raises ExportError.

    out  where to; left out: below `folder`, and made anew only when the recording has changed since.
    A recording that still grows gives what is there so far. Nobody sees a file that is half done.
    """
    if channel not in CHANNELS:
        raise ExportError(f"no channel {channel!r}; there are {', '.join(CHANNELS)}")
    if file_format not in FORMATS:
        raise ExportError(f"no format {file_format!r}; there are {', '.join(FORMATS)}")
    target = out or folder / FOLDER / f"{channel}.{file_format}"
    parties = (Party(channel),) if channel in ("customer", "agent") else (Party.CUSTOMER, Party.AGENT)
    try:
        with contextlib.ExitStack() as stack:
            tracks = [stack.enter_context(open_track(folder, party)) for party in parties]
            if out is None and _is_fresh(target, tracks):
                return target
            target.parent.mkdir(exist_ok=True)
            _write_whole(target, _pieces(tracks, channel), tracks[0].rate_hz, file_format, _samples(tracks))
            made_of_ns = _modified_ns(tracks)
            os.utime(target, ns=(made_of_ns, made_of_ns))  # what `_is_fresh` looks at
    except TrackError as error:
        raise ExportError(str(error)) from None
    except OSError as error:
        raise ExportError(f"{error.filename or target}: {error.strerror or error}") from error
    return target


def _samples(tracks: list[Track]) -> int:
    return max(track.samples for track in tracks)


def _is_fresh(target: Path, tracks: list[Track]) -> bool:
    """Whether `target` was made of these files as they are now."""
    try:
        made_ns = target.stat().st_mtime_ns
    except FileNotFoundError:
        return False
    return made_ns == _modified_ns(tracks)


def _modified_ns(tracks: list[Track]) -> int:
    return max(track.modified_ns for track in tracks)


def _pieces(tracks: list[Track], channel: ExportChannel) -> Iterator[_Stereo]:
    """int16[n, 1 or 2], a few seconds at a time."""
    size = _PIECE_S * tracks[0].rate_hz
    for start in range(0, _samples(tracks), size):
        parts = [track.read(start, size) for track in tracks]
        length = max(len(part) for part in parts)
        if len(parts) == 1:
            yield parts[0]
            continue
        sides = np.zeros((length, 2), np.int32)
        for side, part in enumerate(parts):
            sides[: len(part), side] = part.sum(axis=1, dtype=np.int32)
        if channel == "mixed":
            sides = sides.sum(axis=1, keepdims=True)
        yield np.clip(sides, -32768, 32767).astype(np.int16)


def _write_whole(
    target: Path, pieces: Iterator[_Stereo], rate_hz: int, file_format: ExportFormat, samples: int
) -> None:
    """All or nothing: written beside `target` and put in its place when it is done."""
    half_done = target.with_name(f".{target.name}.{os.getpid()}.{id(pieces):x}")
    try:
        if file_format == "wav":
            _write_wav(half_done, pieces, rate_hz, samples)
        else:
            _write_coded(half_done, pieces, rate_hz, file_format)
        half_done.replace(target)
    finally:
        half_done.unlink(missing_ok=True)


def _write_wav(path: Path, pieces: Iterator[_Stereo], rate_hz: int, samples: int) -> None:
    with path.open("xb") as file:
        written = 0
        for piece in pieces:
            if not written:
                file.write(wav_header(rate_hz, piece.shape[1], samples * 2 * piece.shape[1]))
            file.write(piece.astype("<i2", copy=False).tobytes())
            written += len(piece)
        if not written:
            file.write(wav_header(rate_hz, 1, 0))


def _write_coded(path: Path, pieces: Iterator[_Stereo], rate_hz: int, file_format: ExportFormat) -> None:
    import av  # 0.1 s to import: only who exports pays

    try:
        with av.open(str(path), "w", format=file_format) as container:
            _code_all(container, pieces, rate_hz, file_format)
    except av.FFmpegError as error:  # a full disk, or FFmpeg without this encoder
        raise ExportError(f"{path.parent}: no {file_format} of it: {error}") from error


def _code_all(container: OutputContainer, pieces: Iterator[_Stereo], rate_hz: int, file_format: ExportFormat) -> None:
    coder: _Coder | None = None
    for piece in pieces:
        coder = coder or _Coder(container, piece.shape[1], rate_hz, file_format)
        coder.put(piece)
    if coder is None:  # no encoder makes a file of nothing: 20 ms of silence
        coder = _Coder(container, 1, rate_hz, file_format)
        coder.put(np.zeros((rate_hz // 50, 1), np.int16))
    coder.end()


class _Coder:
    """PyAV's encoder, with a clock of its own."""

    def __init__(self, container: OutputContainer, channels: int, rate_hz: int, file_format: ExportFormat) -> None:
        import av

        self._container = container
        self._layout = "mono" if channels == 1 else "stereo"
        self._rate_hz = rate_hz
        codec, coded_hz = ("libmp3lame", _MP3_RATE_HZ) if file_format == "mp3" else ("libopus", rate_hz)
        stream: Any = container.add_stream(codec, rate=coded_hz)
        self._stream = stream
        self._stream.layout = self._layout
        self._stream.bit_rate = _BIT_RATES[file_format, channels]
        self._resampler = av.AudioResampler(self._stream.format, self._layout, coded_hz)
        self._at = 0

    def put(self, piece: _Stereo) -> None:
        """int16[n, channels]"""
        import av

        frame = av.AudioFrame.from_ndarray(np.ascontiguousarray(piece).reshape(1, -1), "s16", self._layout)
        frame.sample_rate = self._rate_hz
        frame.pts = self._at
        self._at += len(piece)
        self._code(frame)

    def end(self) -> None:
        """What the resampler and the encoder still hold."""
        self._code(None)
        self._container.mux(self._stream.encode(None))

    def _code(self, frame: Any) -> None:
        for converted in self._resampler.resample(frame):
            self._container.mux(self._stream.encode(converted))
