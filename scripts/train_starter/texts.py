"""The texts that starter models learn from: own grammar, the known sentences, and corpora where a folder has them.

A corpora folder holds `bcontrast/train.json` and `bcontrast/dev.json` (BConTrasT: German and English chats with a
support desk, CC BY-SA 4.0) and `tatoeba-deu-eng-2018.zip` (Tatoeba, CC BY 2.0 FR). Each is used when it is there;
without any, the grammar alone remains, which is enough for a smoke run.
"""

from __future__ import annotations

import json
import re
import unicodedata
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from kallglot_media.speech.spoken_form import spoken_form
from train_starter.slots import number_words

KNOWN = Path(__file__).parent / "data" / "closed.tsv"
_OTHER_MARKS = str.maketrans({"’": "'", "‘": "'", "“": "", "”": "", '"': "", "„": "", "…": ".", ";": ",", "–": "-"})
_SAYABLE = re.compile(r"[A-Za-zÄÖÜäöüßáéíóúñÁÉÍÓÚÑàâçèêëîïôùûœÀÂÇÈÊ'\-.,?!¿¡: ]+")
_CLOCK = re.compile(r"\b(\d{1,2}):(\d{2})\b")


@dataclass(frozen=True, slots=True)
class Pair:
    """One utterance in German and English, as its corpus writes it."""

    de: str
    en: str

    def items(self) -> tuple[tuple[str, str], tuple[str, str]]:
        """(language, text) of both."""
        return ("de", self.de), ("en", self.en)


def known_pairs() -> list[Pair]:
    """The sentences that the demo and the recordings of the tests are made of."""
    lines = KNOWN.read_text(encoding="utf-8").splitlines()
    return [Pair(*line.split("\t")) for line in lines]


def read_bcontrast(corpora: Path | None, part: str) -> list[Pair]:
    """Turns of support chats; part: "train" or "dev". Empty where the folder has none."""
    path = corpora / "bcontrast" / f"{part}.json" if corpora else None
    if path is None or not path.is_file():
        return []
    pairs = []
    for chat in json.loads(path.read_text(encoding="utf-8")).values():
        for turn in chat:
            source, target = tidied(turn["source"]), tidied(turn["target"])
            if source and target:  # a customer writes German, an agent English
                pairs.append(Pair(source, target) if turn["speaker"] == "customer" else Pair(target, source))
    return pairs


def read_tatoeba(corpora: Path | None, most_words: int = 30) -> list[Pair]:
    """Everyday sentences. Empty where the folder has none."""
    path = corpora / "tatoeba-deu-eng-2018.zip" if corpora else None
    if path is None or not path.is_file():
        return []
    with zipfile.ZipFile(path) as packed:
        lines = packed.read("deu.txt").decode("utf-8").splitlines()
    pairs = [Pair(tidied(de), tidied(en)) for en, de, *_ in (line.split("\t") for line in lines)]
    return [pair for pair in pairs if max(len(text.split()) for _, text in pair.items()) <= most_words]


def tidied(text: str) -> str:
    """One line, composed accents, single spaces."""
    return re.sub(r"\s+", " ", unicodedata.normalize("NFC", text)).strip()


def normalized(text: str) -> str:
    """What two texts have in common that are the same sentence: lower case, without marks."""
    return " ".join(re.sub(r"[^\w' ]", " ", text.lower()).split())


def spoken(text: str, language: str) -> str | None:
    """The text as it is said and as the starter recogniser writes it; None where that cannot be told."""
    text = text.translate(_OTHER_MARKS)
    if language == "en":
        text = _CLOCK.sub(lambda m: f"{m[1]} {m[2].lstrip('0') or 'o clock'}", text)
        text = re.sub(r"\bi\b", "I", text)
    text = spoken_form(text, language)
    text = re.sub(r"\d+", lambda m: f" {number_words(int(m[0]), language)} " if len(m[0]) < 5 else m[0], text)
    text = tidied(re.sub(r"\s+([.,?!])", r"\1", text))
    if not text or not _SAYABLE.fullmatch(text):
        return None
    return text[0].upper() + text[1:] if language != "de" or text.split()[0].islower() else text


def sentences(pairs: list[Pair]) -> Iterator[tuple[str, str]]:
    """(language, spoken text) of every pair where it can be said, both languages."""
    for pair in pairs:
        for language, text in pair.items():
            said = spoken(text, language)
            if said:
                yield language, said
