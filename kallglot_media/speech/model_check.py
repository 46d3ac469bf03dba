"""Are the files of a model all there, and whole? Reads headers, not weights."""

from __future__ import annotations

import struct
import zipfile
from pathlib import Path
from typing import BinaryIO

from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.models import Model, read_json, read_package_metadata
from kallglot_media.speech.settings import EngineKind

AGAIN = "download the model again"


def check(model: Model) -> None:
    """Raise SpeechSetupError, naming the file and the mend, unless the model's files are all there and whole."""
    if model.kind is EngineKind.RECOGNIZER:
        check_recognizer(model.path)
    elif model.kind is EngineKind.TRANSLATOR:
        check_package(model.path)
    else:
        check_voice(model.path)


def check_recognizer(folder: Path) -> None:
    """The files of a faster-whisper folder.

    Without tokenizer.json faster-whisper asks a hub for one, silently. preprocessor_config.json
    is not asked for: the published tiny, base and small have none, and it only matters for
    models of 128 mel bands, where loading checks it.
    """
    if not folder.is_dir():
        raise SpeechSetupError(str(folder), "no such folder", "name a folder that has model.bin and its companions")
    for name in ("config.json", "model.bin", "tokenizer.json"):
        _must_be_there(folder / name, "a faster-whisper model")
    if not any((folder / name).is_file() for name in ("vocabulary.json", "vocabulary.txt")):
        raise SpeechSetupError(str(folder / "vocabulary.json"), "missing, and no vocabulary.txt either", AGAIN)
    for name in ("config.json", "tokenizer.json", "preprocessor_config.json"):
        if (folder / name).is_file():
            about = read_json(folder / name)
            if name == "tokenizer.json" and "model" not in about:
                raise SpeechSetupError(str(folder / name), "has no 'model'", AGAIN)
    with (folder / "model.bin").open("rb") as file:
        check_ctranslate2(file, str(folder / "model.bin"), (folder / "model.bin").stat().st_size)


def check_package(path: Path) -> None:
    """An Argos package, as a zip or unpacked, of a kind that the translator can load."""
    read_package_metadata(path)
    if path.is_dir():
        for name in ("model/model.bin", "model/config.json"):
            _must_be_there(path / name, "an Argos package")
        _must_have_sentencepiece(path, (path / "sentencepiece.model").is_file())
        binary = path / "model" / "model.bin"
        with binary.open("rb") as file:
            check_ctranslate2(file, str(binary), binary.stat().st_size)
        return
    with zipfile.ZipFile(path) as package:
        inside = {Path(name).name: name for name in package.namelist()}
        if "model.bin" not in inside:
            raise SpeechSetupError(str(path), "no model/model.bin in it", AGAIN)
        _must_have_sentencepiece(path, "sentencepiece.model" in inside)
        broken = package.testzip()
        if broken is not None:
            raise SpeechSetupError(str(path), f"{broken} in it is damaged", AGAIN)


def check_voice(path: Path) -> None:
    """A Piper voice: whole ONNX, and a JSON with the fields that synthesis needs."""
    described = path.with_name(path.name + ".json")
    about = read_json(described)
    for field in ("audio", "espeak", "phoneme_id_map", "num_symbols", "num_speakers"):
        if field not in about:
            raise SpeechSetupError(str(described), f"has no {field!r}", "take the JSON file that came with the voice")
    with path.open("rb") as file:
        _check_onnx(file, str(path), path.stat().st_size)


def check_ctranslate2(file: BinaryIO, where: str, size_bytes: int) -> None:
    """Walk the variables of a CTranslate2 model.bin; a cut or foreign file fails here, not in the first call.

    Little-endian: version, name, revision, count, then per variable a name, a shape, a type, a length and data;
    then pairs of names for variables that are the same.
    """
    try:
        (version,) = struct.unpack("<I", _read(file, 4))
        if not 2 <= version <= 64:
            raise SpeechSetupError(where, "is no CTranslate2 model", AGAIN)
        _read(file, *struct.unpack("<H", _read(file, 2)))
        _revision, count = struct.unpack("<II", _read(file, 8))
        for _ in range(count if version >= 4 else 0):
            _read(file, *struct.unpack("<H", _read(file, 2)))
            rank = _read(file, 1)[0]
            _read(file, 4 * rank)
            _type, length = struct.unpack("<BI", _read(file, 5))
            if file.tell() + length > size_bytes:
                raise EOFError
            file.seek(length, 1)
        (aliases,) = struct.unpack("<I", _read(file, 4)) if version >= 4 else (0,)
        for _ in range(2 * aliases):
            _read(file, *struct.unpack("<H", _read(file, 2)))
    except EOFError:
        raise SpeechSetupError(where, f"ends too early, at {size_bytes} bytes", AGAIN) from None


def _check_onnx(file: BinaryIO, where: str, size_bytes: int) -> None:
    """Walk the top-level protobuf fields of an ONNX file: they must end where the file does."""
    try:
        while file.tell() < size_bytes:
            wire_type = _varint(file) & 7
            if wire_type == 0:
                _varint(file)
            elif wire_type == 2:
                length = _varint(file)
                if file.tell() + length > size_bytes:
                    raise EOFError
                file.seek(length, 1)
            else:
                raise SpeechSetupError(where, "is no ONNX model", AGAIN)
    except EOFError:
        raise SpeechSetupError(where, f"ends too early, at {size_bytes} bytes", AGAIN) from None
    if size_bytes == 0:
        raise SpeechSetupError(where, "is empty", AGAIN)


def _varint(file: BinaryIO) -> int:
    value = 0
    for shift in range(0, 70, 7):
        byte = _read(file, 1)[0]
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            break
    return value


def _read(file: BinaryIO, length: int) -> bytes:
    data = file.read(length)
    if len(data) < length:
        raise EOFError
    return data


def _must_be_there(file: Path, kind: str) -> None:
    if not file.is_file():
        raise SpeechSetupError(str(file), f"missing from {kind}", AGAIN)


def _must_have_sentencepiece(path: Path, there: bool) -> None:
    if not there:
        raise SpeechSetupError(
            str(path), "no sentencepiece.model in it (packages with a BPE model are not supported)", "install another"
        )
