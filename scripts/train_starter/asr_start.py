"""Begin with the weights of a trained model: a CTranslate2 Whisper folder of the same width, read back into PyTorch.

Encoder layers that the new model has more are put on top and begin as doing nothing. Tokens that the old one did not
train begin near the mean of those that it did.
"""

from __future__ import annotations

import struct
from collections.abc import Iterator
from pathlib import Path

import numpy as np
import numpy.typing as npt
import torch

from train_starter.asr_model import UNUSED, Layer, Recognizer

Weights = dict[str, npt.NDArray[np.float32]]
_TYPES = {0: np.float32, 1: np.int8, 2: np.int16, 3: np.int32, 4: np.float16}
_NEW_TOKEN_NOISE = 0.5


def read_ctranslate2(path: Path) -> Weights:
    """The variables of a model.bin as floats: int8 ones divided by their row's scale."""
    data = path.read_bytes()
    raw = dict(_variables(data))
    weights = {}
    for name, value in raw.items():
        weights[name] = value.astype(np.float32)
        if f"{name}_scale" in raw:
            scale = raw[f"{name}_scale"].astype(np.float32)
            weights[name] /= scale.reshape(-1, *(1,) * (value.ndim - 1))
    return weights


def _variables(data: bytes) -> Iterator[tuple[str, npt.NDArray[np.generic]]]:
    position = 0

    def take(kind: str) -> int:
        nonlocal position
        (value,) = struct.unpack_from("<" + kind, data, position)
        position += struct.calcsize("<" + kind)
        return int(value)

    def name() -> str:
        nonlocal position
        length = take("H")
        position += length
        return data[position - length : position].rstrip(b"\0").decode()

    take("I"), name(), take("I")  # the file's version, the model's kind and its version
    for _ in range(take("I")):
        called = name()
        shape = [take("I") for _ in range(take("B"))]
        kind, size = take("B"), take("I")
        yield (
            called,
            np.frombuffer(data, _TYPES[kind], size // np.dtype(_TYPES[kind]).itemsize, position).reshape(shape),
        )
        position += size


def start_from(model: Recognizer, folder: Path, used: list[int]) -> None:
    """Put the weights of the model in `folder` into `model`; used: the ids of its tokens in Whisper's vocabulary."""
    weights = {name: torch.from_numpy(value.copy()) for name, value in read_ctranslate2(folder / "model.bin").items()}
    state: dict[str, torch.Tensor] = {}
    for name in ("conv1", "conv2"):
        state |= {f"{name}.{part}": weights[f"encoder/{name}/{part}"] for part in ("weight", "bias")}
    for stack in ("encoder", "decoder"):
        state |= _norm(weights, f"{stack}/layer_norm", f"{stack}_norm")
        for number in range(100):
            if f"{stack}/layer_{number}/ffn/layer_norm/gamma" not in weights:
                break
            state |= _layer(weights, f"{stack}/layer_{number}", f"{stack}.{number}")
    state["token_positions"] = weights["decoder/position_encodings/encodings"]
    state["tokens.weight"] = _tokens(weights["decoder/embeddings/weight"], used)
    missing, unknown = model.load_state_dict(state, strict=False)
    if unknown:
        raise ValueError(f"{folder}: has {unknown[0]}, which the new model lacks: its shape is another")
    for name, layer in model.encoder.named_children():
        if f"encoder.{name}.norm.weight" in missing:
            _do_nothing(layer)
    model.constrain()


def _norm(weights: dict[str, torch.Tensor], theirs: str, ours: str) -> dict[str, torch.Tensor]:
    return {f"{ours}.weight": weights[f"{theirs}/gamma"], f"{ours}.bias": weights[f"{theirs}/beta"]}


def _linear(weights: dict[str, torch.Tensor], theirs: str, ours: str) -> dict[str, torch.Tensor]:
    return {f"{ours}.{part}": weights[f"{theirs}/{part}"] for part in ("weight", "bias")}


def _layer(weights: dict[str, torch.Tensor], theirs: str, ours: str) -> dict[str, torch.Tensor]:
    state = _norm(weights, f"{theirs}/ffn/layer_norm", f"{ours}.norm")
    state |= _linear(weights, f"{theirs}/ffn/linear_0", f"{ours}.wide")
    state |= _linear(weights, f"{theirs}/ffn/linear_1", f"{ours}.narrow")
    state |= _norm(weights, f"{theirs}/self_attention/layer_norm", f"{ours}.attention.norm")
    state |= _linear(weights, f"{theirs}/self_attention/linear_1", f"{ours}.attention.out")
    for part in ("weight", "bias"):
        fused = weights[f"{theirs}/self_attention/linear_0/{part}"]
        width = len(fused) // 3
        state[f"{ours}.attention.query.{part}"] = fused[:width]
        state[f"{ours}.attention.key_value.{part}"] = fused[width:]
    if f"{theirs}/attention/layer_norm/gamma" in weights:
        state |= _norm(weights, f"{theirs}/attention/layer_norm", f"{ours}.crossed.norm")
        for number, name in enumerate(("query", "key_value", "out")):
            state |= _linear(weights, f"{theirs}/attention/linear_{number}", f"{ours}.crossed.{name}")
    return state


def _tokens(embeddings: torch.Tensor, used: list[int]) -> torch.Tensor:
    """Rows of the used tokens; those that the old model never trained have an entry in the channel set aside."""
    trained = embeddings[:, UNUSED] == 0
    made = embeddings[used].clone()
    unknown = ~trained[used]
    spread = embeddings[trained].std(0) * _NEW_TOKEN_NOISE
    made[unknown] = embeddings[trained].mean(0) + torch.randn(int(unknown.sum()), embeddings.shape[1]) * spread
    return made


def _do_nothing(layer: Layer) -> None:
    with torch.no_grad():
        for linear in (layer.attention.out, layer.narrow):
            linear.weight.zero_()
            linear.bias.zero_()
