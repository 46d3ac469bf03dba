"""Times as the database keeps them (ms since 1970) and as clients see them (ISO 8601 in UTC)."""

from __future__ import annotations

from datetime import UTC, datetime

DAY_MS = 24 * 3600 * 1000


def iso(ms: int) -> str:
    """iso(0) == "1970-01-01T00:00:00.000Z" """
    return datetime.fromtimestamp(ms / 1000, UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")


def ms_of(text: str) -> int:
    """The opposite. ValueError when it is no time; one without a zone is UTC.

    ms_of("1970-01-01T00:00:01Z") == 1000
    """
    at = datetime.fromisoformat(text)
    return round((at if at.tzinfo else at.replace(tzinfo=UTC)).timestamp() * 1000)
