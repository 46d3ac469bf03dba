"""Write a checkpoint of asr_train.py as a CTranslate2 Whisper folder, as faster-whisper loads it.

Whisper's whole vocabulary is there, so that its tokenizer fits; tokens that were not trained can never be chosen. The
position table goes to 30 s, with the marker from where training ended: see asr_model.py.
"""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt
import torch
from ctranslate2.specs import whisper_spec

from train_starter.asr_batches import POSITION_STEP, Vocabulary
from train_starter.asr_model import MARK, UNUSED, WINDOW_POSITIONS
from train_starter.asr_train import TOKENIZER
from train_starter.slots import LANGUAGES

WHISPER_POSITIONS = 1500
MARK_VALUE, UNUSED_VALUE = 3000.0, -10.0
"""An untrained token's logit is UNUSED_VALUE times asr_model.UNUSED_BIAS."""

WHISPER_TOKENS = 51_865
FIRST_LANGUAGE, LANGUAGES_OF_WHISPER = 50_259, 99
NEVER_FIRST = (220,)
"""A lone blank; the end of the text may come first, for that is what noise is written as."""

GUARDS = {
    "beam": 8,
    "length_penalty": 1.3,
    "smooth_positions": 1,
    "languages": list(LANGUAGES),
    "longest_s": 12.0,
    "min_avg_logprob": -0.75,
    "no_speech_avg_logprob": -0.3,
    "no_speech_prob": 0.5,
    "prompts": False,
}
"""What the server must know of the model: speech.whisper.Guards."""

Floats = npt.NDArray[np.float32]


def export(checkpoint: Path, words: Vocabulary, out: Path, quantization: str = "int8") -> None:
    """Make the folder anew: model.bin, vocabulary, tokenizer, feature extractor."""
    whole = torch.load(checkpoint, map_location="cpu")
    state = {name: value.float().numpy() for name, value in (whole["average"] or whole["model"]).items()}
    shape = whole["shape"]
    spec = whisper_spec.WhisperSpec(shape["encoder_layers"], shape["heads"], shape["decoder_layers"], shape["heads"])
    _fill_encoder(spec.encoder, state)
    _fill_decoder(spec.decoder, state, words.used)
    names = {token: name for name, token in words.pieces.ids.items()}
    spec.register_vocabulary([names[token] for token in range(WHISPER_TOKENS)])
    spec.config.suppress_ids = []
    spec.config.suppress_ids_begin = list(NEVER_FIRST)
    spec.config.lang_ids = list(range(FIRST_LANGUAGE, FIRST_LANGUAGE + LANGUAGES_OF_WHISPER))
    last = shape["decoder_layers"] - 1
    spec.config.alignment_heads = [(last, head) for head in range(1, shape["heads"])]
    spec.validate()
    spec.optimize(quantization=None if quantization == "float32" else quantization)
    shutil.rmtree(out, ignore_errors=True)
    out.mkdir(parents=True)
    spec.save(str(out))
    shutil.copy(TOKENIZER, out)
    for name in ("tokenizer.json", "vocabulary.json"):
        _write_short(out / name)
    extractor = {
        "feature_size": 80, "sampling_rate": 16_000, "hop_length": 160, "chunk_length": 30, "n_fft": 400,
        "feature_extractor_type": "WhisperFeatureExtractor",
    }  # fmt: skip
    (out / "preprocessor_config.json").write_text(json.dumps(extractor), encoding="utf-8")
    (out / "kallglot.json").write_text(json.dumps(GUARDS, indent=2) + "\n", encoding="utf-8")


def _write_short(path: Path) -> None:
    """The same JSON without blanks and escapes, half as long."""
    told = json.loads(path.read_text(encoding="utf-8"))
    path.write_text(json.dumps(told, ensure_ascii=False, separators=(",", ":")), encoding="utf-8")


def _fill_encoder(spec: Any, state: dict[str, Floats]) -> None:
    for name in ("conv1", "conv2"):
        convolution = getattr(spec, name)
        convolution.weight, convolution.bias = state[f"{name}.weight"], state[f"{name}.bias"]
    positions = np.zeros((WHISPER_POSITIONS, state["positions"].shape[1]), dtype=np.float32)
    positions[:, MARK] = MARK_VALUE
    positions[:WINDOW_POSITIONS:POSITION_STEP] = state["positions"]
    spec.position_encodings.encodings = positions
    _fill_norm(spec.layer_norm, state, "encoder_norm")
    for number, layer in enumerate(spec.layer):
        _fill_layer(layer, state, f"encoder.{number}")


def _fill_decoder(spec: Any, state: dict[str, Floats], used: list[int]) -> None:
    tokens = np.zeros((WHISPER_TOKENS, state["tokens.weight"].shape[1]), dtype=np.float32)
    tokens[:, UNUSED] = UNUSED_VALUE
    tokens[used] = state["tokens.weight"]
    spec.embeddings.weight = tokens
    spec.projection.weight = tokens
    spec.position_encodings.encodings = state["token_positions"]
    _fill_norm(spec.layer_norm, state, "decoder_norm")
    for number, layer in enumerate(spec.layer):
        _fill_layer(layer, state, f"decoder.{number}")
        _fill_norm(layer.attention.layer_norm, state, f"decoder.{number}.crossed.norm")
        for place, name in enumerate(("query", "key_value", "out")):
            _fill_linear(layer.attention.linear[place], state, f"decoder.{number}.crossed.{name}")


def _fill_layer(spec: Any, state: dict[str, Floats], name: str) -> None:
    _fill_norm(spec.self_attention.layer_norm, state, f"{name}.attention.norm")
    fused = spec.self_attention.linear[0]
    parts = [f"{name}.attention.{part}" for part in ("query", "key_value")]
    fused.weight = np.concatenate([state[f"{part}.weight"] for part in parts])
    fused.bias = np.concatenate([state[f"{part}.bias"] for part in parts])
    _fill_linear(spec.self_attention.linear[1], state, f"{name}.attention.out")
    _fill_norm(spec.ffn.layer_norm, state, f"{name}.norm")
    _fill_linear(spec.ffn.linear_0, state, f"{name}.wide")
    _fill_linear(spec.ffn.linear_1, state, f"{name}.narrow")


def _fill_norm(spec: Any, state: dict[str, Floats], name: str) -> None:
    spec.gamma, spec.beta = state[f"{name}.weight"], state[f"{name}.bias"]


def _fill_linear(spec: Any, state: dict[str, Floats], name: str) -> None:
    spec.weight, spec.bias = state[f"{name}.weight"], state[f"{name}.bias"]
