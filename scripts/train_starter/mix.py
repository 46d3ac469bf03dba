"""What training speech is mixed of: all of it, or what can be learned in an hour of one core."""

from __future__ import annotations

from dataclasses import dataclass, replace
from pathlib import Path


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares are of 1; what is left of the texts after known, grammar and chats is everyday sentences.

    languages         shares of German, English, Spanish, French
    most_words        of a sentence
    variants          how many of espeak-ng's voices
    diphone           share of the package's own voices
    pace, pitch       how far they may be from 1 either way
    telephone, lossy, noisy, echo, clipped, handset, bad_mobile  shares of the lines that are so
    least_snr_db      of the noisy ones
    further           share of further voices, where there are any: paths of Piper voices, named after their language
    """

    languages: tuple[float, float, float, float] = (0.29, 0.41, 0.15, 0.15)
    known: float = 0.22
    grammar: float = 0.46
    chats: float = 0.18
    most_words: int = 16
    variants: int = 57
    diphone: float = 0.15
    pace: float = 0.15
    pitch: float = 0.3
    telephone: float = 0.75
    lossy: float = 0.25
    noisy: float = 0.5
    echo: float = 0.1
    clipped: float = 0.04
    handset: float = 0.4
    bad_mobile: float = 0.15
    least_snr_db: float = 12.0
    further: float = 0.2
    further_voices: tuple[str, ...] = ()

    def with_voices(self, folder: Path | None) -> Mix:
        """The same, with the Piper voices in a folder: de.onnx, or de_DE-NAME-QUALITY.onnx."""
        if folder is None:
            return self
        found = tuple(str(path) for path in sorted(folder.glob("*.onnx")))
        if not found:
            raise FileNotFoundError(f"{folder}: has no Piper voices; name a folder with files such as de.onnx")
        return replace(self, further_voices=found)


FULL = Mix()
EASY = Mix(
    languages=(0.46, 0.46, 0.04, 0.04), known=0.28, grammar=0.40, chats=0.32, most_words=13, variants=14, diphone=0.2,
    pace=0.1, pitch=0.15, telephone=0.75, lossy=0.1, noisy=0.4, echo=0.05, clipped=0.02, handset=0.3, least_snr_db=18.0,
)  # fmt: skip
DESK = replace(EASY, languages=(0.48, 0.48, 0.02, 0.02), known=0.45, grammar=0.55, chats=0.0)
"""The known sentences and the grammar alone, several after each other: a support desk, and nothing else."""

KNOWN = Mix(
    languages=(0.5, 0.5, 0.0, 0.0), known=1.0, grammar=0.0, chats=0.0, variants=28, diphone=0.25, pace=0.13, pitch=0.25,
    lossy=0.15, noisy=0.5, echo=0.1, clipped=0.03, least_snr_db=15.0,
)  # fmt: skip
"""The known sentences alone, several after each other."""

MIXES = {"full": FULL, "easy": EASY, "desk": DESK, "known": KNOWN}
