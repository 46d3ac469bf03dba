"""Deleting what lies below the data directory, and nothing that lies anywhere else."""

from __future__ import annotations

import shutil
from contextlib import suppress
from pathlib import Path

EXPORTS = "exports"
"""Of a session's folder: files made of its recordings, which must not outlive them."""


def inside(data_dir: Path, name: str) -> Path | None:
    """The file, None when `name` leads out of the data directory: then there is nothing of ours."""
    path = (data_dir / name).resolve()
    return path if name and path.is_relative_to(data_dir.resolve()) and path != data_dir.resolve() else None


def remove_file(data_dir: Path, name: str) -> None:
    """Delete a file; none there is fine. Raises OSError."""
    path = inside(data_dir, name)
    if path is not None:
        path.unlink(missing_ok=True)


def remove_folder(data_dir: Path, name: str) -> None:
    """Delete a folder with all that is in it; none there is fine. Raises OSError."""
    path = inside(data_dir, name)
    if path is not None:
        with suppress(FileNotFoundError):
            shutil.rmtree(path)


def remove_recording(data_dir: Path, name: str) -> None:
    """Delete a recording and what was made of it and its neighbours. Raises OSError."""
    if inside(data_dir, name) is not None:
        # The exports first: a crash in between must leave the row pointing at something to delete.
        remove_folder(data_dir, str(Path(name).parent / EXPORTS))
        remove_file(data_dir, name)
