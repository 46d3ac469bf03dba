"""Every test of the store runs on both databases, each time on a fresh one."""

from __future__ import annotations

import asyncio
import shutil
from collections.abc import AsyncIterator
from pathlib import Path

import pytest

from kallglot_media.random_ids import RandomIds
from kallglot_media.store.migrate import migrate
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.store import Store, open_store, parse_url
from tests.support.stores import HandClock


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
