"""The encoder that the recogniser's recipe begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from train_starter.asr_begun import BEGUN, PARTS, pack, unpack


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights = {
        "conv1.weight": rng.normal(size=(4, 5, 3)).astype(np.float32),
        "encoder.0.wide.weight": rng.normal(size=(6, 4)).astype(np.float32) * np.arange(6, dtype=np.float32)[:, None],
        "encoder.0.wide.bias": rng.normal(size=6).astype(np.float32),
        "decoder.0.wide.bias": np.ones(3, dtype=np.float32),
    }
    pack(weights, tmp_path / "encoder.npz")
    read = unpack(tmp_path / "encoder.npz")
    assert set(read) == set(weights) - {"decoder.0.wide.bias"}
    for name, value in read.items():
        assert value.shape == weights[name].shape
        rows = weights[name].reshape(len(weights[name]), -1)
        step = 2e-3 if value.ndim == 1 else np.abs(rows).max(1, keepdims=True) / 127
        assert (np.abs(value.reshape(rows.shape) - rows) <= step / 2 + 1e-6).all(), name


def test_the_one_in_the_tree_is_a_whole_encoder() -> None:
    read = unpack(BEGUN)
    assert all(name.startswith(PARTS) for name in read)
    width = len(read["conv1.bias"])
    layers = {name.split(".")[1] for name in read if name.startswith("encoder.")}
    assert (width, len(layers)) == (192, 6)
    assert all(np.isfinite(value).all() for value in read.values())
    assert BEGUN.stat().st_size < 4_000_000
