"""Stored settings of AI agents; a session names one with `agent_id`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, insert, select, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx

_t = tables.agents


@dataclass(frozen=True, slots=True)
class Agent:
    """One agent. settings: the `ai_agent` object of a session, as the client sent it."""

    id: str
    name: str
    settings: Mapping[str, Any]
    metadata: Mapping[str, Any]
    created_at_ms: int
    updated_at_ms: int


def create(tx: Tx, name: str, settings: Mapping[str, Any], metadata: Mapping[str, Any] | None = None) -> Agent:
    """A new agent."""
    values = {
        "id": tx.new_id("agt"),
        "name": name,
        "settings": dict(settings),
        "metadata": dict(metadata or {}),
        "created_at_ms": tx.now_ms,
        "updated_at_ms": tx.now_ms,
    }
    return _made(tx.one(insert(_t).values(values).returning(_t)))


def get(tx: Tx, agent_id: str) -> Agent | None:
    """The agent, or None."""
    row = tx.first(select(_t).where(_t.c.id == agent_id))
    return None if row is None else _made(row)


def page(tx: Tx, page: Page) -> Listed[Agent]:
    """Agents, newest first."""
    return list_page(tx, _t, page, _made)


def change(
    tx: Tx,
    agent_id: str,
    *,
    name: str | None = None,
    settings: Mapping[str, Any] | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> Agent | None:
    """Replace what is given, leave the rest. None when there is no such agent."""
    given = {"name": name, "settings": settings, "metadata": metadata}
    values: dict[str, Any] = {key: value for key, value in given.items() if value is not None}
    values["updated_at_ms"] = tx.now_ms
    row = tx.first(update(_t).where(_t.c.id == agent_id).values(values).returning(_t))
    return None if row is None else _made(row)


def delete(tx: Tx, agent_id: str) -> bool:
    """Whether there was one."""
    return tx.run(_t.delete().where(_t.c.id == agent_id)).rowcount > 0


def _made(row: RowMapping) -> Agent:
    return Agent(**row)
