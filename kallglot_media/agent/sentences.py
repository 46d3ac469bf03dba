"""Sentences out of a stream of text, as soon as each is whole."""

from __future__ import annotations

import re

_ENDS = re.compile(r"(?<=[.!?…:;])[\"”»')\]]*\s+|\n+")
_NOT_AN_END = re.compile(
    r"(?:\b(?:Dr|Mr|Mrs|Ms|Hr|Fr|Nr|No|St|Str|bzw|ca|etc|usw|inkl|z\.\s?B|u\.\s?a|d\.\s?h|e\.g|i\.e|a\.m|p\.m)\.|\b\d{1,2}\.)$",
    re.IGNORECASE,
)
SHORTEST_CHARACTERS = 12
"""A shorter sentence waits for the next: "Yes." alone sounds chopped off."""


class SentenceStream:
    """push() text as it comes, and take whole sentences; rest() at the end."""

    def __init__(self) -> None:
        self._text = ""

    def push(self, text: str) -> list[str]:
        """The sentences that are whole now."""
        self._text += text
        whole: list[str] = []
        held = ""
        start = 0
        for end in _ENDS.finditer(self._text):
            part = (held + self._text[start : end.end()]).strip()
            start = end.end()
            if not part:
                continue
            if _NOT_AN_END.search(part) or len(part) < SHORTEST_CHARACTERS:
                held = part + " "
                continue
            whole.append(part)
            held = ""
        self._text = held + self._text[start:]
        return whole

    def rest(self) -> str:
        """What is left when nothing more comes."""
        left, self._text = self._text.strip(), ""
        return left


def spoken(text: str) -> str:
    """Without what is for the eye: Markdown, links, emoji. What is left can be read aloud.

    spoken("**Sure**: see [our page](https://x.example/y) 🙂") == "Sure: see our page"
    """
    text = re.sub(r"```.*?```", " ", text, flags=re.DOTALL)
    text = re.sub(r"!?\[([^\]]*)\]\([^)]*\)", r"\1", text)
    text = re.sub(r"(?m)^\s*(#{1,6}|[-*•]|\d+[.)])\s+", "", text)
    text = re.sub(r"(\*\*|__|`|~~)", "", text)
    text = re.sub(r"(?<!\w)[*_](?=\S)|(?<=\S)[*_](?!\w)", "", text)
    text = re.sub(r"[\U0001F000-\U0001FAFF\u2600-\u27BF\uFE0F\u200D]", "", text)
    return " ".join(text.split())
