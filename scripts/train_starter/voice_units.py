"""Diphones for a voice: cut out of monotone speech of espeak-ng, in frames of one period.

espeak-ng says texts on one pitch and tells which phoneme begins when. The sound is marked at every period where it is
voiced and every so many samples where it is not; a diphone is the marks from the middle of one phoneme to the middle of
the next. A frame is the sound around a mark: put closer or farther apart, frames make another pitch and pace.
"""

from __future__ import annotations

import ctypes
import ctypes.util
import unicodedata
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

import numpy as np
import numpy.typing as npt
import soxr
from piper.phoneme_ids import DEFAULT_PHONEME_ID_MAP

RATE_HZ = 16_000
SILENCE = "#"
PITCH, PACE = 88, 165
"""espeak-ng's: about 125 Hz, words a minute."""

BEFORE_MS, AFTER_MS = 20, 40
"""Silence kept around the first and behind the last phoneme."""

STRESS = "ˈˌ"
PUNCTUATION = "^$.,?!;:"
Sound = npt.NDArray[np.float32]
Marks = npt.NDArray[np.int64]


@dataclass(frozen=True, slots=True)
class Spoken:
    """A text as espeak-ng says it. phones: (symbol, first sample, end)."""

    sound: Sound
    phones: list[tuple[str, int, int]]


@dataclass(slots=True)
class Unit:
    """Frames in a row: a sound, and the marks in it. voiced: for each mark."""

    sound: Sound
    marks: Marks
    voiced: npt.NDArray[np.bool_]


@dataclass(slots=True)
class Units:
    """One unit for each diphone heard, and one for each half of a phoneme, for diphones that never were."""

    period: int
    diphones: dict[tuple[str, str], Unit] = field(default_factory=dict)
    ends: dict[str, Unit] = field(default_factory=dict)
    begins: dict[str, Unit] = field(default_factory=dict)

    @property
    def symbols(self) -> list[str]:
        """Silence first."""
        found = {one for pair in self.diphones for one in pair} - {SILENCE}
        return [SILENCE, *sorted(found)]


def collect(voice: str, texts: Iterable[str]) -> Units:
    """The unit of middle length of each kind. Raises OSError where espeak-ng is not installed."""
    spoken = [one for text in texts if len((one := say(text, voice)).phones) > 2]
    if not spoken:
        raise ValueError(f"espeak-ng said nothing with voice {voice!r}")
    period = _period(spoken[:20])
    diphones: dict[tuple[str, str], list[Unit]] = defaultdict(list)
    ends: dict[str, list[Unit]] = defaultdict(list)
    begins: dict[str, list[Unit]] = defaultdict(list)
    for one in spoken:
        marks, voiced = _marks(one.sound, period)

        def cut(start: int, end: int, one: Spoken = one, marks: Marks = marks, voiced: Any = voiced) -> Unit:
            inside = (marks >= start) & (marks < end)
            return Unit(one.sound, marks[inside], voiced[inside])

        middles = [(start + end) // 2 for _, start, end in one.phones]
        for n, ((left, _, left_end), (right, right_start, _)) in enumerate(
            zip(one.phones, one.phones[1:], strict=False)
        ):
            start = max(middles[n], right_start - BEFORE_MS * RATE_HZ // 1000) if left == SILENCE else middles[n]
            end = min(middles[n + 1], left_end + AFTER_MS * RATE_HZ // 1000) if right == SILENCE else middles[n + 1]
            if RATE_HZ // 100 < end - start < RATE_HZ * 35 // 100:
                diphones[left, right].append(cut(start, end))
        for (symbol, start, end), middle in zip(one.phones, middles, strict=True):
            if symbol != SILENCE:
                begins[symbol].append(cut(start, middle))
                ends[symbol].append(cut(middle, end))
    return Units(period, _chosen(diphones), _chosen(ends), _chosen(begins))


def _chosen(found: dict[Any, list[Unit]]) -> dict[Any, Unit]:
    longest = {key: [unit for unit in units if len(unit.marks)] for key, units in found.items()}
    return {
        key: sorted(units, key=lambda unit: len(unit.marks))[len(units) // 2] for key, units in longest.items() if units
    }


def symbols_of(ipa: str) -> list[str]:
    """The symbols of one phoneme: a letter with the marks behind it, as Piper's ids can say it."""
    found: list[str] = []
    for letter in unicodedata.normalize("NFD", ipa.replace("?", "ʔ")):  # espeak-ng's glottal stop
        if letter in STRESS + PUNCTUATION or letter not in DEFAULT_PHONEME_ID_MAP:
            continue
        if is_mark(letter):
            if found:
                found[-1] += letter
        else:
            found.append(letter)
    return found


def is_mark(letter: str) -> bool:
    """Length marks, accents: what changes the letter before it."""
    return letter in "ːˑ" or bool(unicodedata.combining(letter)) or unicodedata.category(letter) in ("Lm", "Sk")


# ── marks ────────────────────────────────────────────────────────────────────────


def _period(spoken: Sequence[Spoken]) -> int:
    """Samples of one period of the voice: where its low-passed sound is most like itself."""
    likeness = np.zeros(RATE_HZ // 60)
    for one in spoken:
        low = _low(one.sound).astype(np.float64)
        spectrum = np.abs(np.fft.rfft(low, 2 * len(low))) ** 2
        likeness += np.fft.irfft(spectrum)[: len(likeness)] / spectrum.sum()
    shortest = RATE_HZ // 300
    return shortest + int(np.argmax(likeness[shortest:]))


def _marks(sound: Sound, period: int) -> tuple[Marks, npt.NDArray[np.bool_]]:
    """A mark at each period's peak, or a period after the last one; and where the sound is voiced."""
    low = _low(sound)
    marks: list[int] = []
    voiced: list[bool] = []
    at, was_voiced = period, False
    loud = 0.02 * float(np.abs(low).max() + 1e-9)
    while at + 2 * period < len(sound):
        is_voiced = _is_voiced(low[at - period : at + period], period, loud)
        if is_voiced:
            reach = period // 6 if was_voiced else period // 2
            first = at - reach
            at = first + int(np.argmax(low[first : at + reach + 1]))
        if marks and at - marks[-1] < period // 2:
            at = marks[-1] + period
        marks.append(at)
        voiced.append(is_voiced)
        was_voiced = is_voiced
        at += period
    return np.array(marks, np.int64), np.array(voiced, bool)


def _is_voiced(low: Sound, period: int, loud: float) -> bool:
    one, next_one = low[:period].astype(np.float64), low[period:].astype(np.float64)
    power = np.sqrt((one @ one) * (next_one @ next_one))
    return bool(power / period > loud**2 and (one @ next_one) / (power + 1e-12) > 0.5)


def _low(sound: Sound, edge_hz: int = 900) -> Sound:
    spectrum = np.fft.rfft(sound)
    hz = np.fft.rfftfreq(len(sound), 1 / RATE_HZ)
    return np.asarray(np.fft.irfft(spectrum / (1 + (hz / edge_hz) ** 4), len(sound)), np.float32)


# ── espeak-ng ────────────────────────────────────────────────────────────────────


class _Id(ctypes.Union):
    _fields_ = [("number", ctypes.c_int), ("name", ctypes.c_char_p), ("string", ctypes.c_char * 8)]


class _Event(ctypes.Structure):
    _fields_ = [
        ("type", ctypes.c_int), ("unique", ctypes.c_uint), ("text_position", ctypes.c_int), ("length", ctypes.c_int),
        ("audio_ms", ctypes.c_int), ("sample", ctypes.c_int), ("user_data", ctypes.c_void_p), ("id", _Id),
    ]  # fmt: skip


_ENDS, _END_OF_SENTENCE, _PHONEME = 0, 5, 7
_RETRIEVED, _PHONEME_EVENTS_IN_IPA, _UTF8 = 1, 3, 1
_RATE, _PITCH, _RANGE = 1, 3, 4
_CALLBACK = ctypes.CFUNCTYPE(ctypes.c_int, ctypes.POINTER(ctypes.c_short), ctypes.c_int, ctypes.POINTER(_Event))


class _Espeak:
    """The library, once in a process: it has one state for all."""

    def __init__(self) -> None:
        self._library = ctypes.CDLL(ctypes.util.find_library("espeak-ng") or "libespeak-ng.so.1")
        self.rate_hz = self._library.espeak_Initialize(_RETRIEVED, 0, None, _PHONEME_EVENTS_IN_IPA)
        self._sound: list[npt.NDArray[np.int16]] = []
        self._events: list[tuple[int, str]] = []
        self._callback = _CALLBACK(self._take)
        self._library.espeak_SetSynthCallback(self._callback)

    def say(self, text: str, voice: str) -> tuple[Sound, list[tuple[int, str]]]:
        """Sound, and (ms, IPA) of each phoneme; "" is the end of a clause."""
        if self._library.espeak_SetVoiceByName(voice.encode()):
            raise ValueError(f"espeak-ng has no voice {voice!r}")
        for what, value in ((_RATE, PACE), (_PITCH, PITCH), (_RANGE, 0)):
            self._library.espeak_SetParameter(what, value, 0)
        self._sound, self._events = [], []
        data = text.encode() + b"\0"
        self._library.espeak_Synth(data, len(data), 0, 1, 0, _UTF8, None, None)
        self._library.espeak_Synchronize()
        sound = np.concatenate([np.zeros(0, np.int16), *self._sound]).astype(np.float32) / np.float32(32768)
        return sound, list(self._events)

    def _take(self, sound: Any, length: int, events: Any) -> int:
        if sound and length > 0:
            self._sound.append(np.ctypeslib.as_array(sound, (length,)).copy())
        at = 0
        while events[at].type != _ENDS:
            event = events[at]
            if event.type == _PHONEME:
                self._events.append((event.audio_ms, event.id.string.decode("utf-8", "ignore")))
            elif event.type == _END_OF_SENTENCE:
                self._events.append((event.audio_ms, ""))
            at += 1
        return 0


@cache
def _espeak() -> _Espeak:
    return _Espeak()


def say(text: str, voice: str) -> Spoken:
    """A text at 16 kHz with its phonemes; nothing where it has none."""
    sound, events = _espeak().say(text, voice)
    if len(sound) < 1000 or len(events) < 3:
        return Spoken(sound, [])
    sound = np.asarray(soxr.resample(sound, _espeak().rate_hz, RATE_HZ), np.float32)
    return Spoken(sound, list(_joined(_phones(events, len(sound)))))


def _phones(events: Sequence[tuple[int, str]], length: int) -> Iterator[tuple[str, int, int]]:
    times = [ms * RATE_HZ // 1000 for ms, _ in events]
    yield SILENCE, 0, times[0]
    for n, ((_, ipa), start) in enumerate(zip(events, times, strict=True)):
        end = times[n + 1] if n + 1 < len(times) else min(length, start + RATE_HZ * 15 // 100)
        symbols = [] if ipa.startswith("_") else symbols_of(ipa)
        share = max(0, end - start)
        for at, symbol in enumerate(symbols):
            yield symbol, start + share * at // len(symbols), start + share * (at + 1) // len(symbols)
        if not symbols and share:
            yield SILENCE, start, end


def _joined(phones: Iterable[tuple[str, int, int]]) -> Iterator[tuple[str, int, int]]:
    """Silences in a row made one."""
    last: tuple[str, int, int] | None = None
    for one in phones:
        if last is not None and last[0] == one[0] == SILENCE:
            last = (SILENCE, last[1], one[2])
        else:
            if last is not None:
                yield last
            last = one
    if last is not None:
        yield last
