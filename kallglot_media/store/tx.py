"""What a query gets: a connection inside a transaction, the time, and a source of ids."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Insert, RowMapping, Table, insert
from sqlalchemy.dialects import postgresql, sqlite


@dataclass(frozen=True, slots=True)
class Tx:
    """conn    a connection with an open transaction; whoever made it commits
    now_ms  the time of the request, ms since 1970
    new_id  a sortable id: `tx.new_id("agt")`
    topics  whom to wake after the commit: see Store.on_commit
    """

    conn: Connection
    now_ms: int
    new_id: Callable[[str], str]
    topics: set[str] = field(default_factory=set)

    def run(self, statement: Executable, values: Mapping[str, Any] | None = None) -> CursorResult[Any]:
        """Execute a statement, with values for its parameters.

        A statement made once and run with values costs a third of one that is made with its values each time.
        """
        return self.conn.execute(statement, values)

    def insert(self, table: Table, row: Mapping[str, Any]) -> None:
        """Add a row."""
        self.conn.execute(_insert(table), row)

    def insert_new(self, table: Table, row: Mapping[str, Any]) -> bool:
        """Add a row unless there is one with its key already; whether it was added."""
        return self.conn.execute(_insert_new(table, self.sqlite), row).rowcount > 0

    def all(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[RowMapping]:
        """Every row of the answer."""
        return self.conn.execute(statement, values).mappings().all()

    def rows(self, statement: Executable, values: Mapping[str, Any] | None = None) -> Sequence[Sequence[Any]]:
        """Every row as a plain sequence: for many rows, where names cost too much."""
        return self.conn.execute(statement, values).all()

    def first(self, statement: Executable, values: Mapping[str, Any] | None = None) -> RowMapping | None:
        """The first row of the answer, or None."""
        return self.conn.execute(statement, values).mappings().first()

    def one(self, statement: Executable, values: Mapping[str, Any] | None = None) -> RowMapping:
        """The only row of the answer."""
        return self.conn.execute(statement, values).mappings().one()

    @property
    def sqlite(self) -> bool:
        """Whether this is SQLite; else it is PostgreSQL."""
        return self.conn.dialect.name == "sqlite"


@cache
def _insert(table: Table) -> Insert:
    return insert(table)


@cache
def _insert_new(table: Table, lite: bool) -> Insert:
    make = sqlite.insert if lite else postgresql.insert
    return make(table).on_conflict_do_nothing()
