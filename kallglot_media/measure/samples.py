"""A set to measure with: a folder of recordings with what is said in them, and what it is in the other language.

    manifest.json    [{"file": "a.wav", "language": "de", "text": "Guten Tag.", "translation": "Hello.",
                       "target": "en"}, …]

`translation` may be missing (then only recognition is scored), `target` where the set has two languages. An empty
`text` is a recording without words: everything that is understood in it is invented.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.errors import SetupError
from kallglot_media.speech.evaluate import read_sound

MANIFEST = "manifest.json"


@dataclass(frozen=True, slots=True)
class Sample:
    """One recording at 16 kHz and what is right. translation "": none is known."""

    name: str
    pcm: Pcm16
    language: str
    target: str
    text: str
    translation: str

    @property
    def pair(self) -> str:
        """ "de→en"."""
        return f"{self.language}→{self.target}"


def read_samples(folder: Path, limit: int | None = None) -> list[Sample]:
    """The set in `folder`, of each pair only the first `limit`. Raises SetupError."""
    entries = _entries(folder / MANIFEST)
    languages = sorted({entry["language"] for entry in entries})
    found: dict[str, list[Sample]] = {}
    for number, entry in enumerate(entries, start=1):
        where = f"{folder / MANIFEST}, entry {number}"
        target = entry.get("target") or _other(entry["language"], languages, where)
        if len(found.get(f"{entry['language']}→{target}", ())) == limit:
            continue
        path = folder / entry["file"]
        if not path.is_file():
            raise SetupError(where, f"there is no file {path}", "put it there, or take the entry out")
        try:
            pcm = read_sound(path)
        except Exception as wrong:  # a decoder raises what it likes over a file that is no sound
            raise SetupError(str(path), f"cannot be decoded: {wrong}", "give a sound file, e.g. WAV") from None
        text, translation = entry["text"], entry.get("translation") or ""
        sample = Sample(entry["file"], pcm, entry["language"], target, text, translation)
        found.setdefault(sample.pair, []).append(sample)
    return [sample for own in found.values() for sample in own]


def pairs(samples: Sequence[Sample]) -> list[tuple[str, str]]:
    """The unordered pairs of languages, each as it comes first."""
    both = dict.fromkeys((sample.language, sample.target) for sample in samples)
    return [pair for n, pair in enumerate(both) if pair[::-1] not in list(both)[:n]]


def _entries(manifest: Path) -> list[dict[str, str]]:
    mend = 'write a list of {"file", "language", "text", "translation"}'
    try:
        entries = json.loads(manifest.read_text("utf-8"))
    except OSError as wrong:
        raise SetupError(str(manifest), f"cannot be read: {wrong.strerror}", mend) from None
    except ValueError as wrong:
        raise SetupError(str(manifest), f"is no JSON: {wrong}", mend) from None
    if not isinstance(entries, list) or not entries:
        raise SetupError(str(manifest), "is no list with entries", mend)
    for number, entry in enumerate(entries, start=1):
        if isinstance(entry, dict) and "language" not in entry and "lang" in entry:
            entry["language"] = entry["lang"]
        lacks = [name for name in ("file", "language", "text") if not isinstance(entry, dict) or name not in entry]
        if lacks:
            raise SetupError(f"{manifest}, entry {number}", f"has no {', '.join(lacks)}", mend)
    return entries


def _other(language: str, languages: Sequence[str], where: str) -> str:
    others = [one for one in languages if one != language]
    if len(others) != 1:
        raise SetupError(where, f"does not say into what {language} is translated", 'write "target": "en"')
    return others[0]
