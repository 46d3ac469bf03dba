"""Answers without a language model: the passage that fits best, cut down to the sentence that answers. Or none.

How sure an answer is, is the part of the question that one passage accounts for, each word weighed by how much it says;
a question with a word that is nowhere in the documents is not answered with what is there about its other words.
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from kallglot_media.agent.knowledge import Knowledge, Piece, Question, Sentence, Term, likeness, read_question, tells
from kallglot_media.agent.types import Source

LONGEST_ANSWER_CHARACTERS = 240
SHORT_SENTENCE_CHARACTERS = 40
_POINTS_BACK = re.compile(
    r"(other|it|its|they|their|this|that|these|then|there|otherwise|also|after that|damit|danach|dann|dort|das|dies\w*"
    r"|dafür|davon|sonst|andere\w*|er|sie (gilt|gelten|ist|sind|wird)|es)\b",
    re.IGNORECASE,
)
CLOSE = 0.94
"""Two passages whose scores are nearer than this are as good as each other: the question is about something else."""


@dataclass(frozen=True, slots=True)
class Answer:
    """text: word for word from `source`. confidence: 0–1."""

    text: str
    source: Source
    confidence: float


@dataclass(frozen=True, slots=True)
class _Judged:
    piece: Piece
    score: float
    coverage: float


def answer(knowledge: Knowledge, text: str, language: str) -> Answer | None:
    """The best answer there is, however unsure; None when the documents have no word of the question.

    `language` is that of the question; passages in other languages are not looked at.
    """
    question = read_question(text, language)
    pieces = [piece for piece in knowledge.pieces if piece.source.language == language]
    if not question.terms or not pieces:
        return None
    weights = {term: knowledge.weight(term, language) for term in question.terms}
    judged = sorted((_judge(piece, question, weights) for piece in pieces), key=lambda one: one.score, reverse=True)
    best = judged[0]
    if best.coverage == 0.0:
        return None
    confidence = min(1.0, best.coverage) * _standing_out(judged) * _enough(question, best.piece)
    return Answer(_cut(best.piece, question, weights), best.piece.source, round(confidence, 3))


def _judge(piece: Piece, question: Question, weights: dict[Term, float]) -> _Judged:
    language = piece.source.language
    total = sum(weights.values())
    near = max((_covered(piece.head | one.stems, question, weights, language) for one in piece.sentences), default=0.0)
    whole = _covered(piece.stems, question, weights, language)
    titled = _covered(piece.stems | piece.titles, question, weights, language)
    head = _covered(piece.head, question, weights, language)
    coverage = (0.6 * near + 0.25 * whole + 0.15 * titled) / total
    # a heading that says little else than the question is what the question is about
    asked = frozenset().union(*({term.stem} | term.same for term in question.terms))
    precise = (
        sum(any(_alike(stem, one) for one in asked) for stem in piece.head) / len(piece.head) if piece.head else 0.0
    )
    kind = 0.05 if question.kind and any(tells(question.kind, one.text) for one in piece.sentences) else 0.0
    return _Judged(piece, coverage + 0.25 * head / total + 0.2 * precise * (head > 0) + kind, coverage)


def _covered(there: frozenset[str], question: Question, weights: dict[Term, float], language: str) -> float:
    return sum(weights[term] * likeness(term, there, language) for term in question.terms)


def _alike(one: str, other: str) -> bool:
    return one == other or (min(len(one), len(other)) >= 5 and (one.startswith(other) or other.startswith(one)))


def _standing_out(judged: list[_Judged]) -> float:
    """Less than 1 when another passage is as good."""
    if len(judged) < 2 or judged[0].score <= 0:
        return 1.0
    near = judged[1].score / judged[0].score
    return 1.0 if near < CLOSE else 0.8


def _enough(question: Question, piece: Piece) -> float:
    """A single word is a question only where a passage is about it."""
    if len(question.terms) > 1:
        return 1.0
    return 0.9 if likeness(question.terms[0], piece.head, piece.source.language) else 0.4


def _cut(piece: Piece, question: Question, weights: dict[Term, float]) -> str:
    """The sentence that answers; from the start of the passage when the question says no more than its heading."""
    language = piece.source.language
    if not piece.sentences:
        return piece.source.text.strip()[:LONGEST_ANSWER_CHARACTERS]
    beyond = [term for term in question.terms if not likeness(term, piece.head, language)]

    def worth(one: Sentence) -> float:
        said = sum(weights[term] * likeness(term, one.stems, language) for term in beyond)
        return said + (2.0 if question.kind and tells(question.kind, one.text) else 0.0)

    values = [worth(one) for one in piece.sentences]
    at = max(range(len(values)), key=lambda index: (values[index], -index))
    text = piece.sentences[at].text
    sure = values[at] > 0 and values.count(values[at]) == 1
    before = [one.text for one in piece.sentences[:at]]
    if before and (not question.kind or _POINTS_BACK.match(text)):
        # "Other animals are not allowed." and "Yes, but …" mean nothing without what stands before them
        whole = " ".join([*before, text])
        text = whole if len(whole) <= LONGEST_ANSWER_CHARACTERS else f"{before[-1]} {text}"
    elif not sure or text.rstrip().endswith(":") or len(text) < SHORT_SENTENCE_CHARACTERS:
        following = piece.sentences[at + 1].text if at + 1 < len(piece.sentences) else ""
        if following and len(text) + len(following) < LONGEST_ANSWER_CHARACTERS:
            text = f"{text} {following}"
    return text
