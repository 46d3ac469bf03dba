"""When and how well a text is passed on by a policy: its words come one after the other as if they were spoken, without
sound and without a recogniser, so that what is seen is the policy's doing, and the translator's. No clock.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace

from kallglot_media.call.stretches import complete_words, ends_clause, ends_sentence
from kallglot_media.modes.policy import Policy
from kallglot_media.speech.agreement import Agreement, joined
from kallglot_media.speech.types import Word

MS_A_LETTER = 68
"""About 14.7 letters a second, the space between words among them: people on the telephone."""

SENTENCE_MS = 280
"""The pause between two sentences."""

SHAKY_MS = 300
"""A recogniser hears another word each time in what ends so shortly before the end of growing sound."""

Translate = Callable[[str, str, str], str]
"""(text, the source before it, what that became) -> words."""


@dataclass(frozen=True, slots=True)
class Piece:
    """Passed on at at_ms, since the first sound."""

    text: str
    made: str
    at_ms: int


def timed(text: str, comma_ms: int) -> list[Word]:
    """Its words, when they are said."""
    words: list[Word] = []
    at_ms = 0
    for one in text.split():
        end_ms = at_ms + MS_A_LETTER * (len(one) + 1)
        words.append(Word(one, at_ms, end_ms, 1.0))
        at_ms = end_ms + (SENTENCE_MS if ends_sentence(one) else comma_ms if ends_clause(one) else 0)
    return words


def pass_on_text(text: str, language: str, policy: Policy, translate: Translate, comma_ms: int) -> list[Piece]:
    """What becomes of one utterance. comma_ms: the speaker's pause at a comma."""
    words = timed(text, comma_ms)
    pieces: list[Piece] = []
    before = ("", "")
    for clause, at_ms in _clauses(words, language, policy):
        made = translate(clause, *before)
        pieces.append(Piece(clause, made, at_ms))
        before = ("", "") if ends_sentence(clause) else (f"{before[0]} {clause}".strip(), f"{before[1]} {made}".strip())
    return pieces


def _clauses(words: Sequence[Word], language: str, policy: Policy) -> list[tuple[str, int]]:
    agreement, passed, found = Agreement(), 0, []
    for at_ms, paused in _looks(words, policy):
        heard = [
            word if paused or word.end_ms <= at_ms - SHAKY_MS else Word(f"~{at_ms}", word.start_ms, word.end_ms, 1.0)
            for word in words[passed:]
            if word.start_ms + 80 < at_ms
        ]
        if paused and heard:
            heard[-1] = replace(heard[-1], text=_ended(heard[-1].text))
        agreement.take(heard, final=paused)
        count = complete_words(agreement.words, agreement.stable, policy, language, paused=paused)
        if count:
            found.append((joined(agreement.words[:count]), at_ms))
            agreement.drop(count)
            passed += count
    if passed < len(words):
        found.append((joined(words[passed:]), words[-1].end_ms + 500))
    return found


def _ended(word: str) -> str:
    """As a recogniser writes what ends in silence."""
    return word if ends_sentence(word) else word.rstrip(",;:–") + "."


def _looks(words: Sequence[Word], policy: Policy) -> list[tuple[int, bool]]:
    """When the recogniser is asked, and whether the speaker was silent then."""
    end_ms = words[-1].end_ms
    looks = [(at_ms, False) for at_ms in range(policy.partial_ms, end_ms, policy.partial_ms)]
    for word, following in zip(words, [*words[1:], None], strict=True):
        if policy.pause_ms and (following is None or following.start_ms - word.end_ms >= policy.pause_ms):
            looks.append((word.end_ms + policy.pause_ms, True))
    return sorted(looks)
