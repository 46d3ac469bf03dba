"""An echo is known for what it is, over every way it may come back; another person is not taken for one."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt
import pytest

from kallglot_media.audio import g711
from kallglot_media.audio.own_voice import LOOK_MS, PLAYED_MS, OwnVoice, halve
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.resample import resample
from kallglot_media.audio.wav import read_wav

SPEECH = Path(__file__).parents[1] / "data" / "speech"
RATE_HZ = 8000
FRAME = 160
CHANCE = np.random.default_rng(5)


def speech(name: str, seconds: float = 3.0) -> npt.NDArray[np.float64]:
    """At −20 dBFS, repeated to its length."""
    pcm, rate_hz = read_wav((SPEECH / f"{name}.wav").read_bytes())
    sound = resample(pcm, rate_hz, RATE_HZ).astype(np.float64)
    active = np.sqrt(np.mean(sound[np.abs(sound) > 300] ** 2))
    return np.resize(sound * 3276.8 / active, int(seconds * RATE_HZ))


def law(sound: npt.NDArray[np.float64]) -> Pcm16:
    return g711.ulaw_decode(g711.ulaw_encode(np.clip(sound, -32768, 32767).astype(np.int16)))


def share(heard: Pcm16, told: Pcm16) -> float:
    """Of the frames with sound in them, how many are taken for our own voice."""
    guard = OwnVoice()
    look, kept = LOOK_MS * 4, PLAYED_MS * 4
    x = np.concatenate([np.zeros(look, np.int16), halve(heard)])
    p = np.concatenate([np.zeros(kept, np.int16), halve(told)])
    found = []
    for end in range(FRAME // 2, len(x) - look + 1, FRAME // 2):
        window = x[end : end + look]
        if np.abs(window[-FRAME // 2 :].astype(int)).max() > 100:
            found.append(guard.is_it(window, p[end - FRAME // 2 : end - FRAME // 2 + kept]))
    return float(np.mean(found)) if found else 0.0


def room() -> npt.NDArray[np.float64]:
    """The direct way and 50 ms of reflections."""
    taps = np.zeros(400)
    places = CHANCE.integers(4, 400, 60)
    taps[places] = CHANCE.normal(0, 0.25, 60) * np.exp(-places / 120)
    taps[0] = 1.0
    return taps


HYBRID = np.array([0.1, 0.4, 1.0, -0.6, 0.3, -0.15, 0.1, 0.05, -0.03, 0.02])


@pytest.mark.parametrize("way", ["loop", "hybrid", "room"])
@pytest.mark.parametrize(("delay_ms", "level_db"), [(40, 0.0), (180, -15.0), (400, -25.0), (700, -10.0)])
def test_an_echo_is_known(way: str, delay_ms: int, level_db: float) -> None:
    taps = {"loop": np.ones(1), "hybrid": HYBRID, "room": room()}[way]
    told = speech("heldout_en_27_p")
    delayed = np.concatenate([np.zeros(delay_ms * 8), told])[: len(told)]
    echo = np.convolve(delayed, taps)[: len(told)] * 10 ** (level_db / 20)
    heard = law(echo + CHANCE.normal(0, 8, len(echo)))
    assert share(heard, told.astype(np.int16)) > 0.95


@pytest.mark.parametrize(
    ("talker", "told"),
    [
        ("heldout_de_45_e", "heldout_en_27_p"),
        ("heldout_de_105_p", "heldout_de_120_p"),
        ("heldout_en_48_p", "heldout_en_36_p"),
        ("heldout_en_84_e", "heldout_en_96_e"),
    ],
)
def test_another_person_is_not_an_echo(talker: str, told: str) -> None:
    assert share(law(speech(talker)), speech(told).astype(np.int16)) < 0.1


def test_a_person_is_heard_over_the_echo() -> None:
    told = speech("heldout_en_27_p")
    echo = 0.18 * np.concatenate([np.zeros(1440), told])[: len(told)]
    person = speech("heldout_de_45_e")
    loud = np.convolve(np.abs(person), np.ones(800) / 800, "same") > 1500
    both = law(np.where(loud, person + echo, 0))  # where the person really speaks
    assert share(both, told.astype(np.int16)) < 0.15


def test_silence_is_no_echo_and_nothing_echoes_from_silence() -> None:
    sound = speech("heldout_en_27_p").astype(np.int16)
    assert share(np.zeros_like(sound), sound) == 0
    assert share(law(sound.astype(np.float64)), np.zeros_like(sound)) == 0
