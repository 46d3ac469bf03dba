"""Deleting what is older than the configuration says: files first, then their rows.

In that order a crash leaves a row whose file is gone, which the next sweep takes away, and never a file that
nobody knows of. What cannot be deleted stays, is counted, and is tried again.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

from sqlalchemy import delete, exists, func, select

from kallglot_media.log import logger
from kallglot_media.store import files, idempotency, tables
from kallglot_media.store.deliveries import PENDING
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.folders import WORDS
from kallglot_media.store.sessions import ENDED
from kallglot_media.store.settings import RetentionSettings
from kallglot_media.store.store import Store
from kallglot_media.store.times import DAY_MS
from kallglot_media.store.tx import Tx

EVERY_S = 3600.0
_AT_ONCE = 200
_EVENTS_FILE = "events.jsonl"


class Retention:
    """run() sweeps every hour; sweep() once."""

    def __init__(self, store: Store, settings: RetentionSettings, data_dir: Path) -> None:
        self.counters: Counter[str] = Counter()
        self._store = store
        self._settings = settings
        self._data_dir = data_dir
        self._log = logger("retention")

    async def run(self) -> None:
        """Sweep for ever."""
        while True:
            try:
                done = await self.sweep()
            except StoreUnavailable as error:
                self._log.warning("sweep put off", why=str(error))
            else:
                if done:
                    self._log.info("deleted", **done)
            await asyncio.sleep(EVERY_S)

    async def sweep(self) -> dict[str, int]:
        """Delete all that is too old; how many of each kind."""
        rules = self._settings
        done = {
            "recordings": await self._recordings(rules.recordings_days),
            "transcripts": await self._transcripts(rules.transcripts_days),
            "analyses": await self._rows(_old_analyses, rules.analyses_days),
            "sessions": await self._sessions(rules.sessions_days),
            "events": await self._rows(_old_events, rules.webhooks_days),
            "audit": await self._rows(_old_audit, rules.audit_days),
            "idempotency_keys": await self._rows(lambda tx, _: idempotency.forget_old(tx, _AT_ONCE), 0),
        }
        self.counters.update(done)
        return {kind: count for kind, count in done.items() if count}

    async def _rows(self, query: Callable[[Tx, int], int], days: float | None) -> int:
        """Rows without files, some in each transaction, so that live calls' writes come in between."""
        if days is None:
            return 0
        total = 0
        while count := await self._store.write(query, self._before_ms(days)):
            total += count
        return total

    async def _recordings(self, days: float | None) -> int:
        before_ms = None if days is None else self._before_ms(days)
        return await self._with_files(_old_recordings, _delete_recordings, before_ms, self._remove_recording)

    async def _transcripts(self, days: float | None) -> int:
        if days is None:
            return 0
        return await self._with_files(_old_transcripts, _delete_turns, self._before_ms(days), self._remove_words)

    async def _sessions(self, days: float | None) -> int:
        if days is None:
            return 0
        return await self._with_files(_old_sessions, _delete_sessions, self._before_ms(days), self._remove_folder)

    async def _with_files(
        self,
        old: Callable[[Tx, int | None, str], Sequence[tuple[str, str]]],
        forget: Callable[[Tx, list[str]], None],
        before_ms: int | None,
        remove: Callable[[str], None],
    ) -> int:
        total = 0
        after = ""
        while some := await self._store.read(old, before_ms, after):
            after = some[-1][0]
            removed = await asyncio.to_thread(self._removed, some, remove)
            if removed:
                await self._store.write(forget, removed)
            total += len(removed)
        return total

    def _removed(self, some: Sequence[tuple[str, str]], remove: Callable[[str], None]) -> list[str]:
        """The ids of those whose files are gone now."""
        removed = []
        for row_id, name in some:
            try:
                remove(name)
            except OSError as error:
                self.counters["files_kept"] += 1
                self._log.error("not deleted", object=row_id, why=error.strerror, mend="make data_dir writable")
            else:
                removed.append(row_id)
        return removed

    def _remove_recording(self, name: str) -> None:
        files.remove_recording(self._data_dir, name)

    def _remove_words(self, session_id: str) -> None:
        for name in (*WORDS, _EVENTS_FILE):
            files.remove_file(self._data_dir, f"sessions/{session_id}/{name}")

    def _remove_folder(self, session_id: str) -> None:
        files.remove_folder(self._data_dir, f"sessions/{session_id}")

    def _before_ms(self, days: float) -> int:
        return self._store.now_ms() - round(days * DAY_MS)


def _old_recordings(tx: Tx, before_ms: int | None, after: str) -> list[tuple[str, str]]:
    table = tables.recordings
    old = table.c.expires_at_ms <= tx.now_ms
    if before_ms is not None:
        old |= table.c.created_at_ms <= before_ms
    rows = tx.run(select(table.c.id, table.c.path).where(old, table.c.id > after).order_by(table.c.id).limit(_AT_ONCE))
    return [(row.id, row.path or "") for row in rows]


def _delete_recordings(tx: Tx, ids: list[str]) -> None:
    tx.run(delete(tables.recordings).where(tables.recordings.c.id.in_(ids)))


def _old_transcripts(tx: Tx, before_ms: int | None, after: str) -> list[tuple[str, str]]:
    """Sessions all of whose words are old."""
    table = tables.turns
    of = table.c.session_id
    newest = func.max(table.c.spoken_at_ms)
    old = select(of).where(of > after).group_by(of).having(newest <= before_ms).order_by(of).limit(_AT_ONCE)
    return [(found, found) for found in tx.run(old).scalars()]


def _delete_turns(tx: Tx, ids: list[str]) -> None:
    tx.run(delete(tables.turns).where(tables.turns.c.session_id.in_(ids)))


def _old_sessions(tx: Tx, before_ms: int | None, after: str) -> list[tuple[str, str]]:
    table = tables.sessions
    old = (table.c.status == ENDED) & (table.c.ended_at_ms <= before_ms) & (table.c.id > after)
    return [
        (found, found) for found in tx.run(select(table.c.id).where(old).order_by(table.c.id).limit(_AT_ONCE)).scalars()
    ]


def _delete_sessions(tx: Tx, ids: list[str]) -> None:
    for table in (tables.turns, tables.legs, tables.recordings, tables.analyses):
        tx.run(delete(table).where(table.c.session_id.in_(ids)))
    tx.run(delete(tables.sessions).where(tables.sessions.c.id.in_(ids)))


def _old_analyses(tx: Tx, before_ms: int) -> int:
    return _delete_some(tx, tables.analyses, tables.analyses.c.created_at_ms <= before_ms)


def _old_events(tx: Tx, before_ms: int) -> int:
    """Events that are old and delivered (or given up); their deliveries and attempts go with them."""
    table = tables.events
    waits = exists().where(tables.deliveries.c.event_id == table.c.id, tables.deliveries.c.state == PENDING)
    return _delete_some(tx, table, table.c.created_at_ms <= before_ms, ~waits)


def _old_audit(tx: Tx, before_ms: int) -> int:
    return _delete_some(tx, tables.audit_log, tables.audit_log.c.at_ms <= before_ms)


def _delete_some(tx: Tx, table: Any, *where: Any) -> int:
    some = select(table.c.id).where(*where).limit(_AT_ONCE)
    return tx.run(delete(table).where(table.c.id.in_(some))).rowcount
