"""WAV files of the phone: mono int16 in and out, at the rate of the call."""

from __future__ import annotations

import wave
from pathlib import Path

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.phone.script import ScriptError


def load_sound(path: Path, rate_hz: int) -> Pcm16:
    """The samples of a 16 bit WAV file at `rate_hz`; of two channels the first. Raises ScriptError."""
    try:
        with wave.open(str(path), "rb") as sound:
            if sound.getsampwidth() != 2:
                wrong = f"has samples of {8 * sound.getsampwidth()} bits"
                raise ScriptError(str(path), wrong, f"convert it: sox {path.name} -b 16 -c 1 16bit.wav")
            data = np.frombuffer(sound.readframes(sound.getnframes()), "<i2").astype(np.int16)
            pcm = data.reshape(-1, sound.getnchannels())[:, 0]
            return np.ascontiguousarray(_resampled(pcm, sound.getframerate(), rate_hz))
    except OSError as wrong:
        raise ScriptError(str(path), f"cannot be read: {wrong.strerror}", "give a WAV file") from None
    except (wave.Error, EOFError) as wrong:
        raise ScriptError(str(path), f"is no WAV file: {wrong}", "give a WAV file, 16 bit") from None


def save_sound(path: Path, pcm: Pcm16, rate_hz: int) -> None:
    """Write mono 16 bit."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(1)
        sound.setsampwidth(2)
        sound.setframerate(rate_hz)
        sound.writeframes(pcm.astype("<i2").tobytes())


def _resampled(pcm: Pcm16, from_hz: int, to_hz: int) -> Pcm16:
    if from_hz == to_hz:
        return pcm
    import soxr

    resampled: Pcm16 = soxr.resample(pcm, from_hz, to_hz)
    return resampled
