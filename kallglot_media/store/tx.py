"""What a query gets: a connection inside a transaction, the time, and a source of ids."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from sqlalchemy import Connection, CursorResult, Executable, Insert, RowMapping, Table
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

    def run(self, statement: Executable, values: Sequence[dict[str, Any]] | None = None) -> CursorResult[Any]:
        """Execute a statement."""
        return self.conn.execute(statement, values) if values is not None else self.conn.execute(statement)

    def all(self, statement: Executable) -> Sequence[RowMapping]:
        """Every row of the answer."""
        return self.conn.execute(statement).mappings().all()

    def first(self, statement: Executable) -> RowMapping | None:
        """The first row of the answer, or None."""
        return self.conn.execute(statement).mappings().first()

    def one(self, statement: Executable) -> RowMapping:
        """The only row of the answer."""
        return self.conn.execute(statement).mappings().one()

    def insert_new(self, table: Table) -> Insert:
        """INSERT that leaves alone what is there already; `rowcount` tells whether it was new."""
        make = sqlite.insert if self.sqlite else postgresql.insert
        return make(table).on_conflict_do_nothing()

    @property
    def sqlite(self) -> bool:
        """Whether this is SQLite; else it is PostgreSQL."""
        return self.conn.dialect.name == "sqlite"
