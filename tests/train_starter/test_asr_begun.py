"""The recogniser that the recipe begins with."""

from __future__ import annotations

from pathlib import Path

import numpy as np
from train_starter.asr_begun import BEGUN, LEFT_OUT, TOKENS, pack, tokens_for, unpack


def test_what_is_unpacked_is_what_was_packed(tmp_path: Path) -> None:
    rng = np.random.default_rng(1)
    weights = {
        "conv1.weight": rng.normal(size=(4, 5, 3)).astype(np.float32),
        "encoder.0.wide.weight": rng.normal(size=(6, 4)).astype(np.float32) * np.arange(6, dtype=np.float32)[:, None],
        "encoder.0.wide.bias": rng.normal(size=6).astype(np.float32),
        "phones.bias": np.ones(3, dtype=np.float32),
    }
    pack(weights, [7, 50_000], tmp_path / "begun.npz")
    read, ids = unpack(tmp_path / "begun.npz")
    assert ids == [7, 50_000]
    assert set(read) == set(weights) - {"phones.bias"}
    for name, value in read.items():
        assert value.shape == weights[name].shape
        rows = weights[name].reshape(len(weights[name]), -1)
        step = 2e-3 if value.ndim == 1 else np.abs(rows).max(1, keepdims=True) / 127
        assert (np.abs(value.reshape(rows.shape) - rows) <= step / 2 + 1e-6).all(), name


def test_tokens_are_found_by_their_ids_and_new_ones_are_like_the_others() -> None:
    rows = np.random.default_rng(1).normal(5, 1, size=(40, 6)).astype(np.float32)
    made = tokens_for({TOKENS: rows}, list(range(100, 140)), [139, 7, 100], np.random.default_rng(2))
    assert np.array_equal(made[[0, 2]], rows[[39, 0]])
    assert 3 < made[1].mean() < 7


def test_the_one_in_the_tree_is_a_whole_recogniser() -> None:
    read, ids = unpack(BEGUN)
    assert not any(name.startswith(LEFT_OUT) for name in read)
    width = len(read["conv1.bias"])
    layers = [{name.split(".")[1] for name in read if name.startswith(f"{part}.")} for part in ("encoder", "decoder")]
    assert (width, *map(len, layers)) == (192, 6, 2)
    assert read[TOKENS].shape == (len(ids), width)
    assert all(np.isfinite(value).all() for value in read.values())
    assert BEGUN.stat().st_size < 6_000_000
