"""The pieces that the starter recogniser writes words with: those of Whisper's tokens that its texts are full of.

A text is divided as Whisper's tokenizer does it; a token that is too rare to be learned is taken apart into the two
that it was merged from, and these again, down to single letters if need be. So there are few pieces, words that were
not in training can be written too, and Whisper's tokenizer reads the same text whatever pieces it is made of.
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Iterable
from functools import cache
from pathlib import Path

from tokenizers import Tokenizer

RARE = 100
"""A token that comes fewer times than this in the texts looked at is taken apart."""


@cache
def byte_letters() -> dict[int, str]:
    """How byte-level vocabularies spell each byte as a visible letter."""
    plain = [*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)]
    letters = {byte: chr(byte) for byte in plain}
    for byte in range(256):
        if byte not in letters:
            letters[byte] = chr(256 + len(letters) - len(plain))
    return letters


class Whisper:
    """Whisper's vocabulary and how its tokens were merged, from a tokenizer.json."""

    def __init__(self, tokenizer: Path) -> None:
        told = json.loads(tokenizer.read_text(encoding="utf-8"))
        self.tokenizer = Tokenizer.from_file(str(tokenizer))
        self.ids = {**told["model"]["vocab"], **{one["content"]: one["id"] for one in told["added_tokens"]}}
        merges = [merge if isinstance(merge, list) else merge.split(" ") for merge in told["model"]["merges"]]
        self.parts = {self.ids[left + right]: (self.ids[left], self.ids[right]) for left, right in merges}
        self.letters = [self.ids[letter] for letter in byte_letters().values()]

    def encode(self, text: str) -> list[int]:
        """As Whisper writes it: with a blank before it."""
        return list(self.tokenizer.encode(" " + text).ids)


class Pieces:
    """The tokens that may be used, besides single letters."""

    def __init__(self, kept: Iterable[int], whisper: Whisper) -> None:
        self.kept = frozenset(kept) | frozenset(whisper.letters)
        self.whisper = whisper
        self.ids = whisper.ids

    def encode(self, text: str) -> list[int]:
        """The token ids of a text."""
        return [piece for token in self.whisper.encode(text) for piece in self._apart(token)]

    def used(self) -> list[int]:
        """Every token that `encode` may make."""
        return sorted(self.kept)

    def _apart(self, token: int) -> list[int]:
        if token in self.kept:
            return [token]
        return [piece for part in self.whisper.parts[token] for piece in self._apart(part)]


def frequent_pieces(texts: Iterable[str], whisper: Whisper, rare: int = RARE) -> Pieces:
    """Whisper's tokens that are not rare in `texts`, counting the parts of those that are."""
    counts = Counter(token for text in texts for token in whisper.encode(text))
    kept: set[int] = set()
    for token in sorted(whisper.parts, reverse=True):  # what was merged last comes first
        if counts[token] >= rare:
            kept.add(token)
            continue
        for part in whisper.parts[token]:
            counts[part] += counts[token]
    return Pieces(kept, whisper)
