"""What the interop tests share: the demo's sentences, and text that can be compared."""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

import kallglot_media.phone
from kallglot_media.speech.models import find_models
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.whisper import WhisperRecognizer
from tests.support.recognise import Ear
from tests.support.waves import Pcm16, read_mono

UTTERANCES = Path(kallglot_media.phone.__file__).parent / "utterances"


@dataclass(frozen=True, slots=True)
class Sentence:
    """A recorded sentence that the starter models know."""

    speaker: str
    language: str
    text: str
    translation: str
    pcm: Pcm16


@pytest.fixture(scope="session")
def sentences() -> list[Sentence]:
    """The demo's sentences in their order: customer and agent in turn."""
    return [
        Sentence(
            speaker=line["speaker"],
            language=line["language"],
            text=line["text"],
            translation=line["translation"],
            pcm=read_mono(UTTERANCES / line["file"]),
        )
        for line in json.loads((UTTERANCES / "manifest.json").read_text("utf-8"))
    ]


@pytest.fixture(scope="session")
def ear() -> Ear:
    """The starter recogniser, in this process."""
    settings = SpeechSettings()
    return Ear(WhisperRecognizer(find_models(settings).recognizer(None), settings))
