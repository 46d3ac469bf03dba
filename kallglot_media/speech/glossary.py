"""One glossary for all three engines: what may be heard, how it is translated, how it is said.

    terms:
      - term: Kallglot              # as it is written
        heard: [call clot]          # what the recogniser makes of it
      - term: Router
        translations: {en: gateway, es: enrutador}
        say: {de: Ruhter}           # how voices are told to say it

A term without a translation stays as it is. The file is read anew when it changes; one that has a mistake is told,
and the last good one stays.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import structlog
import yaml

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.types import Transcript

_log = structlog.get_logger()

MOST_TERMS = 2000
MOST_TOLD = 40
"""Terms that a recogniser is told of beforehand: more crowd out what was said before."""

_MEND = "write terms: and a list of {term, heard?, translations?, say?}; see docs/interpreting.md"


@dataclass(frozen=True, slots=True)
class Term:
    """One entry; see the module."""

    term: str
    heard: tuple[str, ...] = ()
    translations: Mapping[str, str] = field(default_factory=dict)
    say: Mapping[str, str] = field(default_factory=dict)


@dataclass(frozen=True, slots=True)
class Glossary:
    """All entries, as the engines ask for them."""

    terms: tuple[Term, ...] = ()

    @property
    def words(self) -> tuple[str, ...]:
        """What a recogniser is told that may come."""
        return tuple(one.term for one in self.terms[:MOST_TOLD])

    def corrected(self, transcript: Transcript) -> Transcript:
        """With the terms as they are written in place of what was heard."""
        text = transcript.text
        for one in self.terms:
            for heard in one.heard:
                text = _put(text, heard, one.term)
        if text == transcript.text:
            return transcript
        by_word = {heard.casefold(): one.term for one in self.terms for heard in one.heard if " " not in heard}
        words = tuple(
            replace(word, text=by_word.get(word.text.casefold().strip(".,!?"), word.text)) for word in transcript.words
        )
        return replace(transcript, text=text, words=words)

    def pairs(self, text: str, source: str, target: str) -> list[tuple[str, str]]:
        """Of the terms in a text: (as it is there, as it must be in the translation)."""
        found = []
        for one in self.terms:
            here = one.translations.get(source, one.term)
            if re.search(rf"(?<!\w){re.escape(here)}(?!\w)", text, re.IGNORECASE):
                found.append((here, one.translations.get(target, one.term)))
        return found

    def said(self, text: str, language: str) -> str:
        """A text as a voice is told to say it."""
        for one in self.terms:
            if language in one.say:
                text = _put(text, one.translations.get(language, one.term), one.say[language])
        return text


NO_GLOSSARY = Glossary()


class GlossaryFile:
    """`now()` is the glossary as the file has it now."""

    def __init__(self, path: Path | None) -> None:
        self._path = path
        self._seen: tuple[int, int] | None = None
        self._glossary = NO_GLOSSARY

    def load(self) -> None:
        """Read it for the first time. Raises SpeechSetupError."""
        if self._path is not None:
            self._seen = self._stamp()
            self._glossary = read_glossary(self._path)

    def now(self) -> Glossary:
        """Read anew if it has changed: a look at the file's time, a few microseconds, when it has not."""
        if self._path is not None and (stamp := self._stamp()) != self._seen:
            self._seen = stamp
            try:
                self._glossary = read_glossary(self._path)
                _log.info("= glossary read", terms=len(self._glossary.terms))
            except SpeechSetupError as error:
                _log.warning("x glossary not read", where=error.where, why=error.wrong, mend=error.mend)
        return self._glossary

    def _stamp(self) -> tuple[int, int] | None:
        try:
            about = self._path.stat() if self._path is not None else None
        except OSError:
            return None
        return (about.st_mtime_ns, about.st_size) if about is not None else None


def read_glossary(path: Path) -> Glossary:
    """The file's terms. Raises SpeechSetupError with the place of the mistake."""
    try:
        data = yaml.safe_load(path.read_text("utf-8"))
    except OSError as error:
        raise SpeechSetupError(
            str(path), error.strerror or "cannot be read", "write its path, or leave it out"
        ) from None
    except (yaml.YAMLError, UnicodeDecodeError) as error:
        mark = getattr(error, "problem_mark", None)
        where = f"{path}:{mark.line + 1}" if mark is not None else str(path)
        raise SpeechSetupError(where, f"is no YAML: {getattr(error, 'problem', error)}", _MEND) from None
    listed = data.get("terms") if isinstance(data, dict) and set(data) <= {"terms"} else None
    if not isinstance(listed, list) or len(listed) > MOST_TERMS:
        raise SpeechSetupError(str(path), f"has no list of terms (at most {MOST_TERMS})", _MEND)
    return Glossary(tuple(_term(f"{path} terms.{n}", one) for n, one in enumerate(listed)))


def _term(where: str, one: Any) -> Term:
    if not isinstance(one, dict) or not set(one) <= {"term", "heard", "translations", "say"}:
        raise SpeechSetupError(where, f"is {one!r:.60}", _MEND)
    term, heard = one.get("term"), one.get("heard") or []
    if not isinstance(term, str) or not term.strip():
        raise SpeechSetupError(
            f"{where}.term", f"is {term!r:.60}", "write the term as text, in quotes if it is a number"
        )
    if not isinstance(heard, list) or not all(isinstance(each, str) and each.strip() for each in heard):
        raise SpeechSetupError(f"{where}.heard", f"is {heard!r:.60}", "write a list of texts")
    by_language = []
    for name in ("translations", "say"):
        words = one.get(name) or {}
        if not isinstance(words, dict) or not all(isinstance(each, str) for pair in words.items() for each in pair):
            raise SpeechSetupError(f"{where}.{name}", f"is {words!r:.60}", "write language: text")
        by_language.append(words)
    return Term(term.strip(), tuple(heard), *by_language)


def _put(text: str, old: str, new: str) -> str:
    return re.sub(rf"(?<!\w){re.escape(old)}(?!\w)", lambda _: new, text, flags=re.IGNORECASE)
