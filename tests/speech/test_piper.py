"""Synthesis with the starter voices, in this process."""

from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.evaluate import heard_back
from kallglot_media.speech.models import Installed
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import Recognizer, Synthesizer, UnknownVoice

pytestmark = pytest.mark.engines


@pytest.mark.parametrize("language", ["de", "en", "es", "fr"])
def test_every_shipped_language_speaks(synthesizer: Synthesizer, language: str) -> None:
    speech = synthesizer.synthesize("Paris. 1, 2, 3.", language, None)
    assert speech.pcm.dtype == np.int16
    assert len(speech.pcm) > speech.rate_hz
    assert np.abs(speech.pcm.astype(int)).max() <= 0.5 * 32768


def test_it_starts_speaking_at_once(synthesizer: Synthesizer) -> None:
    speech = synthesizer.synthesize("I live in Paris.", "en", None)
    assert np.flatnonzero(np.abs(speech.pcm) > 164)[0] <= speech.rate_hz * 20 // 1000


@pytest.mark.parametrize("text", ["", " ", "\n", "…", "[[", "[[a]]", "😀"])
def test_odd_texts_do_no_harm(synthesizer: Synthesizer, text: str) -> None:
    assert synthesizer.synthesize(text, "de", None).pcm.dtype == np.int16


def test_nothing_to_say_is_no_sound(synthesizer: Synthesizer) -> None:
    assert len(synthesizer.synthesize("", "de", None).pcm) == 0


def test_phonemes_in_brackets_are_read_out_not_obeyed(synthesizer: Synthesizer) -> None:
    obeyed = synthesizer.synthesize("( aaa )", "de", None)
    assert np.array_equal(synthesizer.synthesize("[[ aaa ]]", "de", None).pcm, obeyed.pcm)


def test_a_voice_by_name(synthesizer: Synthesizer) -> None:
    named = synthesizer.synthesize("Paris", "de", "fr_FR-diphone-x_low")
    french = synthesizer.synthesize("Paris", "fr", None)
    assert np.array_equal(named.pcm, french.pcm)


@pytest.mark.parametrize(("language", "voice"), [("fi", None), ("de", "nobody")])
def test_a_missing_voice_names_what_is_there(synthesizer: Synthesizer, language: str, voice: str | None) -> None:
    with pytest.raises(UnknownVoice, match=r"installed: de_DE-diphone-x_low, .*; put its \.onnx"):
        synthesizer.synthesize("Paris", language, voice)


def test_a_default_that_is_not_installed_stops_the_start(starter: Installed) -> None:
    with pytest.raises(
        SpeechSetupError, match=r"speech\.synthesizer\.voices\.de: no voice 'thorsten'; write one of de_DE"
    ):
        PiperSynthesizer(starter.voices(), SpeechSettings(voices={"de": "thorsten"}))


def test_what_it_says_can_be_heard(synthesizer: Synthesizer, recognizer: Recognizer) -> None:
    errors, _ = heard_back(synthesizer, recognizer, ["Ich wohne in Paris.", "Ich brauche eine SIM-Karte."], "de")
    assert errors == 0.0
