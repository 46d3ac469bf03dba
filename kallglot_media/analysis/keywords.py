"""What a conversation was about: words and pairs of words that come often, early and are no stop words. No model."""

from __future__ import annotations

import math
import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kallglot_media.analysis.words import LANGUAGES, stop_words
from kallglot_media.store.stems import stems
from kallglot_media.store.turns import Turn

_WORD = re.compile(r"[^\W_]+(?:['’-][^\W_]+)*")
_SHORTEST = 3
_SHORTEST_UNKNOWN = 5
"""In a language without stop words short words are mostly such."""
_PAIR_BONUS = 1.25


@dataclass(frozen=True, slots=True)
class Keyword:
    """text: as it was said most often; score: 1 for the first; speakers: who said it."""

    text: str
    language: str
    count: int
    score: float
    speakers: tuple[str, ...]


def keywords(turns: Sequence[Turn], most: int = 15) -> tuple[Keyword, ...]:
    """The keywords of each language that was spoken, best first."""
    forms: dict[tuple[str, str], Counter[str]] = defaultdict(Counter)
    speakers: dict[tuple[str, str], dict[str, None]] = defaultdict(dict)
    spread: dict[tuple[str, str], set[int]] = defaultdict(set)
    for at, turn in enumerate(turns):
        for stem, form in _candidates(turn):
            key = turn.language, stem
            forms[key][form] += 1
            speakers[key][turn.speaker] = None
            spread[key].add(at)
    scores = {key: _score(key[1], counts, len(spread[key])) for key, counts in forms.items()}
    best = sorted(scores, key=lambda key: (-scores[key], key))
    kept = list(_without_parts(best, forms))[:most]
    top = scores[kept[0]] if kept else 1.0
    return tuple(
        Keyword(
            forms[key].most_common(1)[0][0],
            key[0],
            forms[key].total(),
            round(scores[key] / top, 3),
            tuple(speakers[key]),
        )
        for key in kept
    )


def _candidates(turn: Turn) -> Iterator[tuple[str, str]]:
    """(stem or stems, as said) of words and of pairs side by side."""
    stops = stop_words(turn.language)
    shortest = _SHORTEST if turn.language in LANGUAGES else _SHORTEST_UNKNOWN
    found: list[tuple[str, str] | None] = []
    for word in _WORD.findall(turn.text):
        small = word.casefold()
        plain = small in stops or len(word) < shortest or not any(map(str.isalpha, word))
        found.append(None if plain else (" ".join(stems(word, turn.language)), word))
    yield from (one for one in found if one is not None)
    for left, right in pairwise(found):
        if left is not None and right is not None and left[0] != right[0]:
            yield f"{left[0]} {right[0]}", f"{left[1]} {right[1]}"


def _score(stem: str, forms: Counter[str], turns: int) -> float:
    count = forms.total()
    if " " in stem:
        return _PAIR_BONUS * count * math.log2(1 + turns)
    longest = max(map(len, forms))
    return count * math.log2(1 + turns) * min(longest, 12) / 8


def _without_parts(
    best: Sequence[tuple[str, str]], forms: dict[tuple[str, str], Counter[str]]
) -> Iterator[tuple[str, str]]:
    """Leave out pairs that came once (that is chance), and words that hardly come outside the others."""
    in_pairs: Counter[tuple[str, str]] = Counter()
    for (language, stem), counts in forms.items():
        if " " in stem and counts.total() > 1:
            in_pairs.update({(language, part): counts.total() for part in stem.split()})
    for key in best:
        count = forms[key].total()
        if count > 1 if " " in key[1] else 2 * in_pairs[key] <= count:
            yield key
