"""What is said in the measurements of the interpreter, and the bare engines that it is said to."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import zip_longest
from pathlib import Path

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.phone.sounds import load_sound, save_sound
from kallglot_media.phone.verdict import Line
from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.evaluate import Recording
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.whisper import WhisperRecognizer

SHIPPED = Path(__file__).parents[1] / "tests" / "data" / "speech"
SPEAKERS = {"de": "customer", "en": "agent"}
OTHER = {"de": "en", "en": "de"}
RATE_HZ = 8000
GAP_S = 0.28
"""Between the sentences of a long utterance: it ends none (500 ms do), and no turn either (320 ms)."""

LONG_MS = 6000
SENTENCES_IN_A_LONG_ONE = 4


@dataclass(frozen=True, slots=True)
class Size:
    """How much is measured. recordings: of each language."""

    recordings: int = 15
    short_lines: int = 8
    long_lines: int = 4
    losses: tuple[float, ...] = (0.0, 0.01, 0.03, 0.05)
    leads_s: tuple[float, ...] = (0.0, 0.05, 0.1, 0.2, 0.3, 0.4, 0.5)
    minutes_of_nobody: float = 10.0
    minutes_of_speech: float = 30.0
    sentences: int = 300
    chats: int = 118
    core_limit_s: float = 300.0


SMALL = Size(
    recordings=4,
    short_lines=2,
    long_lines=1,
    losses=(0.0,),
    leads_s=(0.0, 0.2),
    minutes_of_nobody=0.1,
    minutes_of_speech=3.0,
    sentences=20,
    chats=10,
    core_limit_s=1.0,
)
"""To see that it runs: the numbers mean nothing."""


@dataclass(frozen=True, slots=True)
class Engines:
    """The bare engines, in this process."""

    recognizer: WhisperRecognizer
    translator: ArgosTranslator
    synthesizer: PiperSynthesizer

    @classmethod
    def load(cls) -> Engines:
        settings = SpeechSettings()
        models = find_models(settings)
        return cls(
            WhisperRecognizer(models.recognizer(None), settings),
            ArgosTranslator(models.packages(), settings),
            PiperSynthesizer(models.voices(), settings),
        )


def trimmed(pcm: Pcm16) -> Pcm16:
    """Without the silence around it."""
    loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 300)
    return pcm[loud[0] : loud[-1] + 1]


def line_of(parts: Sequence[Recording], language: str, folder: Path, name: str) -> Line:
    """Several sentences spoken by one person without a pause between them."""
    gap = np.zeros(int(GAP_S * RATE_HZ), np.int16)
    sounds = [trimmed(load_sound(SHIPPED / one.name, RATE_HZ)) for one in parts]
    sound = np.concatenate([piece for each in sounds for piece in (each, gap)][:-1])
    save_sound(folder / name, sound, RATE_HZ)
    return Line(
        file=str((folder / name).absolute()),
        speaker=SPEAKERS[language],
        language=language,
        text=" ".join(one.text for one in parts),
        translation=" ".join(one.translation or "" for one in parts),
        sound=sound,
    )


def conversation(recordings: Sequence[Recording], size: int, folder: Path) -> list[Line]:
    """The set in utterances of `size` sentences: a German one, an English one, and so on."""
    sides = []
    for language in SPEAKERS:
        own = [one for one in recordings if one.language == language]
        groups = [own[at : at + size] for at in range(0, len(own) - size + 1, size)]
        sides.append([line_of(group, language, folder, f"{language}{size}-{n}.wav") for n, group in enumerate(groups)])
    return [line for pair in zip_longest(*sides) for line in pair if line is not None]


def percentiles(values: Iterable[float | None]) -> str:
    known = [value for value in values if value is not None]
    return f"{np.percentile(known, 50):.0f} / {np.percentile(known, 95):.0f}" if known else "–"
