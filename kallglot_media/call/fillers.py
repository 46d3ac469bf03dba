"""Words that carry nothing, left out when an interpreter is far behind."""

from __future__ import annotations

import re

_FILLERS = {
    "de": ["äh", "ähm", "hm", "also", "naja", "na ja", "sozusagen", "quasi", "eigentlich", "halt", "irgendwie",
           "wissen Sie", "sagen wir mal", "ich sag mal"],
    "en": ["uh", "um", "er", "erm", "well", "you know", "I mean", "sort of", "kind of", "basically", "actually"],
    "es": ["eh", "este", "pues", "bueno", "o sea", "digamos", "en plan"],
    "fr": ["euh", "ben", "bah", "enfin", "en fait", "tu vois", "vous voyez", "disons"],
    "it": ["ehm", "cioè", "diciamo", "insomma", "praticamente"],
    "pt": ["hum", "né", "tipo", "quer dizer", "digamos"],
}  # fmt: skip

_PATTERNS = {
    language: re.compile(
        r"(?<!\w)(?:" + "|".join(sorted(map(re.escape, words), key=len, reverse=True)) + r")(?!\w)[,…]?\s*", re.I
    )
    for language, words in _FILLERS.items()
}


def without_fillers(text: str, language: str) -> str:
    """`text` without them; as it is when nothing would be left, or the language is not known.

    without_fillers("Also, ähm, die Nummer ist acht.", "de") == "Die Nummer ist acht."
    """
    pattern = _PATTERNS.get(language)
    if pattern is None:
        return text
    shorter = re.sub(r"\s+([,.;:!?])", r"\1", pattern.sub("", text)).lstrip(" ,").strip()
    if not any(letter.isalnum() for letter in shorter):
        return text
    return shorter[0].upper() + shorter[1:] if text[:1].isupper() else shorter
