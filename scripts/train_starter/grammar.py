"""Sentences of support calls: the blocks of data/grammar.txt, their slots filled by chance."""

from __future__ import annotations

import random
import re
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from train_starter.slots import LANGUAGES, fillings

GRAMMAR = Path(__file__).parent / "data" / "grammar.txt"
_SLOT = re.compile(r"\{([\w.]+)\}")


@dataclass(frozen=True, slots=True)
class Sentence:
    """The same said in four languages.

    block    number of the block in grammar.txt that it is made of
    written  by language, numbers in digits
    spoken   by language, every word as it is said
    """

    block: int
    written: dict[str, str]
    spoken: dict[str, str]


def read_blocks(path: Path = GRAMMAR) -> list[dict[str, str]]:
    """The sentences with their slots, by language."""
    lines = [line for line in path.read_text(encoding="utf-8").splitlines() if not line.startswith("#")]
    blocks = [block.split("\n") for block in "\n".join(lines).strip().split("\n\n")]
    for number, block in enumerate(blocks):
        if len(block) != len(LANGUAGES):
            raise ValueError(f"{path}: block {number} has {len(block)} lines ({block[0]!r}); write one per language")
    return [dict(zip(LANGUAGES, block, strict=True)) for block in blocks]


def fill(blocks: Sequence[dict[str, str]], number: int, rng: random.Random) -> Sentence:
    """Block `number` with its slots filled."""
    values = fillings(rng)
    written, spoken = {}, {}
    for language, text in blocks[number].items():
        said = {}
        for form in ("written", "spoken"):
            filled = _SLOT.sub(lambda slot: getattr(values[slot[1].lower()][language], form), text)  # noqa: B023
            said[form] = _tidied(filled, language, capital=text.startswith("{") and not text.startswith("{number"))
        written[language], spoken[language] = said["written"], said["spoken"]
    return Sentence(number, written, spoken)


def _tidied(text: str, language: str, *, capital: bool) -> str:
    """French runs words into one another, Spanish contracts "a el", a sentence may start with a slot."""
    text = text.replace("m..", "m.")
    if language == "fr":
        text = re.sub(r"\bà les\b", "aux", re.sub(r"\bde le\b", "du", text))
        text = re.sub(r"\b([Dd])e (?=[aeiouéèêâAEIOUÉ])", r"\1'", text)
    if language == "es":
        text = re.sub(r"\ba el\b", "al", re.sub(r"\bde el\b", "del", text))
    return text[0].upper() + text[1:] if capital else text
