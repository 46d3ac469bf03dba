"""Everything that can be set about the engines, and the defaults."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum
from pathlib import Path
from typing import Literal


class EngineKind(StrEnum):
    """The three engines of one utterance, in the order in which it passes them."""

    RECOGNIZER = "recognizer"
    TRANSLATOR = "translator"
    SYNTHESIZER = "synthesizer"


CORES_FOR_EACH = {EngineKind.RECOGNIZER: 4, EngineKind.TRANSLATOR: 8, EngineKind.SYNTHESIZER: 8}
"""One worker for so many cores: recognition takes most of the time of a turn."""


def workers_for(kind: EngineKind, cores: int) -> int:
    """How many workers of a kind suit a machine with so many cores; each has a copy of its models and one thread."""
    return max(1, cores // CORES_FOR_EACH[kind])


@dataclass(frozen=True, slots=True)
class SpeechSettings:
    """How many engines of which kind run, with which models.

    models            folder with whisper/ argos/ piper/; None: $KALLGLOT_MODELS, else the starter models
    recognizer        folder name under whisper/, or an absolute path; None: the largest one installed
    smaller           the recogniser, named as the other, that is changed to when it cannot keep up; None: there is none
    languages         ISO 639-1 codes among which the spoken language is looked for; empty: all that the model knows
    voices            language -> voice name for `synthesize(…, voice=None)`; a language left out gets the first voice
    glossary          a YAML file of terms (see glossary.py); None: none
    window            "auto": encode only as much as was said; "full": always Whisper's 30 s
    word_times        align each word to the sound (one more pass of the decoder)
    denoise           0: sound goes to the recogniser as it came; 1 to 4: noise is taken off first, 4 the most
    recognizer_beam   hypotheses kept; 1 is greedy, None what the model's own rules say
    translator_beam   hypotheses kept per sentence
    compute_type      CTranslate2's: int8, float32…; auto: see speech/compute.py
    voice_peak        loudest sample of made speech, 0–1 of full scale
    *_workers         processes of each kind, one core and one copy of the model each
    most_at_once      jobs of one kind that wait are done by a worker in one go, at most so many; 1: one by one
    longest_line      jobs that may wait in front of one kind; one more is refused with EngineBusy
    cache_bytes       for made speech that may come again, and an eighth of it for translations; 0: nothing is kept
    when_busy         a call that the engines have no time for: "refuse" it; "smaller": change to the smaller
                      recogniser and take it, refuse it when that is not enough; "degrade": take it
    hung_after_s      a worker that is past its job's deadline is killed when it has worked this long on that job
    start_within_s    loading all models may take this long
    niceness          added to the workers' nice value, so that the media tick goes first
    """

    models: Path | None = None
    recognizer: str | None = None
    smaller: str | None = None
    languages: tuple[str, ...] = ()
    voices: Mapping[str, str] = field(default_factory=dict)
    glossary: Path | None = None
    window: Literal["auto", "full"] = "auto"
    word_times: bool = True
    denoise: int = 0
    recognizer_beam: int | None = None
    translator_beam: int = 4
    compute_type: str = "auto"
    voice_peak: float = 0.5
    recognizer_workers: int = 1
    translator_workers: int = 1
    synthesizer_workers: int = 1
    most_at_once: int = 4
    longest_line: int = 32
    cache_bytes: int = 32_000_000
    when_busy: Literal["refuse", "smaller", "degrade"] = "refuse"
    hung_after_s: float = 10.0
    start_within_s: float = 60.0
    niceness: int = 10

    def workers(self, kind: EngineKind) -> int:
        """How many processes of `kind` run."""
        return {
            EngineKind.RECOGNIZER: self.recognizer_workers,
            EngineKind.TRANSLATOR: self.translator_workers,
            EngineKind.SYNTHESIZER: self.synthesizer_workers,
        }[kind]
