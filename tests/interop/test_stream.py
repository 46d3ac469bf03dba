"""Sessions over the stream alone, by SIP alone, and mixed: a real server with its engines, websockets, baresip."""

from __future__ import annotations

import asyncio
import io
import json
import os
import re
import subprocess
import sys
import wave
from base64 import b64decode
from collections.abc import AsyncIterator, Iterator
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path

import av
import numpy as np
import pytest

from kallglot_media.audio import g711
from tests.interop.conftest import Sentence
from tests.support.baresip import Baresip
from tests.support.processes import HOST, free_port
from tests.support.receiver import Received, Receiver
from tests.support.recognise import Ear
from tests.support.rest import Json, Rest, api_url, eventually, listen, make_key, speak
from tests.support.server import REPOSITORY, Server
from tests.support.stream_client import StreamClient
from tests.support.waves import Pcm16, read_mono, script, to_rate, write_wav

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

OFF = {"original_level_db": "off", "original_idle_db": "off"}


@dataclass(frozen=True, slots=True)
class Desk:
    """A server, a client of its REST side, and the port where its webhooks go."""

    server: Server
    rest: Rest
    key: str
    hook_port: int


@pytest.fixture(scope="module")
def desk(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Desk]:
    settings = {"webhooks": {"allow_networks": ["127.0.0.0/8"]}, "api": {"requests_per_minute": 0, "port": free_port()}}
    modes = {"support": {"agent": {"to": f"sip:nobody@{HOST}:{free_port()}", "ring_s": 1}, "gains": OFF}}
    with Server(tmp_path_factory.mktemp("stream"), settings=settings, modes=modes) as server:
        key = make_key(server)
        rest = Rest(server, key)
        yield Desk(server, rest, key, free_port())
        rest.close()


@dataclass(frozen=True, slots=True)
class Told:
    """What came of one session."""

    session: Json
    heard: list[Json]
    customer_heard: Pcm16
    agent_heard: Pcm16
    close_code: int

    def of(self, kind: str) -> list[Json]:
        return [message for message in self.heard if message["type"] == kind]


def sound_for(client: StreamClient, party: str) -> Pcm16:
    """What a party was to hear, at 8 kHz, pauses included."""
    pieces = [message for message in client.heard if message["type"] == "audio.output" and message["for"] == party]
    whole = np.zeros(8 * max((piece["timestamp_ms"] for piece in pieces), default=0) + 8000, np.int16)
    for piece in pieces:
        sound = b64decode(piece["audio"]["payload"])
        if piece["audio"]["encoding"] == "mulaw":
            pcm = g711.ulaw_decode(np.frombuffer(sound, np.uint8))
        else:
            pcm = to_rate(np.frombuffer(sound, "<i2"), 16_000, 8000)
        at = 8 * piece["timestamp_ms"]
        whole[at : at + len(pcm)] = pcm
    return whole


async def by_stream_alone(desk: Desk, customer: Pcm16, agent: Pcm16) -> Told:
    """Both parties on one socket, in wide sound."""
    session = desk.rest.session(audio={"encoding": "pcm_s16le", "sample_rate": 16_000}, metadata={"ticket": "1"})
    stream = session["stream"]
    async with StreamClient(stream["url"], stream["token"]) as client:
        await client.until("session.ready")
        reading = asyncio.create_task(listen(client))
        await asyncio.gather(
            speak(client, "customer", customer, chunk_ms=200, encoding="pcm_s16le", rate_hz=16_000),
            speak(client, "agent", agent, chunk_ms=20, encoding="pcm_s16le", rate_hz=16_000),
        )
        await client.send("session.end")
        await reading
        session = await desk.rest.ended(session["id"])
        return Told(session, client.heard, sound_for(client, "customer"), sound_for(client, "agent"), client.code)


async def mixed(desk: Desk, folder: Path, customer: Pcm16, agent: Pcm16) -> Told:
    """The customer on a phone, the agent on the stream."""
    session = desk.rest.session()
    stream = session["stream"]
    with Baresip(folder / "mixed", "customer", microphone=script(customer, 60.0)) as phone:
        async with StreamClient(stream["url"], stream["token"]) as client:
            await client.until("session.ready")
            await asyncio.to_thread(phone.dial, desk.server.uri(session["id"]))
            await client.until("party.connected", lambda one: one["provider"] == "sip")
            reading = asyncio.create_task(listen(client))
            await speak(client, "agent", agent)
            await asyncio.to_thread(phone.hang_up)
            await reading
            session = await desk.rest.ended(session["id"])
            heard = await asyncio.to_thread(lambda: phone.heard().pcm)
            return Told(session, client.heard, heard, sound_for(client, "agent"), client.code)


async def by_sip_alone(desk: Desk, folder: Path, customer: Pcm16, agent: Pcm16) -> Told:
    """Two phones dial the session's name; a page listens."""
    session = desk.rest.session()
    stream = session["stream"]
    async with AsyncExitStack() as stack:
        bob = stack.enter_context(Baresip(folder / "bob", "bob", microphone=script(agent, 60.0)))
        alice = stack.enter_context(Baresip(folder / "alice", "alice", microphone=script(customer, 60.0)))
        page = await stack.enter_async_context(StreamClient(stream["url"], stream["token"]))
        await page.send("subscribe", events=["transcript.final", "party.connected"])
        await page.until("session.ready")
        at = f"sip:{session['id'].lower()}@{desk.server.address}"
        await asyncio.to_thread(bob.dial, f"{at};role=agent")
        await page.until("party.connected", lambda one: one["speaker"] == "agent")
        await asyncio.to_thread(alice.dial, at)
        await page.until("party.connected", lambda one: one["speaker"] == "customer")
        finals = [await page.until("transcript.final") for _ in range(2)]
        assert len(finals) == 2
        await asyncio.sleep(3.0)  # until the second one was heard
        await asyncio.to_thread(alice.hang_up)
        await page.until_closed()
        session = await desk.rest.ended(session["id"])
        heard = await asyncio.to_thread(lambda: (alice.heard().pcm, bob.heard().pcm))
        return Told(session, page.heard, *heard, page.code)


SCENARIOS = ("stream alone", "mixed", "SIP alone")


@pytest.fixture(scope="module")
def told(desk: Desk, sentences: list[Sentence], tmp_path_factory: pytest.TempPathFactory) -> dict[str, Told]:
    """The three at the same time, with one sentence each way: customer first, then the agent."""
    folder = tmp_path_factory.mktemp("phones")
    customer, agent = script(1.0, sentences[0].pcm, 7.5), script(5.5, sentences[3].pcm, 3.5)

    async def all_three() -> tuple[Told, ...]:
        async with Receiver(port=desk.hook_port) as receiver:
            desk.rest.call("POST", "/v1/webhook_endpoints", {"url": f"http://{HOST}:{receiver.port}/", "events": ["*"]})
            return await asyncio.gather(
                by_stream_alone(desk, customer, agent),
                mixed(desk, folder, customer, agent),
                by_sip_alone(desk, folder, customer, agent),
            )

    return dict(zip(SCENARIOS, asyncio.run(all_three()), strict=True))


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_each_hears_the_other_in_their_own_language(
    told: dict[str, Told], scenario: str, sentences: list[Sentence], ear: Ear
) -> None:
    this = told[scenario]
    assert ear.word_errors(this.agent_heard, "en", sentences[0].translation) <= 0.34
    assert ear.word_errors(this.customer_heard, "de", sentences[3].translation) <= 0.34


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_the_words_are_told_and_stand_in_the_transcript(
    told: dict[str, Told], scenario: str, sentences: list[Sentence], desk: Desk
) -> None:
    this = told[scenario]
    finals = this.of("transcript.final")
    assert [(final["speaker"], final["language"]) for final in finals] == [("customer", "de"), ("agent", "en")]
    for final, sentence in zip(finals, (sentences[0], sentences[3]), strict=True):
        assert plain(final["text"]) == plain(sentence.text)
        assert plain(final["translation"]["text"]) == plain(sentence.translation)
    kept = desk.rest.call("GET", f"/v1/sessions/{this.session['id']}/transcript")
    assert kept["status"] == "completed"
    for final, turn in zip(finals, kept["turns"], strict=True):
        assert {name: turn[name] for name in final if name != "type"} == {
            name: value for name, value in final.items() if name != "type"
        }


def test_how_it_ended_and_what_else_was_told(told: dict[str, Told]) -> None:
    assert {name: this.session["end_reason"] for name, this in told.items()} == {
        "stream alone": "explicit_end",
        "mixed": "customer_hangup",
        "SIP alone": "customer_hangup",
    }
    assert {name: this.session["provider"] for name, this in told.items()} == {
        "stream alone": "websocket",
        "mixed": "sip",
        "SIP alone": "sip",
    }, "how the customer came"
    assert {this.close_code for this in told.values()} == {1000}
    for this in told.values():
        assert this.heard[-1] == {
            "type": "session.ended", "session_id": this.session["id"], "reason": this.session["end_reason"]
        }  # fmt: skip
    alone = told["stream alone"]
    kinds = {message["type"] for message in alone.heard}
    assert kinds >= {"speech.started", "speech.stopped", "latency", "audio.output"}
    assert not alone.of("session.error")
    assert {latency["turn"] for latency in alone.of("latency")} == {1, 2}
    assert told["mixed"].of("party.disconnected")[0]["reason"] == "its party came by SIP"


def test_nothing_that_was_said_and_no_token_is_in_the_log(
    told: dict[str, Told], desk: Desk, sentences: list[Sentence]
) -> None:
    log = desk.server.log.lower()
    for this in told.values():
        assert this.session["id"].lower() in log
    for word in ("kst_", desk.key.lower(), sentences[0].text.lower(), sentences[3].translation.lower()):
        assert word not in log


def plain(text: str) -> str:
    return " ".join("".join(char.lower() if char.isalnum() else " " for char in text).split())


def test_the_example_of_the_page_works(
    desk: Desk, told: dict[str, Told], tmp_path: Path, sentences: list[Sentence], ear: Ear
) -> None:
    page = (REPOSITORY / "docs" / "stream.md").read_text("utf-8")
    (tmp_path / "stream.py").write_text(re.findall(r"```python\n(.*?)```", page, re.S)[0])
    write_wav(tmp_path / "customer.wav", sentences[0].pcm)
    env = {"KALLGLOT_URL": api_url(desk.server), "KALLGLOT_KEY": desk.key, "PATH": os.environ["PATH"]}
    done = subprocess.run(
        [sys.executable, "stream.py", "customer.wav"], cwd=tmp_path, env=env, capture_output=True, text=True, check=True
    )
    said, ended = done.stdout.splitlines()
    text, _, translation = said.removeprefix("customer: ").partition(" -> ")
    assert (plain(text), plain(translation)) == (plain(sentences[0].text), plain(sentences[0].translation))
    assert ended == "ended: explicit_end"
    assert ear.word_errors(read_mono(tmp_path / "agent.wav"), "en", sentences[0].translation) <= 0.34


# ── kill -9 ──────────────────────────────────────────────────────────────────────

SESSIONS = 20


@pytest.fixture
async def receiver(desk: Desk) -> AsyncIterator[Receiver]:
    async with Receiver(port=desk.hook_port) as there:
        yield there


async def test_a_server_killed_in_the_middle_of_20_sessions_loses_nothing_that_was_told(
    desk: Desk, receiver: Receiver, told: dict[str, Told], sentences: list[Sentence]
) -> None:
    """No turn that a client has been told of, no webhook, and no session that stays active."""
    sessions = [desk.rest.session(recording={"enabled": True}) for _ in range(SESSIONS)]
    waiting = desk.rest.session()
    heard: dict[str, list[Json]] = {}

    async def hold(number: int, session: Json) -> None:
        stream = session["stream"]
        async with StreamClient(stream["url"], stream["token"]) as client:
            await client.until("session.ready")
            heard[session["id"]] = client.heard
            often = script(number / 20, *(part for _ in range(9) for part in (sentences[0].pcm, 1.5)))
            await asyncio.gather(speak(client, "customer", often), listen(client), return_exceptions=True)

    holding = [asyncio.create_task(hold(number, session)) for number, session in enumerate(sessions)]
    await eventually(lambda: len(heard) == SESSIONS and all(map(finals_of, heard.values())), 40)
    await asyncio.to_thread(desk.server.kill)
    await asyncio.gather(*holding)
    await asyncio.to_thread(desk.server.restart)
    again = Rest(desk.server, desk.key)
    for session in sessions:
        now = again.call("GET", f"/v1/sessions/{session['id']}")
        assert (now["status"], now["end_reason"]) == ("ended", "error")
        turns = again.call("GET", f"/v1/sessions/{session['id']}/transcript")["turns"]
        kept = {turn["sequence"]: turn["text"] for turn in turns}
        for final in finals_of(heard[session["id"]]):
            assert kept[final["sequence"]] == final["text"]
    assert again.call("GET", f"/v1/sessions/{waiting['id']}")["status"] == "created", "nobody had come to it"
    assert not again.call("GET", "/v1/sessions?status=active")["data"]
    wanted = {("session.ended", session["id"], 0) for session in sessions}
    wanted |= {("transcript.segment", this, final["sequence"]) for this in heard for final in finals_of(heard[this])}
    wanted |= {(f"session.{what}", session["id"], 0) for session in sessions for what in ("created", "started")}
    await eventually(lambda: wanted <= set(map(what_of, receiver.requests)), 20)
    again.close()


def finals_of(heard: list[Json]) -> list[Json]:
    return [message for message in heard if message["type"] == "transcript.final"]


def what_of(request: Received) -> tuple[str, str, int]:
    """What a webhook tells: its type, session, and a turn's number."""
    event = json.loads(request.body)
    data = event["data"]
    return event["type"], data.get("session_id") or data.get("id", ""), data.get("turn", data).get("sequence", 0)


@pytest.mark.parametrize("scenario", SCENARIOS)
def test_its_recordings_are_heard_through_the_api(told: dict[str, Told], scenario: str, desk: Desk) -> None:
    session = told[scenario].session
    listed = desk.rest.call("GET", f"/v1/sessions/{session['id']}/recordings")["data"]
    assert sorted((one["channel"], one["status"]) for one in listed) == [("agent", "ready"), ("customer", "ready")]
    for one in listed:
        whole = desk.rest.fetch(one["download_url"])
        assert (whole.headers["content-type"], len(whole.content)) == ("audio/wav", one["size"])
        assert one["duration"] == session["duration_seconds"]
        with wave.open(io.BytesIO(whole.content)) as sound:
            assert sound.getnchannels() == 2
            length_s = sound.getnframes() / sound.getframerate()
    mixed = desk.rest.fetch(f"{listed[0]['download_url']}?channel=mixed&format=mp3")
    assert mixed.headers["content-type"] == "audio/mpeg"
    with av.open(io.BytesIO(mixed.content), "r") as container:
        seconds = sum(frame.samples / frame.sample_rate for frame in container.decode(audio=0))
    assert seconds == pytest.approx(length_s, abs=0.2)


def test_what_the_server_does_in_the_background_is_done(told: dict[str, Told], desk: Desk) -> None:
    """Analyses are made, documents are read: by the tasks of a server as it is started by people."""
    session_id = told["mixed"].session["id"]
    analysis = desk.rest.call("POST", f"/v1/sessions/{session_id}/analysis", {"include": ["performance", "keywords"]})
    base = desk.rest.call("POST", "/v1/knowledge_bases", {"name": "Returns"})
    documents = f"/v1/knowledge_bases/{base['id']}/documents"
    desk.rest.call("POST", documents, {"title": "Refunds", "text": "Parcels sent back are refunded."})

    def done() -> bool:
        read = desk.rest.call("GET", f"/v1/analyses/{analysis['id']}")["status"] != "processing"
        return bool(read and desk.rest.call("GET", documents)["data"][0]["status"] == "ready")

    asyncio.run(eventually(done, 20.0))
    made = desk.rest.call("GET", f"/v1/analyses/{analysis['id']}")
    assert (made["status"], set(made["performance"]["talk_ratio"])) == ("completed", {"customer", "agent"})
    found = desk.rest.call("POST", f"/v1/knowledge_bases/{base['id']}/search", {"query": "refund"})
    assert found["data"][0]["title"] == "Refunds"
