"""Words that say nothing by themselves (stop words), and words that say how somebody feels: lexicon/<language>.txt."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cache
from importlib.resources import files

from kallglot_media.store.stems import stems

LANGUAGES = frozenset({"de", "en", "es", "fr"})


@dataclass(frozen=True, slots=True)
class Lexicon:
    """Stems of one language."""

    good: frozenset[str]
    bad: frozenset[str]
    negations: frozenset[str]
    intensifiers: frozenset[str]


@cache
def stop_words(language: str) -> frozenset[str]:
    """Words (as written, in lower case) that are no keywords; empty for a language that we have none of."""
    return frozenset(_sections(language).get("stop", ()))


@cache
def lexicon(language: str) -> Lexicon | None:
    """The feeling words of a language; None when we have none of it."""
    sections = _sections(language)
    if not sections:
        return None
    good, bad, negations, intensifiers = (
        frozenset(stem for word in sections[name] for stem in stems(word, language))
        for name in ("good", "bad", "negations", "intensifiers")
    )
    return Lexicon(good - bad, bad, negations, intensifiers)


@cache
def _sections(language: str) -> dict[str, list[str]]:
    """A file's words by section: `[name]` begins one, `#` a comment."""
    found: dict[str, list[str]] = {}
    if language not in LANGUAGES:
        return found
    text = files("kallglot_media.analysis").joinpath("lexicon", f"{language}.txt").read_text("utf-8")
    for line in text.splitlines():
        if line.startswith("["):
            section = found.setdefault(line.strip("[]"), [])
        elif line and not line.startswith("#"):
            section += line.split()
    return found
