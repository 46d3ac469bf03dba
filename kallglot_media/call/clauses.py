"""Cut a translation into pieces that can be spoken one after the other.

The first piece is made and starts to play while the next is still being made, so
pieces end where a speaker would breathe, and short ones stay together.
"""

from __future__ import annotations

import re

SHORTEST_CHARACTERS = 24
"""A piece shorter than this is joined with the next: a lone "Yes." sounds chopped off."""

_BREATH = re.compile(r"(?<=[.!?…;:])\s+(?=\S)")
_NOT_AN_END = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Hr|Fr|Nr|No|St|bzw|ca|etc|z\.B|u\.a|d\.h|e\.g|i\.e)\.|\b\d{1,2}\.)$", re.IGNORECASE
)


def speakable(text: str) -> list[str]:
    """`text` in pieces that end at sentences.

    speakable("Yes. Your order left us on the 3. of May. Anything else?")
        == ["Yes. Your order left us on the 3. of May.", "Anything else?"]
    """
    pieces: list[str] = []
    for part in _BREATH.split(text.strip()):
        if pieces and (len(pieces[-1]) < SHORTEST_CHARACTERS or _NOT_AN_END.search(pieces[-1])):
            pieces[-1] += " " + part
        elif part:
            pieces.append(part)
    return pieces
