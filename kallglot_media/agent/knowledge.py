"""Pieces of documents, and which of them fit a question: by words, weighed by how rare they are here.

Small on purpose and whole in memory: a help desk's documents are hundreds of passages, not millions. Larger bases are
searched by the store first (store/search.py), and what it finds is judged here.
"""

from __future__ import annotations

import math
import re
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

from kallglot_media.agent.lexicon import ASKING, ASKS, SPELLINGS, STOPWORDS, SYNONYMS, TELLS
from kallglot_media.agent.meaning import Meaning
from kallglot_media.agent.types import Found, Source
from kallglot_media.speech.sentences import sentences
from kallglot_media.store.stems import COMPOUNDING, stems

_SHORTEST_PART = 5
"""Shorter stems are not looked for inside of compounds."""


@dataclass(frozen=True, slots=True)
class Term:
    """A word of a question that means something. same: stems that count as it, nearly."""

    stem: str
    same: frozenset[str]


@dataclass(frozen=True, slots=True)
class Question:
    """A question taken apart. kind: what it asks for ("money", "time", …), "" when that cannot be told."""

    terms: tuple[Term, ...]
    kind: str


@dataclass(frozen=True, slots=True)
class Sentence:
    """One sentence of a passage, with its stems."""

    text: str
    stems: frozenset[str]


@dataclass(frozen=True, slots=True)
class Piece:
    """A passage made ready. head: stems of its own heading; titles: of the headings above and the document's title."""

    source: Source
    head: frozenset[str]
    titles: frozenset[str]
    sentences: tuple[Sentence, ...]
    stems: frozenset[str]


def content_stems(text: str, language: str) -> list[str]:
    """The stems of the words that mean something."""
    stop = STOPWORDS.get(language, frozenset())
    for pattern, word in SPELLINGS.get(language, ()):
        text = re.sub(pattern, word, text, flags=re.IGNORECASE)
    words = [word for word in re.findall(r"\w+(?:[-'’]\w+)*", text.casefold()) if word not in stop]
    return [stem for stem in stems(" ".join(words), language) if stem not in stop and len(stem) > 1]


@lru_cache(maxsize=64)
def _synonyms(language: str) -> dict[str, frozenset[str]]:
    """stem -> stems of the words that customers use for it."""
    found: dict[str, set[str]] = {}
    for group in SYNONYMS.get(language, ()):
        of_group = {stem for word in group for stem in stems(word, language)}
        for stem in of_group:
            found.setdefault(stem, set()).update(of_group)
    return {stem: frozenset(same - {stem}) for stem, same in found.items()}


def read_question(text: str, language: str) -> Question:
    """What of a question can be looked for."""
    same = _synonyms(language)
    said = " ".join(text.casefold().split())
    kind = next((kind for pattern, kind in ASKS.get(language, ()) if re.search(pattern, said)), "")
    asking = {stem for word in ASKING.get(kind, ()) for stem in stems(word, language)}
    words = dict.fromkeys(stem for stem in content_stems(text, language) if stem not in asking)
    return Question(tuple(Term(stem, same.get(stem, frozenset())) for stem in words), kind)


def likeness(term: Term, there: frozenset[str], language: str) -> float:
    """How surely a word of the question is in a text: 1 itself, less as a part of a compound or by another name."""
    if term.stem in there:
        return 1.0
    if not term.same.isdisjoint(there):
        return 0.85
    if language in COMPOUNDING and len(term.stem) >= _SHORTEST_PART:
        for stem in there:
            if len(stem) >= _SHORTEST_PART and (
                stem.startswith(term.stem) or stem.endswith(term.stem) or term.stem.startswith(stem)
                or term.stem.endswith(stem)
            ):  # fmt: skip
                return 0.7
    return 0.0


class Knowledge:
    """An index over sources. Empty is allowed: then nothing is ever found.

    meaning  finds passages by meaning, too, where there is a model for it
    """

    def __init__(self, sources: Sequence[Source], meaning: Meaning | None = None) -> None:
        self.meaning = meaning
        self.pieces = tuple(map(_piece, sources))
        self._known: Counter[str] = Counter()
        for piece in self.pieces:
            self._known.update(piece.stems)

    def __len__(self) -> int:
        return len(self.pieces)

    def weight(self, term: Term, language: str) -> float:
        """How much a word says: the rarer here, the more; one that is nowhere says most of all."""
        here = self._known.get(term.stem, 0)
        if not here:
            here = sum(likeness(term, piece.stems, language) > 0 for piece in self.pieces)
        return math.log(1 + (len(self.pieces) + 1) / (here + 0.5))

    def find(self, text: str, language: str, most: int) -> list[Found]:
        """The passages that fit best, best first: for a language model to read. Score 1 is the best of them."""
        question = read_question(text, language)
        weights = {term: self.weight(term, language) for term in question.terms}
        ranked = sorted(
            ((self.fit(piece, question, weights), at) for at, piece in enumerate(self.pieces)), reverse=True
        )
        best = ranked[0][0] if ranked else 0.0
        return [Found(self.pieces[at].source, score / best) for score, at in ranked[:most] if score > 0]

    def fit(self, piece: Piece, question: Question, weights: dict[Term, float]) -> float:
        """How much of the question a passage is about, 0 and up; its own heading counts double."""
        language = piece.source.language
        return sum(
            weights[term]
            * (likeness(term, piece.stems, language) + likeness(term, piece.head, language)
               + 0.3 * likeness(term, piece.titles, language))
            for term in question.terms
        )  # fmt: skip


def tells(kind: str, text: str) -> bool:
    """Whether a sentence holds what a question of this kind wants to hear."""
    pattern = TELLS.get(kind)
    return pattern is not None and re.search(pattern, text.casefold()) is not None


def _piece(source: Source) -> Piece:
    language = source.language
    above, _, own = (source.heading or "").rpartition(" › ")
    head = frozenset(content_stems(own, language))
    titles = frozenset(content_stems(f"{source.title} {above}", language))
    parts = tuple(
        Sentence(one, frozenset(content_stems(one, language)))
        for paragraph in source.text.split("\n")
        for one in sentences(paragraph)
    )
    return Piece(source, head, titles, parts, frozenset().union(head, *(part.stems for part in parts)))
