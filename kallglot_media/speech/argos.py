"""Translation with the models of Argos packages, run by CTranslate2 itself.

A package is a CTranslate2 model, a SentencePiece model and a little JSON. Going through the
argostranslate library costs its import of stanza and minisbd (neither is wanted here) and gains
nothing but its sentence splitter, which downloads a model; `sentences` splits instead.
"""

from __future__ import annotations

import re
import time
import zipfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ctranslate2
import sentencepiece

from kallglot_media.speech.compute import compute_type_for, weights_bytes
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.lock import NO_LOCK, Lock, Made
from kallglot_media.speech.models import PIVOT, Model, read_package_metadata
from kallglot_media.speech.sentences import sentences
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import Translation, UnknownPair

LENGTH_PENALTY = 0.2
"""What Argos decodes with; its packages were chosen by their scores at this value. A package whose metadata.json has a
`length_penalty` was chosen at that one: the higher, the longer the translations.
"""


class ArgosTranslator:
    """A `types.Translator` on any number of packages, one thread."""

    def __init__(self, models: list[Model], settings: SpeechSettings) -> None:
        self._packages = {(model.languages[0], model.languages[1]): _Package.load(model, settings) for model in models}
        self._beam = settings.translator_beam
        for package in self._packages.values():
            package.translate(["1"], self._beam)  # the first run allocates

    def facts(self) -> dict[str, Any]:
        """What was loaded: for the log, doctor and metrics."""
        return {"pairs": sorted(f"{source}-{target}" for source, target in self._packages)}

    def translate(
        self,
        text: str,
        source: str,
        target: str,
        before_source: str = "",
        before_target: str = "",
        terms: Sequence[tuple[str, str]] = (),
    ) -> Translation:
        """`text` in another language, through English when no package goes straight.

        Numbers, amounts, ids, e-mail addresses and terms come through: of a sentence's hypotheses one that has them
        all is taken; else the one that is wrong is put right; else what stands between them is translated by itself.

        before_*  the beginning of the same sentence, and what it was translated to: the translation goes on from
                  there and does not repeat it. Through English it is left out: what it was there is not known.
        terms     (as it is in `source`, as it must be in `target`)
        """
        started_s = time.perf_counter()
        way = self._way(source, target)
        parts = sentences(text)
        made: list[Made] = []
        if parts and before_target and len(way) == 1:
            lock = Lock(parts[0], source, target, terms)
            went_on = way[0].go_on(before_source, before_target, parts[0], self._beam, lock)
            made.append(lock.hold(went_on, lambda rest: self._plainly(way, rest)))
            parts = parts[1:]
        made += self._locked(way, parts, [Lock(part, source, target, terms) for part in parts])
        return _translation(made, source, target, (time.perf_counter() - started_s) * 1000)

    def translate_all(self, requests: Sequence[Sequence[Any]]) -> list[Translation | Exception]:
        """Several texts of one direction, each as translate() takes it and without a beginning, in one go."""
        started_s = time.perf_counter()
        source, target = requests[0][1:3]
        if any(list(one[1:3]) != [source, target] or any(one[3:5]) for one in requests):
            raise ValueError("texts of one direction without a beginning are translated in one go")
        way = self._way(source, target)
        parts = [sentences(one[0]) for one in requests]
        locks = [
            [Lock(part, source, target, one[5] if len(one) > 5 else ()) for part in own]
            for one, own in zip(requests, parts, strict=True)
        ]
        made = iter(self._locked(way, [part for own in parts for part in own], [lock for own in locks for lock in own]))
        each = [[next(made) for _ in own] for own in parts]
        took_ms = (time.perf_counter() - started_s) * 1000
        return [_translation(own, source, target, took_ms) for own in each]

    def _locked(self, way: list[_Package], parts: list[str], locks: list[Lock]) -> list[Made]:
        """Each sentence translated, with what must come through held fast."""
        if not way or not parts:
            return [Made(part) for part in parts]
        between = parts
        for package in way[:-1]:
            between = package.translate(between, self._beam)
        translated = way[-1].translate(between, self._beam, locks)
        return [
            lock.hold(text, lambda rest: self._plainly(way, rest)) for lock, text in zip(locks, translated, strict=True)
        ]

    def _plainly(self, way: list[_Package], text: str) -> str:
        for package in way:
            (text,) = package.translate([text], self._beam)
        return text

    def _way(self, source: str, target: str) -> list[_Package]:
        """The packages to go through, in order; none when there is nothing to translate."""
        if source == target:
            return []
        for way in ([(source, target)], [(source, PIVOT), (PIVOT, target)]):
            if all(pair in self._packages for pair in way):
                return [self._packages[pair] for pair in way]
        installed = ", ".join(f"{one}→{other}" for one, other in sorted(self._packages))
        raise UnknownPair(
            f"no package translates {source}→{target} (installed: {installed or 'none'}); "
            f"put translate-{source}_{target}.argosmodel into the models folder's argos/, "
            f"or {source}→{PIVOT} and {PIVOT}→{target}"
        )


def _translation(made: Sequence[Made], source: str, target: str, engine_ms: float) -> Translation:
    return Translation(
        " ".join(one.text for one in made if one.text),
        source,
        target,
        engine_ms,
        repaired=sum(one.repaired for one in made),
        missing=sum(one.missing for one in made),
    )


@dataclass(frozen=True, slots=True)
class _Package:
    model: Any
    pieces: Any
    prefix: str
    length_penalty: float

    @classmethod
    def load(cls, model: Model, settings: SpeechSettings) -> _Package:
        about = read_package_metadata(model.path)
        files = _folder_files(model.path) if model.path.is_dir() else _zip_files(model.path)
        try:
            pieces = sentencepiece.SentencePieceProcessor(model_proto=files.pop("sentencepiece.model"))
        except KeyError:
            raise SpeechSetupError(str(model.path), "no sentencepiece.model in it", "install another package") from None
        compute_type = compute_type_for(settings.compute_type, weights_bytes(model.path))
        translator = ctranslate2.Translator(
            str(model.path), device="cpu", compute_type=compute_type, intra_threads=1, files=files
        )
        return cls(translator, pieces, about.get("target_prefix", ""), _length_penalty(model.path, about))

    def translate(self, texts: list[str], beam: int, locks: Sequence[Lock] = ()) -> list[str]:
        """Each sentence translated; where the best hypothesis loses what is locked, one that keeps it is preferred.

        A clause whose sentence goes on is given a full stop: to a model that was trained on sentences anything
        else means that there is more to say, and it says it.
        """
        results = self.model.translate_batch(
            [self.pieces.encode(_as_sentence(text), out_type=str) for text in texts],
            target_prefix=[[self.prefix]] * len(texts) if self.prefix else None,
            beam_size=beam,
            num_hypotheses=beam,
            length_penalty=self.length_penalty,
            replace_unknowns=True,
        )
        return [
            self._best(text, [self._text(pieces) for pieces in result.hypotheses], lock)
            for text, result, lock in zip(texts, results, locks or [NO_LOCK] * len(texts), strict=True)
        ]

    def _best(self, text: str, hypotheses: list[str], lock: Lock) -> str:
        """The best one that does not stutter; if all do, what the model says when it may not."""
        fluent = [one for one in hypotheses if not stutters(text, one)]
        if not fluent:
            (result,) = self.model.translate_batch(
                [self.pieces.encode(_as_sentence(text), out_type=str)],
                target_prefix=[[self.prefix]] if self.prefix else None,
                no_repeat_ngram_size=2,
                max_decoding_length=2 * len(text.split()) + 8,
                replace_unknowns=True,
            )
            fluent = [self._text(result.hypotheses[0])]
        return _ended_like(text, lock.best(fluent))

    def go_on(self, before_source: str, before_target: str, text: str, beam: int, lock: Lock) -> str:
        """The rest of a sentence whose beginning was translated before: decoding starts behind those words.

        A model that takes the sentence for finished, or says the same again, translates `text` by itself.
        """
        begun = [
            *([self.prefix] if self.prefix else []),
            *self.pieces.encode(before_target.rstrip(" .,;:"), out_type=str),
        ]
        (result,) = self.model.translate_batch(
            [self.pieces.encode(f"{before_source} {text}", out_type=str)],
            target_prefix=[begun],
            beam_size=beam,
            num_hypotheses=beam,
            length_penalty=self.length_penalty,
            replace_unknowns=True,
        )
        rests = [self._text(pieces[len(begun) :]).lstrip(" ,;:.") for pieces in result.hypotheses]
        rests = [one for one in rests if any(letter.isalnum() for letter in one) and not stutters(text, one)]
        found = lock.best(rests or [""])
        return (
            _ended_like(text, found)
            if found and found not in before_target
            else self.translate([text], beam, [lock])[0]
        )

    def _text(self, pieces: list[str]) -> str:
        if self.prefix and pieces[:1] == [self.prefix]:
            pieces = pieces[1:]
        text: str = self.pieces.decode_pieces(pieces)
        return text.replace("▁", " ").strip()


def _length_penalty(path: Path, about: dict[str, Any]) -> float:
    told = about.get("length_penalty", LENGTH_PENALTY)
    if isinstance(told, bool) or not isinstance(told, int | float) or not 0 <= told <= 5:
        wrong, mend = (
            f"its metadata.json has length_penalty {told!r:.40}",
            "write a number from 0 to 5, or leave it out",
        )
        raise SpeechSetupError(str(path), wrong, mend)
    return float(told)


def stutters(source: str, text: str) -> bool:
    """Whether a translation says up to four words, or a part of one, twice in a row where its source does not.

    stutters("Ich komme,", "I come, I come.") and not stutters("nein nein", "no no")
    """
    said_twice = _repeated(source)
    return any(size not in said_twice for size in _repeated(text))


def _repeated(text: str) -> set[int]:
    """How many words the runs have that are said twice in a row; 0 stands for parts of a word."""
    words = re.findall(r"\w+", text.casefold())
    found = {
        size
        for size in range(1, 5)
        for at in range(len(words) - 2 * size + 1)
        if words[at : at + size] == words[at + size : at + 2 * size]
    }
    return found | ({0} if re.search(r"(\w{3,})(?:-?\1){2}", text.casefold()) else set())


def _is_sentence(text: str) -> bool:
    return text.rstrip("\"'»”)").endswith((".", "!", "?", "…"))


def _as_sentence(text: str) -> str:
    return text if _is_sentence(text) else text.rstrip(" ,;:-") + "."


def _ended_like(source: str, text: str) -> str:
    """Without the full stop that was only put there for the model; with the comma that the source has."""
    if _is_sentence(source):
        return text
    mark = source[-1:] if source[-1:] in (",", ";", ":") else ""
    return text.rstrip(" .,;:") + mark


def _folder_files(folder: Path) -> dict[str, bytes]:
    inside = [folder / "sentencepiece.model", *(folder / "model").iterdir()]
    return {path.name: path.read_bytes() for path in inside if path.is_file()}


def _zip_files(path: Path) -> dict[str, bytes]:
    """Of a package in its zip: what lies in model/, and sentencepiece.model, read into memory."""
    with zipfile.ZipFile(path) as package:
        wanted = [name for name in package.namelist() if Path(name).parent.name == "model"]
        wanted += [name for name in package.namelist() if Path(name).name == "sentencepiece.model"]
        return {Path(name).name: package.read(name) for name in wanted if not name.endswith("/")}
