"""Sections → passages: as much as answers a question, never across a heading, cut between sentences."""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kallglot_media.knowledge.sections import Section

_PARAGRAPH = re.compile(r"\n\s*\n")
_SENTENCE_END = re.compile(r"[.!?…]+[\"'”’»)\]]*\s+|[。！？]+[」』）]*\s*")


@dataclass(frozen=True, slots=True)
class ChunkRules:
    """full_chars     a passage is closed when the next piece would make it longer than this
    longest_chars  what is longer without a sentence's end is cut between words
    overlap_chars  at most so much of a passage's end begins the next one too, in whole sentences
    """

    full_chars: int = 900
    longest_chars: int = 1400
    overlap_chars: int = 160


@dataclass(frozen=True, slots=True)
class Passage:
    """A piece of a section, with its heading and page."""

    text: str
    heading: str | None
    page: int | None


def cut(sections: Sequence[Section], rules: ChunkRules = ChunkRules()) -> list[Passage]:
    """Every section's passages, in order. Nothing but white space is lost."""
    return [
        Passage(text, section.heading, section.page) for section in sections for text in _passages(section.text, rules)
    ]


def _passages(text: str, rules: ChunkRules) -> Iterator[str]:
    held: list[str] = []
    fresh = False  # whether `held` has more than what overlaps with the passage before
    for piece in _pieces(text, rules):
        if fresh and _length(held) + len(piece) > rules.full_chars:
            yield "".join(held).strip()
            held, fresh = _tail(held, rules.overlap_chars), False
            if _length(held) + len(piece) > rules.longest_chars:
                held = []
        held.append(piece)
        fresh = True
    if fresh and "".join(held).strip():
        yield "".join(held).strip()


def _pieces(text: str, rules: ChunkRules) -> Iterator[str]:
    """Sentences with the white space after them; a paragraph's last one with an empty line."""
    for paragraph in _PARAGRAPH.split(text):
        ends = [*(match.end() for match in _SENTENCE_END.finditer(paragraph)), len(paragraph)]
        sentences = [
            one.strip() for one in (paragraph[begin:end] for begin, end in pairwise([0, *ends])) if one.strip()
        ]
        for at, sentence in enumerate(sentences):
            end = "\n\n" if at == len(sentences) - 1 else " "
            parts = list(_parts(sentence, rules.longest_chars))
            yield from (part + " " for part in parts[:-1])
            yield parts[-1] + end


def _parts(sentence: str, longest: int) -> Iterator[str]:
    """A sentence that is too long, between words, or, where there are none, anywhere."""
    while len(sentence) > longest:
        space = sentence.rfind(" ", longest // 2, longest)
        at = space if space > 0 else longest
        yield sentence[:at].rstrip()
        sentence = sentence[at:].lstrip()
    yield sentence


def _tail(pieces: Sequence[str], most: int) -> list[str]:
    kept: list[str] = []
    for piece in reversed(pieces):
        if _length(kept) + len(piece) > most:
            break
        kept.insert(0, piece)
    return kept


def _length(pieces: Sequence[str]) -> int:
    return sum(map(len, pieces))
