"""Downloading models: whole or not at all, resumed where it was broken off, checked before it counts.

A file is written beside its place as NAME.part and only moved there when its digest is right.
"""

from __future__ import annotations

import hashlib
import http.client
import io
import shutil
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kallglot_media.speech.catalogue import Listing, Wanted
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.model_check import check
from kallglot_media.speech.models import Model, find_models
from kallglot_media.speech.settings import EngineKind, SpeechSettings

TIMEOUT_S = 30.0
CHUNK_BYTES = 1 << 20
MOST_CATALOGUE_BYTES = 64 * 1024 * 1024
SPARE_BYTES = 100_000_000
"""So much stays free on the disk."""

Progress = Callable[[Wanted, int, int], None]
"""progress(file, bytes so far, bytes in all or 0): called now and then while a file comes."""

_KINDS = {"whisper": EngineKind.RECOGNIZER, "argos": EngineKind.TRANSLATOR, "piper": EngineKind.SYNTHESIZER}


def fetch(url: str) -> bytes:
    """A catalogue or another small file; a mirror may be a folder. Raises SpeechSetupError."""
    with _opened(url) as response:
        data: bytes = response.read(MOST_CATALOGUE_BYTES + 1)
    if len(data) > MOST_CATALOGUE_BYTES:
        raise SpeechSetupError(url, "is too long for a catalogue", "name another mirror")
    return data


def pull(listing: Listing, folder: Path, progress: Progress = lambda file, done, size: None) -> list[Path]:
    """Bring a model into a models folder; returns its files. What is there and right already stays.

    Raises SpeechSetupError; files that came whole stay, a broken one is gone on with by the next pull.
    """
    files = []
    for file in listing.files:
        path = folder / file.path
        if not (path.is_file() and file.digest and _digest(path, file.digest) == file.digest):
            _download(file, path, progress)
        files.append(path)
    _check(listing, folder)
    return files


def _check(listing: Listing, folder: Path) -> None:
    """The model as a whole, as the server will look at it."""
    paths = {
        (folder / file.path).parent if file.path.startswith("whisper/") else folder / file.path
        for file in listing.files
    }
    for model in find_models(SpeechSettings(models=folder)).models:
        if model.path in paths:
            check(model)


def _download(file: Wanted, path: Path, progress: Progress) -> None:
    part = path.with_name(path.name + ".part")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        have = part.stat().st_size if part.exists() else 0
        with _opened(file.url, from_byte=have) as response:
            if not response.goes_on:
                have = 0  # the server sends it from its beginning
            size = have + response.rest_bytes
            _must_have_room(path.parent, size - have)
            with part.open("ab" if have else "wb") as out:
                while chunk := response.read(CHUNK_BYTES):
                    out.write(chunk)
                    have += len(chunk)
                    progress(file, have, size or file.size_bytes)
    except (OSError, http.client.HTTPException) as error:
        mend = f"make room or make it writable; `models pull` goes on where it was, with {part.name}"
        why = getattr(error, "strerror", None) or str(error) or type(error).__name__
        raise SpeechSetupError(str(path), why, mend) from None
    _accept(file, part, path, size or file.size_bytes)


def _accept(file: Wanted, part: Path, path: Path, size_bytes: int) -> None:
    if part.stat().st_size < size_bytes:
        raise SpeechSetupError(file.url, f"ended after {part.stat().st_size} of {size_bytes} bytes", "pull again")
    found = _digest(part, file.digest) if file.digest else ""
    if found != file.digest:
        part.unlink()
        raise SpeechSetupError(
            file.url, f"is {found}, the catalogue says {file.digest}", "pull again, or name a mirror"
        )
    part.replace(path)


def _digest(path: Path, like: str) -> str:
    """By the same algorithm as `like`."""
    name = like.partition(":")[0]
    summed = hashlib.new(name, usedforsecurity=False)
    with path.open("rb") as file:
        while chunk := file.read(CHUNK_BYTES):
            summed.update(chunk)
    return f"{name}:{summed.hexdigest()}"


def _must_have_room(folder: Path, size_bytes: int) -> None:
    free = shutil.disk_usage(folder).free
    if size_bytes + SPARE_BYTES > free:
        needs = f"needs {size_bytes / 1e6:.0f} MB, {free / 1e6:.0f} MB are free"
        raise SpeechSetupError(str(folder), needs, "make room, or name another folder with --folder")


@dataclass(slots=True)
class _Source:
    """What comes: rest_bytes of it, 0 when that is not known. goes_on: from where it was asked for."""

    body: Any
    rest_bytes: int
    goes_on: bool

    def read(self, size: int) -> bytes:
        """The next bytes; none at the end."""
        data: bytes = self.body.read(size)
        return data


@contextmanager
def _opened(url: str, from_byte: int = 0) -> Iterator[_Source]:
    """What stands at a URL or in a file, if it can be from a place on. Raises SpeechSetupError."""
    if "://" not in url:
        with _file(Path(url).expanduser(), from_byte) as source:
            yield source
        return
    if not url.startswith(("https://", "http://")):
        raise SpeechSetupError(url, "is no address that can be downloaded from", "write https://… or a folder")
    request = urllib.request.Request(url, headers={"User-Agent": "kallglot-media"})  # noqa: S310 - checked above
    if from_byte:
        request.add_header("Range", f"bytes={from_byte}-")
    try:
        response = urllib.request.urlopen(request, timeout=TIMEOUT_S)  # noqa: S310
    except urllib.error.HTTPError as error:
        if error.code != 416 or not from_byte:  # 416: all of it is there already
            wrong = f"answers {error.code} {error.reason}"
            raise SpeechSetupError(url, wrong, "check the name, or name a mirror") from None
        response = io.BytesIO()
    except (urllib.error.URLError, TimeoutError) as error:
        why = getattr(error, "reason", error)
        mend = "check the network and HTTPS_PROXY, or name a mirror: --mirror URL or a folder"
        raise SpeechSetupError(url, f"cannot be reached: {why}", mend) from None
    with response:
        headers = getattr(response, "headers", {})
        yield _Source(response, int(headers.get("Content-Length") or 0), getattr(response, "status", 206) == 206)


@contextmanager
def _file(path: Path, from_byte: int) -> Iterator[_Source]:
    try:
        file = path.open("rb")
    except OSError as error:
        raise SpeechSetupError(str(path), error.strerror or "cannot be read", "check the mirror's path") from None
    with file:
        file.seek(from_byte)
        yield _Source(file, max(0, path.stat().st_size - from_byte), goes_on=True)


def remove(name: str, settings: SpeechSettings) -> list[Path]:
    """Delete a model of the models folder by the name that `models list` shows; the starter models cannot be.

    Raises SpeechSetupError when there is none of that name, or several kinds have it.
    """
    kind, _, short = name.rpartition("/")
    installed = find_models(settings)
    found = [
        model
        for model in installed.models
        if not model.starter and model.name == short and (not kind or _KINDS.get(kind) is model.kind)
    ]
    if len(found) != 1 or installed.folder is None:
        names = ", ".join(f"{_folder_of(model)}/{model.name}" for model in installed.models if not model.starter)
        wrong = "is in the models folder more than once" if found else "is not in the models folder"
        raise SpeechSetupError(name, wrong, f"write one of: {names}" if names else "there is none to remove")
    path = found[0].path
    paths = [path, path.with_name(path.name + ".json")] if found[0].kind is EngineKind.SYNTHESIZER else [path]
    for each in paths:
        shutil.rmtree(each) if each.is_dir() else each.unlink(missing_ok=True)
    return paths


def _folder_of(model: Model) -> str:
    return next(folder for folder, kind in _KINDS.items() if kind is model.kind)
