"""For all tests."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import settings
from xdist.scheduler import LoadFileScheduling

from kallglot_media.store.migrate import HEAD, migrate
from kallglot_media.store.store import parse_url
from kallglot_media.store.tables import metadata
from tests.support import postgres

# A slow machine is not a failing test: pytest's own time limit is the deadline.
settings.register_profile("no deadline", deadline=None)
settings.load_profile("no deadline")

BY_THE_CLOCK = {
    "faults": (
        "tests/interop/test_assistive.py",
        "tests/interop/test_faults.py",
        "tests/interop/test_phones.py",
        "tests/interop/test_start_failures.py",
        "tests/interop/test_trunks.py",
        "tests/measure/test_eval_call.py",
        "tests/media/test_fleet.py",
        "tests/media/test_link.py",
        "tests/media/test_text_lines.py",
        "tests/phone/test_demo.py",
        "tests/phone/test_phone.py",
    ),
    "calls": ("tests/interop/",),
}
"""Lines of tests that wait for what happens by the clock, such as a call. The first that fits counts."""


class InLine(LoadFileScheduling):  # type: ignore[misc]  # xdist has no types
    """What `make test` runs where: each line of BY_THE_CLOCK on one worker, one test after the other and from the
    start, so that they do not take each other's time; of all others those of a file together, as they share fixtures.
    """

    def _split_scope(self, nodeid: str) -> str:
        path: str = nodeid.partition("::")[0]
        return line_of(path) or path


def line_of(path: str) -> str | None:
    """The line that a file's tests stand in; None: in none."""
    return next((name for name, places in BY_THE_CLOCK.items() if path.startswith(places)), None)


@pytest.hookimpl(optionalhook=True)  # so that -p no:xdist runs, too
def pytest_xdist_make_scheduler(config: pytest.Config, log: object) -> InLine:
    """Our own order of work."""
    return InLine(config, log)


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """What takes longest comes first: the lines, then the engines. A test by the clock has to be in a line."""
    items.sort(key=lambda item: (line_of(item.nodeid) is None, not item.nodeid.startswith("tests/speech/")))
    for item in items:
        marked = any(item.get_closest_marker(name) is not None for name in ("interop", "real_time"))
        if marked and line_of(item.nodeid) is None:
            raise pytest.UsageError(f"{item.nodeid} is by the clock: write its file into BY_THE_CLOCK")


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
