"""Argos packages of the starter translator: written with CTranslate2's int8 weights, and read again to train on."""

from __future__ import annotations

import copy
import json
import shutil
import struct
import tempfile
import zipfile
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
import numpy.typing as npt
import sentencepiece
import torch
from ctranslate2.specs import TransformerSpec, common_spec

from train_starter.mt_model import Shape, ct2_names

NAMES = {"de": "German", "en": "English"}
DIRECTIONS = (("de", "en"), ("en", "de"))
LICENCE = (
    "Made by the recipe in scripts/train_starter of kallglot-media from BConTrasT (CC BY-SA 4.0), Tatoeba "
    "(CC BY 2.0 FR) and a grammar of its own. Licence: CC BY-SA 4.0.\n"
)
LENGTH_PENALTY = 1.0
"""The best of 0.2, 0.6 … 1.8 on the tuning half of the held-out chats."""

Array = npt.NDArray[Any]
_TYPES = (np.float32, np.int8, np.int16, np.int32, np.float16)


def write_packages(
    weights: dict[str, torch.Tensor], shape: Shape, pieces: bytes, folder: Path, version: str
) -> list[Path]:
    """translate-de_en and translate-en_de: the same weights, each with its own first piece."""
    folder.mkdir(parents=True, exist_ok=True)
    spec = _spec(weights, shape, pieces)
    return [_package(spec, pieces, folder, source, target, version) for source, target in DIRECTIONS]


def read_package(path: Path) -> tuple[dict[str, torch.Tensor], Shape, bytes]:
    """Weights (int8 made float again), shape and SentencePiece model of a package that `write_packages` made."""
    with zipfile.ZipFile(path) as packed:
        by_name = {Path(name).name: name for name in packed.namelist()}
        stored = _read_model(packed.read(by_name["model.bin"]))
        pieces = packed.read(by_name["sentencepiece.model"])
    vocabulary, width = stored["decoder/embeddings/weight"].shape
    shape = Shape(
        vocabulary,
        width,
        stored["encoder/layer_0/ffn/linear_0/weight"].shape[0],
        int(stored["encoder/num_heads"]),
        sum(name.startswith("encoder/") and name.endswith("/ffn/linear_0/bias") for name in stored),
        sum(name.startswith("decoder/") and name.endswith("/ffn/linear_0/bias") for name in stored),
        len(stored["decoder/position_encodings/encodings"]),
    )
    weights = {}
    for ours, theirs in ct2_names(shape).items():
        value = stored[theirs].astype(np.float32)
        scale = stored.get(f"{theirs}_scale")
        weights[ours] = torch.from_numpy(value / scale[:, None] if scale is not None else value)
    return weights, shape, pieces


def _spec(weights: dict[str, torch.Tensor], shape: Shape, pieces: bytes) -> Any:
    spec = TransformerSpec.from_config(
        (shape.encoder_layers, shape.decoder_layers), shape.heads, pre_norm=True, activation=common_spec.Activation.RELU
    )
    for ours, theirs in ct2_names(shape).items():
        _put(spec, theirs, weights[ours].float().numpy())
    embeddings, positions = weights["embeddings.weight"].float().numpy(), weights["positions"].float().numpy()
    _put(spec, "encoder/embeddings_0/weight", embeddings)
    _put(spec, "decoder/projection/weight", embeddings)
    _put(spec, "encoder/position_encodings/encodings", positions)
    processor = sentencepiece.SentencePieceProcessor(model_proto=pieces)
    vocabulary = [processor.id_to_piece(number) for number in range(processor.get_piece_size())]
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.config.add_source_eos = spec.config.add_source_bos = False
    spec.config.unk_token, spec.config.bos_token, spec.config.eos_token = "<unk>", "<s>", "</s>"
    return spec


def _put(spec: Any, path: str, value: Array) -> None:
    """Set "encoder/layer_0/ffn/linear_0/weight" of a specification."""
    *way, last = path.split("/")
    for name in way:
        stem, _, number = name.rpartition("_")
        inside = getattr(spec, stem, None) if number.isdecimal() else None
        spec = inside[int(number)] if isinstance(inside, list) else getattr(spec, name)
    setattr(spec, last, value)


def _package(spec: Any, pieces: bytes, folder: Path, source: str, target: str, version: str) -> Path:
    spec = copy.deepcopy(spec)
    spec.config.decoder_start_token = f"__{target}__"
    spec.validate()
    spec.optimize(quantization="int8")
    name = f"translate-{source}_{target}-{version.replace('.', '_')}"
    about = {"package_version": version, "argos_version": "1.11", "from_code": source, "from_name": NAMES[source],
             "to_code": target, "to_name": NAMES[target], "length_penalty": LENGTH_PENALTY}  # fmt: skip
    path = folder / f"{name}.argosmodel"
    with tempfile.TemporaryDirectory() as model, zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as packed:
        spec.save(model)
        _add(packed, f"{name}/metadata.json", json.dumps(about, indent=1).encode())
        _add(packed, f"{name}/sentencepiece.model", pieces)
        _add(packed, f"{name}/README.md", LICENCE.encode())
        for file in sorted(Path(model).iterdir()):
            _add(packed, f"{name}/model/{file.name}", file.read_bytes())
    return path


def _add(packed: zipfile.ZipFile, name: str, data: bytes) -> None:
    """With a date that is always the same: the same weights make the same file."""
    entry = zipfile.ZipInfo(name, (2026, 1, 1, 0, 0, 0))
    entry.compress_type = zipfile.ZIP_DEFLATED
    entry.external_attr = 0o644 << 16
    packed.writestr(entry, data)


def _read_model(data: bytes) -> dict[str, Array]:
    """CTranslate2's model.bin, version 6: named arrays, one behind the other."""
    at = 0

    def number(form: str) -> int:
        nonlocal at
        (value,) = struct.unpack_from(f"<{form}", data, at)
        at += struct.calcsize(form)
        return int(value)

    def text() -> str:
        nonlocal at
        length = number("H")
        at += length
        return data[at - length : at - 1].decode()

    version, name, _, count = number("I"), text(), number("I"), number("I")
    if (version, name) != (6, "TransformerSpec"):
        raise ValueError(f"model.bin is {name} version {version}; only TransformerSpec version 6 can be trained on")
    arrays = {}
    for _ in range(count):
        key = text()
        dimensions = [number("I") for _ in range(number("B"))]
        kind = np.dtype(_TYPES[number("B")])
        length = number("I")
        arrays[key] = np.frombuffer(data, kind, length // kind.itemsize, at).reshape(dimensions)
        at += length
    return arrays


def loads(path: Path) -> bool:
    """Whether CTranslate2 itself takes what was written."""
    with tempfile.TemporaryDirectory() as folder, zipfile.ZipFile(path) as packed:
        packed.extractall(folder)
        (model,) = Path(folder).glob("*/model")
        ctranslate2.Translator(str(model), device="cpu")
        shutil.rmtree(model)
    return True
