"""The stream: who is let in, what passes, and how it ends. A real websockets client, a real uvicorn."""

from __future__ import annotations

import asyncio
import json
import ssl
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.call import events as e
from kallglot_media.call.clients import ToolOutcome
from kallglot_media.call.desk import Wish
from kallglot_media.call.turn import TranslatedText, Turn, TurnTimings
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from kallglot_media.store import sessions, stream_tokens
from kallglot_media.store.sessions import NewSession
from tests.support.api_world import ApiWorld, api_world
from tests.support.certificates import Authority
from tests.support.stream_client import StreamClient

C, A = Party.CUSTOMER, Party.AGENT
SOUND = b"\x55" * 160
TURN = Turn(1, "customer", "de", "Guten Tag.", TranslatedText("en", "Good morning."), 240, 900, 0.9)


def client_of(session: dict[str, Any], **more: Any) -> StreamClient:
    return StreamClient(session["stream"]["url"], session["stream"]["token"], **more)


# ── who is let in ────────────────────────────────────────────────────────────────


async def test_a_client_is_greeted_with_what_the_session_is_and_carries_both_parties(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        assert await client.next() == {
            "type": "session.ready",
            "session_id": session["id"],
            "status": "created",
            "mode": "bidirectional_translation",
            "source_language": "de",
            "target_language": "en",
            "speakers": ["customer", "agent"],
            "connected": [
                {"speaker": "customer", "provider": "websocket"},
                {"speaker": "agent", "provider": "websocket"},
            ],
            "audio": {"encoding": "mulaw", "sample_rate_hz": 8000},
        }
        assert (await api.read_until(session["id"], "active"))["started_at"] is not None


async def refused(client: StreamClient) -> tuple[int, str]:
    """The close code, and the code of the session.error before it."""
    async with client:
        await client.until_closed()
    assert [message["type"] for message in client.heard] == ["session.error"]
    assert client.reason == client.heard[0]["message"][: len(client.reason)], "the reason is the message, cut"
    return client.code, client.heard[0]["code"]


async def test_tokens_that_open_nothing(api: ApiWorld, caplog: pytest.LogCaptureFixture) -> None:
    session, other = await api.session(), await api.session()
    url, secret, now_ms = session["stream"]["url"], api.parts.stream_secret, api.store.now_ms()
    expired = stream_tokens.issue(secret, session["id"], now_ms, lifetime_ms=-1)
    for token, code in (
        (expired, "expired_token"),
        (other["stream"]["token"], "invalid_token"),
        (session["stream"]["token"][:-1], "invalid_token"),
        ("kst_", "invalid_token"),
        ("%00%ff", "invalid_token"),
    ):
        assert await refused(StreamClient(url, token)) == (4401, code)
    assert session["stream"]["token"][:-1] not in caplog.text


async def test_an_api_key_opens_no_stream_wherever_it_is(api: ApiWorld) -> None:
    url = (await api.session())["stream"]["url"]
    header = {"Authorization": f"Bearer {api.token}"}
    assert await refused(StreamClient(url, api.token)) == (4401, "invalid_token")
    assert await refused(StreamClient(url, additional_headers=header)) == (4401, "invalid_token")
    assert await refused(StreamClient(url, additional_headers={"X-API-Key": api.token})) == (4401, "invalid_token")


async def test_a_token_is_looked_at_when_connecting_only_and_may_be_used_again_until_it_expires(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    session = await api.session()
    token = session["stream"]["token"]
    async with StreamClient(session["stream"]["url"], token) as client:
        await client.until("session.ready")
        async with StreamClient(session["stream"]["url"], token, query="listen=true") as again:
            await again.until("session.ready")
        later_ms = api.store.now_ms() + stream_tokens.LIFETIME_MS
        monkeypatch.setattr(api.store, "_clock", lambda: later_ms)
        assert await refused(StreamClient(session["stream"]["url"], token)) == (4401, "expired_token")
        await client.send("ping")
        assert await client.until("pong") == {"type": "pong", "session_id": session["id"]}


async def test_no_such_session_and_one_that_is_over(api: ApiWorld) -> None:
    session = await api.session()
    nowhere = "sess_01JZX4NOWHERE0000000000000"
    token = stream_tokens.issue(api.parts.stream_secret, nowhere, api.store.now_ms())
    url = session["stream"]["url"]
    assert await refused(StreamClient(url.replace(session["id"], nowhere), token)) == (4404, "session_not_found")
    await api.call("POST", f"/v1/sessions/{session['id']}/end")
    async with client_of(session) as late:
        assert await late.until_closed() == 1000
    assert late.heard == [{"type": "session.ended", "session_id": session["id"], "reason": "explicit_end"}]


async def test_a_second_client_is_too_late_unless_it_listens_or_has_a_party_of_its_own(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session, query="speaker=customer") as customer:
        assert (await customer.until("session.ready"))["speakers"] == ["customer"]
        assert await refused(client_of(session, query="speaker=customer")) == (4409, "party_unavailable")
        async with client_of(session) as agent:
            assert (await agent.until("session.ready"))["speakers"] == ["agent"]
            async with client_of(session, query="listen=true") as listener, client_of(session) as subscriber:
                await subscriber.send("subscribe", events=["transcript.final"])
                assert (await listener.until("session.ready"))["speakers"] == []
                assert (await subscriber.until("session.ready"))["speakers"] == []
            async with client_of(session) as third:
                await third.send("ping")
                assert await third.until_closed() == 4409


async def test_a_client_that_only_listens_takes_nobodys_place(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as page:
        await page.send("subscribe", events=["transcript.final"])
        assert (await page.until("session.ready"))["speakers"] == []
        async with client_of(session) as carrier:
            assert (await carrier.until("session.ready"))["speakers"] == ["customer", "agent"]
            await page.say("customer", SOUND)
            assert (await page.until("session.error"))["code"] == "party_unavailable"
            await api.read_until(session["id"], "active")


async def test_a_client_that_says_late_that_it_only_listens_gives_its_places_back(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as page:
        await page.until("session.ready")
        await page.send("subscribe", events=["party.connected"])
        async with client_of(session) as carrier:
            assert (await carrier.until("session.ready"))["speakers"] == ["customer", "agent"]
            await page.until("party.connected")


async def test_a_client_that_subscribed_first_may_still_speak_where_nobody_else_does(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.send("subscribe", events=["tool.call"])
        await client.until("session.ready")
        assert not api.around.media.of(m.OpenStreamLeg)
        await client.say("customer", SOUND)
        await client.send("ping")
        await client.until("pong")
    assert api.around.media.of(m.StreamAudioIn) == [m.StreamAudioIn(f"{session['id']}/customer", SOUND)]


# ── what passes ──────────────────────────────────────────────────────────────────


async def test_sound_goes_in_and_comes_out(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        await client.say("agent", SOUND * 10)
        await client.send("ping")
        await client.until("pong")
        assert api.around.media.of(m.StreamAudioIn) == [m.StreamAudioIn(f"{session['id']}/agent", SOUND * 10)]
        api.registry.on_media(m.StreamAudioOut(f"{session['id']}/customer", 1600, SOUND * 5))
        said = await client.until("audio.output")
        assert (said["sequence"], said["timestamp_ms"], said["for"]) == (1, 200, "customer")
        assert {"encoding": "mulaw", "sample_rate_hz": 8000}.items() <= said["audio"].items()
        assert client.sound_for("customer") == SOUND * 5


async def test_what_is_not_to_be_heard_any_more_is_taken_back_in_order(api: ApiWorld) -> None:
    session = await api.session()
    agent, customer = f"{session['id']}/agent", f"{session['id']}/customer"
    async with client_of(session) as client:
        await client.until("session.ready")
        for event in (
            m.StreamAudioOut(customer, 0, b"\x01" * 160),
            m.StreamAudioOut(agent, 0, b"\x02" * 160),
            m.StreamCleared(customer),
            m.StreamAudioOut(customer, 1600, b"\x03" * 160),
        ):
            api.registry.on_media(event)
        await client.until("audio.output", lambda said: said["timestamp_ms"] == 200)
    told = [message for message in client.heard if message["type"].startswith("audio")]
    assert [(one["type"], one["for"]) for one in told] == [
        ("audio.output", "agent"),
        ("audio.clear", "customer"),
        ("audio.output", "customer"),
    ]


TIMINGS = TurnTimings(300.0, 40.0, 30.0, 20.0, 10.0, 400.0, 80.0)


async def test_every_event_as_clients_read_it(api: ApiWorld) -> None:
    session = await api.session()
    this = session["id"]
    async with client_of(session) as client:
        await client.until("session.ready")
        for event in (
            e.SpeechStarted(this, C, 240),
            e.PartialTranscript(this, C, "Guten", "de", "Gut", 240),
            e.SpeechStopped(this, C, 900),
            e.FinalTranscript(this, TURN),
            e.TurnHeard(this, 1, 1300, TIMINGS),
            e.AgentMessage(this, "Hello."),
            e.ToolCalled(this, "call_1", "lookup", {}),
            e.Escalated(this, "started", "+14155551234"),
        ):
            api.parts.bus.publish(event)
        await client.until("escalation.started")
    told = [message for message in client.heard if not message["type"].startswith(("session.", "party."))]
    assert told == [
        {"type": "speech.started", "speaker": "customer", "at_ms": 240},
        {
            "type": "transcript.partial", "speaker": "customer", "text": "Guten", "language": "de", "stable": "Gut",
            "start_ms": 240,
        },
        {"type": "speech.stopped", "speaker": "customer", "at_ms": 900},
        {
            "type": "transcript.final", "sequence": 1, "speaker": "customer", "text": "Guten Tag.", "language": "de",
            "translation": {"language": "en", "text": "Good morning."}, "start_ms": 240, "end_ms": 900,
        },
        {
            "type": "latency", "turn": 1, "speech_end_to_text_ms": 340.0, "endpoint_ms": 300.0, "recognize_ms": 40.0,
            "translate_ms": 30.0, "synthesize_ms": 20.0, "playout_wait_ms": 10.0,
            "speech_end_to_first_sample_ms": 400.0, "engine_ms": 80.0, "backlog_ms": 0.0, "speed": 1.0,
        },
        {"type": "agent.message", "text": "Hello."},
        {"type": "escalation.started", "to": "+14155551234", "detail": ""},
    ], "and no tool.call, which it did not subscribe to"  # fmt: skip


async def test_a_client_gets_what_it_subscribed_to_and_nothing_else(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session, query="listen=true") as client:
        await client.send("subscribe", events=["agent.message"])
        await client.send("ping")
        await client.until("pong")
        api.parts.bus.publish(e.SpeechStarted(session["id"], C, 240))
        api.parts.bus.publish(e.AgentMessage(session["id"], "Hello."))
        await client.until("agent.message")
        assert [message["type"] for message in client.heard] == ["session.ready", "pong", "agent.message"]
        await client.send("subscribe", events=["weather"])
        error = await client.until("session.error")
        assert (error["code"], error["param"]) == ("invalid_field_value", "events")
        assert "transcript.final" in error["message"]


async def test_tool_calls_are_answered_and_typed_words_heard_where_the_session_takes_them(api: ApiWorld) -> None:
    session = await api.session()
    clients = api.parts.lobby.clients(session["id"])
    async with client_of(session, query="speaker=customer") as client:
        await client.send("chat.message", text="Hello?")
        assert (await client.until("session.error"))["code"] == "invalid_mode"
        await client.send("subscribe", events=["tool.call"])
        await client.send("ping")
        await client.until("pong")
        typed: list[str] = []
        clients.on_chat = typed.append
        asked = asyncio.create_task(clients.call_tool(e.ToolCalled(session["id"], "call_1", "lookup", {"a": 1}), 5.0))
        call = await client.until("tool.call")
        assert call == {"type": "tool.call", "tool_call_id": "call_1", "name": "lookup", "arguments": {"a": 1}}
        await client.send("chat.message", text="Hello?")
        await client.send("tool.result", tool_call_id="call_1", output={"status": "sent"})
        assert await asked == ToolOutcome({"status": "sent"})
        assert typed == ["Hello?"]
        await client.send("tool.result", tool_call_id="call_1", error="too late")
        assert (await client.until("session.error"))["param"] == "tool_call_id"


async def test_a_client_that_comes_back_gets_the_finals_that_it_missed(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        running = api.parts.lobby.session(session["id"])
        assert running is not None
        for sequence in (1, 2, 3):
            running.turn_done(Turn(sequence, "customer", "de", "Ja.", None, 0, 100, 0.9))
        await client.until("transcript.final", lambda final: final["sequence"] == 1)
        client.socket.transport.abort()
    async with client_of(session, query="after=1") as client:
        await client.until("transcript.final", lambda final: final["sequence"] == 3)
    assert [message["type"] for message in client.heard] == ["session.ready", "transcript.final", "transcript.final"]


# ── what is wrong ────────────────────────────────────────────────────────────────

AUDIO = {"encoding": "mulaw", "sample_rate_hz": 8000, "payload": "VVVV"}
WRONG: dict[str, tuple[str, str | None, str]] = {
    "not json": ("{", None, "invalid_field_value"),
    "not an object": ("[1]", None, "invalid_field_value"),
    "too deep": ("[" * 100_000, None, "invalid_field_value"),
    "no type": ("{}", "type", "invalid_field_value"),
    "another type": ('{"type": "audio.output"}', "type", "invalid_field_value"),
    "a type that is no text": ('{"type": ["ping"]}', "type", "invalid_field_value"),
    "no audio": ('{"type": "audio.input", "speaker": "customer"}', "audio", "missing_required_field"),
    "nobody's sound": (json.dumps({"type": "audio.input", "audio": AUDIO}), "speaker", "missing_required_field"),
    "a stranger's sound": (
        json.dumps({"type": "audio.input", "speaker": "ai", "audio": AUDIO}), "speaker", "invalid_field_value"
    ),
    "a sequence that is no number": (
        json.dumps({"type": "audio.input", "speaker": "agent", "sequence": "1", "audio": AUDIO}),
        "sequence", "invalid_field_value",
    ),
    "an empty chat": ('{"type": "chat.message", "text": " "}', "text", "missing_required_field"),
    "a result of nothing": ('{"type": "tool.result", "output": 1}', "tool_call_id", "missing_required_field"),
    "a result and an error": (
        '{"type": "tool.result", "tool_call_id": "a", "output": 1, "error": "b"}', "output", "missing_required_field"
    ),
    "events that are no list": ('{"type": "subscribe", "events": "*"}', "events", "invalid_field_value"),
}  # fmt: skip
for name, audio, param in (
    ("another encoding", AUDIO | {"encoding": "opus"}, "audio"),
    ("another rate", AUDIO | {"sample_rate_hz": 16000}, "audio"),
    ("pcm that was not agreed", AUDIO | {"encoding": "pcm_s16le"}, "audio"),
    ("no base64", AUDIO | {"payload": "?"}, "audio.payload"),
    ("a payload that is no text", AUDIO | {"payload": 7}, "audio.payload"),
    ("no sound", AUDIO | {"payload": ""}, "audio.payload"),
    ("a minute of sound", AUDIO | {"payload": "VVVV" * 4000}, "audio.payload"),
):
    frame = json.dumps({"type": "audio.input", "speaker": "agent", "audio": audio})
    WRONG[name] = (frame, param, "invalid_audio_format")


async def test_a_wrong_message_is_answered_with_its_mend_and_the_session_lives(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        for name, (frame, param, code) in WRONG.items():
            await client.socket.send(frame)
            error = await client.until("session.error")
            assert (error["code"], error.get("param")) == (code, param), name
            assert "write" in error["message"], name
        await client.socket.send(b"\x00\x01")
        assert "binary" in (await client.until("session.error"))["message"]
        await client.say("agent", SOUND)
        await client.send("ping")
        await client.until("pong")
    assert len(api.around.media.of(m.StreamAudioIn)) == 1


async def test_a_frame_too_large_closes_the_connection_and_not_the_session(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        await client.send("chat.message", text="x" * 300_000)
        assert await client.until_closed() == 4413
    async with client_of(session) as client:
        assert (await client.until("session.ready"))["speakers"] == ["customer", "agent"]


async def test_sound_faster_than_time_goes_is_thrown_away_and_said_once(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        for _ in range(20):
            await client.say("customer", b"\x55" * 8000)
        await client.send("ping")
        await client.until("pong")
        assert [one["code"] for one in client.heard if one["type"] == "session.error"] == ["rate_limit_exceeded"]
    assert 5 <= len(api.around.media.of(m.StreamAudioIn)) <= 8


async def test_wide_sound_goes_in_and_comes_out_when_the_session_was_made_for_it(api: ApiWorld) -> None:
    session = await api.session(audio={"encoding": "pcm_s16le", "sample_rate": 16000})
    async with client_of(session) as client:
        assert (await client.until("session.ready"))["audio"] == {"encoding": "pcm_s16le", "sample_rate_hz": 16000}
        await client.say("customer", b"\x00\x10" * 3200, "pcm_s16le", 16000)
        await client.say("customer", b"\x00", "pcm_s16le", 16000)
        assert (await client.until("session.error"))["code"] == "invalid_audio_format"
        (heard,) = api.around.media.of(m.StreamAudioIn)
        assert len(heard.sound) == 1600
        api.registry.on_media(m.StreamAudioOut(f"{session['id']}/agent", 0, SOUND * 5))
        await client.until("audio.output")
        assert len(client.sound_for("agent")) == 2 * 2 * 800


# ── how it ends ──────────────────────────────────────────────────────────────────


async def test_a_client_ends_the_session_and_is_told(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client, client_of(session, query="listen=true") as listener:
        await client.until("session.ready")
        await listener.until("session.ready")
        await client.send("session.end")
        for each in (client, listener):
            assert await each.until_closed() == 1000
            assert each.heard[-1] == {"type": "session.ended", "session_id": session["id"], "reason": "explicit_end"}
    assert (await api.read_until(session["id"], "ended"))["end_reason"] == "explicit_end"


async def test_a_client_that_says_goodbye_completes_the_session(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
    assert (await api.read_until(session["id"], "ended"))["end_reason"] == "completed"


async def test_a_client_gone_without_a_close_may_come_back(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        client.socket.transport.abort()
    async with client_of(session) as client:
        assert (await client.until("session.ready"))["speakers"] == ["customer", "agent"]
    assert len(api.around.media.of(m.OpenStreamLeg)) == 2, "the same legs"


async def test_a_client_gone_without_a_close_that_does_not_come_back_ends_the_session(tmp_path: Path) -> None:
    async with api_world(tmp_path, stream={"rejoin_s": 0.05}) as api:
        session = await api.session()
        async with client_of(session) as client:
            await client.until("session.ready")
            client.socket.transport.abort()
        assert (await api.read_until(session["id"], "ended"))["end_reason"] == "timeout"


async def test_an_idle_client_is_closed_and_its_session_ends(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("kallglot_media.api.stream.endpoint.LOOK_S", 0.01)
    async with api_world(tmp_path) as api:
        settings = api.parts.settings
        soon_idle = settings.model_copy(update={"stream": settings.stream.model_copy(update={"idle_s": 0.3})})
        object.__setattr__(api.parts, "settings", soon_idle)  # the settings themselves allow no such haste
        session = await api.session()
        async with client_of(session) as client, client_of(session, query="listen=true") as listener:
            assert await client.until_closed() == 4408
            assert await listener.until_closed() == 1000, "who only listens is never idle"
        assert (await api.read_until(session["id"], "ended"))["end_reason"] == "timeout"


async def test_an_ended_session_closes_those_at_its_stream(api: ApiWorld) -> None:
    session = await api.session()
    async with client_of(session) as client:
        await client.until("session.ready")
        await api.call("POST", f"/v1/sessions/{session['id']}/end")
        assert await client.until_closed() == 1000


async def test_over_tls_it_is_the_same(tmp_path: Path) -> None:
    authority = Authority(tmp_path / "ca")
    pair = authority.sign("127.0.0.1")
    async with api_world(tmp_path, tls={"certificate": str(pair.certificate), "key": str(pair.key)}) as api:
        session = NewSession(mode="bidirectional_translation")
        made = await api.store.write(sessions.create, session)
        facts, rules = api.parts.desk.settle(Wish(session.mode))
        api.parts.lobby.create(made.id, facts, rules)
        token = stream_tokens.issue(api.parts.stream_secret, made.id, api.store.now_ms())
        url = f"wss{api.url.removeprefix('http')}/v1/sessions/{made.id}/connect"
        async with StreamClient(url, token, ssl=ssl.create_default_context(cafile=authority.ca)) as client:
            await client.until("session.ready")
            await client.say("customer", SOUND)
            for number in range(100):
                api.registry.on_media(m.StreamAudioOut(f"{made.id}/agent", 800 * number, SOUND * 5))
            await client.send("ping")
            await client.until("pong")
    assert api.around.media.of(m.StreamAudioIn) == [m.StreamAudioIn(f"{made.id}/customer", SOUND)]
