"""A disk that is really full: a tmpfs in a mount namespace that only the started program sees."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest


def small_disk(folder: Path, size_kib: int, *, full: bool = False) -> list[str]:
    """A command prefix that runs a program with `folder` on a disk of that size; skips where that is not allowed.

    The program's view of the folder is /proc/PID/root/FOLDER.
    """
    folder.mkdir(parents=True, exist_ok=True)
    fill = f'; head -c {size_kib * 2048} /dev/zero > "{folder}/fill" 2>/dev/null' if full else ""
    mount = f'mount -t tmpfs -o size={size_kib}k none "{folder}"{fill}; exec "$@"'
    prefix = ["unshare", "-m", "sh", "-c", mount, "sh"]
    try:
        tried = subprocess.run([*prefix, "grep", "-q", str(folder), "/proc/self/mounts"], check=False).returncode
    except FileNotFoundError:
        tried = 1
    if tried != 0:
        pytest.skip("needs a mount namespace of its own: run as root")
    return prefix


def inside(pid: int, folder: Path) -> Path:
    """The folder as the process with its own mount namespace sees it."""
    return Path(f"/proc/{pid}/root{folder}")


def enter(pid: int) -> list[str]:
    """A command prefix that runs a program where it sees the disk of that process."""
    return ["nsenter", "--target", str(pid), "--mount"]


def fill_up_to(folder: Path, left_kib: int) -> None:
    """Write a file into `folder` that leaves so much room on its disk."""
    disk = os.statvfs(folder)
    (folder / "fill").write_bytes(bytes(disk.f_bavail * disk.f_frsize - left_kib * 1024))
