"""Synthesis with the starter voices, in this process."""

from __future__ import annotations

from collections.abc import Iterator
from itertools import pairwise
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
from piper import SynthesisConfig
from piper.voice import AudioChunk, PiperVoice

from kallglot_media.config.answering import VOICES
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.evaluate import heard_back
from kallglot_media.speech.models import Installed
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.speakers import PRESETS, voice_and_speaker, with_speaker
from kallglot_media.speech.types import EngineFailed, Pcm16, Recognizer, Speech, Synthesizer, UnknownVoice

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


# ── speakers ─────────────────────────────────────────────────────────────────────


def test_names_of_voices_and_speakers() -> None:
    assert voice_and_speaker("de_DE-mls-medium#17") == ("de_DE-mls-medium", "17")
    assert voice_and_speaker("#nova") == (None, "nova")
    assert voice_and_speaker(None) == voice_and_speaker("") == (None, None)
    assert with_speaker(None, "nova") == "#nova"
    assert with_speaker("mls#3", "nova") == "mls#3"
    assert set(PRESETS) == set(VOICES)


def pitch_hz(speech: Speech) -> float:
    """Where its low sound is most like itself a little later."""
    sound = speech.pcm.astype(np.float64)
    spectrum = np.fft.rfft(sound, 2 * len(sound))
    spectrum[np.fft.rfftfreq(2 * len(sound), 1 / speech.rate_hz) > 900] = 0
    likeness = np.fft.irfft(np.abs(spectrum) ** 2)
    shortest = speech.rate_hz // 350
    return speech.rate_hz / (shortest + int(np.argmax(likeness[shortest : speech.rate_hz // 60])))


@pytest.mark.parametrize("language", ["de", "en", "es", "fr"])
def test_the_six_speakers_of_a_starter_voice_differ(synthesizer: Synthesizer, language: str) -> None:
    text = {
        "de": "Wir wohnen da.",
        "en": "We are alone now.",
        "es": "Ahora vamos a la luna.",
        "fr": "Vous allez à Lyon.",
    }
    pitches = sorted(pitch_hz(synthesizer.synthesize(text[language], language, f"#{name}")) for name in VOICES)
    assert min(b / a for a, b in pairwise(pitches)) > 1.05, pitches


def test_a_speaker_that_nobody_knows_is_answered_with_those_there_are(synthesizer: Synthesizer) -> None:
    with pytest.raises(UnknownVoice, match=r"no speaker 'tenor' \(it has alloy, .*shimmer\); write one"):
        synthesizer.synthesize("Ja.", "de", "#tenor")
    numbered = synthesizer.synthesize("Ja.", "de", "de_DE-diphone-x_low#4")
    assert np.array_equal(numbered.pcm, synthesizer.synthesize("Ja.", "de", "#nova").pcm)


def test_a_voice_without_speakers_is_shaped_for_each_of_the_six(starter: Installed) -> None:
    """120 Hz and its overtones in place of a voice with one speaker."""
    engine = PiperSynthesizer(starter.voices(), SpeechSettings())
    at = np.arange(16_000) / 16_000
    tone = np.asarray(sum(np.sin(2 * np.pi * 120 * k * at) / k for k in range(1, 12)) * 4000).astype(np.int16)

    def synthesize(text: str, how: Any) -> list[SimpleNamespace]:
        assert how.speaker_id is None
        return [SimpleNamespace(audio_float_array=tone / 32768, audio_int16_array=tone)]

    config = SimpleNamespace(sample_rate=16_000, num_speakers=1, speaker_id_map={})
    engine._voices["de_DE-diphone-x_low"] = SimpleNamespace(config=config, synthesize=synthesize)  # type: ignore[assignment]
    for name, (pitch, speed) in PRESETS.items():
        speech = engine.synthesize("Ja.", "de", f"#{name}")
        middle = Speech(speech.pcm[2000:6000], speech.rate_hz, 0.0)
        assert pitch_hz(middle) == pytest.approx(120 * pitch, rel=0.03), name
        assert len(speech.pcm) / speech.rate_hz == pytest.approx(1 / speed, rel=0.05), name


# ── the graph of the starter voices ──────────────────────────────────────────────


def said(engine: Synthesizer, text: str, **how: float) -> Pcm16:
    assert isinstance(engine, PiperSynthesizer)
    voice = engine._voices["de_DE-diphone-x_low"]
    chunks = voice.synthesize(text, SynthesisConfig(speaker_id=0, **how))  # type: ignore[arg-type]
    return np.concatenate([chunk.audio_int16_array for chunk in chunks])


@pytest.mark.parametrize("scale", [0.7, 1.5])
def test_length_scale_makes_it_longer_and_not_lower(synthesizer: Synthesizer, scale: float) -> None:
    plain, scaled = (said(synthesizer, "Wir wohnen da.", length_scale=one) for one in (1.0, scale))
    assert len(scaled) == pytest.approx(len(plain) * scale, rel=0.05)
    plain_hz, scaled_hz = (pitch_hz(Speech(one, 16_000, 0.0)) for one in (plain, scaled))
    assert scaled_hz == pytest.approx(plain_hz, rel=0.06)


def test_a_question_ends_higher_than_a_statement(synthesizer: Synthesizer) -> None:
    ends = [
        pitch_hz(Speech(said(synthesizer, text)[-5000:-1000], 16_000, 0.0))
        for text in ("Sie wohnen da.", "Sie wohnen da?")
    ]
    assert ends[1] > 1.25 * ends[0]


def test_a_voice_that_makes_no_numbers_fails_and_is_not_played(
    starter: Installed, monkeypatch: pytest.MonkeyPatch
) -> None:
    synthesizer = PiperSynthesizer(starter.voices(), SpeechSettings())
    assert synthesizer.synthesize("Ja.", "de", None).pcm.any()
    sound = PiperVoice.synthesize

    def broken(voice: PiperVoice, *args: Any) -> Iterator[AudioChunk]:
        for chunk in sound(voice, *args):
            chunk.audio_float_array[5] = np.nan
            yield chunk

    monkeypatch.setattr(PiperVoice, "synthesize", broken)
    with pytest.raises(EngineFailed, match="numbers that are none"):
        synthesizer.synthesize("Ja.", "de", None)
