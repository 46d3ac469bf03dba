"""Lists in pages: newest first, with ids as cursors."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Generic, TypeVar

from sqlalchemy import ColumnElement, RowMapping, Table, select

from kallglot_media.store.tx import Tx

T = TypeVar("T")

DEFAULT_LIMIT = 20
MOST = 100


@dataclass(frozen=True, slots=True)
class Page:
    """limit           1 to 100
    starting_after  an id: what is older than that
    ending_before   an id: what is newer than that, the nearest ones. At most one of the two.
    """

    limit: int = DEFAULT_LIMIT
    starting_after: str | None = None
    ending_before: str | None = None


@dataclass(frozen=True, slots=True)
class Listed(Generic[T]):
    """One page, newest first. has_more: there is more in the direction that was asked for."""

    items: tuple[T, ...]
    has_more: bool


def list_page(
    tx: Tx,
    table: Table,
    page: Page,
    made: Callable[[RowMapping], T],
    *where: ColumnElement[bool],
) -> Listed[T]:
    """One page of a table whose ids are ULIDs. A cursor need not exist (any more): its place in time counts."""
    backwards = page.ending_before is not None
    query = select(table).where(*where).limit(page.limit + 1)
    if page.starting_after is not None:
        query = query.where(table.c.id < page.starting_after)
    if backwards:
        query = query.where(table.c.id > page.ending_before).order_by(table.c.id)
    else:
        query = query.order_by(table.c.id.desc())
    rows = tx.all(query)
    kept = rows[: page.limit]
    ordered = reversed(kept) if backwards else kept
    return Listed(tuple(made(row) for row in ordered), len(rows) > page.limit)
