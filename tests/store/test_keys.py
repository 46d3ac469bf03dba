"""API keys: shown once, revoked at once, never guessed."""

from __future__ import annotations

import pytest
from sqlalchemy import select

from kallglot_media.store import keys, tables
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.keyring import KeyRing
from kallglot_media.store.keys import KeyCheck
from kallglot_media.store.store import Store
from tests.support.stores import NOON_MS, HandClock


async def test_a_key_opens_what_its_scopes_say(store: Store) -> None:
    made = await store.write(keys.create, "shop", ["sessions:write", "sessions:read"], live=False)
    assert made.token.startswith("sk_test_")
    assert len(made.token) == 48
    assert made.key.scopes == ("sessions:read", "sessions:write")
    assert await store.read(keys.check, made.token) == KeyCheck(made.key, None)
    assert await store.read(keys.every) == (made.key,)


async def test_the_secret_is_nowhere_in_the_database(store: Store) -> None:
    made = await store.write(keys.create, "shop", [])
    row = await store.read(lambda tx: tx.one(select(tables.api_keys)))
    assert made.token[16:] not in repr(row)


@pytest.mark.parametrize("change", [lambda t: t[:-1] + "!", lambda t: t + "x", lambda t: t[:-1], lambda t: t[:16]])
async def test_any_other_token_is_invalid(store: Store, change: object) -> None:
    made = await store.write(keys.create, "shop", [])
    assert callable(change)
    assert await store.read(keys.check, change(made.token)) == KeyCheck(None, "invalid")


@pytest.mark.parametrize("token", ["", "sk_live_", "sk_live_" + "a" * 40, "ü\0\ud800", "x" * 100_000])
async def test_nonsense_is_invalid(store: Store, token: str) -> None:
    assert await store.read(keys.check, token) == KeyCheck(None, "invalid")


async def test_expired_and_revoked_are_told_apart(store: Store, clock: HandClock) -> None:
    short = await store.write(keys.create, "short", [], expires_at_ms=NOON_MS + 1000)
    long = await store.write(keys.create, "long", [])
    clock.go_on(s=1)
    assert (await store.read(keys.check, short.token)).refusal == "expired"
    revoked = await store.write(keys.revoke, long.key.prefix)
    assert revoked is not None
    assert (await store.read(keys.check, long.token)).refusal == "revoked"
    clock.go_on(s=1)
    again = await store.write(keys.revoke, long.key.id)
    assert again == revoked, "the first revocation counts"
    assert await store.write(keys.revoke, "key_nobody") is None


async def test_an_unknown_scope_is_named(store: Store) -> None:
    with pytest.raises(ValueError, match=r"no such scope: sessions:raed; there are: sessions:read, .*"):
        await store.write(keys.create, "typo", ["sessions:raed"])


async def test_the_ring_asks_once_a_second_and_notes_use_once_a_minute(store: Store, clock: HandClock) -> None:
    made = await store.write(keys.create, "shop", [])
    ring = KeyRing(store)
    for _ in range(3):
        assert (await ring.check(made.token)).key is not None
    await store.write(keys.revoke, made.key.id)
    (used,) = await store.read(keys.every)
    assert used.last_used_at_ms == NOON_MS
    assert (await ring.check(made.token)).key is not None, "remembered"
    clock.go_on(s=1)
    assert (await ring.check(made.token)).refusal == "revoked"


async def test_the_ring_knows_an_expiry_without_asking(store: Store, clock: HandClock) -> None:
    made = await store.write(keys.create, "short", [], expires_at_ms=NOON_MS + 100)
    ring = KeyRing(store)
    assert (await ring.check(made.token)).refusal is None
    clock.go_on(ms=100)
    assert (await ring.check(made.token)).refusal == "expired"


async def test_keys_that_were_good_stay_good_while_the_database_is_away(store: Store, clock: HandClock) -> None:
    made = await store.write(keys.create, "shop", [])
    ring = KeyRing(store, grace_ms=60_000)
    await ring.check(made.token)

    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("away")

    store.read = away  # type: ignore[assignment, method-assign]
    clock.go_on(s=59)
    assert (await ring.check(made.token)).key is not None
    with pytest.raises(StoreUnavailable):
        await ring.check("sk_live_" + "a" * 40)
    clock.go_on(s=1)
    with pytest.raises(StoreUnavailable):
        await ring.check(made.token)
