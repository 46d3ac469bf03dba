"""The pieces that the starter recogniser writes words with: few, and all of them tokens of Whisper.

Byte pair encoding over our own texts, in which two pieces may only be joined where Whisper's vocabulary has the result.
Whatever pieces a text is made of, Whisper's tokenizer reads the same text; few and short ones are learned sooner, and
can write words that were not in training.
"""

from __future__ import annotations

import json
import re
from collections import Counter, defaultdict
from collections.abc import Iterable
from functools import cache
from itertools import pairwise
from pathlib import Path

MERGES = 900
_WORD = re.compile(r" ?[^\W\d_]+| ?\d| ?[^\s\w]+|\s+|_")

Merge = tuple[str, str]


@cache
def byte_letters() -> dict[int, str]:
    """How byte-level vocabularies spell each byte as a visible letter."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return letters


def words_of(text: str) -> list[str]:
    """A text, a blank before it as Whisper has it, in words of byte letters."""
    letters = byte_letters()
    return ["".join(letters[byte] for byte in word.encode()) for word in _WORD.findall(" " + text)]


class Pieces:
    """Merges in the order in which they are applied, and the ids of Whisper's tokens."""

    def __init__(self, merges: list[Merge], ids: dict[str, int]) -> None:
        self.merges = merges
        self.ids = ids
        self._rank = {merge: rank for rank, merge in enumerate(merges)}
        self._cache: dict[str, tuple[int, ...]] = {}

    def encode(self, text: str) -> list[int]:
        """The token ids of a text."""
        return [token for word in words_of(text) for token in self._word(word)]

    def used(self) -> list[int]:
        """Every token that `encode` may make."""
        single = [self.ids[letter] for letter in byte_letters().values()]
        return single + [self.ids[left + right] for left, right in self.merges]

    def _word(self, word: str) -> tuple[int, ...]:
        if word not in self._cache:
            parts = list(word)
            while len(parts) > 1:
                ranks = [self._rank.get(pair, len(self.merges)) for pair in pairwise(parts)]
                best = min(range(len(ranks)), key=ranks.__getitem__)
                if ranks[best] == len(self.merges):
                    break
                parts[best : best + 2] = [parts[best] + parts[best + 1]]
            self._cache[word] = tuple(self.ids[part] for part in parts)
        return self._cache[word]


def whisper_ids(tokenizer: Path) -> dict[str, int]:
    """Token → id of a tokenizer.json, the special ones too."""
    told = json.loads(tokenizer.read_text(encoding="utf-8"))
    return {**told["model"]["vocab"], **{one["content"]: one["id"] for one in told["added_tokens"]}}


def learn_pieces(texts: Iterable[str], ids: dict[str, int], merges: int = MERGES) -> Pieces:
    """The most frequent merges of `texts` that Whisper knows."""
    words = [
        (list(word), count) for word, count in sorted(Counter(w for text in texts for w in words_of(text)).items())
    ]
    pairs: Counter[Merge] = Counter()
    places: defaultdict[Merge, set[int]] = defaultdict(set)
    for number, (parts, count) in enumerate(words):
        for pair in pairwise(parts):
            pairs[pair] += count
            places[pair].add(number)
    made: list[Merge] = []
    while pairs and len(made) < merges:
        best = max(pairs, key=lambda pair: (pairs[pair], pair))
        if pairs[best] < 2:
            break
        if best[0] + best[1] not in ids:
            del pairs[best]
            continue
        made.append(best)
        for number in sorted(places[best]):
            _join(words, number, best, pairs, places, ids)
        del pairs[best]
    return Pieces(made, ids)


def _join(
    words: list[tuple[list[str], int]],
    number: int,
    merge: Merge,
    pairs: Counter[Merge],
    places: defaultdict[Merge, set[int]],
    ids: dict[str, int],
) -> None:
    """Apply a merge to a word and count its pairs anew."""
    parts, count = words[number]
    for pair in pairwise(parts):
        if pair in pairs:
            pairs[pair] -= count
    index = 0
    while index < len(parts) - 1:
        if (parts[index], parts[index + 1]) == merge:
            parts[index : index + 2] = [merge[0] + merge[1]]
        index += 1
    for pair in pairwise(parts):
        if pair[0] + pair[1] in ids:
            pairs[pair] += count
            places[pair].add(number)
