"""The chain of all recordings: one line for each that was finished, and each line vouches for all before it.

    {"number": 7, …, "files": {"customer.wav": "<SHA-256>", …}, "previous": "<hash of line 6>", "hash": "<of this>"}

Who changes, removes or adds a recording afterwards would have to write all later lines anew, and the last hash, noted
down elsewhere, would tell. The file stays when retention takes the recordings: it says that they were there.
"""

from __future__ import annotations

import contextlib
import fcntl
import hashlib
import json
import os
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any, NamedTuple

NAME = "recordings.chain"
_FIRST = "0" * 64
_TAIL_BYTES = 1 << 16
_READ_BYTES = 1 << 20


def append(folder: Path, facts: Mapping[str, Any]) -> str:
    """Add a line to the chain in `folder`; returns its hash. Several processes may do so. Raises OSError."""
    fd = os.open(folder / NAME, os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_CLOEXEC, 0o640)
    try:
        fcntl.flock(fd, fcntl.LOCK_EX)
        number, previous = _last(fd)
        line = {"number": number + 1, **facts, "previous": previous}
        line["hash"] = _hash(line)
        os.write(fd, json.dumps(line, ensure_ascii=False).encode() + b"\n")
        os.fdatasync(fd)
        return str(line["hash"])
    finally:
        os.close(fd)


def _last(fd: int) -> tuple[int, str]:
    """Number and hash of the last whole line. A line that a power cut tore is ended, so that the next stands alone."""
    size = os.fstat(fd).st_size
    tail = os.pread(fd, _TAIL_BYTES, max(0, size - _TAIL_BYTES))
    if tail and not tail.endswith(b"\n"):
        os.write(fd, b"\n")
    for text in reversed(tail.splitlines()):
        try:
            line = json.loads(text)
            return int(line["number"]), str(line["hash"])
        except (ValueError, KeyError, TypeError):
            continue
    return 0, _FIRST


def _hash(line: Mapping[str, Any]) -> str:
    body = {name: value for name, value in line.items() if name != "hash"}
    text = json.dumps(body, ensure_ascii=False, sort_keys=True, separators=(",", ":"))
    return hashlib.sha256(text.encode()).hexdigest()


class Link(NamedTuple):
    """A line of the chain that can be read."""

    number: int
    session_id: str
    hash: str


def links(folder: Path) -> list[Link]:
    """The lines that can be read, in order."""
    try:
        lines = (folder / NAME).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return []
    found = []
    for text in lines:
        with contextlib.suppress(ValueError, KeyError, TypeError):
            line = json.loads(text)
            found.append(Link(int(line["number"]), str(line.get("session_id")), str(line["hash"])))
    return found


def problems(folder: Path) -> Iterator[str]:
    """What is wrong with the chain in `folder` and the recordings it names; a recording that is gone is not wrong."""
    previous, number = _FIRST, 0
    try:
        lines = (folder / NAME).read_text("utf-8", "replace").splitlines()
    except FileNotFoundError:
        return
    for at, text in enumerate(lines, 1):
        where = f"{folder / NAME}:{at}"
        try:
            line = json.loads(text)
            its_number, its_previous, its_hash = line["number"], line["previous"], line["hash"]
        except (ValueError, KeyError, TypeError):
            yield f"{where}: is no line of the chain"
            continue
        if its_hash != _hash(line):
            yield f"{where}: was changed after it was written"
        if its_previous != previous or its_number != number + 1:
            yield f"{where}: does not follow the line before it; one was removed, added or changed"
        previous, number = its_hash, its_number
        yield from _files(folder, line)


def _files(folder: Path, line: Mapping[str, Any]) -> Iterator[str]:
    for name, sum_then in dict(line.get("files", {})).items():
        path = folder / str(line.get("session_id")) / name
        try:
            sum_now = _sum(path)
        except FileNotFoundError:
            continue
        if sum_now != sum_then:
            yield f"{path}: was changed after it was recorded"


def _sum(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()
