"""Secrets that the server makes for itself once and that all nodes share."""

from __future__ import annotations

import secrets as system

from sqlalchemy import select

from kallglot_media.store import tables
from kallglot_media.store.tx import Tx

STREAM_TOKENS = "stream_tokens"
TOOL_CALLS = "tool_calls"

_t = tables.secrets


def secret(tx: Tx, name: str) -> bytes:
    """The secret of that name, made when it is asked for first: 32 random bytes. Needs `store.write`."""
    values = {"name": name, "value": system.token_hex(32), "created_at_ms": tx.now_ms}
    tx.insert_new(_t, values)
    return bytes.fromhex(tx.run(select(_t.c.value).where(_t.c.name == name)).scalar_one())
