"""Reading what a session's folder says: the second place where turns are, and the first after a crash.

session.json, transcript.jsonl and the two WAV files are written by the call and the recorder; this only reads.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from kallglot_media.media.track_files import TrackError, open_file
from kallglot_media.store import turns
from kallglot_media.store.times import ms_of
from kallglot_media.store.turns import Turn

SESSION_FILE, TURNS_FILE = "session.json", "transcript.jsonl"
WORDS = (TURNS_FILE, "transcript.json", "transcript.txt")
TRACKS = ("customer", "agent")
_READ_BYTES = 1 << 20


@dataclass(frozen=True, slots=True)
class Track:
    """A WAV file of the folder, whole and repaired."""

    channel: str
    name: str
    duration_ms: int
    size_bytes: int
    rate_hz: int
    sha256: str


@dataclass(frozen=True, slots=True)
class Folder:
    """What a folder says. `ended`: session.json has an end; times in ms since 1970, None when it has none."""

    session_id: str
    mode: str
    called: str | None
    source_language: str | None
    target_language: str | None
    recording_enabled: bool
    ended: bool
    end_reason: str | None
    end_detail: str | None
    created_at_ms: int | None
    started_at_ms: int | None
    ended_at_ms: int | None
    turns: tuple[Turn, ...]
    tracks: tuple[Track, ...]


def names(sessions_dir: Path) -> list[str]:
    """The sessions that have a folder, oldest first."""
    if not sessions_dir.is_dir():
        return []
    return sorted(entry.name for entry in sessions_dir.iterdir() if entry.name.startswith("sess_") and entry.is_dir())


def read(folder: Path) -> Folder | None:
    """What the folder says, None when there is none or its session.json cannot be read. Blocking."""
    try:
        said = json.loads((folder / SESSION_FILE).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    if not isinstance(said, dict) or not isinstance(said.get("mode"), str):
        return None
    session_id = folder.name
    created_ms = _time(said.get("created_at"))
    recording = said.get("recording")
    return Folder(
        session_id=session_id,
        mode=said["mode"],
        called=_text(said.get("called")),
        source_language=_text(said.get("source_language")),
        target_language=_text(said.get("target_language")),
        recording_enabled=isinstance(recording, dict) and recording.get("enabled") is True,
        ended=said.get("status") == "ended",
        end_reason=_text(said.get("end_reason")),
        end_detail=_text(said.get("end_detail")),
        created_at_ms=created_ms,
        started_at_ms=_time(said.get("started_at")),
        ended_at_ms=_time(said.get("ended_at")),
        turns=tuple(_turns(folder, session_id, _time(said.get("started_at")) or created_ms or 0)),
        tracks=tuple(_tracks(folder)),
    )


def _turns(folder: Path, session_id: str, began_ms: int) -> Iterator[Turn]:
    """The whole lines of transcript.jsonl; what a crash cut short is left out."""
    try:
        lines = (folder / TURNS_FILE).read_text(encoding="utf-8", errors="replace").splitlines()
    except OSError:
        return
    for line in lines:
        try:
            yield turns.made(json.loads(line), session_id, began_ms)
        except (ValueError, KeyError, TypeError, AttributeError):
            continue


def _tracks(folder: Path) -> Iterator[Track]:
    for channel in TRACKS:
        path = folder / f"{channel}.wav"
        try:
            with open_file(path) as sound:
                rate_hz, samples = sound.rate_hz, sound.samples
            digest = hashlib.sha256()
            with path.open("rb") as file:
                while block := file.read(_READ_BYTES):
                    digest.update(block)
            size_bytes = path.stat().st_size
        except (OSError, TrackError):
            continue
        yield Track(channel, path.name, round(1000 * samples / rate_hz), size_bytes, rate_hz, digest.hexdigest())


def _text(value: Any) -> str | None:
    return value if isinstance(value, str) and value else None


def _time(value: Any) -> int | None:
    try:
        return ms_of(value) if isinstance(value, str) else None
    except ValueError:
        return None
