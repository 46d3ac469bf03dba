"""Does a batch measure faster? bench_batches.py [--rounds N]

Recognition and translation of 1, 2, 4 and 8 jobs at once, on one core, with models of real sizes and random weights
(the same work as real ones; nothing is downloaded). Markdown, ms for each job.
"""

from __future__ import annotations

import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import argparse
import platform
import tempfile
import time
from collections.abc import Callable
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import ctranslate2
import numpy as np
from ctranslate2.specs import TransformerSpec, WhisperSpec

SIZES = {"tiny": (384, 4, 6), "base": (512, 6, 8)}
"""d_model, layers of each side, heads of OpenAI's models."""

BATCHES = (1, 2, 4, 8)
VOCABULARY, TEXT_TOKENS, POSITIONS = 51_865, 448, 1500
SOUND_S = 5
FRAMES = 2 * (50 * SOUND_S + 128)
"""What speech/whisper.py encodes for a sound of SOUND_S."""

TOKENS = 20
_RNG = np.random.default_rng(0)


def _weights(*shape: int) -> Any:
    return (_RNG.standard_normal(shape) * 0.03).astype(np.float32)


def _linear(spec: Any, rows: int, columns: int) -> None:
    spec.weight, spec.bias = _weights(rows, columns), np.zeros(rows, np.float32)


def _norm(spec: Any, size: int) -> None:
    spec.gamma, spec.beta = np.ones(size, np.float32), np.zeros(size, np.float32)


def _layers(spec: Any, d: int, inner: int) -> None:
    """Attention and feed-forward of each layer."""
    for layer in spec.layer:
        _norm(layer.self_attention.layer_norm, d)
        _linear(layer.self_attention.linear[0], 3 * d, d)
        _linear(layer.self_attention.linear[1], d, d)
        if getattr(layer, "attention", None) is not None:
            _norm(layer.attention.layer_norm, d)
            for part, rows in zip(layer.attention.linear, (d, 2 * d, d), strict=True):
                _linear(part, rows, d)
        _norm(layer.ffn.layer_norm, d)
        _linear(layer.ffn.linear_0, inner, d)
        _linear(layer.ffn.linear_1, d, inner)
    _norm(spec.layer_norm, d)


def whisper(size: str, folder: Path) -> Any:
    """A Whisper of that size that says nothing sensible."""
    d, layers, heads = SIZES[size]
    spec = WhisperSpec(layers, heads, layers, heads)
    for convolution, inputs in ((spec.encoder.conv1, 80), (spec.encoder.conv2, d)):
        convolution.weight, convolution.bias = _weights(d, inputs, 3), np.zeros(d, np.float32)
    spec.encoder.position_encodings.encodings = _weights(POSITIONS, d)
    _layers(spec.encoder, d, 4 * d)
    spec.decoder.embeddings.weight = _weights(VOCABULARY, d)
    spec.decoder.position_encodings.encodings = _weights(TEXT_TOKENS, d)
    spec.decoder.scale_embeddings = False
    spec.decoder.projection.weight = spec.decoder.embeddings.weight
    _layers(spec.decoder, d, 4 * d)
    special = ["<|endoftext|>", "<|startoftranscript|>", *(f"<|l{n}|>" for n in range(99)), "<|translate|>"]
    special += ["<|transcribe|>", "<|startoflm|>", "<|startofprev|>", "<|nospeech|>", "<|notimestamps|>"]
    words = [f"w{n}" for n in range(50_257)] + special
    spec.register_vocabulary(words + [f"<|{n}|>" for n in range(VOCABULARY - len(words))])
    spec.config.suppress_ids, spec.config.suppress_ids_begin = [], []
    spec.config.lang_ids, spec.config.alignment_heads = list(range(50_259, 50_358)), [(layers - 1, 0)]
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True)
    spec.save(str(folder))
    return ctranslate2.models.Whisper(str(folder), device="cpu", compute_type="int8", intra_threads=1)


def translator(folder: Path, d: int = 512, words: int = 32_000) -> Any:
    """A translator of the size of an Argos package."""
    spec = TransformerSpec.from_config((6, 6), 8)
    embeddings = spec.encoder.embeddings
    (embeddings[0] if isinstance(embeddings, list) else embeddings).weight = _weights(words, d)
    spec.decoder.embeddings.weight = _weights(words, d)
    _layers(spec.encoder, d, 2048)
    _layers(spec.decoder, d, 2048)
    _linear(spec.decoder.projection, words, d)
    vocabulary = ["<unk>", "<s>", "</s>", *(f"w{n}" for n in range(words - 3))]
    spec.register_source_vocabulary(vocabulary)
    spec.register_target_vocabulary(vocabulary)
    spec.validate()
    spec.optimize(quantization="int8")
    folder.mkdir(parents=True)
    spec.save(str(folder))
    return ctranslate2.Translator(str(folder), device="cpu", compute_type="int8", intra_threads=1)


def best_ms(job: Callable[[], object], rounds: int) -> float:
    """The quickest of some rounds: what the neighbours take is left out."""
    job()
    took = []
    for _ in range(rounds):
        began_s = time.perf_counter()
        job()
        took.append(time.perf_counter() - began_s)
    return 1000 * min(took)


def whisper_rows(size: str, model: Any, rounds: int) -> None:
    encoded: list[float] = []
    decoded: list[float] = []
    for count in BATCHES:
        sound = ctranslate2.StorageView.from_array(_weights(count, 80, FRAMES))
        encoded.append(best_ms(lambda: model.encode(sound), rounds) / count)  # noqa: B023 - called at once
        states = model.encode(sound)
        prompts = [[50_258, 50_261, 50_359, 50_363]] * count
        options = {"beam_size": 1, "max_length": 2 * TOKENS, "suppress_tokens": [50_257], "suppress_blank": False}
        decoded.append(best_ms(lambda: model.generate(states, prompts, **options), rounds) / count)  # noqa: B023
    states = model.encode(ctranslate2.StorageView.from_array(_weights(1, 80, FRAMES)))
    text = list(range(100, 100 + TOKENS))
    aligned = best_ms(lambda: model.align(states, [50_258, 50_261, 50_359, 50_363], [text], [FRAMES]), rounds)
    row(f"Whisper {size}, encoder, {SOUND_S} s", encoded)
    row(f"Whisper {size}, attention of {TOKENS} known tokens (`align`)", [aligned])
    row(f"Whisper {size}, decoder, {TOKENS} tokens", decoded)


def translator_row(model: Any, rounds: int, beam: int) -> None:
    took = []
    for count in BATCHES:
        texts = [[f"w{n + 20 * one}" for n in range(12)] for one in range(count)]
        options = {"beam_size": beam, "num_hypotheses": beam, "min_decoding_length": 14, "max_decoding_length": 14}
        took.append(best_ms(lambda: model.translate_batch(texts, **options), rounds) / count)  # noqa: B023
    row(f"translator (512, 6+6 layers), 12→14 tokens, beam {beam}", took)


def row(name: str, each_ms: list[float]) -> None:
    cells = [f"{ms:.1f}" + (f" (×{each_ms[0] / ms:.2f})" if n else "") for n, ms in enumerate(each_ms)]
    print(f"| {name} | " + " | ".join([*cells, *[""] * (len(BATCHES) - len(cells))]) + " |", flush=True)


def main() -> None:
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--rounds", type=int, default=7)
    rounds = arguments.parse_args().rounds
    print(f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, one of {os.cpu_count()} cores, int8, random weights.\n")
    print("| ms a job, jobs at once | " + " | ".join(str(count) for count in BATCHES) + " |")
    print("|---" * (1 + len(BATCHES)) + "|")
    with tempfile.TemporaryDirectory() as folder:
        for size in SIZES:
            whisper_rows(size, whisper(size, Path(folder) / size), rounds)
        model = translator(Path(folder) / "translator")
        for beam in (4, 1):
            translator_row(model, rounds, beam)


if __name__ == "__main__":
    main()
