"""Writes what happens in sessions into the store, in order, without ever holding up a call.

Events stand in the store's spool while the database is away. A turn is on disk already (the session's own
transcript.jsonl) before it gets here, so a crash loses none; `store.recover` takes them from there.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from typing import Any

from kallglot_media.call import events as e
from kallglot_media.call.bus import Bus
from kallglot_media.ledger.entries import WRITTEN, Entry, House, tell_ended, tell_recording, tell_turn, write
from kallglot_media.store.recordings import Recording
from kallglot_media.store.sessions import Session
from kallglot_media.store.spool import Spool
from kallglot_media.store.store import Store
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx


class Ledger:
    """See the module. Make it before the first session, close() it after the last.

    refill  called for a session whose entries had to be dropped while the database was away
    """

    def __init__(
        self, store: Store, bus: Bus, house: House, refill: Callable[[str], Awaitable[object]] | None = None
    ) -> None:
        self.spool = Spool(store, refill=refill)
        self.house = house
        self._keeps: dict[str, bool] = {}
        self._tasks: set[asyncio.Task[Any]] = set()
        self._writing = asyncio.create_task(self.spool.run(), name="ledger")
        bus.listen(self._on_event)

    def _on_event(self, event: e.SessionEvent) -> None:
        if not isinstance(event, WRITTEN):
            return
        if isinstance(event, e.SessionCreated):
            self._keeps[event.session_id] = event.keep
        keep = self._keeps.get(event.session_id, False)
        if isinstance(event, e.SessionEnded):
            self._keeps.pop(event.session_id, None)
        task = asyncio.create_task(self.spool.keep(event.session_id, write, self.house, Entry(event, keep)))
        self._tasks.add(task)
        task.add_done_callback(self._tasks.discard)

    async def close(self, limit_s: float) -> bool:
        """Write what waits, within a limit; False when something is left: the next start has it from the folders."""
        await asyncio.sleep(0)  # tasks that were just made have their first turn
        drained = await self.spool.drain(limit_s)
        for task in (self._writing, *self._tasks):
            task.cancel()
        await asyncio.gather(self._writing, *self._tasks, return_exceptions=True)
        return drained


class Teller:
    """Tells webhooks of what was found after a crash. Implements store.recover.Tell."""

    def __init__(self, house: House) -> None:
        self._house = house

    def turn_found(self, tx: Tx, turn: Turn) -> None:
        """A turn that nobody was told of."""
        tell_turn(tx, turn)

    def recording_done(self, tx: Tx, recording: Recording) -> None:
        """A recording that was repaired, or could not be."""
        tell_recording(tx, self._house, recording)

    def session_ended(self, tx: Tx, session: Session) -> None:
        """A session that the crash ended."""
        tell_ended(tx, session)
