"""Documents in files → pieces of knowledge. A document that cannot be read is named, and the others are read."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallglot_media.agent.types import Source
from kallglot_media.knowledge.chunks import cut
from kallglot_media.knowledge.reader import HTML, MARKDOWN, PDF, TEXT, read
from kallglot_media.knowledge.sections import Unreadable

_TYPES = {".txt": TEXT, ".md": MARKDOWN, ".markdown": MARKDOWN, ".html": HTML, ".htm": HTML, ".pdf": PDF}
MOST_BYTES = 20_000_000


@dataclass(frozen=True, slots=True)
class Library:
    """What was read. unread: file and why not."""

    sources: tuple[Source, ...]
    unread: tuple[tuple[Path, str], ...] = ()


async def read_documents(paths: Sequence[Path], language: str, known: Iterable[str] = ()) -> Library:
    """Every document of these files and folders.

    A name like `faq-de.md` or `faq.de.md` says its language; the others are in `language`. known: languages that count.
    """
    languages = frozenset({language, *known})
    sources: list[Source] = []
    unread: list[tuple[Path, str]] = []
    for path in _files(paths):
        try:
            if path.stat().st_size > MOST_BYTES:
                raise Unreadable(f"has more than {MOST_BYTES // 1_000_000} MB; cut it into parts")
            passages = cut(await read(_TYPES[path.suffix.lower()], path.read_bytes()))
            if not passages:
                raise Unreadable("has no words in it")
        except (OSError, Unreadable) as why:
            unread.append((path, str(why)))
            continue
        here = language_of(path, languages) or language
        sources += [Source(path.stem, one.text, here, one.heading, one.page, path.name) for one in passages]
    return Library(tuple(sources), tuple(unread))


def language_of(path: Path, languages: frozenset[str]) -> str | None:
    """ "help-de.md" -> "de", when that is a language that counts."""
    ending = path.stem.replace("_", "-").replace(".", "-").rpartition("-")[2].lower()
    return ending if ending in languages else None


def _files(paths: Sequence[Path]) -> list[Path]:
    found: list[Path] = []
    for path in paths:
        inside = sorted(path.rglob("*")) if path.is_dir() else [path]
        found += [one for one in inside if one.suffix.lower() in _TYPES and one.is_file()]
    return found
