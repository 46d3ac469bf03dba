"""Recognition with the starter model, in this process."""

from __future__ import annotations

import json
import shutil
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.evaluate import Recording, normalized, padded, read_set, through_telephone
from kallglot_media.speech.models import Installed
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, EngineFailed, Pcm16, Recognizer, Transcript, Word
from kallglot_media.speech.whisper import WhisperRecognizer

pytestmark = pytest.mark.engines

RECORDINGS = Path(__file__).parents[1] / "data" / "speech"
SECONDS = np.arange(3 * RECOGNIZER_RATE_HZ) / RECOGNIZER_RATE_HZ


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {one.name: one for one in read_set(RECORDINGS)}


def known(recordings: dict[str, Recording], name: str = "heldout_de_129_e.wav") -> Recording:
    return recordings[name]


def melody() -> Pcm16:
    """Twelve plucked notes: hold music as a telephone sends it."""
    rng = np.random.default_rng(2)
    sound = np.zeros(len(SECONDS))
    for note in range(12):
        start = note * len(sound) // 12
        t = SECONDS[: len(sound) - start]
        hz = 220 * 2 ** (rng.integers(0, 24) / 12)
        sound[start:] += np.sin(2 * np.pi * hz * t) * np.exp(-3 * t)
    return np.asarray(sound / np.abs(sound).max() * 8000, dtype=np.int16)


def clicks() -> Pcm16:
    return np.asarray((np.random.default_rng(3).random(len(SECONDS)) < 0.0005) * 12_000, dtype=np.int16)


NOT_SPEECH = {
    "nothing": np.zeros(0, np.int16),
    "one sample": np.ones(1, np.int16),
    "silence": np.zeros(len(SECONDS), np.int16),
    "hiss": (np.random.default_rng(1).normal(0, 3000, len(SECONDS))).astype(np.int16),
    "dial tone": (np.sin(2 * np.pi * 425 * SECONDS) * 9000).astype(np.int16),
    "hum": (np.sign(np.sin(2 * np.pi * 50 * SECONDS)) * 3000).astype(np.int16),
    "key press": (np.sin(2 * np.pi * 770 * SECONDS) * 5000 + np.sin(2 * np.pi * 1336 * SECONDS) * 5000).astype(
        np.int16
    ),
    "clicks": clicks(),
    "hold music": melody(),
}


@pytest.mark.parametrize("language", ["de", "en", None])
@pytest.mark.parametrize("sound", NOT_SPEECH.values(), ids=NOT_SPEECH.keys())
def test_what_is_no_speech_has_no_words(recognizer: Recognizer, sound: Pcm16, language: str | None) -> None:
    heard = recognizer.transcribe(sound, language)
    assert (heard.text, heard.words) == ("", ())


def test_a_sentence_is_heard_through_the_telephone(recognizer: Recognizer, recordings: dict[str, Recording]) -> None:
    one = known(recordings)
    heard = recognizer.transcribe(through_telephone(padded(one.pcm)), "de")
    assert normalized(heard.text) == normalized(one.text)
    assert (heard.language, heard.language_prob) == ("de", 1.0)
    assert heard.confidence > 0.8


@pytest.mark.parametrize("name", ["heldout_de_129_e.wav", "heldout_en_75_p.wav"])
def test_the_language_is_detected(recognizer: Recognizer, recordings: dict[str, Recording], name: str) -> None:
    one = known(recordings, name)
    heard = recognizer.transcribe(through_telephone(padded(one.pcm)), None)
    assert (heard.language, normalized(heard.text)) == (one.language, normalized(one.text))
    assert heard.language_prob > 0.9


def test_detection_keeps_to_the_languages_of_the_call(starter: Installed, recordings: dict[str, Recording]) -> None:
    from kallglot_media.speech.whisper import WhisperRecognizer

    recognizer = WhisperRecognizer(starter.recognizer(None), SpeechSettings(languages=("en", "fi"), word_times=False))
    assert recognizer.transcribe(padded(known(recordings).pcm), None).language == "en"


def test_the_full_window_hears_the_same(starter: Installed, recordings: dict[str, Recording]) -> None:
    from kallglot_media.speech.whisper import WhisperRecognizer

    one = known(recordings)
    full = WhisperRecognizer(starter.recognizer(None), SpeechSettings(window="full", word_times=False))
    assert normalized(full.transcribe(padded(one.pcm), "de").text) == normalized(one.text)


def test_words_have_times_inside_the_sound(recognizer: Recognizer, recordings: dict[str, Recording]) -> None:
    one = known(recordings)
    sound = padded(one.pcm)
    words = recognizer.transcribe(sound, "de").words
    assert " ".join(word.text for word in words) == one.text
    starts = [word.start_ms for word in words]
    assert starts == sorted(starts)
    assert all(0 <= word.start_ms <= word.end_ms <= len(sound) // 16 + 20 for word in words)


def test_more_than_the_model_takes_at_once_is_heard_in_pieces(
    recognizer: Recognizer, recordings: dict[str, Recording]
) -> None:
    pause = np.zeros(RECOGNIZER_RATE_HZ // 2, dtype=np.int16)
    parts = [known(recordings), known(recordings, "heldout_de_45_e.wav")] * 2
    sound = np.concatenate([pause, *(sample for one in parts for sample in (one.pcm, pause))])
    assert len(sound) > 13 * RECOGNIZER_RATE_HZ
    heard = recognizer.transcribe(sound, "de")
    assert normalized(heard.text) == [word for one in parts for word in normalized(one.text)]
    assert heard.words[-1].end_ms > 12_000


def test_word_times_at_the_beginning_do_not_make_it_listen_again_and_again(
    starter: Installed, recordings: dict[str, Recording], monkeypatch: pytest.MonkeyPatch
) -> None:
    """Words of eight seconds that are all said to end at once."""
    recognizer = WhisperRecognizer(starter.recognizer(None), SpeechSettings())
    decoded: list[int] = []

    def misplaced(*_: object) -> tuple[Word, ...]:
        decoded.append(1)
        return (Word("Ja.", 0, 10, 1.0),)

    monkeypatch.setattr(recognizer, "_align", misplaced)
    pause = np.zeros(3 * RECOGNIZER_RATE_HZ, dtype=np.int16)
    recognizer.transcribe(np.concatenate([known(recordings).pcm, pause, known(recordings).pcm]), "de")
    assert len(decoded) == 1


@pytest.mark.parametrize(("set_to", "kept"), [(None, 4), (1, 1)])
def test_a_models_own_rules_say_how_many_hypotheses_are_kept(
    starter: Installed, tmp_path: Path, set_to: int | None, kept: int
) -> None:
    model = starter.recognizer(None)
    own = Path(shutil.copytree(model.path, tmp_path / "model"))
    (own / "kallglot.json").write_text('{"beam": 4}')
    settings = SpeechSettings(recognizer_beam=set_to)
    assert WhisperRecognizer(replace(model, path=own), settings)._beam == kept


def test_longer_texts_may_be_preferred_and_are_not_believed_more_for_it(
    starter: Installed, tmp_path: Path, recordings: dict[str, Recording]
) -> None:
    model = starter.recognizer(None)
    own = Path(shutil.copytree(model.path, tmp_path / "model"))
    rules = json.loads((own / "kallglot.json").read_text("utf-8"))
    heard = []
    for length_penalty in (1.0, 2.0):
        (own / "kallglot.json").write_text(json.dumps({**rules, "length_penalty": length_penalty}))
        recognizer = WhisperRecognizer(replace(model, path=own), SpeechSettings())
        heard.append(recognizer.transcribe(padded(known(recordings).pcm), "de"))
    assert heard[0].text == heard[1].text
    assert heard[0].confidence == pytest.approx(heard[1].confidence, abs=0.01)


def test_an_unknown_language_is_refused_by_name(recognizer: Recognizer, recordings: dict[str, Recording]) -> None:
    with pytest.raises(EngineFailed, match="Whisper has no language 'german'"):
        recognizer.transcribe(known(recordings).pcm, "german")


def test_a_wrong_guard_file_is_named(starter: Installed, tmp_path: Path) -> None:
    from kallglot_media.speech.whisper import WhisperRecognizer

    model = starter.recognizer(None)
    spoiled = Path(shutil.copytree(model.path, tmp_path / "model"))
    (spoiled / "kallglot.json").write_text('{"longest": 6}')
    with pytest.raises(SpeechSetupError, match=r"kallglot\.json: .*longest.*; correct it"):
        WhisperRecognizer(replace(model, path=spoiled), SpeechSettings())


def test_mel_bands_that_disagree_are_said(starter: Installed, tmp_path: Path) -> None:
    from kallglot_media.speech.whisper import WhisperRecognizer

    model = starter.recognizer(None)
    spoiled = Path(shutil.copytree(model.path, tmp_path / "model"))
    (spoiled / "preprocessor_config.json").write_text('{"feature_size": 128}')
    with pytest.raises(SpeechSetupError, match=r"asks for 128 mel bands .* the model takes 80"):
        WhisperRecognizer(replace(model, path=spoiled), SpeechSettings())


def test_several_at_once_are_heard_as_each_alone(
    recognizer: WhisperRecognizer, recordings: dict[str, Recording]
) -> None:
    """In both languages, one to be found out, one of silence, one with a prompt's worth of hints, one too long."""
    german, english = known(recordings), recordings["heldout_en_114_e.wav"]
    long = np.concatenate([padded(german.pcm)] * 3)
    requests: list[tuple[Any, ...]] = [
        (padded(german.pcm), "de"),
        (padded(english.pcm), None, None, (), (), ""),
        (np.zeros(16_000, np.int16), "de"),
        (padded(english.pcm), "en", None, (), ("Kallglot",), "Hello."),
        (long, "de"),
        (padded(german.pcm), "xx"),
    ]
    found = recognizer.transcribe_all(requests)
    alone = [recognizer.transcribe(*one) for one in requests[:5]]
    assert isinstance(found[5], EngineFailed)
    for together, single in zip(found, alone, strict=False):
        assert isinstance(together, Transcript)
        assert (together.text, together.language, together.guard) == (single.text, single.language, single.guard)
    assert [word.text for word in found[0].words] == [word.text for word in alone[0].words]  # type: ignore[union-attr]
