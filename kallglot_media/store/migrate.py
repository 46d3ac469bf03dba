"""Bringing a database to this version's tables, at every start, before anything else touches it.

Alembic takes 200 ms to import: it is asked only when the database is not at HEAD.
"""

from __future__ import annotations

import asyncio
from pathlib import Path

from sqlalchemy import Connection, exc, inspect, text
from sqlalchemy.engine import URL
from sqlalchemy.ext.asyncio import create_async_engine

from kallglot_media.errors import SetupError
from kallglot_media.log import logger
from kallglot_media.store.driver import sqlite_engine

HEAD = "0001"
"""The newest file in migrations/versions; a test compares."""

_LOCK = 0x6B616C6C
"""PostgreSQL's advisory lock that nodes take while they migrate: "kall"."""


async def migrate(url: URL, *, lock_wait_s: float) -> None:
    """Create or upgrade the tables. SetupError when the database cannot be reached, written or understood."""
    where = url.render_as_string(hide_password=True)
    try:
        if url.get_backend_name() == "sqlite":
            await asyncio.to_thread(_migrate_sqlite, Path(str(url.database)), lock_wait_s)
        else:
            await _migrate_postgres(url)
    except exc.DBAPIError as error:
        raise SetupError(where, _first_line(error.orig or error), _mend(url)) from error
    except OSError as error:
        raise SetupError(where, (error.strerror or str(error)).lower(), _mend(url)) from error


def _migrate_sqlite(path: Path, lock_wait_s: float) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    # Made by us before SQLite does: keys' hashes and webhook secrets are for nobody else to read.
    path.touch(mode=0o600)
    engine = sqlite_engine(path, lock_wait_s=lock_wait_s, connections=1)
    try:
        with engine.connect() as conn:
            if _revision(conn) == HEAD:
                return
        with engine.connect().execution_options(kallglot_writes=True) as conn, conn.begin():
            _upgrade(conn)
    finally:
        engine.dispose()


async def _migrate_postgres(url: URL) -> None:
    engine = create_async_engine(url.set(drivername="postgresql+asyncpg"), pool_size=1)
    try:
        async with engine.begin() as conn:
            await conn.execute(text("SELECT pg_advisory_xact_lock(:lock)"), {"lock": _LOCK})
            await conn.run_sync(_upgrade)
    finally:
        await engine.dispose()


def _upgrade(conn: Connection) -> None:
    before = _revision(conn)
    if before == HEAD:
        return
    from alembic import command
    from alembic.config import Config
    from alembic.util.exc import CommandError

    config = Config()
    config.set_main_option("script_location", str(Path(__file__).parent / "migrations"))
    config.set_main_option("path_separator", "os")
    config.attributes["connection"] = conn
    try:
        command.upgrade(config, "head")
    except CommandError as error:
        if before is None:
            raise
        raise SetupError(
            "database", f"is at version {before}, which this program does not know", "install the newer program again"
        ) from error
    logger("store").info("tables brought up to date", before=before or "none", now=HEAD)


def _revision(conn: Connection) -> str | None:
    """The version that a database is at; None: no tables yet."""
    if not inspect(conn).has_table("alembic_version"):
        return None
    return conn.execute(text("SELECT version_num FROM alembic_version")).scalar()


def _first_line(error: object) -> str:
    return str(error).partition("\n")[0]


def _mend(url: URL) -> str:
    if url.get_backend_name() == "sqlite":
        return "make the folder writable and free some room, or name another file as store.url"
    return "start PostgreSQL and check host, user, password and database in store.url"
