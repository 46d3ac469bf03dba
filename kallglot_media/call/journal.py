"""What is written down while a session runs: events.jsonl, transcript.jsonl, session.json.

One folder a session. Lines are appended and flushed as things happen, so that a crash
loses none that was reported. A disk that refuses a line does not end the call: the line
waits in memory, bounded, and is written before the next one that succeeds.
"""

from __future__ import annotations

import errno
import json
import os
from collections import deque
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from kallglot_media.call.turn import Turn, TurnTimings, transcript_json, transcript_text
from kallglot_media.media.messages import LegStats, RecordedFile

SESSION_FILE = "session.json"
EVENTS_FILE = "events.jsonl"
TURNS_FILE = "transcript.jsonl"
TRANSCRIPT_FILE = "transcript.json"
TRANSCRIPT_TEXT_FILE = "transcript.txt"
MOST_LINES_HELD = 10_000
FILE_MODE = 0o640
"""What was said is for the server's own user and group, like the recordings."""


class JsonLines:
    """An append-only file of JSON lines that outlives a full disk.

    A line is on disk whole or not at all: a write that the disk cut short is taken back.
    """

    def __init__(self, path: Path) -> None:
        self.path = path
        self.refused = 0
        self._waiting: deque[bytes] = deque(maxlen=MOST_LINES_HELD)
        self._fd: int | None = None

    def append(self, value: dict[str, Any]) -> bool:
        """Write one line; False when the disk refused it and it waits in memory."""
        self._waiting.append((json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode())
        return self.flush()

    def flush(self) -> bool:
        """Write what waits; False when the disk still refuses."""
        try:
            if self._fd is None:
                self._fd = os.open(self.path, os.O_CREAT | os.O_WRONLY | os.O_APPEND, FILE_MODE)
            while self._waiting:
                self._write_whole(self._fd, self._waiting[0])
                self._waiting.popleft()
        except OSError:
            self.refused += 1
            return False
        return True

    def close(self) -> None:
        """Write what waits, and close the file."""
        self.flush()
        if self._fd is not None:
            os.close(self._fd)
            self._fd = None

    @staticmethod
    def _write_whole(fd: int, line: bytes) -> None:
        size_before = os.fstat(fd).st_size
        if os.write(fd, line) != len(line):
            os.ftruncate(fd, size_before)
            raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))


class Journal:
    """The folder of one session.

    event()  appends to events.jsonl; `at_ms` is on the recording's clock
    turn()   appends to transcript.jsonl
    close()  writes transcript.json, transcript.txt and the last session.json

    With keep_words False no word that was said is written, only that and when.
    """

    def __init__(self, folder: Path, session: dict[str, Any], *, keep_words: bool = True) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.folder = folder
        self.session = session
        self.turns: dict[int, Turn] = {}
        self._events = JsonLines(folder / EVENTS_FILE)
        self._turns = JsonLines(folder / TURNS_FILE) if keep_words else None
        write_json(folder / SESSION_FILE, session)

    @property
    def refused(self) -> int:
        """How many writes the disk refused."""
        return self._events.refused + (self._turns.refused if self._turns else 0)

    def event(self, kind: str, at_ms: int, **fields: Any) -> None:
        """Note that something happened."""
        self._events.append({"type": kind, "at_ms": at_ms, **fields})

    def turn(self, turn: Turn) -> None:
        """Keep a final turn."""
        self.turns[turn.sequence] = turn
        if self._turns is not None:
            self._turns.append(turn.to_json())

    def turn_played(self, sequence: int, first_sample_ms: int, timings: TurnTimings) -> None:
        """Keep when a turn's translation was first heard; transcript.json gets it at the end."""
        turn = self.turns.get(sequence)
        if turn is not None:
            self.turns[sequence] = turn.played(first_sample_ms, timings)

    def update(self, **fields: Any) -> None:
        """Change session.json, atomically; a refusal is made good by the next update."""
        self.session.update(fields)
        try:
            write_json(self.folder / SESSION_FILE, self.session)
        except OSError:
            self._events.refused += 1

    def close(self, duration_ms: int, **fields: Any) -> None:
        """Finish the transcript and the session's file.

        OSError when the disk refuses the transcript: the lines in transcript.jsonl stand,
        and `recover` makes the rest from them at the next start.
        """
        self._events.close()
        if self._turns is not None:
            self._turns.close()
            write_transcript(self.folder, str(self.session["session_id"]), list(self.turns.values()), duration_ms)
        self.session.update(fields)
        write_json(self.folder / SESSION_FILE, self.session)


def file_facts(files: Iterable[RecordedFile]) -> list[dict[str, Any]]:
    """What session.json says of the recordings."""
    return [
        {
            "party": str(file.party),
            "path": Path(file.path).name,
            "samples": file.samples,
            "rate_hz": file.rate_hz,
            "sha256": file.sha256,
        }
        for file in files
    ]


def stats_facts(stats: LegStats) -> dict[str, Any]:
    """What events.jsonl says of a leg that was closed."""
    return {
        "jitter_ms": round(stats.jitter_ms, 2),
        "loss_ratio": round(stats.loss_ratio, 4),
        "mos": stats.mos,
        "peer_mos": stats.peer_mos,
        "counters": {name: count for name, count in stats.counters.items() if count},
    }


def write_transcript(folder: Path, session_id: str, turns: list[Turn], duration_ms: int) -> None:
    """transcript.json and transcript.txt."""
    write_json(folder / TRANSCRIPT_FILE, transcript_json(session_id, "completed", turns, duration_ms))
    _replace(folder / TRANSCRIPT_TEXT_FILE, transcript_text(turns))


def write_json(path: Path, value: dict[str, Any]) -> None:
    """Replace a JSON file in one step, so that a reader never sees half of it."""
    _replace(path, json.dumps(value, ensure_ascii=False, indent=2) + "\n")


def _replace(path: Path, text: str) -> None:
    beside = path.with_suffix(path.suffix + ".new")
    with os.fdopen(os.open(beside, os.O_CREAT | os.O_WRONLY | os.O_TRUNC, FILE_MODE), "w", encoding="utf-8") as file:
        file.write(text)
    beside.replace(path)


def read_lines(path: Path) -> list[dict[str, Any]]:
    """The whole lines of a JSON Lines file; a last line cut by a crash is left out."""
    if not path.exists():
        return []
    values = []
    # Not splitlines(): JSON leaves U+2028 and its like as they are, and a line that somebody said ends at "\n" only.
    for line in path.read_text(encoding="utf-8", errors="replace").split("\n"):
        try:
            value = json.loads(line)
        except ValueError:
            continue
        if isinstance(value, dict):
            values.append(value)
    return values


def recover(folder: Path, ended_at: str) -> bool:
    """Finish a session that its server did not live to finish. True when there was one.

    The turns come from transcript.jsonl, their timings from events.jsonl.
    """
    path = folder / SESSION_FILE
    try:
        session = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return False
    if not isinstance(session, dict):
        raise ValueError(f"{SESSION_FILE} is no JSON object")
    if session.get("status") == "ended":
        return False
    turns = {turn.sequence: turn for turn in map(Turn.from_json, read_lines(folder / TURNS_FILE))}
    for event in read_lines(folder / EVENTS_FILE):
        turn = turns.get(event.get("sequence", 0))
        if event.get("type") == "turn.timings" and turn is not None:
            timings = TurnTimings(**event["timings"])
            turns[turn.sequence] = turn.played(event["play"]["first_sample_ms"], timings)
    duration_ms = max((turn.end_ms for turn in turns.values()), default=0)
    if session.get("recording", {}).get("enabled"):
        write_transcript(folder, str(session["session_id"]), list(turns.values()), duration_ms)
    session.update(status="ended", ended_at=ended_at, end_reason="error", end_detail="the server stopped unexpectedly")
    write_json(path, session)
    return True
