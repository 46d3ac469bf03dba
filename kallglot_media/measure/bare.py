"""A set through the bare engines: what they make of the recordings where no call is in between."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.call.listening import Listening
from kallglot_media.measure.outcome import Outcome
from kallglot_media.measure.samples import Sample
from kallglot_media.media.messages import SpeechGrew
from kallglot_media.modes.policy import TURN_BY_TURN, Policy
from kallglot_media.phone.match import sound_end
from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.evaluate import padded, through_telephone
from kallglot_media.speech.models import find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ
from kallglot_media.speech.whisper import WhisperRecognizer


@dataclass(frozen=True, slots=True)
class Engines:
    """A recogniser and a translator in this process."""

    recognizer: WhisperRecognizer
    translator: ArgosTranslator

    @classmethod
    def load(cls, settings: SpeechSettings) -> Engines:
        """Those that a server with these settings uses. Raises SetupError."""
        models = find_models(settings)
        return cls(
            WhisperRecognizer(models.recognizer(settings.recognizer), settings),
            ArgosTranslator(models.packages(), settings),
        )


def hear_bare(samples: Sequence[Sample], engines: Engines) -> list[Outcome]:
    """Each sample through the telephone's codec, recognised as a whole, translated as a whole."""
    outcomes = []
    for sample in samples:
        sound = through_telephone(padded(sample.pcm))
        heard = engines.recognizer.transcribe(sound, sample.language)
        made, took_ms = "", heard.engine_ms
        if heard.text:
            translation = engines.translator.translate(heard.text, sample.language, sample.target)
            made, took_ms = translation.text, took_ms + translation.engine_ms
        source_ms = np.ptp(speech_span_ms(sample.pcm, RECOGNIZER_RATE_HZ)).item()
        shown = (*growing(engines.recognizer, sound, sample.language), heard.text)
        outcomes.append(
            Outcome(sample, heard.text, made, (source_ms + took_ms,) * len(made.split()), source_ms, shown=shown)
        )
    return outcomes


def growing(recognizer: WhisperRecognizer, pcm: Pcm16, language: str, policy: Policy = TURN_BY_TURN) -> tuple[str, ...]:
    """What a reader of partial transcripts sees while this is said, with the code of a call."""
    listening = Listening(policy)
    step = policy.partial_ms * RECOGNIZER_RATE_HZ // 1000
    passed_on: list[str] = []
    shown: list[str] = []
    for at in range(0, len(pcm), step):
        piece = pcm[at : at + step]
        listening.grow(SpeechGrew("", piece.tobytes(), RECOGNIZER_RATE_HZ, at, at + len(piece), False))
        snapshot = listening.sound()
        if snapshot is None:
            continue
        heard = listening.heard(snapshot, recognizer.transcribe(snapshot.pcm, language))
        if heard is not None:
            passed_on += [heard.clause.transcript.text] if heard.clause is not None else []
            shown.append(" ".join([*passed_on, heard.text]).strip())
    return tuple(shown)


def speech_span_ms(pcm: Pcm16, rate_hz: int) -> tuple[float, float]:
    """From where to where somebody is loud in a recording."""
    return (
        1000 * (len(pcm) - sound_end(pcm[::-1], rate_hz)) / rate_hz,
        1000 * sound_end(pcm, rate_hz) / rate_hz,
    )
