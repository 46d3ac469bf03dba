"""Keys as tones: every key at every level, length and place in the frames; and no key in speech, noise and ringing."""

from __future__ import annotations

import json
from pathlib import Path

import numpy as np
import pytest

import kallglot_media.phone
from kallglot_media.audio.g711 import DECODERS, ENCODERS
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.tone_keys import FRAME_SAMPLES, HIGH_HZ, KEY_NAMES, KEYS, LOW_HZ, RATE_HZ, ToneKeys, look
from kallglot_media.audio.tones import TONES, Tone
from tests.support.waves import babble, read_mono, silence

UTTERANCES = Path(kallglot_media.phone.__file__).parent / "utterances"
ALL = "".join(KEYS)


def tone(key: str, ms: int, *, dbfs: float = -13.0, twist_db: float = 0.0, off: float = 0.0) -> Pcm16:
    """A key; dbfs: of each tone (a full-scale sine is -3); off: the share that the frequencies are wrong by."""
    row = next(index for index, keys in enumerate(KEYS) if key in keys)
    low_hz, high_hz = LOW_HZ[row], HIGH_HZ[KEYS[row].index(key)]
    at = np.arange(RATE_HZ * ms // 1000) / RATE_HZ
    peak = 32768 * 10 ** (dbfs / 20) * 2**0.5
    sound = np.sin(2 * np.pi * low_hz * (1 + off) * at)
    sound += 10 ** (twist_db / 20) * np.sin(2 * np.pi * high_hz * (1 + off) * at)
    return np.asarray(np.clip(peak * sound, -32768, 32767), np.int16)


def heard(sound: Pcm16) -> list[tuple[str, int]]:
    ears = ToneKeys()
    sound = np.concatenate([sound, silence(0.1)])
    frames = sound[: len(sound) // FRAME_SAMPLES * FRAME_SAMPLES].reshape(-1, FRAME_SAMPLES)
    looks = zip(*(found.tolist() for found in look(frames)), strict=True)
    return [key for place, share in looks if (key := ears.push(KEY_NAMES[place], share)) is not None]


def keys(sound: Pcm16) -> str:
    return "".join(key for key, _ in heard(sound))


@pytest.mark.parametrize("ms", [60, 80, 100, 240])
@pytest.mark.parametrize("shift", [0, 37, 80, 123])
def test_every_key_once_wherever_it_lies_in_the_frames(ms: int, shift: int) -> None:
    parts = [np.zeros(shift, np.int16)]
    for key in ALL:
        parts += [tone(key, ms), silence(0.06)]
    assert keys(np.concatenate(parts)) == ALL


def test_forty_milliseconds_are_enough_when_they_fill_two_frames() -> None:
    assert keys(np.concatenate([silence(0.02), tone("5", 40)])) == "5"


@pytest.mark.parametrize("dbfs", [-6.0, -20.0, -28.0])
@pytest.mark.parametrize("twist_db", [-8.0, 0.0, 8.0])
@pytest.mark.parametrize("law", ["PCMU", "PCMA"])
def test_quiet_loud_and_twisted_lines(dbfs: float, twist_db: float, law: str) -> None:
    sound = tone("7", 100, dbfs=dbfs - max(0.0, twist_db), twist_db=twist_db)
    coded = DECODERS[law](ENCODERS[law](sound))
    assert keys(coded) == "7"


@pytest.mark.parametrize("off", [-0.015, 0.015])
@pytest.mark.parametrize("key", ["1", "3", "D"])
def test_frequencies_that_are_a_little_off(key: str, off: float) -> None:
    assert keys(tone(key, 100, off=off)) == key


@pytest.mark.parametrize("off", [-0.04, 0.04])
def test_frequencies_that_are_of_no_key(off: float) -> None:
    assert keys(tone("A", 200, off=off)) == ""


def test_the_same_key_twice_and_a_drop_out_of_one_frame() -> None:
    assert keys(np.concatenate([tone("9", 80), silence(0.06), tone("9", 80)])) == "99"
    assert keys(np.concatenate([tone("9", 100), silence(0.02), tone("9", 100)])) == "9"
    assert keys(np.concatenate([tone("1", 100), tone("2", 100)])) == "12"


def test_how_long_it_was_held() -> None:
    ((key, ms),) = heard(np.concatenate([silence(0.02), tone("#", 200)]))
    assert key == "#"
    assert ms == pytest.approx(200, abs=20)


def test_a_key_with_noise_on_the_line() -> None:
    dice = np.random.default_rng(1)
    sound = np.concatenate([silence(0.05), tone("0", 120), silence(0.1)])
    assert keys(np.asarray(sound + dice.normal(0, 250, len(sound)), np.int16)) == "0"


def test_speech_is_no_key() -> None:
    names = [line["file"] for line in json.loads((UTTERANCES / "manifest.json").read_text("utf-8"))]
    assert names
    for name in names:
        pcm = read_mono(UTTERANCES / name)
        assert keys(pcm) == "", name
        assert keys(np.asarray(np.clip(pcm.astype(int) * 3, -32768, 32767), np.int16)) == "", f"{name}, too loud"


def test_noise_and_call_progress_tones_are_no_keys() -> None:
    assert keys(babble(60.0)) == ""
    dice = np.random.default_rng(2)
    assert keys(np.asarray(dice.normal(0, 3000, 60 * RATE_HZ), np.int16)) == ""
    for tones in TONES.values():
        for one in tones.values():
            assert keys(played(one)) == ""


def played(one: Tone) -> Pcm16:
    """A second of it."""
    at = np.arange(RATE_HZ) / RATE_HZ
    return np.asarray(4000 * sum(np.sin(2 * np.pi * hz * at) for hz in one.frequencies_hz), np.int16)


def test_one_tone_alone_is_no_key() -> None:
    for hz in LOW_HZ + HIGH_HZ:
        assert keys(played(Tone((hz,), (1000, 0)))) == ""
