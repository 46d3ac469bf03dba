"""What the engines take and give: plain data, and one Protocol of one method per kind.

Sound is int16 mono. Recognisers take 16 kHz; synthesisers give whatever their voice has.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]

RECOGNIZER_RATE_HZ = 16_000

DOUBTFUL = "doubtful"
"""A guard of `Transcript`: words were there, and too improbable."""


@dataclass(frozen=True, slots=True)
class Word:
    """One recognised word; times in ms from the start of the utterance's sound."""

    text: str
    start_ms: int
    end_ms: int
    prob: float


@dataclass(frozen=True, slots=True)
class Transcript:
    """What was said.

    text            empty when nothing was said (silence, noise, music)
    language        ISO 639-1, given or detected; language_prob is 1.0 when given
    confidence      mean token probability, 0–1
    no_speech_prob  0–1
    engine_ms       time the model took, without waiting in line
    guard           what kept words from being passed on: "quiet" (level), "even" (liveliness), "no_voice", "doubtful"
                    (probabilities), "circles" (repetition), "invented" (a known invention); "" when nothing did
    """

    text: str
    language: str
    language_prob: float
    confidence: float
    no_speech_prob: float
    words: tuple[Word, ...]
    engine_ms: float
    guard: str = ""


@dataclass(frozen=True, slots=True)
class Hints:
    """What is known before listening.

    usual   the language that this person has spoken so far; another one must be clearly the better guess
    among   the languages that may come; empty: all that the recogniser knows
    words   names and terms that may come, as they are written
    before  what was said just before
    """

    usual: str | None = None
    among: tuple[str, ...] = ()
    words: tuple[str, ...] = ()
    before: str = ""


NO_HINTS = Hints()


@dataclass(frozen=True, slots=True)
class Context:
    """The beginning of a sentence that goes on: its words, and what they were translated to and spoken as."""

    source: str
    target: str


@dataclass(frozen=True, slots=True)
class Translation:
    """text in language `target`, made from text in `source`. engine_ms: without waiting in line.

    repaired  how many numbers, ids, addresses and terms the model lost and were put right
    missing   how many are still wrong, or were invented
    """

    text: str
    source: str
    target: str
    engine_ms: float
    repaired: int = 0
    missing: int = 0


@dataclass(frozen=True, slots=True)
class Speech:
    """Made speech: pcm int16[n] at rate_hz. engine_ms: without waiting in line."""

    pcm: Pcm16
    rate_hz: int
    engine_ms: float


class Recognizer(Protocol):
    """Speech to text."""

    def transcribe(self, pcm: Pcm16, language: str | None) -> Transcript:
        """The words in `pcm` (16 kHz mono). language None: detect it."""
        ...


class Translator(Protocol):
    """Text to text."""

    def translate(self, text: str, source: str, target: str) -> Translation:
        """`text` in another language. Raises UnknownPair when no package covers it."""
        ...


class Synthesizer(Protocol):
    """Text to speech."""

    def synthesize(self, text: str, language: str, voice: str | None) -> Speech:
        """`text` spoken. voice None: the language's default voice."""
        ...


class SpeechError(Exception):
    """An engine gave no result. Subclasses say why; the call lives on."""


class EngineBusy(SpeechError):
    """The line in front of the engine is full."""


class EngineTimeout(SpeechError):
    """The deadline passed before the engine answered."""


class EngineFailed(SpeechError):
    """The engine raised, or its process died."""


class UnknownPair(SpeechError):
    """No installed package translates this pair of languages."""


class UnknownVoice(SpeechError):
    """No installed voice speaks this language."""


class SpeechEngines(Protocol):
    """What a call needs of the engines: `speech.pool.SpeechPool`, or a script in tests.

    Every method raises SpeechError (a subclass) and never takes longer than `deadline_s`.
    """

    async def transcribe(
        self,
        pcm: Pcm16,
        language: str | None,
        *,
        deadline_s: float,
        partial: bool = False,
        hints: Hints = NO_HINTS,
    ) -> Transcript:
        """partial: of somebody who still speaks; gives way to everything else, and may be refused."""
        ...

    async def translate(
        self, text: str, source: str, target: str, *, deadline_s: float, after: Context | None = None
    ) -> Translation:
        """after: what came before in the same sentence; the translation goes on from there, without repeating it."""
        ...

    async def synthesize(
        self, text: str, language: str, voice: str | None, *, deadline_s: float, speed: float = 1.0
    ) -> Speech:
        """speed: how fast, 1.0 being the voice's own pace; above it pauses are shortened, too."""
        ...
