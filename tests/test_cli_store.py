"""keys, sessions and webhooks on the command line: for people and, with --json, for machines."""

from __future__ import annotations

import asyncio
import json
import threading
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any, TypeVar

import pytest
from typer.testing import CliRunner, Result

from kallglot_media import cli
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import endpoints, keys, legs, recordings, sessions, turns
from kallglot_media.store.legs import NewLeg
from kallglot_media.store.recordings import NewRecording
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.settings import StoreSettings, sqlite_url
from kallglot_media.store.store import open_store
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx

T = TypeVar("T")


@pytest.fixture
def config(tmp_path: Path) -> Path:
    (tmp_path / "routes.yaml").write_text("routes: [{called: '*', service: echo}]", encoding="utf-8")
    path = tmp_path / "server.yaml"
    path.write_text('data_dir: data\nwebhooks: {allow_networks: ["127.0.0.0/8"]}\n', encoding="utf-8")
    return path


@pytest.fixture
def run(config: Path) -> Callable[..., Result]:
    return lambda *words: CliRunner().invoke(cli.app, [*words, "--config", str(config)])


@pytest.fixture
def store(config: Path) -> Callable[[Callable[[Tx], T]], T]:
    """Run a query on the store that the commands use."""

    async def once(query: Callable[[Tx], T]) -> T:
        opened = await open_store(StoreSettings(sqlite_url(config.parent / "data")), RandomIds())
        try:
            return await opened.write(query)
        finally:
            await opened.close()

    return lambda query: asyncio.run(once(query))


def test_a_key_is_made_listed_and_revoked(run: Callable[..., Result], store: Callable[..., Any]) -> None:
    made = run("keys", "create", "shop", "--scope", "sessions:read", "--test", "--days", "30")
    assert made.exit_code == 0, made.output
    token = made.stdout.strip()
    assert token.startswith("sk_test_")
    assert "not shown again" in made.stderr
    assert store(lambda tx: keys.check(tx, token)).key.scopes == ("sessions:read",)
    (listed,) = json.loads(run("keys", "list", "--json").stdout)
    assert (listed["name"], listed["state"], listed["scopes"]) == ("shop", "active", ["sessions:read"])
    assert token not in run("keys", "list").stdout
    assert "active" in run("keys", "list").stdout
    assert run("keys", "revoke", token[:16]).exit_code == 0
    assert store(lambda tx: keys.check(tx, token)).refusal == "revoked"
    assert json.loads(run("keys", "revoke", listed["id"], "--json").stdout)["state"] == "revoked"


def test_a_key_for_a_machine(run: Callable[..., Result]) -> None:
    made = json.loads(run("keys", "create", "shop", "--json").stdout)
    assert made["token"].startswith("sk_live_")
    assert made["scopes"] == list(keys.SCOPES)
    assert "all" in run("keys", "list").stdout


def test_mistakes_are_one_line_with_their_mend(run: Callable[..., Result]) -> None:
    for words, mend in (
        (("keys", "create", "x", "--scope", "sessions:raed"), "no such scope: sessions:raed; there are: sessions:read"),
        (("keys", "revoke", "key_nobody"), "see kallglot-media keys list"),
        (("sessions", "list", "--status", "over"), "write one of: created, active, ended"),
        (("sessions", "show", "sess_nobody"), "see kallglot-media sessions list"),
        (("webhooks", "test"), "there are no endpoints; make one: POST /v1/webhook_endpoints"),
        (("webhooks", "test", "wh_nobody"), "wh_nobody: there is no such endpoint"),
    ):
        result = run(*words)
        assert result.exit_code == 2, result.output
        assert mend in result.stderr.replace("\n", " ")
        assert "Traceback" not in result.output


def conversation(tx: Tx) -> str:
    session = sessions.create(tx, NewSession(mode="bidirectional_translation", phone_number="4711"))
    sessions.start(tx, session.id)
    leg = legs.add(tx, NewLeg(session.id, "agent", "outbound", to_uri="sip:anna@192.0.2.1"))
    legs.ended(tx, leg.id, status="failed", sip_status=486)
    turns.add(tx, Turn(session.id, 1, "customer", "de", "Guten [Tag]", "en", "Good day", 500, 1500))
    recordings.add(tx, NewRecording(session.id, "customer", "sessions/x/customer.wav"))
    sessions.end(tx, session.id, "agent_hangup", "busy", duration_ms=65_000)
    return session.id


def test_sessions_are_listed_and_shown(run: Callable[..., Result], store: Callable[..., Any]) -> None:
    older = store(lambda tx: sessions.create(tx, NewSession(mode="ai_agent"))).id
    session_id = store(conversation)
    listed = run("sessions", "list", "--limit", "1")
    assert session_id in listed.stdout
    assert "1:05" in listed.stdout
    assert f"more: --after {session_id}" in listed.stdout
    page = json.loads(run("sessions", "list", "--mode", "ai_agent", "--json").stdout)
    assert [one["id"] for one in page["data"]] == [older]
    shown = run("sessions", "show", session_id).stdout
    for part in ("agent_hangup", "agent outbound failed (486) sip:anna@192.0.2.1", "customer processing", "turns"):
        assert part in shown
    assert "Guten" not in shown
    spoken = run("sessions", "show", session_id, "--words").stdout
    assert "customer (de): Guten [Tag]" in spoken
    assert "→ en: Good day" in spoken
    as_json = json.loads(run("sessions", "show", session_id, "--json").stdout)
    assert (as_json["turns"], as_json["session"]["duration_ms"]) == (1, 65_000)
    assert (
        json.loads(run("sessions", "show", session_id, "--words", "--json").stdout)["turns"][0]["speaker"] == "customer"
    )


@dataclass
class Hook:
    """A receiver in a thread; it answers the statuses of `answers`, then 200."""

    url: str = ""
    answers: list[int] = field(default_factory=list)
    requests: list[tuple[str, dict[str, str]]] = field(default_factory=list)


@pytest.fixture
def hook() -> Iterator[Hook]:
    """A running receiver."""
    here = Hook()

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            self.rfile.read(int(self.headers["Content-Length"]))
            here.requests.append((self.path, dict(self.headers.items())))
            self.send_response(here.answers.pop(0) if here.answers else 200)
            self.end_headers()

        def log_message(self, *_: object) -> None:
            pass

    server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
    thread = threading.Thread(target=server.serve_forever)
    thread.start()
    here.url = f"http://127.0.0.1:{server.server_port}"
    yield here
    server.shutdown()
    thread.join()
    server.server_close()


def test_a_session_is_ended_in_the_store_when_no_server_runs(
    run: Callable[..., Result], store: Callable[..., Any], config: Path
) -> None:
    config.write_text(config.read_text("utf-8") + "api: {port: 1}\n", encoding="utf-8")
    session_id = store(lambda tx: sessions.create(tx, NewSession(mode="ai_agent"))).id
    refused = run("sessions", "end", session_id)
    assert refused.exit_code == 2
    assert "no server answers at http://127.0.0.1:1" in refused.stderr
    assert "--offline" in refused.stderr
    ended = json.loads(run("sessions", "end", session_id, "--offline", "--json").stdout)
    assert (ended["status"], ended["end_reason"]) == ("ended", "explicit_end")
    assert "ended: explicit_end" in run("sessions", "end", session_id).stdout, "ended already: nobody is asked"
    assert run("sessions", "end", "sess_nobody").exit_code == 2
    assert store(keys.every) == (), "its key was for a moment"


@pytest.mark.loopback
def test_a_running_server_is_asked_with_a_key_of_its_own(
    run: Callable[..., Result], store: Callable[..., Any], hook: Hook
) -> None:
    session_id = store(lambda tx: sessions.create(tx, NewSession(mode="ai_agent"))).id
    assert run("sessions", "end", session_id, "--url", hook.url).exit_code == 0
    (path, headers) = hook.requests[0]
    assert path == f"/v1/sessions/{session_id}/end"
    token = headers["Authorization"].removeprefix("Bearer ")
    assert store(lambda tx: keys.check(tx, token)).refusal == "invalid", "its key was for a moment"
    hook.answers.append(403)
    refused = run("sessions", "end", session_id, "--url", hook.url)
    assert refused.exit_code == 2
    assert "answered 403" in refused.stderr


@pytest.mark.loopback
def test_webhooks_are_tried_out(run: Callable[..., Result], store: Callable[..., Any], hook: Hook) -> None:
    endpoint = store(lambda tx: endpoints.create(tx, hook.url, ["recording.failed"]))
    good = run("webhooks", "test")
    assert good.exit_code == 0, good.output
    assert "accepted" in good.stdout
    hook.answers.append(503)
    bad = run("webhooks", "test", endpoint.id, "--json")
    assert bad.exit_code == 2
    (result,) = json.loads(bad.stdout)
    assert (result["status"], result["error"]) == (503, "answered 503; write a 2xx status to accept it")
