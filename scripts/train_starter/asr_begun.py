"""A recogniser to begin with: data/begun.npz, int8 with a scale for each row, and the ids of the tokens that it writes.

What the first hours of a run from nothing are spent on is the same for every vocabulary and every mix of texts. It is
not the one in the package: it has heard more sentences, and knows those of that one less surely.
"""

from __future__ import annotations

from pathlib import Path

import numpy as np
import numpy.typing as npt

BEGUN = Path(__file__).parent / "data" / "begun.npz"
LEFT_OUT = ("positions", "phones.")
"""What is not kept of a model: names of its variables that begin so. Phones are learned anew in a minute."""

TOKENS, IDS = "tokens.weight", "ids"

Floats = npt.NDArray[np.float32]


def pack(weights: dict[str, Floats], ids: list[int], path: Path) -> None:
    """Write `weights`, vectors as float16, all else as int8 by rows; ids: Whisper's, of the rows of its tokens."""
    kept: dict[str, npt.NDArray[np.generic]] = {IDS: np.array(ids, dtype=np.int32)}
    for name, value in weights.items():
        if name.startswith(LEFT_OUT):
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


def unpack(path: Path) -> tuple[dict[str, Floats], list[int]]:
    """The weights and ids that pack() wrote, each weight within half a step of what it was."""
    weights: dict[str, Floats] = {}
    with np.load(path) as kept:
        for name in kept.files:
            if name == IDS or name.endswith(":scale"):
                continue
            weights[name] = kept[name].astype(np.float32)
            if f"{name}:scale" in kept.files:
                weights[name] *= kept[f"{name}:scale"].reshape(-1, *(1,) * (weights[name].ndim - 1))
        ids = [int(one) for one in kept[IDS]]
    return weights, ids


def tokens_for(weights: dict[str, Floats], ids: list[int], wanted: list[int], rng: np.random.Generator) -> Floats:
    """Rows for the tokens `wanted`: those that are there, and near their mean where one is not."""
    rows = weights[TOKENS]
    at = {token: row for row, token in enumerate(ids)}
    near = rows.mean(0) + rng.normal(size=(len(wanted), rows.shape[1])) * rows.std(0) / 2
    known = [place for place, token in enumerate(wanted) if token in at]
    near[known] = rows[[at[wanted[place]] for place in known]]
    return np.asarray(near, dtype=np.float32)
