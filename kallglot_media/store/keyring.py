"""Checking a key on every request without asking the database every time."""

from __future__ import annotations

import hashlib
from collections import OrderedDict

from kallglot_media.store import keys
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.keys import KeyCheck
from kallglot_media.store.store import Store

_NOTE_USE_MS = 60_000


class KeyRing:
    """Remembers good keys for `ttl_ms`: a revoked key stops working within that time, in every process.

    While the database is away, keys that were good within the last `grace_ms` stay good, so that live
    sessions can still be steered.
    """

    def __init__(self, store: Store, *, ttl_ms: int = 1000, grace_ms: int = 300_000, most: int = 1000) -> None:
        self._store = store
        self._ttl_ms = ttl_ms
        self._grace_ms = grace_ms
        self._most = most
        self._seen: OrderedDict[bytes, tuple[int, KeyCheck]] = OrderedDict()
        self._noted_ms: dict[str, int] = {}

    async def check(self, token: str) -> KeyCheck:
        """Whose key this is. Raises StoreUnavailable when that cannot be known now."""
        now_ms = self._store.now_ms()
        # Looked up by hash: how long a dict takes to find it tells nothing about the token.
        name = hashlib.sha256(token.encode("utf-8", "surrogatepass")).digest()
        seen_ms, seen = self._seen.get(name, (0, None))
        if seen is None or now_ms - seen_ms >= self._ttl_ms:
            try:
                seen = await self._store.read(keys.check, token)
            except StoreUnavailable:
                if seen is None or now_ms - seen_ms >= self._grace_ms:
                    raise
            else:
                self._remember(name, now_ms, seen)
        if seen.key is None:
            return seen
        state = seen.key.state(now_ms)
        if state != "active":
            return KeyCheck(None, state)
        self._note_use(seen.key.id, now_ms)
        return seen

    def _remember(self, name: bytes, now_ms: int, check: KeyCheck) -> None:
        self._seen.pop(name, None)
        if check.key is not None:  # wrong ones are not kept: guessing must not push good ones out
            self._seen[name] = now_ms, check
            if len(self._seen) > self._most:
                self._seen.popitem(last=False)

    def _note_use(self, key_id: str, now_ms: int) -> None:
        if now_ms - self._noted_ms.get(key_id, 0) >= _NOTE_USE_MS:
            self._noted_ms[key_id] = now_ms
            self._store.soon(keys.used, key_id)
