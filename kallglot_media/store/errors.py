"""What can go wrong with the database, in one name for those who must answer a client."""

from __future__ import annotations

RETRY_AFTER_S = 2
"""What a client is told to wait; locks and restarts are over by then, or it is told again."""


class StoreUnavailable(Exception):
    """The database is locked, full, unreachable or gone. Nothing was written; the same call may work later.

    retry_after_s  what to tell a client (503)
    """

    def __init__(self, why: str, retry_after_s: int = RETRY_AFTER_S) -> None:
        super().__init__(why)
        self.retry_after_s = retry_after_s
