"""Sounds that no recogniser likes: what comes of them is words that were said, or nothing, and always an answer."""

from __future__ import annotations

from itertools import pairwise
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kallglot_media.speech.evaluate import Recording, normalized, padded, read_set, through_telephone
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16, Recognizer
from kallglot_media.speech.whisper import LEAST_TOKENS, TOKENS_PER_S, WhisperRecognizer

pytestmark = pytest.mark.engines

RECORDINGS = Path(__file__).parents[1] / "data" / "speech"
NAMES = ("heldout_de_129_e.wav", "heldout_de_174_p.wav", "heldout_en_114_e.wav")
IN_A_CALL = (("de", "en"), (), "")
"""What a recogniser is told besides the usual language: the call's two languages, no terms, nothing said before."""


@pytest.fixture(scope="module")
def recordings() -> dict[str, Recording]:
    return {one.name: one for one in read_set(RECORDINGS)}


def as_pcm(sound: npt.NDArray[np.floating]) -> Pcm16:
    return np.clip(np.round(sound), -32768, 32767).astype(np.int16)


def whispered(pcm: Pcm16) -> Pcm16:
    """The same mouth without vocal cords: the spectrum's shape with random phases."""
    chance, window = np.random.default_rng(0), np.hanning(512)
    out = np.zeros(len(pcm) + 512)
    for at in range(0, len(pcm) - 512, 128):
        shape = np.convolve(np.abs(np.fft.rfft(pcm[at : at + 512] * window)), np.ones(9) / 9, "same")
        out[at : at + 512] += np.fft.irfft(shape * np.exp(2j * np.pi * chance.random(len(shape)))) * window
    return as_pcm(out[: len(pcm)] * 0.6)


def clipped(pcm: Pcm16) -> Pcm16:
    """A microphone that is 30 times too loud."""
    return as_pcm(pcm.astype(np.float64) * 30)


def badly_connected(pcm: Pcm16) -> Pcm16:
    """Coded twice, 300 to 3400 Hz, eight bits, and every twelfth frame is the one before again: a bad GSM leg."""
    sound = through_telephone(through_telephone(pcm)).astype(np.float64)
    spectrum, hz = np.fft.rfft(sound), np.fft.rfftfreq(len(sound), 1 / RECOGNIZER_RATE_HZ)
    spectrum[(hz < 300) | (hz > 3400)] = 0
    sound = np.fft.irfft(spectrum, len(sound))
    for at in range(320 * 12, len(sound) - 320, 320 * 12):
        sound[at : at + 320] = sound[at - 320 : at] * 0.7
    return as_pcm(np.round(sound / 256) * 256)


@pytest.mark.parametrize("spoil", [whispered, badly_connected], ids=lambda spoil: spoil.__name__)
@pytest.mark.parametrize("name", NAMES)
def test_what_is_hard_to_hear_is_heard(
    recognizer: WhisperRecognizer, recordings: dict[str, Recording], name: str, spoil: object
) -> None:
    one = recordings[name]
    assert callable(spoil)
    heard = recognizer.transcribe(through_telephone(padded(spoil(one.pcm))), None, one.language, *IN_A_CALL)
    assert normalized(heard.text) == normalized(one.text)


@pytest.mark.parametrize("name", NAMES)
def test_what_is_clipped_to_pieces_is_in_the_speakers_language_or_nothing(
    recognizer: WhisperRecognizer, recordings: dict[str, Recording], name: str
) -> None:
    one = recordings[name]
    heard = recognizer.transcribe(through_telephone(padded(clipped(one.pcm))), one.language)
    assert heard.language == one.language
    assert heard.text or heard.guard


def test_ten_people_at_once_are_no_endless_text(
    recognizer: WhisperRecognizer, recordings: dict[str, Recording]
) -> None:
    everybody = list(recordings.values())[::3][:10]
    length = max(len(one.pcm) for one in everybody)
    crowd = as_pcm(np.sum([np.pad(one.pcm, (0, length - len(one.pcm))) for one in everybody], axis=0) / 4)
    heard = recognizer.transcribe(crowd, None, "de", *IN_A_CALL)
    assert heard.language in ("de", "en")
    assert len(heard.text.split()) <= LEAST_TOKENS + TOKENS_PER_S * length / RECOGNIZER_RATE_HZ


def test_three_hundred_words_without_a_pause_are_heard_in_pieces(
    recognizer: WhisperRecognizer, recordings: dict[str, Recording]
) -> None:
    parts: list[Pcm16] = []
    words = 0
    for one in [each for each in recordings.values() if each.language == "de"] * 5:
        loud = np.flatnonzero(np.abs(one.pcm.astype(np.int32)) > 300)
        parts.append(one.pcm[loud[0] : loud[-1]])
        words += len(one.text.split())
        if words >= 300:
            break
    assert words >= 300
    heard = recognizer.transcribe(np.concatenate(parts), "de")
    assert 30 < len(heard.words) < 450
    assert all(one.start_ms <= two.start_ms for one, two in pairwise(heard.words))
    assert heard.words[-1].end_ms > 60_000, "it was heard to the end"


def test_two_languages_in_one_breath_are_one_of_them(
    recognizer: WhisperRecognizer, recordings: dict[str, Recording]
) -> None:
    both = np.concatenate([padded(recordings[name].pcm) for name in (NAMES[0], NAMES[2])])
    heard = recognizer.transcribe(both, None, "de", *IN_A_CALL)
    assert heard.language in ("de", "en")
    said = normalized(recordings[NAMES[0]].text + " " + recordings[NAMES[2]].text)
    assert set(normalized(heard.text)) <= set(said)


@pytest.mark.parametrize("samples", [0, 1, 160, 400, 1600])
def test_hardly_any_sound_is_nothing(recognizer: Recognizer, samples: int) -> None:
    heard = recognizer.transcribe(np.zeros(samples, np.int16), "de")
    assert (heard.text, heard.guard) == ("", "quiet")


def test_a_minute_of_one_vowel_is_no_word(recognizer: Recognizer, recordings: dict[str, Recording]) -> None:
    """A synthetic one, and a piece of a voice repeated."""
    at_s = np.arange(60 * RECOGNIZER_RATE_HZ) / RECOGNIZER_RATE_HZ
    vowel = sum(np.sin(2 * np.pi * 120 * k * at_s) / (1 + abs(k - 5)) for k in range(1, 28))
    voice = np.resize(recordings[NAMES[0]].pcm[9000:10_333], len(at_s))
    for sound in (as_pcm(3000 * np.asarray(vowel)), voice):
        heard = recognizer.transcribe(through_telephone(sound), "de")
        assert (heard.text, bool(heard.guard)) == ("", True)
