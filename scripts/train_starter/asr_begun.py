"""An encoder that already hears phones, to begin with: data/encoder.npz, int8 with a scale for each row.

What the first hour of a run from nothing is spent on is the same for every vocabulary and every mix of texts.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

BEGUN = Path(__file__).parent / "data" / "encoder.npz"
PARTS = ("conv1.", "conv2.", "encoder.", "encoder_norm.")
"""What is kept of a model: names of its variables that begin so."""

Floats = npt.NDArray[np.float32]


def pack(weights: dict[str, Floats], path: Path) -> None:
    """Write those of `weights` that are of the encoder; vectors as float16, all else as int8 by rows."""
    kept: dict[str, npt.NDArray[np.generic]] = {}
    for name, value in weights.items():
        if not name.startswith(PARTS):
            continue
        if value.ndim == 1:
            kept[name] = value.astype(np.float16)
            continue
        rows = value.reshape(len(value), -1)
        scale = np.maximum(np.abs(rows).max(1), 1e-12) / 127
        kept[name] = np.rint(rows / scale[:, None]).astype(np.int8).reshape(value.shape)
        kept[f"{name}:scale"] = scale.astype(np.float32)
    with path.open("wb") as file:
        np.savez_compressed(file, **kept)  # type: ignore[arg-type]  # names are those of the variables


def unpack(path: Path) -> dict[str, Floats]:
    """The weights that pack() wrote, each within half a step of what it was."""
    weights: dict[str, Floats] = {}
    with np.load(path) as kept:
        for name in kept.files:
            if name.endswith(":scale"):
                continue
            weights[name] = kept[name].astype(np.float32)
            if f"{name}:scale" in kept.files:
                weights[name] *= kept[f"{name}:scale"].reshape(-1, *(1,) * (weights[name].ndim - 1))
    return weights
