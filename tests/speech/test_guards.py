"""Nothing is understood where nobody spoke; and what a recogniser makes up is not believed."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kallglot_media.audio.tones import tone
from kallglot_media.speech.evaluate import padded, read_set, through_telephone
from kallglot_media.speech.inventions import goes_in_circles, is_invented
from kallglot_media.speech.recognizer_rules import Guards
from kallglot_media.speech.types import Pcm16, Recognizer
from kallglot_media.speech.voice import voiced_ms
from kallglot_media.speech.whisper import WhisperRecognizer

RATE_HZ = 16_000
SECONDS = 12
RECORDINGS = Path(__file__).parents[1] / "data" / "speech"


Wave = npt.NDArray[np.float64]


def loud(sound: Wave) -> Pcm16:
    return np.asarray(np.clip(sound / np.abs(sound).max() * 8000, -32768, 32767), np.int16)


def sum_of(waves: Iterable[Wave]) -> Wave:
    return np.asarray(np.sum(list(waves), axis=0), np.float64)


def sines(*hz: float, on_s: float, off_s: float) -> Pcm16:
    at = np.arange(SECONDS * RATE_HZ) / RATE_HZ
    return loud(sum_of(np.sin(2 * np.pi * one * at) for one in hz) * (at % (on_s + off_s) < on_s))


def music() -> Pcm16:
    """Plucked chords over a bass, with rhythm: webrtcvad takes it for speech."""
    made = np.zeros((SECONDS + 2) * RATE_HZ)
    for beat in range(4 * SECONDS):
        at = np.arange(RATE_HZ) / RATE_HZ
        root = 220 * 2 ** ([0, 5, 7, 3][beat // 8 % 4] / 12)
        note = root * [1, 1.25, 1.5, 2, 1.5, 1.25][beat % 6]
        pluck = sum_of(np.sin(2 * np.pi * f * k * at) / k for f in (note, root / 2) for k in range(1, 7)) * np.exp(
            -5 * at
        )
        made[beat * RATE_HZ // 4 :][: len(pluck)] += pluck
    return loud(made[: SECONDS * RATE_HZ])


def noise(colour: float, *, gusts: bool) -> Pcm16:
    """1/f**colour noise, even or in gusts of a second."""
    rng = np.random.default_rng(5)
    spectrum = np.fft.rfft(rng.normal(size=SECONDS * RATE_HZ))
    shaped = np.fft.irfft(spectrum / np.maximum(1, np.arange(len(spectrum))) ** (colour / 2))
    at = np.arange(len(shaped)) / RATE_HZ
    return loud(shaped * (np.maximum(0, np.sin(2 * np.pi * at)) ** 2 if gusts else 1))


NOBODY: dict[str, Pcm16] = {
    "silence": np.zeros(SECONDS * RATE_HZ, np.int16),
    "white noise": noise(0, gusts=False),
    "white noise in gusts": noise(0, gusts=True),
    "pink noise in gusts": noise(1, gusts=True),
    "brown noise in gusts": noise(2, gusts=True),
    "music": music(),
    "ringback": np.repeat(np.resize(tone("ringback", 8000), SECONDS * 8000), 2),
    "busy": np.repeat(np.resize(tone("busy", 8000), SECONDS * 8000), 2),
    "fax calling": sines(1100, on_s=0.5, off_s=3.0),
    "fax answering": sines(2100, on_s=2.6, off_s=0.2),
    "keys": sines(770, 1336, on_s=0.12, off_s=0.1),
    "one vowel": loud(
        sum_of(
            np.sin(2 * np.pi * 120 * k * np.arange(SECONDS * RATE_HZ) / RATE_HZ) / (1 + abs(k - 5))
            for k in range(1, 28)
        )
    ),
}


@pytest.mark.engines
@pytest.mark.parametrize("name", NOBODY)
@pytest.mark.parametrize("path", ["16 kHz", "telephone"])
def test_nothing_is_understood_where_nobody_spoke(recognizer: Recognizer, name: str, path: str) -> None:
    sound = NOBODY[name] if path == "16 kHz" else through_telephone(NOBODY[name])
    assert voiced_ms(sound) < Guards().least_voice_ms
    heard = recognizer.transcribe(sound, None)
    assert heard.text == ""
    assert heard.guard


@pytest.mark.engines
def test_everybody_in_the_recordings_is_somebody_however_soft_or_loud() -> None:
    for one in read_set(RECORDINGS):
        for gain, least_ms in ((0.05, 300), (1.0, 300), (4.0, 300), (20.0, Guards().least_voice_ms)):
            sound = np.clip(one.pcm * gain, -32768, 32767).astype(np.int16)
            assert voiced_ms(through_telephone(padded(sound))) >= least_ms, (one.name, gain)


def test_the_sound_that_is_asked_about_stays_as_it_is() -> None:
    sound = noise(1, gusts=True)
    before = sound.copy()
    voiced_ms(sound)
    assert np.array_equal(sound, before), "the model zeroes the end of what it is given"
    assert voiced_ms(np.zeros(0, np.int16)) == 0


@pytest.mark.parametrize(
    ("text", "language", "no_speech_prob", "invented"),
    [
        ("Thanks for watching!", "en", 0.0, True),
        ("Untertitel der Amara.org-Community", "de", 0.0, True),
        ("Untertitelung im Auftrag des ZDF, 2021", "de", 0.0, True),
        ("Sous-titres réalisés par la communauté d'Amara.org", "fr", 0.1, True),
        ("Thank you.", "en", 0.1, False),
        ("Thank you.", "en", 0.6, True),
        ("Thanks for watching my dog.", "en", 0.9, False),
        ("Vielen Dank.", "de", 0.2, False),
    ],
)
def test_known_inventions(text: str, language: str, no_speech_prob: float, invented: bool) -> None:
    assert is_invented(text, language, no_speech_prob) is invented


@pytest.mark.parametrize(
    ("text", "circles"),
    [
        ("no no no no no no no", True),
        ("und dann und dann und dann und dann und dann und dann", True),
        ("die Nummer ist acht acht acht acht acht acht", False),
        ("one one one one one one one", False),
        ("nein nein nein, das geht nicht", False),
        ("", False),
    ],
)
def test_a_decoder_that_goes_in_circles(text: str, circles: bool) -> None:
    assert goes_in_circles(text) is circles


@pytest.mark.engines
def test_somebody_who_spoke_german_so_far_must_be_clearly_english(recognizer: WhisperRecognizer) -> None:
    english = next(one for one in read_set(RECORDINGS) if one.language == "en")
    sound = through_telephone(padded(english.pcm))
    assert recognizer.transcribe(sound, None, "de", ("de", "en")).language == "en"
    short = sound[: RATE_HZ // 2]
    assert recognizer.transcribe(short, None, "de", ("de", "en")).language == "de"
    assert recognizer.transcribe(sound, None, "de", ("de",)).language == "de"
