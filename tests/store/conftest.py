"""Every test of the store runs on both databases, each time on a fresh one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator, Iterator
from pathlib import Path

import pytest

from kallglot_media.random_ids import RandomIds
from kallglot_media.store.migrate import HEAD, migrate
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store, parse_url
from kallglot_media.store.tables import metadata
from tests.support import postgres
from tests.support.stores import HandClock

_DATABASE = "kallglot"
_EMPTY = (
    f"TRUNCATE {', '.join(metadata.tables)}, chunk_search RESTART IDENTITY; "
    f"UPDATE alembic_version SET version_num = '{HEAD}'"
)


@pytest.fixture(scope="session")
def cluster() -> Iterator[postgres.Cluster]:
    """A PostgreSQL with a database that has all tables."""
    binaries = postgres.find_bin()
    if binaries is None:
        pytest.skip(postgres.MEND)
    running = postgres.Cluster(binaries)
    try:
        running.sql(f"CREATE DATABASE {_DATABASE}")
        asyncio.run(migrate(parse_url(running.url(_DATABASE)), lock_wait_s=1))
        yield running
    finally:
        running.remove()


@pytest.fixture(scope="session")
def sqlite_template(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A SQLite file that has all tables."""
    path = tmp_path_factory.mktemp("template") / "template.sqlite3"
    asyncio.run(migrate(parse_url(f"sqlite:///{path}"), lock_wait_s=1))
    return path


@pytest.fixture
def clock() -> HandClock:
    return HandClock()


@pytest.fixture
def sqlite_url(sqlite_template: Path, tmp_path: Path) -> str:
    """A fresh SQLite database with all tables."""
    path = tmp_path / "kallglot.sqlite3"
    shutil.copy(sqlite_template, path)
    return f"sqlite:///{path}"


@pytest.fixture
def postgres_url(cluster: postgres.Cluster) -> str:
    """The PostgreSQL database with all tables, empty."""
    cluster.sql(_EMPTY, _DATABASE)
    return cluster.url(_DATABASE)


@pytest.fixture(params=["sqlite", pytest.param("postgresql", marks=pytest.mark.postgres)])
def url(request: pytest.FixtureRequest) -> str:
    """A fresh database of either kind."""
    kind = "sqlite_url" if request.param == "sqlite" else "postgres_url"
    return str(request.getfixturevalue(kind))


@pytest.fixture
async def store(url: str, clock: HandClock) -> AsyncIterator[Store]:
    """An open store on either database."""
    opened = await open_store(StoreSettings(url), RandomIds(), clock)
    yield opened
    await opened.close()
