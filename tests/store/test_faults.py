"""A database that is locked, full, gone or stopped: the server says 503, loses nothing, and goes on when it is back."""

from __future__ import annotations

import asyncio
import os
import sqlite3
import subprocess
import sys
from collections.abc import AsyncIterator, Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest
from sqlalchemy import select

from kallglot_media.errors import SetupError
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import endpoints, tables, turns
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store
from kallglot_media.store.turns import Turn
from tests.support import postgres
from tests.support.disk import small_disk


def said(sequence: int, text: str = "x") -> Turn:
    return Turn("sess_1", sequence, "customer", "de", text)


async def opened(url: str) -> Store:
    return await open_store(StoreSettings(url, lock_wait_s=0.05), RandomIds())


@pytest.fixture
async def lite(sqlite_url: str) -> AsyncIterator[Store]:
    store = await opened(sqlite_url)
    await store.write(turns.add, said(1))
    yield store
    await store.close()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "kallglot.sqlite3"


def move(path: Path, to: Path) -> None:
    """Take the file out from under the server, or put it back."""
    path.rename(to)


def nonsense(path: Path) -> Path:
    """A file that is no database."""
    path.write_bytes(b"This is no database." * 1000)
    return path


def put_in_place(other: Path, file: Path) -> None:
    """Replace the database, as somebody who restores a backup does."""
    for suffix in ("-wal", "-shm"):
        Path(f"{file}{suffix}").unlink(missing_ok=True)
    other.replace(file)


@contextmanager
def locked(file: Path) -> Iterator[None]:
    """Another process that writes and does not come to an end."""
    other = sqlite3.connect(file, isolation_level=None)
    other.execute("BEGIN IMMEDIATE")
    yield
    other.execute("ROLLBACK")
    other.close()


async def test_locked(lite: Store, file: Path) -> None:
    with locked(file):
        with pytest.raises(StoreUnavailable, match="locked") as caught:
            await lite.write(turns.add, said(2))
        assert caught.value.retry_after_s > 0
        assert await lite.read(turns.count, "sess_1") == 1, "reading goes on"
    await lite.write(turns.add, said(2))
    assert await lite.read(turns.count, "sess_1") == 2


async def test_gone_and_back(lite: Store, file: Path) -> None:
    """SQLite itself would write on into the deleted file."""
    away = file.with_suffix(".away")
    move(file, away)
    for call in (lite.write(turns.add, said(2)), lite.read(turns.count, "sess_1")):
        with pytest.raises(StoreUnavailable, match="No such file"):
            await call
    move(away, file)
    await lite.write(turns.add, said(2))
    assert await lite.read(turns.count, "sess_1") == 2


async def test_replaced_by_a_copy(lite: Store, file: Path) -> None:
    """As after restoring a backup: connections to the old file are given up."""
    copy = file.with_suffix(".copy")
    source, target = sqlite3.connect(file), sqlite3.connect(copy)
    source.backup(target)
    source.close()
    target.close()
    put_in_place(copy, file)
    await lite.write(turns.add, said(2))
    check = sqlite3.connect(file)
    assert check.execute("SELECT count(*) FROM turns").fetchone() == (2,)
    check.close()


async def test_not_a_database_any_more(lite: Store, file: Path) -> None:
    put_in_place(nonsense(file.with_suffix(".damaged")), file)
    with pytest.raises(StoreUnavailable, match="not a database"):
        await lite.write(turns.add, said(2))


FILL_THE_DISK = """
import asyncio, sys
from pathlib import Path
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import turns
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import open_store
from kallglot_media.store.turns import Turn

async def main(folder):
    folder.joinpath("spare").write_bytes(bytes(500_000))
    store = await open_store(StoreSettings(f"sqlite:///{folder}/kallglot.sqlite3"), RandomIds())
    told = 0
    try:
        while True:
            await store.write(turns.add, Turn("s", told, "agent", "en", "x" * 20_000))
            told += 1
    except StoreUnavailable as error:
        print(error)
    print(told, await store.read(turns.count, "s"))
    folder.joinpath("spare").unlink()
    await store.write(turns.add, Turn("s", told, "agent", "en", "x" * 20_000))
    print(told + 1, await store.read(turns.count, "s"))
    await store.close()

asyncio.run(main(Path(sys.argv[1])))
"""


def test_a_full_disk_loses_nothing_that_was_said_to_be_written(tmp_path: Path) -> None:
    folder = tmp_path / "small"
    command = [*small_disk(folder, 4096), sys.executable, "-c", FILL_THE_DISK, str(folder)]
    said = subprocess.run(command, capture_output=True, text=True, timeout=60, check=False)
    assert said.returncode == 0, said.stderr
    why, before, after = said.stdout.splitlines()[-3:]
    assert "database or disk is full" in why
    for counts in (before, after):
        told, found = map(int, counts.split())
        assert told == found > 10


TALK = """
import asyncio, sys
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import events, turns
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import open_store
from kallglot_media.store.turns import Turn

def keep(tx, sequence):
    turns.add(tx, Turn("s", sequence, "agent", "en", "x" * 100))
    events.add(tx, "transcript.segment", {"sequence": sequence}, session_id="s")

async def talker(store, first):
    for sequence in range(first, 1_000_000, 8):
        await store.write(keep, sequence)
        print(sequence, flush=True)

async def main():
    store = await open_store(StoreSettings(f"sqlite:///{sys.argv[1]}"), RandomIds())
    await asyncio.gather(*(talker(store, first) for first in range(1, 9)))

asyncio.run(main())
"""


async def test_kill_9_loses_no_turn_that_was_told_of_and_no_webhook(lite: Store, file: Path) -> None:
    await lite.write(endpoints.create, "https://example.com/hook")
    command = [sys.executable, "-c", TALK, str(file)]
    talker = await asyncio.create_subprocess_exec(*command, stdout=subprocess.PIPE)
    assert talker.stdout is not None
    told = [int(await talker.stdout.readline()) for _ in range(200)]
    talker.kill()
    told += [int(line) for line in (await talker.stdout.read()).splitlines() if line.isdigit()][:-1]
    await talker.wait()
    kept = {turn.sequence for turn in await lite.read(turns.of_session, "s")}
    assert set(told) <= kept
    sent = await lite.read(lambda tx: tx.rows(select(tables.events.c.id)))
    assert len(sent) == len(kept), "each turn has its webhook, and no webhook is without its turn"


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
async def test_a_folder_that_cannot_be_written_is_told_at_the_start(tmp_path: Path) -> None:
    folder = tmp_path / "closed"
    folder.mkdir(mode=0o500)
    with pytest.raises(SetupError, match="make the folder writable"):
        await opened(f"sqlite:///{folder}/kallglot.sqlite3")


async def test_a_file_that_is_no_database_is_told_at_the_start(file: Path) -> None:
    nonsense(file)
    with pytest.raises(SetupError, match="file is not a database; make the folder writable"):
        await opened(f"sqlite:///{file}")


async def test_the_file_is_for_nobody_else_to_read(tmp_path: Path) -> None:
    store = await opened(f"sqlite:///{tmp_path}/new/kallglot.sqlite3")
    assert (tmp_path / "new/kallglot.sqlite3").stat().st_mode & 0o777 == 0o600
    await store.close()


@pytest.mark.postgres
async def test_postgres_crashes_and_comes_back() -> None:
    binaries = postgres.find_bin()
    if binaries is None:
        pytest.skip(postgres.MEND)
    cluster = postgres.Cluster(binaries)
    try:
        store = await opened(cluster.url("postgres"))
        await store.write(turns.add, said(1))
        cluster.stop("immediate")
        for _ in range(2):
            with pytest.raises(StoreUnavailable):
                await store.write(turns.add, said(2))
            with pytest.raises(StoreUnavailable):
                await store.read(turns.count, "sess_1")
        with pytest.raises(SetupError, match="start PostgreSQL"):
            await opened(cluster.url("postgres"))
        cluster.start()
        await store.write(turns.add, said(2))
        assert await store.read(turns.count, "sess_1") == 2
        await store.close()
    finally:
        cluster.remove()


@pytest.mark.postgres
async def test_postgres_drops_our_connections(postgres_url: str, cluster: postgres.Cluster) -> None:
    store = await opened(postgres_url)
    await store.write(turns.add, said(1))
    cluster.sql("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = 'kallglot'")
    await store.write(turns.add, said(2))
    assert await store.read(turns.count, "sess_1") == 2
    await store.close()
