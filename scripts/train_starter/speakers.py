"""Voices that are free to be copied: espeak-ng's variants, flite's, Pico's, and the diphone voices of the package.

Some are held out: nothing is trained on them. The recordings in tests/data/speech are by espeak-ng's Linda, Michael and
Andy, which are held out, and by Pico's German and American voice, which are not: it has one voice a language.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import io
import random
import subprocess
import wave
from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr
from piper import PiperVoice

from train_starter.mix import FULL, Mix

RATE_HZ = 16_000
Pcm16 = npt.NDArray[np.int16]

HELD_OUT_VARIANTS = ("linda", "Michael", "Andy", "f4", "m5", "Mike")
# fmt: off
VARIANTS = (
    "Alex", "Alicia", "Andrea", "Annie", "Denis", "Diogo", "Gene", "Henrique", "Hugo", "Jacky", "Lee", "Marco",
    "Mario", "Nguyen", "adam", "anika", "antonio", "aunty", "belinda", "benjamin", "boris", "caleb", "david", "ed",
    "edward", "f1", "f2", "f3", "f5", "grandma", "grandpa", "iven", "john", "kaukovalta", "m1", "m2", "m3", "m4",
    "m6", "m7", "m8", "marcelo", "max", "miguel", "norbert", "pablo", "paul", "pedro", "quincy", "rob", "robert",
    "sandro", "shelby", "steph", "travis", "victor", "zac",
)
# fmt: on
ACCENTS = {
    "de": ("de",),
    "en": ("en-us", "en-us", "en", "en-gb-x-rp", "en-gb-scotland"),
    "es": ("es", "es-419"),
    "fr": ("fr", "fr-be", "fr-ch"),
}
HELD_OUT_FLITE = ("rms",)
FLITE = ("slt", "awb", "kal16")
FLITE_SHARE = 0.25
PICO = {"de": "de-DE", "en": "en-US", "es": "es-ES", "fr": "fr-FR"}
HELD_OUT_PICO = ("en-GB",)
PICO_SHARE = 0.25
PICO_PACE, PICO_PITCH = (0.85, 1.2), (0.85, 1.2)
FURTHER_PITCH = (0.92, 1.1)
HEADS = (0.88, 1.14)
HEADS_SHARE = 0.6
"""So many lines are said by somebody whose throat is shorter or longer than that of the voice, by so much: there are
few voices, and most languages have one that is not espeak-ng's."""


@dataclass(frozen=True, slots=True)
class Voice:
    """engine: espeak, flite, pico, diphone or piper; name as the engine calls it; pace and pitch: 1.0 is as it is.

    head: of what size, 1.0 is as it is; of a greater one pitch and formants are lower, at the same pace
    """

    engine: str
    name: str
    pace: float = 1.0
    pitch: float = 1.0
    head: float = 1.0

    @property
    def speaker(self) -> str:
        """Who it is, however fast: by this the split is made."""
        return f"{self.engine}:{Path(self.name.split('+')[-1]).name}"


@dataclass(frozen=True, slots=True)
class Said:
    """Speech, and where each word of the text and each of its phones starts: empty where the engine does not tell."""

    pcm: Pcm16
    word_starts_ms: tuple[int, ...] = ()
    phones: tuple[tuple[str, int], ...] = ()


def trained_voice(rng: random.Random, language: str, mix: Mix = FULL) -> Voice:
    """A voice to train on."""
    voice = _voice(rng, language, mix)
    return replace(voice, head=rng.uniform(*HEADS)) if rng.random() < HEADS_SHARE else voice


def _voice(rng: random.Random, language: str, mix: Mix) -> Voice:
    further = [path for path in mix.further_voices if Path(path).name.lower().startswith(language)]
    if further and rng.random() < mix.further:
        return Voice("piper", rng.choice(further), pitch=rng.uniform(*FURTHER_PITCH))
    if rng.random() < PICO_SHARE:
        return Voice("pico", PICO[language], rng.uniform(*PICO_PACE), rng.uniform(*PICO_PITCH))
    chance = rng.random()
    if language == "en" and chance < FLITE_SHARE:
        return Voice("flite", rng.choice(FLITE), pace=rng.uniform(0.85, 1.2))
    if chance > 1 - mix.diphone:
        return Voice("diphone", language)
    name = f"{rng.choice(ACCENTS[language])}+{rng.choice(VARIANTS[:: len(VARIANTS) // mix.variants])}"
    pace, pitch = rng.uniform(1 - mix.pace, 1 + mix.pace), rng.uniform(1 - mix.pitch, 1 + mix.pitch)
    return Voice("espeak", name, pace, pitch)


def held_out_voice(rng: random.Random, language: str) -> Voice:
    """A voice to judge with."""
    if language == "en" and rng.random() < 0.3:
        return Voice("flite", rng.choice(HELD_OUT_FLITE))
    if language == "en" and rng.random() < 0.2:
        return Voice("pico", rng.choice(HELD_OUT_PICO))
    return Voice("espeak", f"{ACCENTS[language][0]}+{rng.choice(HELD_OUT_VARIANTS)}", rng.uniform(0.9, 1.1))


def speak(text: str, language: str, voice: Voice) -> Said:
    """`text` in that voice, 16 kHz."""
    said = _ENGINES[voice.engine](text, language, replace(voice, pace=voice.pace * voice.head))
    return said if voice.head == 1.0 else with_head(said, voice.head)


def with_head(said: Said, size: float) -> Said:
    """Played `size` times slower: pitch and formants fall together, as they do from a child to a man."""
    pcm = np.asarray(soxr.resample(said.pcm, RATE_HZ, RATE_HZ * size), dtype=np.int16)
    phones = tuple((name, round(start * size)) for name, start in said.phones)
    return Said(pcm, tuple(round(start * size) for start in said.word_starts_ms), phones)


def _espeak(text: str, _language: str, voice: Voice) -> Said:
    pcm, rate_hz, starts, phones = _library().say(text, voice)
    return Said(np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ), dtype=np.int16), starts, phones)


def _flite(text: str, _language: str, voice: Voice) -> Said:
    stretch = f"duration_stretch={1 / voice.pace:.2f}"
    command = ["flite", "-voice", voice.name, "--setf", stretch, "-t", text, "-o", "/dev/stdout"]
    made = subprocess.run(command, capture_output=True, check=True, timeout=20).stdout
    with wave.open(io.BytesIO(made[:4] + b"\xff\xff\xff\x7f" + made[8:])) as sound:
        rate_hz = sound.getframerate()
    pcm = np.frombuffer(made[44 : 44 + (len(made) - 44) // 2 * 2], dtype=np.int16)
    return Said(np.asarray(soxr.resample(pcm, rate_hz, RATE_HZ), dtype=np.int16))


def _pico(text: str, _language: str, voice: Voice) -> Said:
    made = _pico_engine().speak(text, voice=voice.name, speed=voice.pace, pitch=voice.pitch)
    return Said(np.frombuffer(made, dtype=np.int16).copy())


@cache
def _pico_engine() -> Any:
    """It says 16 kHz. Where tests run it is not installed."""
    from py_nanotts import NanoTTS

    return NanoTTS()


def _diphone(text: str, language: str, _voice: Voice) -> Said:
    speech = _package_voices().synthesize(text, language, None)
    return Said(np.asarray(soxr.resample(speech.pcm, speech.rate_hz, RATE_HZ), dtype=np.int16))


def _piper(text: str, _language: str, voice: Voice) -> Said:
    """Played faster or slower: with the pitch the size of the head changes too."""
    loaded = _piper_voice(voice.name)
    chunks = list(loaded.synthesize(text))
    pcm = np.concatenate([chunk.audio_int16_array for chunk in chunks])
    return Said(np.asarray(soxr.resample(pcm, chunks[0].sample_rate * voice.pitch, RATE_HZ), dtype=np.int16))


@cache
def _piper_voice(path: str) -> PiperVoice:
    return PiperVoice.load(path)


_ENGINES: dict[str, Callable[[str, str, Voice], Said]] = {
    "espeak": _espeak,
    "flite": _flite,
    "pico": _pico,
    "diphone": _diphone,
    "piper": _piper,
}


@cache
def _package_voices() -> Any:
    from kallglot_media.speech.models import STARTER_FOLDER, find_models
    from kallglot_media.speech.piper import PiperSynthesizer
    from kallglot_media.speech.settings import SpeechSettings

    settings = SpeechSettings()
    voices = [one for one in find_models(settings).voices() if one.path.is_relative_to(STARTER_FOLDER)]
    return PiperSynthesizer(voices, settings)


class _Event(ctypes.Structure):
    """espeak_EVENT of speak_lib.h."""

    _fields_ = (
        ("type", ctypes.c_int),
        ("unique_identifier", ctypes.c_uint),
        ("text_position", ctypes.c_int),
        ("length", ctypes.c_int),
        ("audio_position", ctypes.c_int),
        ("sample", ctypes.c_int),
        ("user_data", ctypes.c_void_p),
        ("id", ctypes.c_char * 8),
    )


_SYNCHRONOUS, _UTF8, _RATE, _PITCH, _WORD, _PHONE, _TELL_PHONES = 2, 1, 1, 3, 1, 7, 1
_NAME_BYTES = 8
PAUSE = "_"
"""The phone that is none."""

_NORMAL_WORDS_PER_MIN, _NORMAL_PITCH = 160, 50
_Callback = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Espeak:
    """libespeak-ng in this process: a program a sentence would take ten times as long."""

    def __init__(self) -> None:
        name = ctypes.util.find_library("espeak-ng")
        if name is None:
            raise FileNotFoundError("libespeak-ng is missing: apt-get install espeak-ng flite")
        self._lib = ctypes.CDLL(name)
        self._rate_hz = self._lib.espeak_Initialize(_SYNCHRONOUS, 0, None, _TELL_PHONES)
        self._pieces: list[Pcm16] = []
        self._starts: list[tuple[int, int]] = []
        self._phones: list[tuple[str, int]] = []
        self._callback = _Callback(self._take)
        self._lib.espeak_SetSynthCallback(self._callback)

    def _take(self, samples: Any, count: int, events: Any) -> int:
        if count > 0:
            self._pieces.append(np.ctypeslib.as_array(samples, (count,)).copy())
        index = 0
        while events[index].type:
            if events[index].type == _WORD:
                self._starts.append((events[index].text_position, events[index].audio_position))
            elif events[index].type == _PHONE:
                self._phones.append((_phone(events[index]), events[index].audio_position))
            index += 1
        return 0

    def say(self, text: str, voice: Voice) -> tuple[Pcm16, int, tuple[int, ...], tuple[tuple[str, int], ...]]:
        """Sound, its rate, when each blank-separated word starts, and each phone.

        No word starts when espeak counts the words differently.
        """
        if self._lib.espeak_SetVoiceByName(voice.name.encode()):
            raise ValueError(f"espeak-ng has no voice {voice.name!r}")
        self._lib.espeak_SetParameter(_RATE, int(_NORMAL_WORDS_PER_MIN * voice.pace), 0)
        self._lib.espeak_SetParameter(_PITCH, int(_NORMAL_PITCH * voice.pitch), 0)
        self._pieces, self._starts, self._phones = [], [], []
        data = text.encode() + b"\0"
        self._lib.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        pcm = np.concatenate(self._pieces) if self._pieces else np.zeros(0, dtype=np.int16)
        return pcm, self._rate_hz, self._words(text), tuple(self._phones)

    def _words(self, text: str) -> tuple[int, ...]:
        by_position = dict(self._starts)
        starts, position = [], 0
        for word in text.split(" "):
            found = by_position.get(position + 1)
            if found is None:
                return ()
            starts.append(found)
            position += len(word) + 1
        return tuple(starts)


def _phone(event: Any) -> str:
    """What espeak calls it: eight bytes, which ctypes would cut at the first zero only if they had one."""
    address = ctypes.addressof(event) + _Event.id.offset
    name = ctypes.string_at(address, _NAME_BYTES).split(b"\0")[0].decode(errors="replace")
    return PAUSE if name.startswith("_") or not name else name


@cache
def _library() -> _Espeak:
    return _Espeak()
