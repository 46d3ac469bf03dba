"""How good the engines are: word error rate, chrF, and the time they take.

Works on folders with a manifest.json, a list of {file, language, text, translation?}; sound files are
16 kHz WAV (or whatever PyAV reads). sacrebleu is a development dependency and is imported late.
"""

from __future__ import annotations

import json
import re
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soxr

from kallglot_media.audio.g711 import ulaw_decode, ulaw_encode
from kallglot_media.speech.entities import entities, missing
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16, Recognizer, Synthesizer, Translator

TELEPHONE_RATE_HZ = 8000
LEAD_S = 0.2
"""Silence put around a recording, as the segmenter leaves around an utterance."""


@dataclass(frozen=True, slots=True)
class Recording:
    """One utterance and what is right. translation: None when the set has none."""

    name: str
    pcm: Pcm16
    language: str
    text: str
    translation: str | None


@dataclass(frozen=True, slots=True)
class RecognizerScore:
    """word_errors in percent; language_hits in percent of those detected; engine_ms per utterance, mean."""

    utterances: int
    word_errors: float
    language_hits: float | None
    engine_ms: float
    empty: int


@dataclass(frozen=True, slots=True)
class TranslatorScore:
    """bleu, chrf 0–100; kept: percent of the numbers, amounts and ids that came through; engine_ms per text, mean."""

    sentences: int
    bleu: float
    chrf: float
    kept: float
    engine_ms: float


def read_set(folder: Path) -> list[Recording]:
    """The recordings that a folder's manifest lists."""
    listed = json.loads((folder / "manifest.json").read_text(encoding="utf-8"))
    return [
        Recording(
            name=one["file"],
            pcm=read_sound(folder / one["file"]),
            language=one.get("language") or one["lang"],
            text=one["text"],
            translation=one.get("translation"),
        )
        for one in listed
    ]


def read_sound(path: Path) -> Pcm16:
    """A sound file as 16 kHz mono."""
    from faster_whisper import decode_audio

    sound = decode_audio(str(path), sampling_rate=RECOGNIZER_RATE_HZ)
    return np.asarray(np.clip(sound * 32768, -32768, 32767), dtype=np.int16)


def through_telephone(pcm: Pcm16) -> Pcm16:
    """16 kHz → 8 kHz µ-law → 16 kHz: what is left of a voice after G.711."""
    narrow = soxr.resample(pcm, RECOGNIZER_RATE_HZ, TELEPHONE_RATE_HZ)
    wide = soxr.resample(ulaw_decode(ulaw_encode(narrow)), TELEPHONE_RATE_HZ, RECOGNIZER_RATE_HZ)
    return np.asarray(wide, dtype=np.int16)


def padded(pcm: Pcm16) -> Pcm16:
    """With LEAD_S of silence on both sides."""
    silence = np.zeros(int(LEAD_S * RECOGNIZER_RATE_HZ), dtype=np.int16)
    return np.concatenate([silence, pcm, silence])


def normalized(text: str) -> list[str]:
    """The words of a text without case and punctuation, as they are compared."""
    return re.sub(r"[^\w' ]", " ", text.lower()).split()


def word_distance(said: Sequence[str], heard: Sequence[str]) -> int:
    """Fewest insertions, deletions and replacements of words that make `heard` into `said`."""
    row = list(range(len(heard) + 1))
    for i, word in enumerate(said, 1):
        before, row[0] = row[0], i
        for j, other in enumerate(heard, 1):
            before, row[j] = row[j], min(row[j] + 1, row[j - 1] + 1, before + (word != other))
    return row[-1]


def word_error_rate(pairs: Sequence[tuple[str, str]]) -> float:
    """Percent of the words said that were heard wrong, over all (said, heard) pairs; may exceed 100."""
    words = [(normalized(said), normalized(heard)) for said, heard in pairs]
    total = sum(len(said) for said, _ in words)
    return 100 * sum(word_distance(said, heard) for said, heard in words) / max(1, total)


def chrf(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """sacrebleu's chrF2, 0–100."""
    import sacrebleu

    return float(sacrebleu.corpus_chrf(list(hypotheses), [list(references)]).score)


def bleu(references: Sequence[str], hypotheses: Sequence[str]) -> float:
    """sacrebleu's BLEU, 0–100."""
    import sacrebleu

    return float(sacrebleu.corpus_bleu(list(hypotheses), [list(references)]).score)


def read_pairs(path: Path, source: str) -> list[tuple[str, str]]:
    """A file of lines "German, tab, English" as (source, target)."""
    lines = path.read_text(encoding="utf-8").splitlines()
    pairs = [(de, en) for de, en in (line.split("\t") for line in lines)]
    return pairs if source == "de" else [(en, de) for de, en in pairs]


def score_recognizer(
    recognizer: Recognizer,
    recordings: Sequence[Recording],
    *,
    path: Callable[[Pcm16], Pcm16] = padded,
    detect: bool = False,
) -> RecognizerScore:
    """Recognise every recording after it went through `path`; detect: leave the language to the model."""
    pairs: list[tuple[str, str]] = []
    hits = 0
    took_ms = 0.0
    for one in recordings:
        heard = recognizer.transcribe(path(one.pcm), None if detect else one.language)
        pairs.append((one.text, heard.text))
        hits += heard.language == one.language
        took_ms += heard.engine_ms
    count = max(1, len(recordings))
    return RecognizerScore(
        utterances=len(recordings),
        word_errors=word_error_rate(pairs),
        language_hits=100 * hits / count if detect else None,
        engine_ms=took_ms / count,
        empty=sum(not heard for _, heard in pairs),
    )


def score_translator(
    translator: Translator, pairs: Sequence[tuple[str, str]], source: str, target: str
) -> TranslatorScore:
    """Translate the first of each pair and compare with the second."""
    started_s = time.perf_counter()
    made = [translator.translate(text, source, target).text for text, _ in pairs]
    took_ms = (time.perf_counter() - started_s) * 1000
    wanted = [[one for one in entities(text, source) if one.strict] for text, _ in pairs]
    lost = sum(len(missing(there, text, target)) for there, text in zip(wanted, made, strict=True))
    right = [text for _, text in pairs]
    kept = 100 * (1 - lost / max(1, sum(map(len, wanted))))
    return TranslatorScore(len(pairs), bleu(right, made), chrf(right, made), kept, took_ms / max(1, len(pairs)))


def heard_back(
    synthesizer: Synthesizer, recognizer: Recognizer, texts: Sequence[str], language: str, voice: str | None = None
) -> tuple[float, float]:
    """Word error rate of made speech recognised through the telephone, and synthesis time per second of speech."""
    pairs: list[tuple[str, str]] = []
    took_ms = sound_s = 0.0
    for text in texts:
        speech = synthesizer.synthesize(text, language, voice)
        wide = np.asarray(soxr.resample(speech.pcm, speech.rate_hz, RECOGNIZER_RATE_HZ), dtype=np.int16)
        pairs.append((text, recognizer.transcribe(through_telephone(padded(wide)), language).text))
        took_ms += speech.engine_ms
        sound_s += len(speech.pcm) / speech.rate_hz
    return word_error_rate(pairs), took_ms / 1000 / max(1e-9, sound_s)
