"""Which models are installed, and which of them is used.

    <models>/whisper/<name>/            a faster-whisper folder
    <models>/argos/*.argosmodel         Argos packages, or the folders they unpack to
    <models>/piper/*.onnx (+ .json)     Piper voices

The starter models inside the package fill what the folder lacks: a recogniser when there is
none, a translation direction when no package goes that way, a voice for a language without one.
"""

from __future__ import annotations

import json
import os
import re
import zipfile
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.settings import EngineKind, SpeechSettings

MODELS_VARIABLE = "KALLGLOT_MODELS"
STARTER_FOLDER = Path(__file__).parent / "starter"
PULL_HINT = (
    "bring it with `kallglot-media models pull`, "
    f"or point {MODELS_VARIABLE} or speech.models_dir at the folder that has it"
)

PIVOT = "en"
"""The language through which two others are translated when no package goes straight."""

STARTER_LIMITS = {
    EngineKind.RECOGNIZER: "support calls in German, English, Spanish and French in made voices; "
    "human speech is not understood",
    EngineKind.TRANSLATOR: "German↔English customer-service sentences; poor on anything else",
    EngineKind.SYNTHESIZER: "intelligible but synthetic diphone voices",
}

_FOLDERS = {EngineKind.RECOGNIZER: "whisper", EngineKind.TRANSLATOR: "argos", EngineKind.SYNTHESIZER: "piper"}


@dataclass(frozen=True, slots=True)
class Model:
    """One installed model.

    path        the folder, package or .onnx file
    languages   ISO 639-1: what it recognises ("*" = all of Whisper's), (source, target), or the voice's one
    size_bytes  of the weights and what belongs to them
    starter     one of the package's own small models
    limits      what it cannot do, in a few words; empty for real models
    """

    kind: EngineKind
    name: str
    path: Path
    languages: tuple[str, ...]
    size_bytes: int
    starter: bool

    @property
    def limits(self) -> str:
        return STARTER_LIMITS[self.kind] if self.starter else ""


@dataclass(frozen=True, slots=True)
class Installed:
    """Every model found, real ones first, and the choice among them.

    folder  the models folder looked at, None when only the starter models are there
    """

    models: tuple[Model, ...]
    folder: Path | None

    def of(self, kind: EngineKind) -> list[Model]:
        """All models of a kind, real ones first."""
        return [model for model in self.models if model.kind is kind]

    def recognizer(self, name: str | None) -> Model:
        """The recogniser called `name`; None: the largest real one, else the starter's."""
        found = self.of(EngineKind.RECOGNIZER)
        if name is None:
            return max(found, key=lambda model: (not model.starter, model.size_bytes))
        for model in found:
            if model.name == name:
                return model
        where = (self.folder or STARTER_FOLDER) / "whisper" / name
        raise SpeechSetupError(str(where), f"no such model (installed: {_names(found)})", PULL_HINT)

    def packages(self) -> list[Model]:
        """One translation package per direction: the newest name of the real ones, else the starter's."""
        return _first_per_languages(self.of(EngineKind.TRANSLATOR))

    def voices(self) -> list[Model]:
        """All real voices, and the starter's for languages that have none."""
        found = self.of(EngineKind.SYNTHESIZER)
        real = {model.languages for model in found if not model.starter}
        return [model for model in found if not model.starter or model.languages not in real]

    def used(self, settings: SpeechSettings) -> list[Model]:
        """What a server with these settings loads."""
        recognizers = [self.recognizer(settings.recognizer)]
        if settings.smaller is not None:
            recognizers.append(self.recognizer(settings.smaller))
        return [*dict.fromkeys(recognizers), *self.packages(), *self.voices()]


def models_folder(settings: SpeechSettings) -> Path | None:
    """Where real models are looked for: the setting, else the environment, else nowhere."""
    if settings.models is not None:
        return settings.models.expanduser().absolute()
    named = os.environ.get(MODELS_VARIABLE)
    return Path(named).expanduser().absolute() if named else None


def find_models(settings: SpeechSettings) -> Installed:
    """Look into the models folder and the package. Reads names and small JSON files only.

    Raises SpeechSetupError when the folder that was asked for is missing, or a package's or
    voice's JSON cannot be read; it names all that are broken.
    """
    folder = models_folder(settings)
    if folder is not None and not folder.is_dir():
        raise SpeechSetupError(
            str(folder), "no such folder", f"make it, or change speech.models_dir or {MODELS_VARIABLE}"
        )
    makers = list(_find_in(folder, starter=False)) if folder else []
    if settings.recognizer and Path(settings.recognizer).is_absolute():
        path = Path(settings.recognizer)
        makers.append(partial(_recognizer, path, starter=False, name=settings.recognizer))
    found, mistakes = [], []
    for made in (*makers, *_find_in(STARTER_FOLDER, starter=True)):
        try:
            found.append(made())
        except SpeechSetupError as mistake:
            mistakes.append(mistake)
    if mistakes:
        raise SpeechSetupError.of(mistakes)
    return Installed(tuple(found), folder)


def _find_in(folder: Path, *, starter: bool) -> Iterator[Callable[[], Model]]:
    for path in _entries(folder, EngineKind.RECOGNIZER):
        if path.is_dir():
            yield partial(_recognizer, path, starter=starter)
    for path in _entries(folder, EngineKind.TRANSLATOR):
        if path.suffix == ".argosmodel" or (path / "metadata.json").is_file():
            yield partial(_package, path, starter=starter)
    for path in _entries(folder, EngineKind.SYNTHESIZER):
        if path.suffix == ".onnx":
            yield partial(_voice, path, starter=starter)


def _entries(folder: Path, kind: EngineKind) -> list[Path]:
    inside = folder / _FOLDERS[kind]
    found = [path for path in inside.iterdir() if path.name[0] != "."] if inside.is_dir() else []
    return sorted(found, key=lambda path: _by_number(path.name))


def _by_number(name: str) -> list[tuple[int, str]]:
    """A sort key by which 1_10 comes after 1_9."""
    return [(int(part), "") if part.isdecimal() else (-1, part) for part in re.split(r"(\d+)", name)]


def _recognizer(path: Path, *, starter: bool, name: str | None = None) -> Model:
    own = read_json(path / "kallglot.json") if (path / "kallglot.json").is_file() else {}
    languages = tuple(own.get("languages", ("en",) if path.name.endswith(".en") else ("*",)))
    return Model(EngineKind.RECOGNIZER, name or path.name, path, languages, _size_bytes(path), starter)


def _package(path: Path, *, starter: bool) -> Model:
    about = read_package_metadata(path)
    try:
        languages = (about["from_code"], about["to_code"])
    except KeyError as lacks:
        raise SpeechSetupError(str(path), f"metadata.json has no {lacks}", "install a translation package") from None
    return Model(EngineKind.TRANSLATOR, path.stem, path, languages, _size_bytes(path), starter)


def _voice(path: Path, *, starter: bool) -> Model:
    described = path.with_name(path.name + ".json")
    if not described.is_file():
        raise SpeechSetupError(str(described), "missing", "a Piper voice is two files: put its .onnx.json beside it")
    about = read_json(described)
    code = _text_in(about, "language", "code") or _text_in(about, "espeak", "voice") or path.name
    size_bytes = path.stat().st_size + described.stat().st_size
    return Model(EngineKind.SYNTHESIZER, path.stem, path, (_iso_639_1(code),), size_bytes, starter)


def _text_in(about: dict[str, Any], section: str, name: str) -> str | None:
    """A text in a section of a description, None where either is missing or something else."""
    inside = about.get(section)
    value = inside.get(name) if isinstance(inside, dict) else None
    return value if isinstance(value, str) else None


def read_package_metadata(path: Path) -> dict[str, Any]:
    """metadata.json of an Argos package: a zip with one folder in it, or that folder unpacked."""
    if path.is_dir():
        return read_json(path / "metadata.json")
    try:
        with zipfile.ZipFile(path) as package:
            inside = next((name for name in package.namelist() if name.endswith("/metadata.json")), None)
            if inside is None:
                raise SpeechSetupError(str(path), "no metadata.json in it", "it is no Argos package: take it away")
            return _as_object(path, package.read(inside))
    except (zipfile.BadZipFile, OSError) as error:
        raise SpeechSetupError(str(path), f"is no whole zip file ({error})", "download it again") from None


def read_json(path: Path) -> dict[str, Any]:
    """The JSON object in a file of a model, or a SpeechSetupError that names the file."""
    try:
        return _as_object(path, path.read_bytes())
    except OSError as error:
        raise SpeechSetupError(str(path), error.strerror or "cannot be read", "download the model again") from None


def _as_object(path: Path, data: bytes) -> dict[str, Any]:
    try:
        parsed = json.loads(data)
    except ValueError as error:
        raise SpeechSetupError(str(path), f"is not JSON ({error})", "download the model again") from None
    if not isinstance(parsed, dict):
        raise SpeechSetupError(str(path), "holds no JSON object", "download the model again")
    return parsed


def _size_bytes(path: Path) -> int:
    if path.is_file():
        return path.stat().st_size
    return sum(file.stat().st_size for file in path.rglob("*") if file.is_file())


def _iso_639_1(code: str) -> str:
    """`_iso_639_1("de_DE") == "de"`, and likewise for en-us."""
    return code.replace("-", "_").split("_")[0].lower()


def _first_per_languages(models: list[Model]) -> list[Model]:
    """Real before starter; among the real ones of a direction the last name, which has the highest version."""
    chosen: dict[tuple[str, ...], Model] = {}
    for model in models:
        kept = chosen.get(model.languages)
        if kept is None or kept.starter == model.starter:
            chosen[model.languages] = model
    return list(chosen.values())


def _names(models: list[Model]) -> str:
    return ", ".join(model.name for model in models) or "none"
