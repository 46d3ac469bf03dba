"""G.722 (RTP: RFC 3551 section 4.5.2) through libg722, for a plane that runs at 8 kHz.

Its sound is sampled at 16 kHz, its RTP clock says 8 kHz by an old mistake of the RFC, and one byte is two
samples: so one byte is one sample of the plane, and the jitter buffer treats it like G.711.

The filter between the two rates is that of all legs at once (`narrow`, `widen`): `decode_all` and `encode_all` take a
frame of each, and what they make of one does not depend on the others.
"""

from __future__ import annotations

from collections.abc import Sequence

import G722
import numpy as np
import numpy.typing as npt

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.media.rows import RATE_HZ

WIDE_HZ = 2 * RATE_HZ
BITS_PER_SECOND = 64_000
_TAPS = 47
WIDE_TAIL, NARROW_TAIL = _TAPS - 1, _TAPS // 2
"""Samples that the filter remembers, at 16 and at 8 kHz."""

Floats = npt.NDArray[np.float32]


def _half_band() -> Floats:
    """A low-pass at a quarter of 16 kHz: a windowed sinc, every second tap 0 but for the middle; 1.4 ms of delay."""
    n = np.arange(_TAPS) - _TAPS // 2
    taps = np.sinc(n / 2) * np.kaiser(_TAPS, 6.0)
    taps /= taps.sum()
    low_pass: Floats = taps.astype(np.float32)
    return low_pass


_FILTER = _half_band()
_SIDE = _FILTER[: _TAPS // 2 + 1 : 2].tolist()
"""The taps beside the middle that are not 0, from the outside in; on the other side they are the same."""

_MIDDLE = float(_FILTER[_TAPS // 2])


def narrow(tails: Floats, wide: Pcm16) -> tuple[Pcm16, Floats]:
    """16 kHz to 8 kHz. wide: int16[n, 2 * m]; tails: float32[n, WIDE_TAIL], zeros at first, then what came back."""
    joined = np.concatenate([tails, wide], axis=1, dtype=np.float32)
    halves = joined.reshape(len(joined), -1, 2)
    made = _beside(np.ascontiguousarray(halves[:, :, 0]))
    middle = (_TAPS // 2 - 1) // 2
    made += np.float32(_MIDDLE) * halves[:, middle : middle + made.shape[1], 1]
    return _int16(made), joined[:, -WIDE_TAIL:]


def widen(tails: Floats, pcm: Pcm16) -> tuple[Pcm16, Floats]:
    """8 kHz to 16 kHz. pcm: int16[n, m]; tails: float32[n, NARROW_TAIL], zeros at first, then what came back."""
    joined = np.concatenate([tails, pcm], axis=1, dtype=np.float32)
    count, samples = pcm.shape
    made = np.empty((count, samples, 2), np.float32)
    made[:, :, 0] = _beside(joined)
    middle = (_TAPS // 2 + 1) // 2
    made[:, :, 1] = np.float32(_MIDDLE) * joined[:, middle : middle + samples]
    made *= 2.0
    return _int16(made.reshape(count, -1)), joined[:, -NARROW_TAIL:]


def _beside(samples: Floats) -> Floats:
    """The filter without its middle, over every second sample: float32[n, m + 23] in, float32[n, m] out."""
    last = samples.shape[1] - 2 * len(_SIDE) + 1
    made = np.zeros((len(samples), last), np.float32)
    for place, tap in enumerate(_SIDE):
        other = 2 * len(_SIDE) - 1 - place
        made += np.float32(tap) * (samples[:, place : place + last] + samples[:, other : other + last])
    return made


def _int16(samples: Floats) -> Pcm16:
    np.rint(samples, out=samples)
    return np.clip(samples, -32768, 32767, out=samples).astype(np.int16)


class G722Decoder:
    """Bytes in, as many samples at 8 kHz out. Any bytes are sound in G.722."""

    def __init__(self) -> None:
        self.to_wide = G722.G722(WIDE_HZ, BITS_PER_SECOND).decode
        self.tail: Floats = np.zeros(WIDE_TAIL, np.float32)

    def decode(self, payload: bytes) -> Pcm16:
        """One piece of the stream."""
        return decode_all([self], np.frombuffer(payload, np.uint8).reshape(1, -1)).reshape(-1)


class G722Encoder:
    """8 kHz in, one byte for each sample out."""

    def __init__(self) -> None:
        self.of_wide = G722.G722(WIDE_HZ, BITS_PER_SECOND).encode
        self.tail: Floats = np.zeros(NARROW_TAIL, np.float32)

    def encode(self, pcm: Pcm16) -> bytes:
        """The payload of one packet."""
        return encode_all([self], pcm.reshape(1, -1)).tobytes()


def decode_all(decoders: Sequence[G722Decoder], payloads: npt.NDArray[np.uint8]) -> Pcm16:
    """int16[n, m] at 8 kHz from uint8[n, m]: a payload of each."""
    count, size = payloads.shape
    data = payloads.tobytes()
    starts = range(0, count * size, size) if size else [0] * count
    sound = b"".join([it.to_wide(data[at : at + size]) for it, at in zip(decoders, starts, strict=True)])
    wide = np.frombuffer(sound, np.int16).reshape(count, 2 * size)
    pcm, tails = narrow(np.array([it.tail for it in decoders]), wide)
    for it, tail in zip(decoders, tails, strict=True):
        it.tail = tail
    return pcm


def encode_all(encoders: Sequence[G722Encoder], pcm: Pcm16) -> npt.NDArray[np.uint8]:
    """uint8[n, m], a payload of each, from int16[n, m] at 8 kHz."""
    wide, tails = widen(np.array([it.tail for it in encoders]), pcm)
    data = b"".join([it.of_wide(frame) for it, frame in zip(encoders, wide, strict=True)])
    for it, tail in zip(encoders, tails, strict=True):
        it.tail = tail
    return np.frombuffer(data, np.uint8).reshape(pcm.shape)
