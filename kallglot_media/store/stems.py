"""Words as the index knows them: in lower case, cut down to their stem, by the language they are in.

SQLite has English stemming at best, so text and queries are stemmed here (Snowball) before they reach it.
PostgreSQL stems by itself in the languages of PG_CONFIGS; for the others it gets the same words as SQLite.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from functools import cache, lru_cache
from typing import Any

_SNOWBALL: Mapping[str, str] = {
    "ar": "arabic", "ca": "catalan", "cs": "czech", "da": "danish", "de": "german", "el": "greek", "en": "english",
    "es": "spanish", "et": "estonian", "eu": "basque", "fa": "persian", "fi": "finnish", "fr": "french", "hi": "hindi",
    "hu": "hungarian", "hy": "armenian", "id": "indonesian", "it": "italian", "lt": "lithuanian", "ne": "nepali",
    "nl": "dutch", "nn": "norwegian", "no": "norwegian", "pl": "polish", "pt": "portuguese", "ro": "romanian",
    "ru": "russian", "sr": "serbian", "sv": "swedish", "ta": "tamil", "tr": "turkish", "yi": "yiddish",
}  # fmt: skip

PG_CONFIGS: Mapping[str, str] = {
    code: name for code, name in _SNOWBALL.items() if name not in ("czech", "estonian", "persian", "polish")
}
"""Language -> the text search configuration that PostgreSQL 14 and newer bring for it."""

COMPOUNDING = frozenset({"da", "de", "fi", "hu", "nl", "nn", "no", "sv"})
"""Languages that write words together: "Kreditkarte" must find "Kreditkartenzahlung", so stems match as beginnings."""

SHORTEST_BEGINNING = 5
MOST_QUERY_STEMS = 64

_WORD = re.compile(r"\w+(?:['’]\w+)?")
_UNSPACED = re.compile(r"[\u0e00-\u0eff\u1000-\u109f\u1780-\u17ff\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+")


def stems(text: str, language: str) -> list[str]:
    """Every word's stem, in order.

    stems("Die Häuser", "de") == ["die", "haus"]

    Scripts without spaces become pairs of characters: stems("東京都", "ja") == ["東京", "京都"]
    """
    found: list[str] = []
    for word in _WORD.findall(text.casefold()):
        if _UNSPACED.search(word):
            found += _pairs(word)
        else:
            found.append(_stem(word, language))
    return found


def query_stems(text: str, languages: frozenset[str]) -> tuple[str, ...]:
    """What to look for when documents in these languages are searched: each word's stem in each of them."""
    found = dict.fromkeys(stem for language in sorted(languages) for stem in stems(text, language))
    return tuple(found)[:MOST_QUERY_STEMS]


def _pairs(word: str) -> list[str]:
    found: list[str] = []
    place = 0
    for run in _UNSPACED.finditer(word):
        if run.start() > place:
            found.append(word[place : run.start()])
        text = run.group()
        found += [text[at : at + 2] for at in range(len(text) - 1)] or [text]
        place = run.end()
    return found + ([word[place:]] if place < len(word) else [])


@lru_cache(50_000)
def _stem(word: str, language: str) -> str:
    stemmer = _stemmer(_SNOWBALL.get(language))
    return word if stemmer is None else str(stemmer.stemWord(word))


@cache
def _stemmer(algorithm: str | None) -> Any:
    if algorithm is None:
        return None
    import snowballstemmer

    return snowballstemmer.stemmer(algorithm)
