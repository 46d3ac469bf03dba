"""API keys: shown once, kept as a hash.

    sk_live_4f9aK2mQ…          the first 16 characters name the row, the rest is the secret

A key has 190 bits of randomness, so a plain SHA-256 is as good as a slow hash, and a thousand times cheaper.
"""

from __future__ import annotations

import hashlib
import hmac
import secrets
import string
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Literal

from sqlalchemy import RowMapping, bindparam, insert, select, update

from kallglot_media.store import tables
from kallglot_media.store.tx import Tx

SCOPES = (
    "sessions:read",
    "sessions:write",
    "recordings:read",
    "recordings:delete",
    "analysis:read",
    "analysis:write",
    "agents:read",
    "agents:write",
    "knowledge:read",
    "knowledge:write",
    "webhooks:manage",
)

LIVE, TEST = "sk_live_", "sk_test_"
_ALPHABET = string.ascii_letters + string.digits
_NAME_CHARS = 8
_SECRET_CHARS = 32
_PREFIX_CHARS = len(LIVE) + _NAME_CHARS
_LENGTH = _PREFIX_CHARS + _SECRET_CHARS

_t = tables.api_keys
_BY_PREFIX = select(_t).where(_t.c.prefix == bindparam("this"))

Refusal = Literal["invalid", "revoked", "expired"]


@dataclass(frozen=True, slots=True)
class ApiKey:
    """A key without its secret. prefix is what people may see of it."""

    id: str
    name: str
    prefix: str
    live: bool
    scopes: tuple[str, ...]
    created_at_ms: int
    expires_at_ms: int | None
    revoked_at_ms: int | None
    last_used_at_ms: int | None

    def state(self, now_ms: int) -> Literal["active", "revoked", "expired"]:
        """What has become of it."""
        if self.revoked_at_ms is not None:
            return "revoked"
        if self.expires_at_ms is not None and self.expires_at_ms <= now_ms:
            return "expired"
        return "active"


@dataclass(frozen=True, slots=True)
class NewKey:
    """A key and, this once, its secret `token`."""

    key: ApiKey
    token: str


@dataclass(frozen=True, slots=True)
class KeyCheck:
    """Whose key it is, or why it opens nothing: exactly one of the two."""

    key: ApiKey | None
    refusal: Refusal | None


def create(tx: Tx, name: str, scopes: Sequence[str], *, live: bool = True, expires_at_ms: int | None = None) -> NewKey:
    """Make a key. ValueError names a scope that does not exist."""
    unknown = [scope for scope in scopes if scope not in SCOPES]
    if unknown:
        raise ValueError(f"no such scope: {', '.join(unknown)}; there are: {', '.join(SCOPES)}")
    token = (LIVE if live else TEST) + "".join(secrets.choice(_ALPHABET) for _ in range(_NAME_CHARS + _SECRET_CHARS))
    values = {
        "id": tx.new_id("key"),
        "name": name,
        "prefix": token[:_PREFIX_CHARS],
        "sha256": _hash(token),
        "live": live,
        "scopes": [scope for scope in SCOPES if scope in scopes],
        "created_at_ms": tx.now_ms,
        "expires_at_ms": expires_at_ms,
    }
    return NewKey(_made(tx.one(insert(_t).values(values).returning(_t))), token)


def check(tx: Tx, token: str) -> KeyCheck:
    """Whose key this is. Takes the same time for a wrong secret as for a right one."""
    row = tx.first(_BY_PREFIX, {"this": token[:_PREFIX_CHARS]})
    kept = row["sha256"] if row else _hash("")
    if not hmac.compare_digest(kept, _hash(token)) or row is None or len(token) != _LENGTH:
        return KeyCheck(None, "invalid")
    key = _made(row)
    state = key.state(tx.now_ms)
    return KeyCheck(key, None) if state == "active" else KeyCheck(None, state)


def revoke(tx: Tx, id_or_prefix: str) -> ApiKey | None:
    """Take a key out of use at once and for ever; the first time counts. None when there is no such key."""
    this = (_t.c.id == id_or_prefix) | (_t.c.prefix == id_or_prefix)
    tx.run(update(_t).where(this, _t.c.revoked_at_ms.is_(None)).values(revoked_at_ms=tx.now_ms))
    row = tx.first(select(_t).where(this))
    return None if row is None else _made(row)


def delete(tx: Tx, key_id: str) -> None:
    """Take a key out without a trace: one that was made for a moment."""
    tx.run(_t.delete().where(_t.c.id == key_id))


def every(tx: Tx) -> tuple[ApiKey, ...]:
    """All keys, oldest first."""
    return tuple(_made(row) for row in tx.all(select(_t).order_by(_t.c.id)))


def used(tx: Tx, key_id: str) -> None:
    """Keep that a key was used now."""
    tx.run(update(_t).where(_t.c.id == key_id).values(last_used_at_ms=tx.now_ms))


def _hash(token: str) -> str:
    return hashlib.sha256(token.encode("utf-8", "surrogatepass")).hexdigest()


def _made(row: RowMapping) -> ApiKey:
    values = {name: value for name, value in row.items() if name != "sha256"}
    return ApiKey(**values | {"scopes": tuple(values["scopes"])})
