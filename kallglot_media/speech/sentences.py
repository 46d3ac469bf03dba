"""Cutting text into sentences, for translators trained on one sentence at a time."""

from __future__ import annotations

import re

_END = re.compile(r"[.!?…]+[\"'»“”’)\]]*\s+")

_ABBREVIATIONS = frozenset(
    """
    dr prof mr mrs ms st hr fr nr no tel str ca bzw usw etc evtl ggf inkl max min vgl
    sr sra srta m mme mlle jan feb apr aug sept oct okt nov dec dez
    e.g i.e z.b d.h u.a a.m p.m
    """.split()  # noqa: SIM905 - a list of forty short strings is harder to read
)

NEVER_LAST = frozenset(
    """
    dr prof mr mrs ms hr fr nr tel str bzw ca evtl ggf inkl vgl sr sra srta mme mlle e.g i.e z.b d.h u.a
    """.split()  # noqa: SIM905
)
"""Abbreviations that something always follows, without their last full stop."""


def sentences(text: str) -> list[str]:
    """The sentences of `text`, without the space between them.

        sentences("Guten Tag, Dr. Braun. Am 3. Mai? Ja.") == ["Guten Tag, Dr. Braun.", "Am 3. Mai?", "Ja."]

    A full stop ends no sentence after an abbreviation, a single letter or a number, or before a
    small letter: translating two sentences in one is better than translating half of one.
    """
    found: list[str] = []
    start = 0
    for end in _END.finditer(text):
        if _ends_here(text[start : end.end()].rstrip(), text[end.end() :]):
            found.append(text[start : end.end()].strip())
            start = end.end()
    rest = text[start:].strip()
    return [*found, rest] if rest else found


def _ends_here(sentence: str, rest: str) -> bool:
    if not any(letter.isalnum() for letter in sentence):
        return False
    if not sentence.endswith("."):
        return True
    if rest[:1].islower():
        return False
    last = sentence[:-1].rsplit(maxsplit=1)[-1] if sentence[:-1].strip() else ""
    word = last.lstrip("(\"'").lower()
    return not (word in _ABBREVIATIONS or word.isdigit() or (len(word) == 1 and word.isalpha()))
