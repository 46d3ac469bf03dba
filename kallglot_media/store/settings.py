"""What the store is opened with. Every default stands here."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

SQLITE_FILE = "kallglot.sqlite3"


@dataclass(frozen=True, slots=True)
class StoreSettings:
    """url             `sqlite:///path` or `postgresql://user:password@host/database`
    node            this server's name; what it left half done is taken up again when it starts
    longest_queue   writes that may wait; one more is refused with StoreUnavailable
    most_per_commit writes that share one commit
    deadline_s      a write that has not begun by then, or a read that has not ended, is given up
    lock_wait_s     how long SQLite waits for another process that writes
    readers         reads at the same time
    """

    url: str
    node: str = "one"
    longest_queue: int = 10_000
    most_per_commit: int = 200
    deadline_s: float = 5.0
    lock_wait_s: float = 2.0
    readers: int = 4


def sqlite_url(data_dir: Path) -> str:
    """The database when no URL is configured: a file in the data directory."""
    return f"sqlite:///{data_dir.absolute() / SQLITE_FILE}"


@dataclass(frozen=True, slots=True)
class RetentionSettings:
    """How many days each kind is kept; None: for ever.

    recordings, transcripts and analyses go by their own age, sessions by their end. With a session goes all
    that it has, and its folder.
    """

    recordings_days: float | None = None
    transcripts_days: float | None = None
    analyses_days: float | None = None
    sessions_days: float | None = None
    webhooks_days: float | None = 30
    audit_days: float | None = 365
