"""What noise suppression is worth to the recogniser: word error rates with noise added, as a Markdown table.

    python scripts/bench_denoise.py [--levels 0,1,2,4] [--every 1]

The held-out recordings of the tests, noise at a signal-to-noise ratio (over the whole recording), G.711 at 8 kHz, then
`speech.recognizer.denoise`. The noises are made here: white, a falling spectrum as in a car, and six other voices.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import zlib
from collections.abc import Callable, Mapping
from pathlib import Path

import numpy as np
import numpy.typing as npt

from kallglot_media.speech.denoise import denoiser
from kallglot_media.speech.evaluate import Recording, padded, read_set, score_recognizer, through_telephone
from kallglot_media.speech.models import find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import Pcm16
from kallglot_media.speech.whisper import WhisperRecognizer

SHIPPED = Path(__file__).parents[1] / "tests" / "data" / "speech"
VOICES = 6

Noise = Callable[[int, np.random.Generator], npt.NDArray[np.float64]]


def white(samples: int, dice: np.random.Generator) -> npt.NDArray[np.float64]:
    """As much in every hertz."""
    return dice.standard_normal(samples)


def car(samples: int, dice: np.random.Generator) -> npt.NDArray[np.float64]:
    """6 dB less with each octave, from 60 Hz on."""
    spectrum = np.fft.rfft(dice.standard_normal(samples))
    hertz = np.fft.rfftfreq(samples, 1 / 16_000)
    return np.fft.irfft(spectrum / np.maximum(hertz, 60.0), samples)


def voices(recordings: list[Recording]) -> Noise:
    """Other recordings, over each other, each from another place."""

    def babble(samples: int, dice: np.random.Generator) -> npt.NDArray[np.float64]:
        chosen = dice.choice(len(recordings), VOICES, replace=False)
        parts = [np.resize(recordings[n].pcm.astype(np.float64), samples) for n in chosen]
        return np.asarray(np.sum([np.roll(part, int(dice.integers(samples))) for part in parts], axis=0), np.float64)

    return babble


def noisy(pcm: Pcm16, noise: Noise, snr_db: float) -> Pcm16:
    """The same noise for the same sound, so that all levels hear the same."""
    sound = padded(pcm).astype(np.float64)
    added = noise(len(sound), np.random.default_rng(zlib.crc32(pcm.tobytes())))
    added *= np.sqrt(np.mean(sound**2) / np.mean(added**2)) * 10 ** (-snr_db / 20)
    return np.asarray(np.clip(np.rint(sound + added), -32768, 32767), np.int16)


def heard_as(noise: Noise, snr_db: float, denoised: Callable[[Pcm16], Pcm16]) -> Callable[[Pcm16], Pcm16]:
    """A recording as the recogniser gets it."""
    return lambda pcm: denoised(through_telephone(noisy(pcm, noise, snr_db)))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--levels", default="0,1,2,4", help="of speech.recognizer.denoise")
    parser.add_argument("--every", type=int, default=1, help="only every so-many-th recording")
    arguments = parser.parse_args()
    levels = [int(level) for level in arguments.levels.split(",")]
    settings = SpeechSettings()
    model = find_models(settings).recognizer(settings.recognizer)
    recognizer = WhisperRecognizer(model, settings)
    whole = read_set(SHIPPED)
    recordings = whole[:: arguments.every]
    babble = voices(whole)
    cases: Mapping[str, tuple[Noise, float]] = {
        "clean": (white, 90.0),
        "white, 20": (white, 20.0),
        "white, 10": (white, 10.0),
        "car (falling spectrum), 10": (car, 10.0),
        "car, 0": (car, 0.0),
        "six other voices, 15": (babble, 15.0),
        "six other voices, 8": (babble, 8.0),
    }
    print(f"Recogniser `{model.name}`, {len(recordings)} recordings; word error rate in percent.\n")
    print("| noise, dB | " + " | ".join(f"level {level}" if level else "none" for level in levels) + " |")
    print("|---" * (1 + len(levels)) + "|")
    for name, (noise, snr_db) in cases.items():
        cells = []
        for level in levels:
            clear = denoiser(level)

            def path(
                pcm: Pcm16, noise: Noise = noise, snr_db: float = snr_db, clear: Callable[[Pcm16], Pcm16] = clear
            ) -> Pcm16:
                return clear(through_telephone(noisy(pcm, noise, snr_db)))

            cells.append(f"{score_recognizer(recognizer, recordings, path=path).word_errors:.1f}")
        print(f"| {name} | " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()
