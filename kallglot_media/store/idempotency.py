"""Idempotency keys: the same request twice is done once and answered alike.

    begun = await store.write(idempotency.begin, key, fingerprint("POST", path, body), node)
    Begun     → do it, then `finish` with the answer (or `abandon`, so that it may be tried again)
    Replay    → answer with that
    Running   → 409 idempotency_conflict      Mismatch → 400 idempotency_mismatch

One server is one organization, so keys are unique over all API keys. Kept for 24 h.
"""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

from sqlalchemy import bindparam, delete, select, update

from kallglot_media.store import tables
from kallglot_media.store.times import DAY_MS
from kallglot_media.store.tx import Tx

KEPT_MS = DAY_MS
RUNNING_AT_MOST_MS = 10 * 60_000
"""A request that has no answer by then died with its server."""

_t = tables.idempotency_keys
_THIS = _t.c.key == bindparam("this")
_GET = select(_t).where(_THIS)
_DELETE_OLD = delete(_t).where(
    _THIS,
    (_t.c.created_at_ms <= bindparam("old_ms"))
    | (_t.c.status.is_(None) & (_t.c.created_at_ms <= bindparam("dead_ms"))),
)
_FINISH = update(_t).where(_THIS).values(status=bindparam("answered"), body=bindparam("answer"))


@dataclass(frozen=True, slots=True)
class Begun:
    """Nobody has sent this key before: do it."""


@dataclass(frozen=True, slots=True)
class Replay:
    """It was done before, and this was the answer."""

    status: int
    body: str


@dataclass(frozen=True, slots=True)
class Running:
    """The first request with this key has no answer yet."""


@dataclass(frozen=True, slots=True)
class Mismatch:
    """The key was used for another request."""


Outcome = Begun | Replay | Running | Mismatch


def fingerprint(method: str, path: str, body: bytes) -> str:
    """What makes two requests the same."""
    return hashlib.sha256(b"\0".join((method.encode(), path.encode("utf-8", "surrogatepass"), body))).hexdigest()


def begin(tx: Tx, key: str, fingerprint: str, node: str) -> Outcome:
    """Take the key for a request, or say what became of the one that had it."""
    before = {"this": key, "old_ms": tx.now_ms - KEPT_MS, "dead_ms": tx.now_ms - RUNNING_AT_MOST_MS}
    tx.run(_DELETE_OLD, before)
    values = {"key": key, "fingerprint": fingerprint, "node": node, "created_at_ms": tx.now_ms}
    if tx.insert_new(_t, values):
        return Begun()
    row = tx.one(_GET, {"this": key})
    if row["fingerprint"] != fingerprint:
        return Mismatch()
    return Running() if row["status"] is None else Replay(row["status"], row["body"])


def finish(tx: Tx, key: str, status: int, body: str) -> None:
    """Keep the answer for whoever asks again; in the same transaction as what was done, if possible."""
    tx.run(_FINISH, {"this": key, "answered": status, "answer": body})


def abandon(tx: Tx, key: str) -> None:
    """The request failed without doing anything: it may be sent again."""
    tx.run(delete(_t).where(_t.c.key == key, _t.c.status.is_(None)))


def release(tx: Tx, node: str) -> int:
    """At the start of a node: the requests that died with its last life. How many there were."""
    return tx.run(delete(_t).where(_t.c.node == node, _t.c.status.is_(None))).rowcount


def forget_old(tx: Tx, most: int = 1000) -> int:
    """Delete keys older than 24 h; how many went."""
    old = select(_t.c.key).where(_t.c.created_at_ms <= tx.now_ms - KEPT_MS).limit(most)
    return tx.run(delete(_t).where(_t.c.key.in_(old))).rowcount
