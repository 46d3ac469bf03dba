"""How a party seems to feel, by a small lexicon: a hint where there is no model, and marked as such.

Each feeling word counts 1, an intensifier before it half more, a negation within three words before it turns it
round, at half its weight ("not good" is less than "bad").
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from kallglot_media.analysis.words import Lexicon, lexicon
from kallglot_media.store.stems import stems
from kallglot_media.store.turns import Turn

_BACK = 3
_SOFTENER = 3.0
"""So that a single word in a long conversation is no verdict: score = sum / (feeling words + this)."""
_NEUTRAL = 0.12


@dataclass(frozen=True, slots=True)
class Sentiment:
    """score: −1 to 1; label: positive, neutral, negative or unknown (no lexicon for the language); trend: of the
    second half against the first, so that a mended complaint shows.
    """

    score: float
    label: str
    trend: float
    feeling_words: int


def by_speaker(turns: Sequence[Turn]) -> dict[str, Sentiment]:
    """Every speaker's sentiment."""
    speakers = dict.fromkeys(turn.speaker for turn in turns)
    return {speaker: _sentiment([turn for turn in turns if turn.speaker == speaker]) for speaker in speakers}


def _sentiment(turns: Sequence[Turn]) -> Sentiment:
    weights = [_weights(turn, found) for turn in turns if (found := lexicon(turn.language)) is not None]
    if not weights:
        return Sentiment(0.0, "unknown", 0.0, 0)
    half = (len(weights) + 1) // 2
    score = _score(weights)
    trend = _score(weights[half:]) - _score(weights[:half])
    return Sentiment(round(score, 3), label(score), round(trend, 3), sum(map(len, weights)))


def label(score: float) -> str:
    """positive, neutral or negative."""
    if abs(score) < _NEUTRAL:
        return "neutral"
    return "positive" if score > 0 else "negative"


def _score(weights: Sequence[Sequence[float]]) -> float:
    every = [weight for turn in weights for weight in turn]
    return max(-1.0, min(1.0, sum(every) / (len(every) + _SOFTENER))) if every else 0.0


def _weights(turn: Turn, words: Lexicon) -> list[float]:
    """What each feeling word of a turn counts."""
    heard = stems(turn.text, turn.language)
    found: list[float] = []
    for at, stem in enumerate(heard):
        if stem not in words.good and stem not in words.bad:
            continue
        weight = 1.0 if stem in words.good else -1.0
        before = heard[max(at - _BACK, 0) : at]
        if before and before[-1] in words.intensifiers:
            weight *= 1.5
        if any(one in words.negations for one in before):
            weight *= -0.5
        found.append(weight)
    return found
