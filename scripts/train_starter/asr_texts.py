"""What the recogniser is taught to hear, and what it is judged with: (language, spoken text), drawn by shares."""

from __future__ import annotations

import random
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from train_starter.grammar import fill, read_blocks
from train_starter.mix import FULL, Mix
from train_starter.slots import LANGUAGES
from train_starter.splits import block_is_held_out, is_held_out, must_not_meet, without
from train_starter.texts import known_pairs, normalized, read_bcontrast, read_tatoeba, sentences

Line = tuple[str, str]
"""(language, spoken text)."""

HELD_OUT_PER_BLOCK = 3


@dataclass(frozen=True, slots=True)
class AsrTexts:
    """known, chats, everyday: to train on; held_out: to judge with, by language. The grammar is filled when drawn."""

    known: list[Line]
    chats: list[Line]
    everyday: list[Line]
    held_out: dict[str, list[str]]
    mix: Mix = FULL

    def draw(self, rng: random.Random, wanted: str | None = None) -> Line:
        """A sentence to train on; wanted: in that language."""
        while True:
            language, text = self._draw(rng, wanted)
            if wanted in (None, language) and not self.is_barred(language, text):
                return language, text

    def _draw(self, rng: random.Random, wanted: str | None) -> Line:
        language = wanted or rng.choices(LANGUAGES, self.mix.languages)[0]
        chance = rng.random()
        if language in ("de", "en") and chance < self.mix.known:
            return rng.choice(self.known)
        if language in ("es", "fr") or chance < self.mix.known + self.mix.grammar or not self.chats:
            return language, grammar_line(rng, language, held_out=False)
        chats = chance < self.mix.known + self.mix.grammar + self.mix.chats or not self.everyday
        return rng.choice(self.chats if chats else self.everyday)

    def is_barred(self, language: str, text: str) -> bool:
        """Whether a text is, but for case and marks, one that is held out."""
        return normalized(text) in _normalized_of(self, language)


_CACHE: dict[tuple[int, str], frozenset[str]] = {}


def _normalized_of(texts: AsrTexts, language: str) -> frozenset[str]:
    key = (id(texts), language)
    if key not in _CACHE:
        _CACHE[key] = frozenset(normalized(text) for text in texts.held_out[language])
    return _CACHE[key]


_BLOCKS = read_blocks()


def grammar_line(rng: random.Random, language: str, *, held_out: bool) -> str:
    """A sentence of the grammar, of the blocks on that side of the split; those with slots come more often."""
    numbers = [number for number in range(len(_BLOCKS)) if block_is_held_out(number) == held_out]
    weights = [3 if "{" in _BLOCKS[number]["de"] else 1 for number in numbers]
    return fill(_BLOCKS, rng.choices(numbers, weights)[0], rng).spoken[language]


def asr_texts(corpora: Path | None, seed: int = 1, mix: Mix = FULL) -> AsrTexts:
    """The texts of both sides; asserts that they do not meet."""
    rng = random.Random(seed)
    known = [line for pair in known_pairs() for line in pair.items()]
    chats = _short(sentences(read_bcontrast(corpora, "train")), mix.most_words)
    everyday = _short(sentences(read_tatoeba(corpora, mix.most_words)), mix.most_words)
    trained = {normalized(text) for _, text in known + chats}
    held_out: dict[str, list[str]] = {language: [] for language in LANGUAGES}
    for language, text in _short(sentences(read_bcontrast(corpora, "dev")), FULL.most_words):
        if normalized(text) not in trained and len(text.split()) > 1:
            held_out[language].append(text)
    count = HELD_OUT_PER_BLOCK * sum(block_is_held_out(number) for number in range(len(_BLOCKS)))
    for language in LANGUAGES:
        filled = (grammar_line(rng, language, held_out=True) for _ in range(count))
        held_out[language] += [text for text in dict.fromkeys(filled) if normalized(text) not in trained]
        rng.shuffle(held_out[language])
    barred = [text for texts in held_out.values() for text in texts]
    everyday = without([line for line in everyday if not is_held_out(line[1])], barred)
    must_not_meet((text for _, text in known + chats + everyday), barred)
    return AsrTexts(known, chats, everyday, held_out, mix)


def _short(lines: Iterable[Line], most_words: int) -> list[Line]:
    return [line for line in dict.fromkeys(lines) if len(line[1].split()) <= most_words]
