"""`kallglot-media keys`, `sessions` and `webhooks`: what is in the store, also while no server runs."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import asdict
from datetime import UTC, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TypeVar

import typer
from rich.markup import escape
from rich.table import Table

from kallglot_media.cli_common import DEFAULT_CONFIG, USER_ERROR, JsonOption, UserError, err, out, plain_errors
from kallglot_media.config import Config, load_config

if TYPE_CHECKING:
    from kallglot_media.store.keys import ApiKey
    from kallglot_media.store.sessions import Session
    from kallglot_media.store.store import Store

T = TypeVar("T")

keys_app = typer.Typer(help="Who may use the API.", no_args_is_help=True)
sessions_app = typer.Typer(help="Sessions, running and past.", no_args_is_help=True)
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


def _print_json(value: Any) -> None:
    print(json.dumps(value, ensure_ascii=False, indent=2))


def _when(ms: int | None) -> str:
    return "" if ms is None else datetime.fromtimestamp(ms / 1000, UTC).strftime("%Y-%m-%d %H:%M:%SZ")


def _table(names: Sequence[str], rows: Sequence[Sequence[object]]) -> Table:
    table = Table(*names, box=None, pad_edge=False)
    for row in rows:
        table.add_row(*(escape("" if cell is None else str(cell)) for cell in row))
    return table


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
            _print_json(_key_json(made.key, store_now_ms()) | {"token": made.token})
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
            _print_json([_key_json(key, now_ms) for key in found])
            return
        rows = [
            (
                key.id,
                key.prefix + "…",
                key.name,
                key.state(now_ms),
                "all" if key.scopes == keys.SCOPES else " ".join(key.scopes),
                _when(key.last_used_at_ms),
                _when(key.expires_at_ms),
            )
            for key in found
        ]
        out.print(_table(("id", "key", "name", "state", "scopes", "last used", "expires"), rows))


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
            _print_json(_key_json(revoked, store_now_ms()))
        else:
            out.print(f"revoked {revoked.id} ({escape(revoked.name)})")


def store_now_ms() -> int:
    """The time that the store goes by."""
    from kallglot_media.store.store import unix_ms

    return unix_ms()


def _key_json(key: ApiKey, now_ms: int) -> dict[str, Any]:
    return asdict(key) | {"scopes": list(key.scopes), "state": key.state(now_ms)}


# ── sessions ─────────────────────────────────────────────────────────────────────


@sessions_app.command("list")
def sessions_list(
    status: Annotated[str | None, typer.Option(help="created, active or ended.")] = None,
    mode: Annotated[str | None, typer.Option(help="Only sessions of this mode.")] = None,
    limit: Annotated[int, typer.Option(min=1, max=100)] = 20,
    after: Annotated[str | None, typer.Option(help="Older than this session.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """Sessions, newest first."""
    from kallglot_media.store import sessions
    from kallglot_media.store.page import Page

    with plain_errors():
        if status is not None and status not in sessions.STATUSES:
            raise UserError(f"--status: is '{status}'; write one of: {', '.join(sessions.STATUSES)}")
        page = Page(limit, starting_after=after)
        found = with_store(config, lambda _, store: store.read(sessions.page, page, status=status, mode=mode))
        if as_json:
            _print_json({"data": [asdict(session) for session in found.items], "has_more": found.has_more})
            return
        rows = [
            (one.id, one.mode, one.status, _when(one.created_at_ms), _lasted(one), one.end_reason)
            for one in found.items
        ]
        out.print(_table(("id", "mode", "status", "created", "lasted", "end"), rows))
        if found.has_more:
            out.print(f"more: --after {found.items[-1].id}")


@sessions_app.command("show")
def sessions_show(
    session_id: Annotated[str, typer.Argument(metavar="SESSION")],
    words: Annotated[bool, typer.Option("--words", help="What was said, too.")] = False,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """One session: its parties, its recordings, and with --words its transcript."""
    with plain_errors():
        found = with_store(config, lambda _, store: store.read(_everything_of, session_id))
        if found is None:
            raise UserError(f"{session_id}: there is no such session; see kallglot-media sessions list")
        if not words:
            found["turns"] = len(found["turns"])
        if as_json:
            _print_json(found)
            return
        for name, value in found["session"].items():
            if value not in (None, {}, ""):
                out.print(f"{name:<18} {escape(_when(value) if name.endswith('_at_ms') else str(value))}")
        for leg in found["legs"]:
            out.print(f"leg                {escape(_leg_line(leg))}")
        for recording in found["recordings"]:
            out.print(
                f"recording          {recording['channel']} {recording['status']} {escape(recording['path'] or '')}"
            )
        if not words:
            out.print(f"turns              {found['turns']}")
            return
        for turn in found["turns"]:
            said = f"{turn['speaker']} ({turn['language']}): {turn['text']}"
            out.print(escape(f"[{turn['start_ms'] / 1000:8.2f}] {said}"))
            if turn["translation_text"]:
                out.print(escape(f"{'→ ' + turn['translation_language']:>20}: {turn['translation_text']}"))


def _everything_of(tx: Any, session_id: str) -> dict[str, Any] | None:
    from kallglot_media.store import legs, recordings, sessions, turns

    session = sessions.get(tx, session_id)
    if session is None:
        return None
    parts: Mapping[str, Sequence[Any]] = {
        "legs": legs.of_session(tx, session_id),
        "recordings": recordings.of_session(tx, session_id),
        "turns": turns.of_session(tx, session_id),
    }
    return {"session": asdict(session)} | {name: [asdict(one) for one in some] for name, some in parts.items()}


def _leg_line(leg: Mapping[str, Any]) -> str:
    failed = f" ({leg['sip_status']})" if leg["sip_status"] else ""
    return f"{leg['role']} {leg['direction']} {leg['status']}{failed} {leg['to_uri'] or leg['from_uri'] or ''}"


def _lasted(session: Session) -> str:
    if session.duration_ms is None:
        return ""
    minutes, seconds = divmod(session.duration_ms // 1000, 60)
    return f"{minutes}:{seconds:02d}"


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
            _print_json(results)
        else:
            rows = [(one["url"], one["status"], f"{one['took_ms']} ms", one["error"] or "accepted") for one in results]
            out.print(_table(("endpoint", "status", "took", ""), rows))
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
