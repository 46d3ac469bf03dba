"""The database as the server holds it: reads at once, writes in line, many to a commit."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter, deque
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any, Concatenate, ParamSpec, TypeVar

from sqlalchemy import Connection
from sqlalchemy.engine import URL, make_url
from sqlalchemy.exc import ArgumentError

from kallglot_media.errors import SetupError
from kallglot_media.ids import Ids
from kallglot_media.log import logger
from kallglot_media.store.driver import Driver, PostgresDriver, SqliteDriver
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.migrate import migrate
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.tx import Tx

P = ParamSpec("P")
T = TypeVar("T")


def unix_ms() -> int:
    """The time of day in ms since 1970."""
    return time.time_ns() // 1_000_000


@dataclass(slots=True, eq=False)
class _Write:
    """One write in line. `begun`: it is in the driver's hands and can no longer be given up."""

    work: Callable[[Tx], object]
    now_ms: int
    done: asyncio.Future[Any]
    topics: set[str]
    begun: bool = False


class Store:
    """See the package. Open with `open_store`, close with `close()`.

    read()   raises StoreUnavailable, or whatever the query raises
    write()  the same; when it returns, the change is on disk
    """

    def __init__(self, settings: StoreSettings, driver: Driver, ids: Ids, clock: Callable[[], int] = unix_ms) -> None:
        self.settings = settings
        self.counters: Counter[str] = Counter()
        self._driver = driver
        self._ids = ids
        self._ids_lock = threading.Lock()
        self._clock = clock
        self._line: deque[_Write] = deque()
        self._waiting = asyncio.Event()
        self._listeners: dict[str, list[Callable[[], None]]] = {}
        self._log = logger("store")
        self._closing = False
        self._writer = asyncio.create_task(self._write_all(), name="store writer")

    @property
    def is_sqlite(self) -> bool:
        """Whether this is SQLite, which one server has for itself; else it is PostgreSQL."""
        return isinstance(self._driver, SqliteDriver)

    def new_id(self, prefix: str) -> str:
        """A sortable id; may be called from any thread."""
        with self._ids_lock:
            return self._ids.object_id(prefix)

    def now_ms(self) -> int:
        """The store's time, ms since 1970."""
        return self._clock()

    async def read(self, query: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """What `query` finds. What was written before is seen."""
        now_ms = self._clock()

        def work(conn: Connection) -> T:
            return query(Tx(conn, now_ms, self.new_id), *args, **kwargs)

        try:
            async with asyncio.timeout(self.settings.deadline_s):
                return await self._driver.read(work)
        except TimeoutError:
            self.counters["read_too_late"] += 1
            raise StoreUnavailable(f"no answer within {self.settings.deadline_s} s") from None

    async def write(self, query: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs) -> T:
        """Run `query` in a transaction; when this returns, it is committed.

        Writes are done in the order in which they were asked for. Raises StoreUnavailable when the line is full,
        when it did not get its turn within `deadline_s`, or when the database refuses. A write whose caller
        is cancelled before its turn is not done.
        """
        outcome: T = await self._written(self._enqueue(partial(_call, query, args, kwargs)))
        return outcome

    async def write_as_of(
        self, now_ms: int, query: Callable[Concatenate[Tx, P], T], *args: P.args, **kwargs: P.kwargs
    ) -> T:
        """`write`, of something that happened at `now_ms`."""
        outcome: T = await self._written(self._enqueue(partial(_call, query, args, kwargs), now_ms))
        return outcome

    async def _written(self, write: _Write) -> Any:
        try:
            async with asyncio.timeout(self.settings.deadline_s):
                return await asyncio.shield(write.done)
        except TimeoutError:
            if write.begun:
                # It is being committed or refused: only the driver knows, and it answers within its own lock_wait_s.
                return await write.done
            self._give_up(write)
            raise StoreUnavailable(
                f"{len(self._line)} writes wait; this one for {self.settings.deadline_s} s"
            ) from None
        except asyncio.CancelledError:
            self._give_up(write)
            raise

    def soon(self, query: Callable[Concatenate[Tx, P], object], *args: P.args, **kwargs: P.kwargs) -> None:
        """A write that nobody waits for and that may fail: it is then counted."""
        try:
            write = self._enqueue(partial(_call, query, args, kwargs))
        except StoreUnavailable:
            self.counters["soon_refused"] += 1
            return
        write.done.add_done_callback(self._soon_done)

    def _soon_done(self, done: asyncio.Future[Any]) -> None:
        error = None if done.cancelled() else done.exception()
        if error is not None:
            self.counters["soon_failed"] += 1
            if not isinstance(error, StoreUnavailable):
                self._log.error("bug", exc_info=error)

    def on_commit(self, topic: str, wake: Callable[[], None]) -> None:
        """Call `wake` on the loop after every commit of a query that added `topic` to `tx.topics`."""
        self._listeners.setdefault(topic, []).append(wake)

    async def close(self) -> None:
        """Finish the writes in line and close the database."""
        self._closing = True
        self._waiting.set()
        await self._writer
        await self._driver.close()

    # ── the line ─────────────────────────────────────────────────────────────────

    def _enqueue(self, work: Callable[[Tx], object], now_ms: int | None = None) -> _Write:
        if self._closing:
            raise StoreUnavailable("the server is stopping")
        if len(self._line) >= self.settings.longest_queue:
            self.counters["line_full"] += 1
            raise StoreUnavailable(f"{len(self._line)} writes wait in line")
        now_ms = self._clock() if now_ms is None else now_ms
        write = _Write(work, now_ms, asyncio.get_running_loop().create_future(), set())
        self._line.append(write)
        self._waiting.set()
        return write

    def _give_up(self, write: _Write) -> None:
        if not write.begun:
            self.counters["write_given_up"] += 1
            write.done.cancel()

    async def _write_all(self) -> None:
        """The one writer: takes all that waits, up to a limit, and commits it together."""
        while not (self._closing and not self._line):
            await self._waiting.wait()
            self._waiting.clear()
            while self._line:
                await self._commit(self._take())

    def _take(self) -> list[_Write]:
        batch: list[_Write] = []
        while self._line and len(batch) < self.settings.most_per_commit:
            write = self._line.popleft()
            if not write.done.done():
                write.begun = True
                batch.append(write)
        return batch

    async def _commit(self, batch: list[_Write]) -> None:
        if not batch:
            return
        outcomes = await self._driver.write([partial(self._run, write) for write in batch])
        self.counters["commits"] += 1
        self.counters["writes"] += len(batch)
        topics: set[str] = set()
        for write, outcome in zip(batch, outcomes, strict=True):
            if isinstance(outcome, Exception):
                self.counters["refused"] += isinstance(outcome, StoreUnavailable)
                write.done.set_exception(outcome)
                write.done.exception()  # its caller may be gone: that is no warning
            else:
                topics |= write.topics
                write.done.set_result(outcome)
        for topic in topics:
            for wake in self._listeners.get(topic, ()):
                wake()

    def _run(self, write: _Write, conn: Connection) -> object:
        write.topics.clear()
        return write.work(Tx(conn, write.now_ms, self.new_id, write.topics))


def _call(query: Callable[..., T], args: tuple[Any, ...], kwargs: dict[str, Any], tx: Tx) -> T:
    return query(tx, *args, **kwargs)


def parse_url(text: str) -> URL:
    """A database's URL. SetupError when it is none, or of a database that we do not speak."""
    try:
        url = make_url(text)
    except ArgumentError:
        raise SetupError("store.url", "is no database URL", _MEND) from None
    if url.get_backend_name() not in ("sqlite", "postgresql"):
        raise SetupError("store.url", f"names {url.get_backend_name()}", _MEND)
    if url.get_backend_name() == "sqlite" and not url.database:
        raise SetupError("store.url", "names no file", _MEND)
    return url


_MEND = 'write "sqlite:////var/lib/kallglot/kallglot.sqlite3" or "postgresql://user:password@host/database"'


async def open_store(settings: StoreSettings, ids: Ids, clock: Callable[[], int] = unix_ms) -> Store:
    """Bring the tables up to date and open the database. SetupError when that cannot be done.

    ids  only the store uses it: it is called from the writer's thread
    """
    url = parse_url(settings.url)
    await migrate(url, lock_wait_s=settings.lock_wait_s)
    driver: Driver
    if url.get_backend_name() == "sqlite":
        driver = SqliteDriver(Path(str(url.database)), lock_wait_s=settings.lock_wait_s, readers=settings.readers)
    else:
        driver = PostgresDriver(url, readers=settings.readers)
    return Store(settings, driver, ids, clock)
