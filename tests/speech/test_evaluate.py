"""The measures themselves, and that the shipped models are as good as their cards say."""

from __future__ import annotations

import json
import re
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from kallglot_media.speech.evaluate import (
    LEAD_S,
    Recording,
    heard_back,
    normalized,
    padded,
    read_pairs,
    read_set,
    score_recognizer,
    score_translator,
    through_telephone,
    word_distance,
    word_error_rate,
)
from kallglot_media.speech.models import STARTER_FOLDER, Installed
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import Pcm16, Recognizer, Synthesizer, Transcript, Translator
from kallglot_media.speech.whisper import WhisperRecognizer

DATA = Path(__file__).parents[1] / "data"
SETS = {"known": DATA / "speech", "never trained on": DATA / "unseen"}
HELD_OUT = Path(__file__).parents[1] / "data" / "translation" / "bcontrast-dev.tsv"
ONE_WORD = 2.0
"""Percent of the words of a set. int8 kernels differ between processors, and one word may tip over."""


@cache
def recorded(sentences: str = "known") -> list[Recording]:
    """Read once: the decoder collects garbage after each file, which takes long where thousands of tests are loaded."""
    return read_set(SETS[sentences])


PATHS = {"16 kHz": padded, "8 kHz µ-law": lambda pcm: through_telephone(padded(pcm)), "a noisy line": padded}
"""The recordings of sentences never trained on have been through a noisy line already."""


@pytest.mark.parametrize(
    ("said", "heard", "distance"),
    [
        ("", "", 0),
        ("a b c", "a b c", 0),
        ("a b c", "", 3),
        ("", "a", 1),
        ("a b c", "a x c", 1),
        ("a b", "b", 1),
        ("a", "b a c", 2),
    ],
)
def test_fewest_changes_between_two_texts(said: str, heard: str, distance: int) -> None:
    assert word_distance(said.split(), heard.split()) == distance


def test_case_and_punctuation_are_no_errors() -> None:
    assert normalized("Ja, that's ALL – for today!") == ["ja", "that's", "all", "for", "today"]
    assert word_error_rate([("Guten Tag.", "guten tag"), ("Ja, bitte!", "nein bitte")]) == 25.0


def test_the_telephone_keeps_length_and_voice_but_not_what_is_above_4_khz() -> None:
    seconds = np.arange(16_000) / 16_000
    low, high = ((np.sin(2 * np.pi * hz * seconds) * 8000).astype(np.int16) for hz in (1000, 6000))
    assert len(through_telephone(low)) == len(low)
    assert np.abs(through_telephone(low)).max() > 7000
    assert np.abs(through_telephone(high)[1000:-1000]).max() < 200


class Deaf:
    """A recogniser that hears "ja" in everything, in German."""

    def transcribe(self, pcm: Pcm16, language: str | None) -> Transcript:
        return Transcript("ja", language or "de", 1.0, 1.0, 0.0, (), 2.0)


def test_a_score_counts_words_languages_and_time() -> None:
    sound = np.zeros(160, dtype=np.int16)
    said = [Recording("1", sound, "de", "Ja.", None), Recording("2", sound, "en", "no no no", None)]
    score = score_recognizer(Deaf(), said, detect=True)
    assert (score.utterances, score.word_errors, score.language_hits, score.engine_ms) == (2, 75.0, 50.0, 2.0)


# ── the cards ────────────────────────────────────────────────────────────────────


def card_rows(card: str) -> list[list[str]]:
    """The cells of a card's score table."""
    text = (STARTER_FOLDER / card).read_text(encoding="utf-8")
    table = text[text.index("|---") :].split("\n\n")[0].splitlines()[1:]
    return [[cell.strip() for cell in row.strip("|").split("|")] for row in table]


def percent(cell: str) -> float:
    found = re.match(r"[\d.]+", cell)
    assert found, f"no number in {cell!r}"
    return float(found[0])


RECOGNIZER_CARD = "whisper/mini-support.md"
WORD_TIMES_MS = 120.0


@pytest.mark.engines
@pytest.mark.parametrize("row", card_rows(RECOGNIZER_CARD), ids=" ".join)
def test_the_recognizer_is_as_good_as_its_card(recognizer: Recognizer, row: list[str]) -> None:
    language, sentences, path, promised = row
    recordings = [one for one in recorded(sentences) if one.language == language]
    score = score_recognizer(recognizer, recordings, path=PATHS[path])
    assert score.word_errors <= percent(promised) + ONE_WORD


@pytest.mark.engines
def test_the_language_is_found_as_often_as_the_card_says(recognizer: Recognizer) -> None:
    card = (STARTER_FOLDER / RECOGNIZER_CARD).read_text(encoding="utf-8")
    recordings = [*recorded("known"), *recorded("never trained on")]
    score = score_recognizer(recognizer, recordings, detect=True, path=padded)
    promised = re.search(r"language is found for ([\d.]+) %", card)
    assert promised
    assert score.language_hits is not None
    assert score.language_hits >= float(promised[1]) - ONE_WORD


@pytest.mark.engines
def test_words_are_where_they_were_said(starter: Installed) -> None:
    """Starts of the words in those recordings that are heard without an error."""
    settings = SpeechSettings(word_times=True)
    recognizer = WhisperRecognizer(starter.recognizer(None), settings)
    told = json.loads((SETS["never trained on"] / "manifest.json").read_text(encoding="utf-8"))
    starts_ms = {one["file"]: one["word_starts_ms"] for one in told}
    lead_ms = LEAD_S * 1000
    apart_ms: list[float] = []
    for one in recorded("never trained on"):
        heard = recognizer.transcribe(padded(one.pcm), one.language)
        said_ms = starts_ms[one.name]
        if normalized(heard.text) == normalized(one.text) and len(heard.words) == len(said_ms) and -1 not in said_ms:
            pairs = zip(heard.words, said_ms, strict=True)
            apart_ms += [abs(word.start_ms - lead_ms - said) for word, said in pairs]
    assert len(apart_ms) >= 40
    assert float(np.median(apart_ms)) <= WORD_TIMES_MS


@pytest.mark.engines
@pytest.mark.parametrize("row", card_rows("argos/translate-de-en.md"), ids=" ".join)
def test_the_translator_is_as_good_as_its_card(translator: Translator, row: list[str]) -> None:
    texts, (source, target), *promised = row[0], row[1].split("→"), *map(percent, row[2:5])
    if texts == "known sentences":
        recordings = [one for one in recorded() if one.language == source]
        pairs = [(one.text, one.translation) for one in recordings if one.translation]
    else:
        pairs = read_pairs(HELD_OUT, source)
    score = score_translator(translator, pairs, source, target)
    found = [score.bleu, score.chrf, score.kept]
    assert all(is_ >= said - ONE_WORD for is_, said in zip(found, promised, strict=True)), found


@pytest.mark.engines
@pytest.mark.parametrize("row", card_rows("piper/diphone.md"), ids=" ".join)
def test_the_voices_are_as_good_as_their_card(synthesizer: Synthesizer, recognizer: Recognizer, row: list[str]) -> None:
    language, speaker, promised = row
    texts = [one.text for one in recorded() if one.language == language]
    errors, _ = heard_back(synthesizer, recognizer, texts, language, f"#{speaker}")
    assert errors <= percent(promised) + ONE_WORD
