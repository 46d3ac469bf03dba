"""For all tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings

from kallglot_media.store.migrate import HEAD, migrate
from kallglot_media.store.store import parse_url
from kallglot_media.store.tables import metadata
from tests.support import postgres

# A slow machine is not a failing test: pytest's own time limit is the deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

REAL_TIME = "real time"


@pytest.hookimpl(tryfirst=True)  # before the workers' plugin reads the groups
def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What `make test` runs where: calls and servers in real time on one worker, one after the other and from the
    start, so that they do not take each other's time; of all others the tests of a file together, as they share its
    fixtures.
    """
    for item in items:
        group = REAL_TIME if in_real_time(item) else str(item.path)
        item.add_marker(pytest.mark.xdist_group(group))
    items.sort(key=lambda item: not in_real_time(item))


def in_real_time(item: pytest.Item) -> bool:
    """Whether a test waits for what happens by the clock, such as a call through a server."""
    return any(item.get_closest_marker(name) is not None for name in ("interop", "real_time"))


@pytest.fixture(autouse=True)
def no_log_is_left() -> Iterator[None]:
    """A test that sets up logging, as every command does, gives it a stream that is closed after the test."""
    yield
    structlog.reset_defaults()
    for handler in list(logging.root.handlers):
        if isinstance(handler.formatter, structlog.stdlib.ProcessorFormatter):
            logging.root.removeHandler(handler)


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


@pytest.fixture
def postgres_url(cluster: postgres.Cluster) -> str:
    """The PostgreSQL database with all tables, empty."""
    cluster.sql(_EMPTY, _DATABASE)
    return cluster.url(_DATABASE)
