"""What training speech is mixed of: all of it, or what can be learned in an hour of one core."""

from __future__ import annotations

from dataclasses import dataclass, replace


@dataclass(frozen=True, slots=True)
class Mix:
    """Shares are of 1; what is left of the texts after known, grammar and chats is everyday sentences.

    languages         shares of German, English, Spanish, French
    most_words        of a sentence
    variants          how many of espeak-ng's voices
    diphone           share of the package's own voices
    pace, pitch       how far they may be from 1 either way
    telephone, lossy, noisy, echo, clipped, handset  shares of the lines that are so
    least_snr_db      of the noisy ones
    """

    languages: tuple[float, float, float, float] = (0.38, 0.38, 0.12, 0.12)
    known: float = 0.18
    grammar: float = 0.36
    chats: float = 0.30
    most_words: int = 18
    variants: int = 57
    diphone: float = 0.15
    pace: float = 0.2
    pitch: float = 0.4
    telephone: float = 0.7
    lossy: float = 0.3
    noisy: float = 0.6
    echo: float = 0.15
    clipped: float = 0.06
    handset: float = 0.4
    least_snr_db: float = 10.0


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
