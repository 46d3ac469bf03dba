"""`kallglot-media sessions`: running and past ones, read from the store."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict
from typing import TYPE_CHECKING, Annotated, Any

import typer
from rich.markup import escape

from kallglot_media.cli_common import DEFAULT_CONFIG, JsonOption, UserError, out, plain_errors
from kallglot_media.cli_store import ConfigOption, print_json, table, when, with_store
from kallglot_media.config import Config

if TYPE_CHECKING:
    from kallglot_media.store.sessions import Session
    from kallglot_media.store.store import Store

sessions_app = typer.Typer(help="Sessions, running and past.", no_args_is_help=True)


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
            print_json({"data": [asdict(session) for session in found.items], "has_more": found.has_more})
            return
        rows = [
            (one.id, one.mode, one.status, when(one.created_at_ms), _lasted(one), one.end_reason) for one in found.items
        ]
        out.print(escape(table(("id", "mode", "status", "created", "lasted", "end"), rows)))
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
            print_json(found)
            return
        for name, value in found["session"].items():
            if value not in (None, {}, ""):
                out.print(f"{name:<18} {escape(when(value) if name.endswith('_at_ms') else str(value))}")
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


@sessions_app.command("end")
def sessions_end(
    session_id: Annotated[str, typer.Argument(metavar="SESSION")],
    offline: Annotated[bool, typer.Option("--offline", help="No server runs: end it in the store only.")] = False,
    url: Annotated[str | None, typer.Option(help="The running server's API; left out: api.host and api.port.")] = None,
    config: ConfigOption = DEFAULT_CONFIG,
    as_json: JsonOption = False,
) -> None:
    """End a session: calls are dropped, recording and transcript are finished."""
    with plain_errors():
        ended = with_store(config, lambda loaded, store: _end(loaded, store, session_id, url, offline))
        if as_json:
            print_json(ended)
        else:
            out.print(f"{session_id} {ended['status']}: {ended['end_reason']}")


async def _end(config: Config, store: Store, session_id: str, url: str | None, offline: bool) -> dict[str, Any]:
    from kallglot_media.store import sessions

    session = await store.read(sessions.get, session_id)
    if session is None:
        raise UserError(f"{session_id}: there is no such session; see kallglot-media sessions list")
    if offline:
        change = await store.write(sessions.end, session_id, "explicit_end", "by hand, while no server ran")
        session = change.session if change else session
    elif session.status != sessions.ENDED:
        await _ask_server_to_end(config, store, session_id, url)
        session = await store.read(sessions.get, session_id) or session
    return asdict(session)


async def _ask_server_to_end(config: Config, store: Store, session_id: str, url: str | None) -> None:
    """With a key of a minute's life: whoever can write the store may do what the API can."""
    import ipaddress

    from kallglot_media.store import keys
    from kallglot_media.webhooks.guard import Guard
    from kallglot_media.webhooks.post import HttpPost

    api = config.server.api
    base = (url or f"http{'s' if api.tls else ''}://{_reachable(api.host)}:{api.port}").rstrip("/")
    expires_ms = store.now_ms() + 60_000
    made = await store.write(keys.create, "sessions end", ["sessions:write"], expires_at_ms=expires_ms)
    post = HttpPost(Guard([ipaddress.ip_network("0.0.0.0/0"), ipaddress.ip_network("::/0")]))
    try:
        headers = {"Authorization": f"Bearer {made.token}"}
        answer = await post(f"{base}/v1/sessions/{session_id}/end", headers, b"{}")
    finally:
        await post.close()
        await store.write(keys.delete, made.key.id)
    if answer.status is None:
        mend = "name it with --url, or write --offline when none runs"
        raise UserError(f"no server answers at {base} ({answer.error}); {mend}")
    if answer.status != 200:
        raise UserError(f"{base} answered {answer.status}: {answer.body.decode('utf-8', 'replace')[:500]}")


def _reachable(host: str) -> str:
    """Where a server that listens on `host` is reached from this machine."""
    local = {"0.0.0.0": "127.0.0.1", "::": "::1"}.get(host, host)  # noqa: S104
    return f"[{local}]" if ":" in local else local


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
