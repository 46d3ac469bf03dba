"""docs/api.md: its curl, Python and Node examples are run as they stand, and its events are those that are sent."""

from __future__ import annotations

import asyncio
import json
import os
import re
import sys
import time
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx2
import pytest

from kallglot_media.analysis.runner import AnalysisRunner
from kallglot_media.call import events as e
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.knowledge.reader import DocumentReader
from kallglot_media.ledger.analyses import tell_analysis
from kallglot_media.ledger.entries import Entry, House, tell_created, tell_recording, write
from kallglot_media.media.messages import RecordedFile
from kallglot_media.modes.plan import Party
from kallglot_media.sip.events import CallAnswered
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Response
from kallglot_media.store import analyses, endpoints, recordings, sessions, tables
from kallglot_media.store.endpoints import EVENT_TYPES
from kallglot_media.store.recordings import NewRecording
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.settings import StoreSettings
from kallglot_media.store.tx import Tx
from kallglot_media.webhooks.post import HttpPost
from kallglot_media.webhooks.sender import WebhookSender
from kallglot_media.webhooks.signature import HEADER, sign
from tests.support.api_world import ApiWorld, api_world
from tests.support.call_world import PHONE_SDP
from tests.support.processes import free_port, need

pytestmark = pytest.mark.loopback

PAGE = (Path(__file__).parents[2] / "docs" / "api.md").read_text("utf-8")
SECRET = "whsec_of_the_page_0123456789"
LIMIT_S = 60.0

CONVERSATION = """
    1-3 customer de Meine Bestellung ist nicht angekommen | en My order has not arrived
    4-6 agent    en Hello, I will look for your order | de Hallo, ich suche Ihre Bestellung
"""


def blocks(info: str) -> list[str]:
    """The fenced blocks of the page with this info string, in order."""
    return re.findall(rf"^```{re.escape(info)}\n(.*?)^```$", PAGE, re.MULTILINE | re.DOTALL)


# ── scripts ──────────────────────────────────────────────────────────────────────

SCRIPTS = {
    "sh": ("page.sh", ["bash"], "set -euo pipefail\n"),
    "python": ("page.py", [sys.executable, "-W", "error"], ""),
    "javascript": ("page.mjs", ["node"], ""),
}
RECEIVERS = {"python": ("hook.py", [sys.executable]), "javascript": ("hook.mjs", ["node"])}


@asynccontextmanager
async def whole_server(folder: Path, database: StoreSettings | None = None) -> AsyncIterator[ApiWorld]:
    """With what works in the background, and phones that answer whoever calls them."""
    async with AsyncExitStack() as stack:
        api = await stack.enter_async_context(api_world(folder, database))
        signalling = api.around.signalling
        signalling.numbered = True
        dial = signalling.dial

        async def answer(**how: Any) -> str:
            call = await dial(**how)
            answered = CallAnswered(call, Response(200, "OK", Headers()), PHONE_SDP)
            asyncio.get_running_loop().call_later(0.02, api.registry.on_sip, answered)
            return call

        signalling.dial = answer  # type: ignore[method-assign]
        post = HttpPost(api.parts.guard)
        stack.push_async_callback(post.close)
        for work in (
            WebhookSender(api.store, post).run(),
            DocumentReader(api.store).run(),
            AnalysisRunner(api.store, None, tell_analysis).run(),
        ):
            task = asyncio.create_task(work)
            stack.push_async_callback(stopped, task)
        yield api


async def stopped(task: asyncio.Task[None]) -> None:
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


@asynccontextmanager
async def receiver(folder: Path, language: str) -> AsyncIterator[int]:
    """The page's own receiver of webhooks; its port."""
    name, command = RECEIVERS[language]
    (text,) = blocks(f"{language} receiver")
    (folder / name).write_text(text)
    port = free_port()
    environment = {**os.environ, "PORT": str(port), "WEBHOOK_SECRET": SECRET}
    process = await asyncio.create_subprocess_exec(*command, name, cwd=folder, env=environment)
    try:
        async with asyncio.timeout(LIMIT_S):
            while True:
                try:
                    _, writer = await asyncio.open_connection("127.0.0.1", port)
                except OSError:
                    assert process.returncode is None
                    await asyncio.sleep(0.05)
                    continue
                writer.close()
                break
        yield port
    finally:
        process.kill()
        await process.wait()


@pytest.mark.parametrize("language", SCRIPTS)
async def test_the_examples_run_as_they_stand(tmp_path: Path, language: str) -> None:
    await run_page(tmp_path, language)


@pytest.mark.postgres
async def test_the_examples_run_with_postgresql(tmp_path: Path, postgres_url: str) -> None:
    await run_page(tmp_path, "sh", StoreSettings(postgres_url))


async def run_page(tmp_path: Path, language: str, database: StoreSettings | None = None) -> None:
    name, command, head = SCRIPTS[language]
    need(command[0] if language != "sh" else "curl", "nodejs" if language == "javascript" else "curl")
    folder = tmp_path / "client"
    folder.mkdir()
    (folder / name).write_text(head + "\n".join(blocks(language)))
    hook = "javascript" if language == "javascript" else "python"
    async with whole_server(tmp_path / "server", database) as api, receiver(folder, hook) as port:
        session = await api.session()
        await api.say(session["id"], CONVERSATION)
        await api.call("POST", f"/v1/sessions/{session['id']}/end")
        await api.record(session["id"])
        environment = {
            **os.environ,
            "KALLGLOT_URL": api.url,
            "KALLGLOT_KEY": api.token,
            "KALLGLOT_SESSION": session["id"],
            "PORT": str(port),
            "WEBHOOK_SECRET": SECRET,
        }
        process = await asyncio.create_subprocess_exec(
            *command,
            name,
            cwd=folder,
            env=environment,
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.STDOUT,
        )
        async with asyncio.timeout(LIMIT_S):
            printed, _ = await process.communicate()
        assert process.returncode == 0, printed.decode()[-4000:]
        made = await api.call("GET", "/v1/sessions?limit=100")
        assert [one["id"] for one in made["data"] if one["metadata"].get("ticket") in ("4711", "4712")]
    sounds = {"sh": "call.mp3", "python": "call.ogg", "javascript": "party.wav"}
    assert (folder / sounds[language]).stat().st_size > 1000


# ── events ───────────────────────────────────────────────────────────────────────

SESSION = "sess_01JZX4T5N6P7Q8R9S0TAVBWCXD"
TURN = Turn(1, "customer", "de", "Guten Tag", TranslatedText("en", "Good day"), 0, 900, 0.9)


def everything(tx: Tx) -> None:
    """Make every event that there is."""
    endpoints.create(tx, "https://example.com")
    house = House("one", "https://calls.example.com")
    tell_created(tx, sessions.create(tx, NewSession("bidirectional_translation", id=SESSION, recording_enabled=True)))
    files = (RecordedFile("customer.wav", Party.CUSTOMER, 7200, 8000, "00"),)
    happened: tuple[e.SessionEvent, ...] = (
        e.SessionStarted(SESSION),
        e.LegOpened(SESSION, "call_1", Party.CUSTOMER, "sip", "inbound"),
        e.LegConnected(SESSION, "call_1", Party.CUSTOMER, "sip"),
        e.LegDisconnected(SESSION, "call_1", Party.CUSTOMER, "sip", True, 0, "BYE"),
        e.FinalTranscript(SESSION, TURN),
        e.ToolCalled(SESSION, "call_7", "lookup_order", {"number": "4711"}),
        *(e.Escalated(SESSION, step, "+4930123456") for step in ("started", "answered", "failed")),
        e.MessageLeft(SESSION, "callback.wanted", "Bitte rufen Sie mich an."),
        e.MessageLeft(SESSION, "voicemail.left", "Bitte rufen Sie mich an.", 100, 900),
        e.SessionEnded(SESSION, "completed", "", True, 900, files),
    )
    for event in happened:
        write(tx, house, Entry(event, keep=True))
    broken = recordings.add(tx, NewRecording(SESSION, "agent", "x.wav"))
    failed = recordings.failed(tx, broken.id, "no sound")
    assert failed is not None
    tell_recording(tx, house, failed)
    one, other = [analyses.create(tx, SESSION, ["keywords"]).id for _ in range(2)]
    for done in (analyses.complete(tx, one, {}), analyses.failed(tx, other, "no words")):
        assert done is not None
        tell_analysis(tx, done)


async def test_every_event_has_an_example_with_the_fields_that_are_sent(api: ApiWorld) -> None:
    await api.store.write(everything)
    rows = await api.store.read(lambda tx: tx.all(tables.events.select()))
    sent = {row["type"]: json.loads(row["body"])["data"] for row in rows}
    assert set(sent) == set(EVENT_TYPES)
    for kind in EVENT_TYPES:
        assert f"`{kind}`" in PAGE, kind
        (example,) = blocks(f"json {kind}")
        assert shape(json.loads(example)) == shape(sent[kind]), kind


def shape(value: Any) -> Any:
    """The names of the fields, all the way down; what is in results and arguments is each one's own."""
    if isinstance(value, Mapping):
        return {name: shape(inner) for name, inner in value.items() if name not in ("results", "arguments", "metadata")}
    return [shape(value[0])] if isinstance(value, list) and value and isinstance(value[0], Mapping) else None


@pytest.mark.parametrize("language", RECEIVERS)
async def test_the_receivers_take_every_event_and_no_forged_one(tmp_path: Path, language: str) -> None:
    need("node" if language == "javascript" else sys.executable, "nodejs")
    async with receiver(tmp_path, language) as port, httpx2.AsyncClient() as client:
        for number, kind in enumerate((*EVENT_TYPES, "endpoint.test")):
            data = {"id": "wh_1"} if kind == "endpoint.test" else json.loads(blocks(f"json {kind}")[0])
            body = json.dumps({"id": f"evt_{number}", "type": kind, "data": data}).encode()
            for secret, at_s, status in (
                (SECRET, time.time(), 204),
                ("another", time.time(), 401),
                (SECRET, time.time() - 400, 401),
            ):
                headers = {HEADER: sign(secret, int(at_s), body)}
                answer = await client.post(f"http://127.0.0.1:{port}/", content=body, headers=headers)
                assert answer.status_code == status, (kind, secret)


def test_every_endpoint_and_code_is_on_the_page() -> None:
    from kallglot_media.api.app import MODULES
    from kallglot_media.api.errors import CODES

    examples = "\n".join(blocks("sh"))
    for module in MODULES:
        for route in module.router.routes:
            last = [part for part in route.path.split("/") if part and not part.startswith("{")][-1]
            assert f"/{last}" in examples, route.path
    of_the_stream = {"invalid_token", "expired_token", "invalid_audio_format"}
    assert [code for code in CODES if f"`{code}`" not in PAGE and code not in of_the_stream] == []
