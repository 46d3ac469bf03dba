"""Where models come from: their public catalogues, or a mirror that one keeps oneself.

    whisper/small                       Systran's conversions on Hugging Face, checksums by its API
    argos/de-en                         the Argos package index; it has no checksums: the package is checked whole
    piper/de_DE-thorsten-medium         rhasspy/piper-voices on Hugging Face, checksums in its voices.json

A mirror is a folder laid out like a models folder, by path or URL, with a SHA256SUMS at its top, as sha256sum
writes it (`cd models && sha256sum whisper/*/* argos/* piper/* > SHA256SUMS`).
"""

from __future__ import annotations

import json
import re
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from kallglot_media.speech.errors import SpeechSetupError

HUB = "https://huggingface.co"
WHISPER_REPOSITORY = "Systran/faster-whisper-{name}"
PIPER_REPOSITORY = "rhasspy/piper-voices"
ARGOS_INDEX = "https://raw.githubusercontent.com/argosopentech/argospm-index/main/index.json"
SUMS = "SHA256SUMS"
EXAMPLES = "whisper/small, argos/de-en, piper/de_DE-thorsten-medium"

_NAME = re.compile(r"(whisper|argos|piper)/([A-Za-z0-9][\w.-]*)")
_WHISPER_FILES = frozenset(
    {"config.json", "model.bin", "tokenizer.json", "vocabulary.txt", "vocabulary.json", "preprocessor_config.json"}
)

Fetch = Callable[[str], bytes]
"""A small file by its URL. Raises SpeechSetupError."""


@dataclass(frozen=True, slots=True)
class Wanted:
    """One file of a model.

    path        in the models folder
    url         where it is to be had
    size_bytes  0: not known
    digest      "sha256:…" or "md5:…"; "": the catalogue has none
    """

    path: str
    url: str
    size_bytes: int = 0
    digest: str = ""


@dataclass(frozen=True, slots=True)
class Listing:
    """A model in a catalogue. licence: what the catalogue says of it."""

    name: str
    files: tuple[Wanted, ...]
    licence: str


def find(name: str, fetch: Fetch, mirror: str | None = None) -> Listing:
    """The files of a model called as in the module's examples. Raises SpeechSetupError."""
    match = _NAME.fullmatch(name)
    if match is None:
        raise SpeechSetupError(name, "is no name of a model", f"write one like {EXAMPLES}")
    if mirror is not None:
        return _in_mirror(name, mirror.rstrip("/"), fetch)
    look = {"whisper": _whisper, "argos": _argos, "piper": _piper}[match[1]]
    return look(match[2], fetch)


def _whisper(name: str, fetch: Fetch) -> Listing:
    repository = WHISPER_REPOSITORY.format(name=name)
    listed = _parsed(f"{HUB}/api/models/{repository}/tree/main", fetch, list)
    files = tuple(
        Wanted(
            f"whisper/{name}/{one['path']}",
            f"{HUB}/{repository}/resolve/main/{one['path']}",
            int(one.get("size", 0)),
            f"sha256:{one['lfs']['oid']}" if "lfs" in one else "",
        )
        for one in listed
        if one.get("path") in _WHISPER_FILES
    )
    if not files:
        raise SpeechSetupError(
            f"whisper/{name}", "is not in the catalogue", "write tiny, base, small, medium, large-v3"
        )
    return Listing(f"whisper/{name}", files, "MIT (OpenAI Whisper)")


def _argos(name: str, fetch: Fetch) -> Listing:
    source, _, target = name.partition("-")
    packages = [
        one
        for one in _parsed(ARGOS_INDEX, fetch, list)
        if one.get("from_code") == source and one.get("to_code") == target and one.get("links")
    ]
    if not packages:
        mend = f"pull {source}-en and en-{target}: it is then translated through English"
        raise SpeechSetupError(f"argos/{name}", "is no pair in the package index", mend)
    newest = max(packages, key=lambda one: [int(part) for part in re.findall(r"\d+", str(one.get("package_version")))])
    version = str(newest.get("package_version", "1.0")).replace(".", "_")
    file = Wanted(f"argos/translate-{source}_{target}-{version}.argosmodel", str(newest["links"][0]))
    return Listing(f"argos/{name}", (file,), "as the package's README.md says (most: CC0 or MIT)")


def _piper(name: str, fetch: Fetch) -> Listing:
    voices = _parsed(f"{HUB}/{PIPER_REPOSITORY}/resolve/main/voices.json", fetch, dict)
    voice = voices.get(name)
    if not isinstance(voice, dict):
        close = [known for known in sorted(voices) if known.split("-")[0] == name.split("-")[0]][:5]
        raise SpeechSetupError(
            f"piper/{name}", "is no voice of the catalogue", f"write one of {', '.join(close) or EXAMPLES}"
        )
    files = tuple(
        Wanted(
            f"piper/{path.rsplit('/', 1)[-1]}",
            f"{HUB}/{PIPER_REPOSITORY}/resolve/main/{path}",
            int(about.get("size_bytes", 0)),
            f"md5:{about['md5_digest']}" if about.get("md5_digest") else "",
        )
        for path, about in voice["files"].items()
        if path.endswith((".onnx", ".onnx.json"))
    )
    card = next((path for path in voice["files"] if path.endswith("MODEL_CARD")), None)
    text = fetch(f"{HUB}/{PIPER_REPOSITORY}/resolve/main/{card}").decode("utf-8", "replace") if card else ""
    licence = re.search(r"licen[cs]e:\s*(.+)", text, re.IGNORECASE)
    return Listing(f"piper/{name}", files, licence[1].strip() if licence else "see the voice's MODEL_CARD")


def _in_mirror(name: str, mirror: str, fetch: Fetch) -> Listing:
    """Lines of sha256sum: digest, two characters, path."""
    sums = f"{mirror}/{SUMS}"
    kind, _, model = name.partition("/")
    wanted = []
    for line in fetch(sums).decode("utf-8", "replace").splitlines():
        digest, _, path = line.partition(" ")
        path = path.strip(" *").removeprefix("./")
        if re.fullmatch(r"[0-9a-f]{64}", digest) and _belongs(path, kind, model):
            wanted.append(Wanted(path, f"{mirror}/{path}", 0, f"sha256:{digest}"))
    if not wanted:
        raise SpeechSetupError(sums, f"lists no {name}", "put the model into the mirror and make SHA256SUMS anew")
    return Listing(name, tuple(wanted), "as its source says")


def _belongs(path: str, kind: str, model: str) -> bool:
    parts = path.split("/")
    if ".." in parts or parts[0] != kind:
        return False
    if kind == "whisper":
        return len(parts) == 3 and parts[1] == model and parts[2] in {*_WHISPER_FILES, "kallglot.json"}
    if kind == "argos":
        return len(parts) == 2 and bool(re.fullmatch(rf"translate-{model.replace('-', '_')}-.*\.argosmodel", parts[1]))
    return len(parts) == 2 and parts[1] in {f"{model}.onnx", f"{model}.onnx.json"}


def _parsed(url: str, fetch: Fetch, kind: type[Any]) -> Any:
    try:
        data = json.loads(fetch(url))
    except ValueError:
        data = None
    if not isinstance(data, kind):
        raise SpeechSetupError(url, "is no catalogue", "try again later, or name a mirror with --mirror")
    return data
