"""WAV files for tests: read, write, pad, resample, and speech to play."""

from __future__ import annotations

import struct
from pathlib import Path

import numpy as np
import numpy.typing as npt
import soxr

Pcm16 = npt.NDArray[np.int16]
RATE_HZ = 8000


class NotWav(ValueError):
    """The bytes are not 16-bit PCM in a RIFF/WAVE file: the message says what they are."""


def read_wav(path: Path) -> tuple[Pcm16, int]:
    """(pcm int16[n, channels], rate_hz), reading to the end of the file where the header's length is stale.

    A peer that was killed leaves the length 0 or 0xFFFFFFFF in its header; the sound is there all the same.
    """
    data = path.read_bytes()
    if data[:4] != b"RIFF" or data[8:12] != b"WAVE":
        raise NotWav(f"{path} starts with {data[:12]!r}, not RIFF....WAVE")
    channels = rate_hz = bits = 0
    at = 12
    while at + 8 <= len(data):
        name, size = data[at : at + 4], struct.unpack_from("<I", data, at + 4)[0]
        body = at + 8
        if name == b"fmt ":
            _, channels, rate_hz, _, _, bits = struct.unpack_from("<HHIIHH", data, body)
        if name == b"data":
            if bits != 16:
                raise NotWav(f"{path} has {bits}-bit samples, this reads 16")
            end = len(data) if size in (0, 0xFFFFFFFF) else min(len(data), body + size)
            end -= (end - body) % (2 * channels)
            return np.frombuffer(data[body:end], np.dtype("<i2")).reshape(-1, channels).astype(np.int16), rate_hz
        at = body + size + (size & 1)
    raise NotWav(f"{path} has no data chunk")


def read_mono(path: Path, channel: int = 0) -> Pcm16:
    """One channel at 8 kHz."""
    pcm, rate_hz = read_wav(path)
    return to_rate(pcm[:, channel], rate_hz, RATE_HZ)


def write_wav(path: Path, pcm: Pcm16, rate_hz: int = RATE_HZ) -> Path:
    """Write int16[n] or int16[n, channels]; returns `path`."""
    frames = pcm if pcm.ndim == 2 else pcm[:, None]
    channels = frames.shape[1]
    data = np.ascontiguousarray(frames, "<i2").tobytes()
    head = struct.pack(
        "<4sI4s4sIHHIIHH4sI",
        *(b"RIFF", 36 + len(data), b"WAVE", b"fmt ", 16, 1, channels),
        *(rate_hz, rate_hz * channels * 2, channels * 2, 16, b"data", len(data)),
    )
    path.write_bytes(head + data)
    return path


def to_rate(pcm: Pcm16, from_hz: int, to_hz: int) -> Pcm16:
    """A whole buffer at another rate."""
    if from_hz == to_hz:
        return np.ascontiguousarray(pcm)
    return np.asarray(soxr.resample(np.ascontiguousarray(pcm), from_hz, to_hz), np.int16)


def silence(seconds: float, rate_hz: int = RATE_HZ) -> Pcm16:
    """Digital silence."""
    return np.zeros(round(seconds * rate_hz), np.int16)


def script(*parts: Pcm16 | float) -> Pcm16:
    """Sounds and pauses (in seconds) one after the other, at 8 kHz.

    baresip stops sending RTP where its microphone file ends, so end with a pause longer than the call.
    """
    return np.concatenate([part if isinstance(part, np.ndarray) else silence(part) for part in parts])


def babble(seconds: float, seed: int = 7) -> Pcm16:
    """Speech-like sound that never repeats: noise through formants, in syllables of changing level.

    Its correlation with itself at any other lag is near 0, which no real sentence promises.
    """
    rng = np.random.default_rng(seed)
    n = round(seconds * RATE_HZ)
    spectrum = np.fft.rfft(rng.standard_normal(n))
    hz = np.fft.rfftfreq(n, 1 / RATE_HZ)
    shape = sum(np.exp(-(((hz - centre) / width) ** 2)) for centre, width in ((500, 250), (1500, 300), (2500, 350)))
    sound = np.fft.irfft(spectrum * shape, n)
    syllables = rng.uniform(0.25, 1.0, n // 1600 + 2)
    sound *= np.interp(np.arange(n) / 1600, np.arange(len(syllables)), syllables)
    return np.asarray(sound / np.abs(sound).max() * 16000, np.int16)
