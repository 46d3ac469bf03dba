"""Migrations build what tables.py says, on both databases, from nothing, once."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from alembic.autogenerate import compare_metadata
from alembic.migration import MigrationContext
from alembic.script import ScriptDirectory
from sqlalchemy import Connection, Text, text
from sqlalchemy.ext.asyncio import create_async_engine

from kallglot_media.errors import SetupError
from kallglot_media.store import migrate as module
from kallglot_media.store.driver import sqlite_engine
from kallglot_media.store.migrate import HEAD, migrate
from kallglot_media.store.store import parse_url
from kallglot_media.store.tables import metadata
from kallglot_media.store.types import IdText
from tests.support import postgres


async def looked_at(url_text: str, look: Callable[[Connection], Any]) -> Any:
    url = parse_url(url_text)
    if url.get_backend_name() == "sqlite":
        engine = sqlite_engine(Path(str(url.database)), lock_wait_s=1, connections=1)
        with engine.begin() as conn:
            found = look(conn)
        engine.dispose()
        return found
    other = create_async_engine(url.set(drivername="postgresql+asyncpg"))
    async with other.begin() as async_conn:
        found = await async_conn.run_sync(look)
    await other.dispose()
    return found


def differences(conn: Connection) -> list[Any]:
    def ours(item: Any, name: str | None, kind: str, reflected: bool, _: Any) -> bool:
        return not (kind == "table" and str(name).startswith("chunk_search"))

    def differs(_: Any, __: Any, ___: Any, there: Any, wanted: Any) -> bool | None:
        """An id's type depends on the database, which Alembic does not look at."""
        if isinstance(wanted, IdText):
            return not isinstance(there, Text) or there.collation != (
                "C" if conn.dialect.name == "postgresql" else None
            )
        return None

    context = MigrationContext.configure(conn, opts={"compare_type": differs, "include_object": ours})
    return list(compare_metadata(context, metadata))


async def test_migrations_build_what_the_tables_say(url: str) -> None:
    assert await looked_at(url, differences) == []


async def test_ids_are_compared_byte_by_byte(postgres_url: str) -> None:
    asked = text(
        "SELECT count(*) FROM information_schema.columns WHERE table_schema = 'public' AND collation_name IS DISTINCT"
        " FROM 'C' AND column_name IN ('id', 'session_id', 'endpoint_id', 'event_id', 'document_id')"
    )
    assert await looked_at(postgres_url, lambda conn: conn.execute(asked).scalar_one()) == 0


def test_head_is_the_newest_migration() -> None:
    scripts = ScriptDirectory(str(Path(module.__file__).parent / "migrations"))
    assert scripts.get_current_head() == HEAD


async def test_doing_it_again_changes_nothing(url: str) -> None:
    await migrate(parse_url(url), lock_wait_s=1)
    revision = text("SELECT version_num FROM alembic_version")
    assert await looked_at(url, lambda conn: conn.execute(revision).scalars().all()) == [HEAD]


@pytest.mark.postgres
async def test_nodes_may_start_at_the_same_time(cluster: postgres.Cluster) -> None:
    cluster.sql("CREATE DATABASE together")
    url = parse_url(cluster.url("together"))
    await asyncio.gather(*(migrate(url, lock_wait_s=1) for _ in range(3)))
    assert await looked_at(cluster.url("together"), differences) == []
    cluster.sql("DROP DATABASE together WITH (FORCE)")


async def test_processes_may_make_the_file_at_the_same_time(tmp_path: Path) -> None:
    url = parse_url(f"sqlite:///{tmp_path}/kallglot.sqlite3")
    await asyncio.gather(*(migrate(url, lock_wait_s=10) for _ in range(3)))


async def test_a_newer_database_is_not_touched(url: str) -> None:
    await looked_at(url, lambda conn: conn.execute(text("UPDATE alembic_version SET version_num = '9999'")))
    with pytest.raises(SetupError, match="at version 9999, which this program does not know; install the newer"):
        await migrate(parse_url(url), lock_wait_s=1)


async def test_the_password_is_not_told(tmp_path: Path) -> None:
    with pytest.raises(SetupError) as caught:
        await migrate(parse_url(f"postgresql://me:s3cret@/db?host={tmp_path}"), lock_wait_s=1)
    assert "s3cret" not in str(caught.value)
    assert "start PostgreSQL" in caught.value.mend
