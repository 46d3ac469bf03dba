"""Running plain functions of a connection off the event loop, on either database.

SQLite: threads of our own with a synchronous engine. aiosqlite sends every statement through a queue to a
thread and back; here a whole transaction makes the trip once, which is what 500 sessions a second need.
PostgreSQL: asyncpg, with SQLAlchemy's bridge that lets the same functions run on the loop.
"""

from __future__ import annotations

import asyncio
import sqlite3
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path
from typing import Any, Protocol, TypeVar

from sqlalchemy import Connection, Engine, create_engine, event, exc
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import AsyncEngine, create_async_engine
from sqlalchemy.pool import QueuePool

from kallglot_media.store.errors import StoreUnavailable

T = TypeVar("T")
Work = Callable[[Connection], object]
Outcome = object | Exception


class Driver(Protocol):
    """One database."""

    async def read(self, work: Callable[[Connection], T]) -> T:
        """Run `work` in a transaction that writes nothing. Raises StoreUnavailable."""
        ...

    async def write(self, works: Sequence[Work]) -> list[Outcome]:
        """Run each in order and commit once: what each returned or raised. Never raises for one of them."""
        ...

    async def close(self) -> None:
        """Give connections and threads back."""
        ...


class SqliteDriver:
    """One thread that writes, a few that read."""

    def __init__(self, path: Path, *, lock_wait_s: float, readers: int) -> None:
        self._path = path.absolute()
        self._engine = sqlite_engine(self._path, lock_wait_s=lock_wait_s, connections=readers + 1)
        self._writer = ThreadPoolExecutor(1, "store-write")
        self._readers = ThreadPoolExecutor(readers, "store-read")
        self._inode: int | None = None

    async def read(self, work: Callable[[Connection], T]) -> T:
        return await asyncio.get_running_loop().run_in_executor(self._readers, self._read, work)

    async def write(self, works: Sequence[Work]) -> list[Outcome]:
        return await asyncio.get_running_loop().run_in_executor(self._writer, self._write, works)

    async def close(self) -> None:
        loop = asyncio.get_running_loop()
        await loop.run_in_executor(None, partial(self._writer.shutdown, wait=True))
        await loop.run_in_executor(None, partial(self._readers.shutdown, wait=True))
        self._engine.dispose()

    def _read(self, work: Callable[[Connection], T]) -> T:
        try:
            self._still_there()
            with self._engine.connect() as conn, conn.begin():
                return work(conn)
        except Exception as error:
            raise told(error) from error

    def _write(self, works: Sequence[Work]) -> list[Outcome]:
        try:
            self._still_there()
            with self._engine.connect() as conn:
                return run_batch(conn.execution_options(kallglot_writes=True), works)
        except Exception as error:
            return [told(error)] * len(works)

    def _still_there(self) -> None:
        """SQLite would go on writing into a file that was deleted or replaced, and nobody would ever see it."""
        try:
            inode = self._path.stat().st_ino
        except OSError as error:
            raise StoreUnavailable(f"{self._path}: {error.strerror}") from error
        if self._inode is not None and inode != self._inode:
            self._engine.dispose()
        self._inode = inode


def sqlite_engine(path: Path, *, lock_wait_s: float, connections: int) -> Engine:
    """An engine whose connections are in WAL mode and begin transactions when they are told to."""
    engine = create_engine(
        URL.create("sqlite", database=str(path)),
        poolclass=QueuePool,
        pool_size=connections,
        max_overflow=0,
        connect_args={"timeout": lock_wait_s, "check_same_thread": False},
    )
    event.listen(engine, "connect", _tune)
    event.listen(engine, "begin", _begin)
    return engine


def _tune(connection: sqlite3.Connection, _: object) -> None:
    # None: the module must not begin transactions of its own, see _begin.
    connection.isolation_level = None
    cursor = connection.cursor()
    # synchronous=FULL: a turn that a client was told of survives a power cut; group commit pays for it.
    for pragma in ("journal_mode=WAL", "synchronous=FULL", "foreign_keys=ON", "temp_store=MEMORY"):
        cursor.execute(f"PRAGMA {pragma}")
    cursor.close()


def _begin(conn: Connection) -> None:
    # IMMEDIATE: a transaction that reads first and writes later would fail at once when another process writes.
    writes = conn.get_execution_options().get("kallglot_writes")
    conn.exec_driver_sql("BEGIN IMMEDIATE" if writes else "BEGIN")


class PostgresDriver:
    """A pool of asyncpg connections."""

    def __init__(self, url: URL, *, readers: int) -> None:
        self._engine: AsyncEngine = create_async_engine(
            url.set(drivername="postgresql+asyncpg"), pool_size=readers + 1, max_overflow=0, pool_pre_ping=True
        )

    async def read(self, work: Callable[[Connection], T]) -> T:
        try:
            async with self._engine.connect() as conn, conn.begin():
                return await conn.run_sync(work)
        except Exception as error:
            raise told(error) from error

    async def write(self, works: Sequence[Work]) -> list[Outcome]:
        try:
            async with self._engine.connect() as conn:
                return await conn.run_sync(run_batch, works)
        except Exception as error:
            return [told(error)] * len(works)

    async def close(self) -> None:
        await self._engine.dispose()


def run_batch(conn: Connection, works: Sequence[Work]) -> list[Outcome]:
    """Run all in one transaction. When one raises, run each in its own, so that it fails alone.

    Works must therefore bear being run twice: they only touch the database.
    """
    try:
        with conn.begin():
            return [work(conn) for work in works]
    except Exception as error:
        told_as = told(error)
        if len(works) == 1 or isinstance(told_as, StoreUnavailable):
            return [told_as] * len(works)
    return [run_batch(conn, [work])[0] for work in works]


_OURS = (exc.IntegrityError, exc.ProgrammingError, exc.DataError, exc.NotSupportedError)


def told(error: Exception) -> Exception:
    """StoreUnavailable when the database is to blame; the error itself when we are."""
    if isinstance(error, (StoreUnavailable, *_OURS)):
        return error
    if isinstance(error, exc.DBAPIError | exc.TimeoutError | OSError):
        cause: Any = error.orig if isinstance(error, exc.DBAPIError) else error
        return StoreUnavailable(f"{type(cause).__name__}: {cause}")
    return error
