"""`kallglot-media keys` and `webhooks`: what is in the store, also while no server runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape

from kallglot_media.cli_common import DEFAULT_CONFIG, USER_ERROR, JsonOption, UserError, err, out, plain_errors
from kallglot_media.config import Config, load_config

if TYPE_CHECKING:
    from kallglot_media.store.keys import ApiKey
    from kallglot_media.store.store import Store

T = TypeVar("T")

keys_app = typer.Typer(help="Who may use the API.", no_args_is_help=True)
webhooks_app = typer.Typer(help="Where events are sent.", no_args_is_help=True)

ConfigOption = Annotated[Path, typer.Option("--config", "-c", help="The server.yaml.")]

_DAY_MS = 86_400_000


def with_store(config: Path, use: Callable[[Config, Store], Awaitable[T]]) -> T:
    """Open the store that a configuration names, use it, close it. Raises SetupError, ConfigErrors, UserError."""
    from kallglot_media import log
    from kallglot_media.backing import open_store_of
    from kallglot_media.random_ids import RandomIds
    from kallglot_media.store.errors import StoreUnavailable

    loaded = load_config(config)
    log.configure("warning", "console")

    async def run() -> T:
        store = await open_store_of(loaded, RandomIds())
        try:
            return await use(loaded, store)
        except StoreUnavailable as error:
            raise UserError(f"the database cannot be used now ({error}); try again") from None
        finally:
            await store.close()

    return asyncio.run(run())


def print_json(value: Any) -> None:
    """For machines."""
    print(json.dumps(value, ensure_ascii=False, indent=2))


def when(ms: int | None) -> str:
    """A time for people, in UTC; "" for None."""
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    """Rows under names, for people. Never cut to the terminal's width: ids are there to be copied."""
    lines = [list(names), *(["" if cell is None else str(cell) for cell in row] for row in rows)]
    widths = [max(len(line[at]) for line in lines) for at in range(len(names))]
    return "\n".join("  ".join(map(str.ljust, line, widths)).rstrip() for line in lines)


# ── keys ─────────────────────────────────────────────────────────────────────────


@keys_app.command("create")
def keys_create(
    name: Annotated[str, typer.Argument(help="Whose key it is, for people.")],
    scope: Annotated[list[str] | None, typer.Option("--scope", "-s", help="What it opens; left out: all.")] = None,
    test: Annotated[bool, typer.Option("--test", help="sk_test_ instead of sk_live_.")] = False,
    days: Annotated[float | None, typer.Option("--days", min=0.001, help="It expires after so many days.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Make an API key. Its secret is shown this once."""
    from kallglot_media.store import audit, keys
    from kallglot_media.store.keys import NewKey
    from kallglot_media.store.tx import Tx

    def create(tx: Tx) -> NewKey:
        expires_ms = None if days is None else tx.now_ms + round(days * _DAY_MS)
        made = keys.create(tx, name, scope or keys.SCOPES, live=not test, expires_at_ms=expires_ms)
        audit.note(tx, "cli", "key.created", made.key.id, detail={"scopes": list(made.key.scopes)})
        return made

    async def use(_: Config, store: Store) -> NewKey:
        try:
            return await store.write(create)
        except ValueError as error:
            raise UserError(f"--scope: {error}") from None

    with plain_errors():
        made = with_store(config, use)
        if as_json:
            print_json(_key_json(made.key, store_now_ms()) | {"token": made.token})
            return
        out.print(made.token)
        err.print(f"key {made.key.id} for {escape(name)}; keep it safe: it is not shown again")


@keys_app.command("list")
def keys_list(config: ConfigOption = DEFAULT_CONFIG, as_json: JsonOption = False) -> None:
    """Every key, without its secret."""
    from kallglot_media.store import keys

    with plain_errors():
        now_ms = store_now_ms()
        found = with_store(config, lambda _, store: store.read(keys.every))
        if as_json:
            print_json([_key_json(key, now_ms) for key in found])
            return
        rows = [
            (
                key.id,
                key.prefix + "…",
                key.name,
                key.state(now_ms),
                "all" if key.scopes == keys.SCOPES else " ".join(key.scopes),
                when(key.last_used_at_ms),
                when(key.expires_at_ms),
            )
            for key in found
        ]
        out.print(escape(table(("id", "key", "name", "state", "scopes", "last used", "expires"), rows)))


@keys_app.command("revoke")
def keys_revoke(
    key: Annotated[str, typer.Argument(help="Its id, or the first 16 characters of the key.")],
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Take a key out of use, everywhere within a second, for ever."""
    from kallglot_media.store import audit, keys
    from kallglot_media.store.tx import Tx

    def revoke(tx: Tx) -> ApiKey | None:
        revoked = keys.revoke(tx, key)
        if revoked is not None:
            audit.note(tx, "cli", "key.revoked", revoked.id)
        return revoked

    with plain_errors():
        revoked = with_store(config, lambda _, store: store.write(revoke))
        if revoked is None:
            raise UserError(f"{key}: there is no such key; see kallglot-media keys list")
        if as_json:
            print_json(_key_json(revoked, store_now_ms()))
        else:
            out.print(f"revoked {revoked.id} ({escape(revoked.name)})")


def store_now_ms() -> int:
    """The time that the store goes by."""
    from kallglot_media.store.store import unix_ms

    return unix_ms()


def _key_json(key: ApiKey, now_ms: int) -> dict[str, Any]:
    return asdict(key) | {"scopes": list(key.scopes), "state": key.state(now_ms)}


# ── webhooks ─────────────────────────────────────────────────────────────────────


@webhooks_app.command("test")
def webhooks_test(
    endpoint_id: Annotated[str | None, typer.Argument(metavar="[ENDPOINT]", help="Left out: all of them.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Send a test event and say what came back. Exit code 2 when one was not accepted."""
    with plain_errors():
        results = with_store(config, lambda loaded, store: _test_endpoints(loaded, store, endpoint_id))
        if as_json:
            print_json(results)
        else:
            rows = [(one["url"], one["status"], f"{one['took_ms']} ms", one["error"] or "accepted") for one in results]
            out.print(escape(table(("endpoint", "status", "took", ""), rows)))
        if any(one["error"] for one in results):
            raise typer.Exit(USER_ERROR)


async def _test_endpoints(config: Config, store: Store, endpoint_id: str | None) -> list[dict[str, Any]]:
    from kallglot_media.backing import guard_of
    from kallglot_media.store import endpoints
    from kallglot_media.webhooks.post import HttpPost
    from kallglot_media.webhooks.sender import WebhookSender

    if endpoint_id is None:
        some = await store.read(endpoints.enabled)
    else:
        one = await store.read(endpoints.get, endpoint_id)
        some = () if one is None else (one,)
    if not some:
        what = "there are no endpoints" if endpoint_id is None else f"{endpoint_id}: there is no such endpoint"
        raise UserError(f"{what}; make one: POST /v1/webhook_endpoints")
    post = HttpPost(guard_of(config))
    try:
        sender = WebhookSender(store, post)
        return list(await asyncio.gather(*(_test(store, sender, endpoint) for endpoint in some)))
    finally:
        await post.close()


async def _test(store: Any, sender: Any, endpoint: Any) -> dict[str, Any]:
    """A running server may be faster than we are and send it: then its attempt is what we tell."""
    from kallglot_media.store import deliveries, events

    delivery_id = await store.write(events.add_test, endpoint)
    await sender.send(delivery_id)
    attempts: Sequence[Any] = ()
    for _ in range(400):
        attempts = await store.read(deliveries.attempts, delivery_id)
        if attempts:
            break
        await asyncio.sleep(0.1)
    if not attempts:
        return {"endpoint": endpoint.id, "url": endpoint.url, "status": None, "took_ms": 0, "error": "not sent"}
    first = attempts[0]
    found = {"status": first.status, "took_ms": first.took_ms, "error": first.error}
    return {"endpoint": endpoint.id, "url": endpoint.url, "delivery": delivery_id} | found
