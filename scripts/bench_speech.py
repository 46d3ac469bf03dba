"""The engines' quality and speed as Markdown tables: bench_speech.py [SETS].

SETS (or $KALLGLOT_SETS) is a folder with more to measure on: speech/<set>/manifest.json with sound
files, text/bcontrast/dev.json with parallel chat turns, text/flores/dev.<language> with parallel news. Without it,
the recordings of the tests are used. One core, one thread.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import datetime
import json
import platform
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.evaluate import (
    Recording,
    heard_back,
    padded,
    read_pairs,
    read_set,
    score_recognizer,
    score_translator,
    through_telephone,
)
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.speakers import PRESETS
from kallglot_media.speech.types import Pcm16
from kallglot_media.speech.whisper import WhisperRecognizer

DATA = Path(__file__).parents[1] / "tests" / "data"
SHIPPED = DATA / "speech"
UNSEEN = DATA / "unseen"
CHATS = DATA / "translation" / "bcontrast-dev.tsv"
LONGEST_TEXT_SET = 500
LANGUAGES = ("de", "en", "es", "fr")


def telephone(pcm: Pcm16) -> Pcm16:
    return through_telephone(padded(pcm))


NAMES = {SHIPPED: "known sentences", UNSEEN: "never trained on"}
"""How the sets of the tests are called; the others by their folders."""


def speech_sets(sets: Path | None) -> Iterator[tuple[str, list[Recording]]]:
    """The recordings of the tests, then every other set, by language."""
    folders = list(NAMES)
    if sets is not None:
        folders += sorted(
            path.parent for path in sets.glob("speech/*/manifest.json") if path.parent.name != "support-desk"
        )
    for folder in folders:
        recordings = read_set(folder)
        for language in sorted({one.language for one in recordings} & set(LANGUAGES)):
            yield NAMES.get(folder, folder.name), [one for one in recordings if one.language == language]


def text_sets(sets: Path | None) -> Iterator[tuple[str, str, str, list[tuple[str, str]]]]:
    """(name, source, target, pairs): the shipped sentences, chat and news when there."""
    shipped = read_set(SHIPPED)
    for source, target in (("de", "en"), ("en", "de")):
        pairs = [(one.text, one.translation) for one in shipped if one.language == source and one.translation]
        yield "known sentences", source, target, pairs
        yield "held-out chats", source, target, read_pairs(CHATS, source)
    if sets is None:
        return
    chats = json.loads((sets / "text/bcontrast/dev.json").read_text(encoding="utf-8"))
    turns = [turn for chat in chats.values() for turn in chat][: 2 * LONGEST_TEXT_SET]
    for speaker, source, target in (("customer", "de", "en"), ("agent", "en", "de")):
        pairs = [(turn["source"], turn["target"]) for turn in turns if turn["speaker"] == speaker]
        yield "customer-service chat", source, target, pairs[:LONGEST_TEXT_SET]
    news = {code: (sets / f"text/flores/dev.{code}").read_text(encoding="utf-8").splitlines() for code in ("de", "en")}
    for source, target in (("de", "en"), ("en", "de")):
        yield "news", source, target, list(zip(news[source], news[target], strict=True))[:100]


def recognizer_table(sets: Path | None, settings: SpeechSettings) -> None:
    model = find_models(settings).recognizer(settings.recognizer)
    short = WhisperRecognizer(model, replace(settings, word_times=False))
    full = WhisperRecognizer(model, replace(settings, window="full", word_times=False))
    print(f"\n**Recogniser `{model.name}`**, language given; ms per utterance.\n")
    print("| set | language | path | utterances | WER short | WER 30 s | empty | ms short | ms 30 s | ratio |")
    print("|---|---|---|---|---|---|---|---|---|---|")
    for name, recordings in speech_sets(sets):
        for path, through in (("16 kHz", padded), ("8 kHz µ-law", telephone)):
            one = score_recognizer(short, recordings, path=through)
            other = score_recognizer(full, recordings, path=through)
            print(
                f"| {name} | {recordings[0].language} | {path} | {one.utterances} | {one.word_errors:.1f} % "
                f"| {other.word_errors:.1f} % | {one.empty} | {one.engine_ms:.0f} | {other.engine_ms:.0f} "
                f"| {other.engine_ms / one.engine_ms:.1f} |"
            )
    for name, recordings in speech_sets(None):
        found = score_recognizer(short, recordings, path=telephone, detect=True)
        aligned = score_recognizer(WhisperRecognizer(model, settings), recordings, path=telephone)
        print(
            f"\n{name}, {recordings[0].language}, 8 kHz µ-law: language found for {found.language_hits:.0f} % "
            f"(WER {found.word_errors:.1f} %, {found.engine_ms:.0f} ms); with word times {aligned.engine_ms:.0f} ms."
        )


def translator_table(sets: Path | None, settings: SpeechSettings) -> None:
    packages = find_models(settings).packages()
    translator = ArgosTranslator(packages, settings)
    print(f"\n**Translator** {', '.join(f'`{package.name}`' for package in packages)}.\n")
    print("| set | direction | BLEU | chrF | numbers kept | lines | ms |")
    print("|---|---|---|---|---|---|---|")
    for name, source, target, pairs in text_sets(sets):
        score = score_translator(translator, pairs, source, target)
        print(
            f"| {name} | {source}→{target} | {score.bleu:.1f} | {score.chrf:.1f} | {score.kept:.1f} % "
            f"| {score.sentences} | {score.engine_ms:.1f} |"
        )


def voice_table(settings: SpeechSettings) -> None:
    installed = find_models(settings)
    synthesizer = PiperSynthesizer(installed.voices(), settings)
    recognizer = WhisperRecognizer(installed.recognizer(None), settings)
    print("\n**Voices**, heard back by the recogniser through 8 kHz µ-law.\n")
    print("| language | speaker | WER heard back | sentences | ms per second of speech |")
    print("|---|---|---|---|---|")
    for name, recordings in speech_sets(None):
        language = recordings[0].language
        if name != NAMES[SHIPPED]:
            continue
        texts = [one.text for one in recordings]
        for speaker in PRESETS:
            errors, real_time = heard_back(synthesizer, recognizer, texts, language, f"#{speaker}")
            print(f"| {language} | {speaker} | {errors:.1f} % | {len(texts)} | {real_time * 1000:.1f} |")


def main() -> None:
    named = sys.argv[1] if len(sys.argv) > 1 else os.environ.get("KALLGLOT_SETS")
    sets = Path(named) if named else None
    settings = SpeechSettings()
    print(f"{datetime.date.today()}, {platform.machine()}, {os.cpu_count()} cores, Python {platform.python_version()}")
    recognizer_table(sets, settings)
    translator_table(sets, settings)
    voice_table(settings)


if __name__ == "__main__":
    main()
