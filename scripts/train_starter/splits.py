"""What is trained on and what is judged with, and that the two never meet.

Held out are: every twelfth block of the grammar, BConTrasT's dev part, and a twentieth of all other corpora by a hash
of the sentence. The known sentences of data/closed.tsv are trained on and judged with by name as known ones.
"""

from __future__ import annotations

import hashlib
from collections.abc import Iterable

from train_starter.texts import normalized

BLOCKS_PER_HELD_OUT = 12
FIRST_HELD_OUT = 5
ONE_IN = 20


def block_is_held_out(number: int) -> bool:
    """Whether sentences of this block of grammar.txt are judged with."""
    return number % BLOCKS_PER_HELD_OUT == FIRST_HELD_OUT


def is_held_out(text: str) -> bool:
    """Whether a sentence of a corpus is judged with: by its own text, so that every copy goes the same way."""
    return int.from_bytes(hashlib.sha256(normalized(text).encode()).digest()[:4]) % ONE_IN == 0


def without(texts: Iterable[tuple[str, str]], held_out: Iterable[str]) -> list[tuple[str, str]]:
    """The (language, text) of `texts` that are not, but for case and marks, among `held_out`."""
    barred = {normalized(text) for text in held_out}
    return [(language, text) for language, text in texts if normalized(text) not in barred]


def must_not_meet(trained: Iterable[str], held_out: Iterable[str], what: str = "text") -> None:
    """Raise AssertionError when one thing is on both sides of the split."""
    both = {normalized(one) for one in trained} & {normalized(one) for one in held_out}
    if both:
        raise AssertionError(f"{len(both)} {what}s are trained on and judged with, such as {sorted(both)[0]!r}")
