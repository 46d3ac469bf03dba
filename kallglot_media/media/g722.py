"""G.722 (RTP: RFC 3551 section 4.5.2) through PyAV, for a plane that runs at 8 kHz.

Its sound is sampled at 16 kHz, its RTP clock says 8 kHz by an old mistake of the RFC, and one byte is two
samples: so one byte is one sample of the plane, and the jitter buffer treats it like G.711.
"""

from __future__ import annotations

from fractions import Fraction

import av
import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.rows import FRAME_SAMPLES, RATE_HZ

WIDE_HZ = 2 * RATE_HZ
_TAPS = 47


def _half_band() -> npt.NDArray[np.float32]:
    """A low-pass at a quarter of 16 kHz: a windowed sinc, every second tap 0."""
    n = np.arange(_TAPS) - _TAPS // 2
    taps = np.sinc(n / 2) * np.kaiser(_TAPS, 6.0)
    taps /= taps.sum()
    low_pass: npt.NDArray[np.float32] = taps.astype(np.float32)
    return low_pass


_FILTER = _half_band()


class HalfBand:
    """Between 8 and 16 kHz, one piece after another; 1.4 ms of delay each way."""

    def __init__(self) -> None:
        self._tail = np.zeros(_TAPS - 1, np.float32)

    def down(self, wide: Pcm16) -> Pcm16:
        """16 kHz in, half as many samples out. An even number of samples."""
        return _int16(self._filtered(wide.astype(np.float32))[::2])

    def up(self, pcm: Pcm16) -> Pcm16:
        """8 kHz in, twice as many samples out."""
        wide = np.zeros(2 * len(pcm), np.float32)
        wide[::2] = pcm
        return _int16(2 * self._filtered(wide))

    def _filtered(self, samples: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        joined = np.concatenate([self._tail, samples])
        self._tail = joined[len(samples) :]
        filtered: npt.NDArray[np.float32] = np.convolve(joined, _FILTER, "valid")
        return filtered


def _int16(samples: npt.NDArray[np.float32]) -> Pcm16:
    return np.clip(np.rint(samples), -32768, 32767).astype(np.int16)


class G722Decoder:
    """Bytes in, as many samples at 8 kHz out."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("g722", "r")
        self._context.sample_rate = WIDE_HZ
        self._context.layout = "mono"
        self._half_band = HalfBand()

    def decode(self, payload: bytes) -> Pcm16:
        """One piece of the stream. Any bytes are sound in G.722."""
        wide = [frame.to_ndarray().reshape(-1) for frame in self._context.decode(av.Packet(payload))]
        return self._half_band.down(np.concatenate(wide))


class G722Encoder:
    """8 kHz in, one byte for each sample out."""

    def __init__(self) -> None:
        self._context = av.CodecContext.create("g722", "w")
        self._context.sample_rate = WIDE_HZ
        self._context.layout = "mono"
        self._context.format = "s16"
        self._context.time_base = Fraction(1, WIDE_HZ)
        self._half_band = HalfBand()

    def encode(self, pcm: Pcm16) -> bytes:
        """A packet of whole frames of 20 ms: FFmpeg's encoder takes nothing else."""
        return b"".join(self._encode(pcm[n : n + FRAME_SAMPLES]) for n in range(0, len(pcm), FRAME_SAMPLES))

    def _encode(self, pcm: Pcm16) -> bytes:
        frame = av.AudioFrame.from_ndarray(self._half_band.up(pcm).reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = WIDE_HZ
        return b"".join(bytes(packet) for packet in self._context.encode(frame))
