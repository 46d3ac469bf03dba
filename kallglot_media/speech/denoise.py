"""Noise taken off before the recogniser, by choice: WebRTC's suppressor, whole utterances at a time.

What people hear and what is recorded stays as it came. `docs/benchmarks.md` has what it is worth.
"""

from __future__ import annotations

from collections.abc import Callable

import numpy as np

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16

_PIECE_SAMPLES = RECOGNIZER_RATE_HZ // 100


def untouched(pcm: Pcm16) -> Pcm16:
    """Denoising at level 0."""
    return pcm


def denoiser(level: int) -> Callable[[Pcm16], Pcm16]:
    """Takes int16 at 16 kHz and gives as many samples. level: 0 does nothing, 4 the most. Raises SpeechSetupError."""
    if level == 0:
        return untouched
    try:
        from webrtc_noise_gain import AudioProcessor
    except ImportError:
        raise SpeechSetupError(
            "speech.recognizer.denoise",
            f"is {level}, and webrtc-noise-gain is not installed",
            "pip install 'kallglot-media[denoise]', or write 0",
        ) from None

    def denoised(pcm: Pcm16) -> Pcm16:
        processor = AudioProcessor(0, level)  # it learns what noise is anew: the next utterance is another caller's
        pieces = -(-len(pcm) // _PIECE_SAMPLES)
        sound = np.zeros(pieces * _PIECE_SAMPLES, np.int16)
        sound[: len(pcm)] = pcm
        out = [processor.Process10ms(piece.tobytes()).audio for piece in sound.reshape(pieces, _PIECE_SAMPLES)]
        return np.frombuffer(b"".join(out), np.int16)[: len(pcm)]

    return denoised
