"""The shipped models, loaded once."""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import pytest

from kallglot_media.speech.models import MODELS_VARIABLE, Installed, find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import Recognizer, Synthesizer, Translator


@pytest.fixture(scope="session")
def starter() -> Installed:
    with pytest.MonkeyPatch.context() as patch:
        patch.delenv(MODELS_VARIABLE, raising=False)
        return find_models(SpeechSettings())


@pytest.fixture(scope="session")
def recognizer(starter: Installed) -> Recognizer:
    from kallglot_media.speech.whisper import WhisperRecognizer

    return WhisperRecognizer(starter.recognizer(None), SpeechSettings())


@pytest.fixture(scope="session")
def translator(starter: Installed) -> Translator:
    from kallglot_media.speech.argos import ArgosTranslator

    return ArgosTranslator(starter.packages(), SpeechSettings())


@pytest.fixture(scope="session")
def synthesizer(starter: Installed) -> Synthesizer:
    from kallglot_media.speech.piper import PiperSynthesizer

    return PiperSynthesizer(starter.voices(), SpeechSettings())
