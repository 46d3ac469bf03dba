"""Sentences for phones to say, made with the starter voices: the starter recogniser knows them."""

from __future__ import annotations

from functools import lru_cache

import numpy as np

from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from tests.support.waves import RATE_HZ, Pcm16, to_rate


@lru_cache
def _speaker() -> PiperSynthesizer:
    settings = SpeechSettings()
    return PiperSynthesizer(find_models(settings).voices(), settings)


@lru_cache(maxsize=64)
def _said(text: str, language: str) -> bytes:
    made = _speaker().synthesize(text, language, None)
    return to_rate(made.pcm, made.rate_hz, RATE_HZ).tobytes()


def said(text: str, language: str) -> Pcm16:
    """`text` spoken, 8 kHz."""
    return np.frombuffer(_said(text, language), np.int16)
