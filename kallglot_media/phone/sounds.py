"""WAV files of the phone: mono int16 in and out, at the rate of the call."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.resample import resample
from kallglot_media.audio.wav import WavError, read_wav, wav_bytes
from kallglot_media.phone.script import ScriptError


def load_sound(path: Path, rate_hz: int) -> Pcm16:
    """The samples of a 16 bit WAV file at `rate_hz`; of several channels the first. Raises ScriptError."""
    try:
        pcm, from_hz = read_wav(path.read_bytes())
    except OSError as wrong:
        raise ScriptError(str(path), f"cannot be read: {wrong.strerror}", "give a WAV file") from None
    except WavError as wrong:
        raise ScriptError(str(path), f"is no WAV file of 16 bit samples: {wrong}", "convert it with sox") from None
    mono = pcm if pcm.ndim == 1 else np.ascontiguousarray(pcm[:, 0])
    return resample(mono, from_hz, rate_hz)


def save_sound(path: Path, pcm: Pcm16, rate_hz: int) -> None:
    """Write mono 16 bit, with the folder it stands in."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(wav_bytes(pcm, rate_hz))
