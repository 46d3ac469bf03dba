"""Sessions over HTTP: made, read, listed, steered, ended; and every way in which a request can be wrong."""

from __future__ import annotations

import asyncio
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.api.session_checks import missing
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import Party
from tests.support.api_world import ApiWorld, api_world
from tests.support.call_world import answered, failed

pytestmark = pytest.mark.loopback

MODE = {"mode": "bidirectional_translation"}


# ── made and read ────────────────────────────────────────────────────────────────


async def test_a_new_session_says_all_that_a_client_needs(api: ApiWorld) -> None:
    made = await api.session(metadata={"ticket": "4711"})
    token = made["stream"].pop("token")
    expires_at = made["stream"].pop("expires_at")
    assert token.startswith("kst_")
    assert made.pop("created_at") < expires_at
    session_id = made["id"]
    assert session_id.startswith("sess_")
    assert made == {
        "id": session_id,
        "object": "session",
        "status": "created",
        "mode": "bidirectional_translation",
        "provider": "websocket",
        "phone_number": None,
        "source_language": "de",
        "target_language": "en",
        "stream": {"url": f"{api.url.replace('http', 'ws')}/v1/sessions/{session_id}/connect"},
        "recording": {"enabled": True},
        "metadata": {"ticket": "4711"},
        "started_at": None,
        "ended_at": None,
        "duration_seconds": None,
        "end_reason": None,
    }
    read = await api.call("GET", f"/v1/sessions/{session_id}")
    assert read["stream"]["token"] != token, "each time a fresh one"


async def test_routing_says_how_the_parties_come(api: ApiWorld) -> None:
    made = await api.session(routing={"phone_number": "+4930123456"})
    assert (made["provider"], made["phone_number"]) == ("sip", "+4930123456")
    made = await api.session(routing={"type": "sip", "sip": {"headers": {"X-Ticket": "1"}}, "direction": "outbound"})
    assert made["provider"] == "sip"


@pytest.mark.parametrize("audio", [{}, {"encoding": "mulaw"}, {"encoding": "pcm_s16le"}, {"sample_rate": 8000}])
async def test_audio_may_be_named_in_part(api: ApiWorld, audio: dict[str, Any]) -> None:
    assert (await api.session(audio=audio))["status"] == "created"


async def test_ending_is_done_once_and_may_be_asked_twice(api: ApiWorld) -> None:
    made = await api.session()
    ended = await api.call("POST", f"/v1/sessions/{made['id']}/end")
    assert (ended["status"], ended["end_reason"], "stream" in ended) == ("ended", "explicit_end", False)
    assert await api.call("POST", f"/v1/sessions/{made['id']}/end") == ended
    assert await api.call("GET", f"/v1/sessions/{made['id']}") == ended


async def test_lists_are_newest_first_and_page_both_ways(api: ApiWorld) -> None:
    ids = [(await api.session())["id"] for _ in range(5)]
    first = await api.call("GET", "/v1/sessions?limit=2")
    assert ([one["id"] for one in first["data"]], first["has_more"]) == ([ids[4], ids[3]], True)
    assert "stream" not in first["data"][0]
    rest = await api.call("GET", f"/v1/sessions?limit=3&starting_after={ids[3]}")
    assert ([one["id"] for one in rest["data"]], rest["has_more"]) == ([ids[2], ids[1], ids[0]], False)
    back = await api.call("GET", f"/v1/sessions?limit=1&ending_before={ids[2]}")
    assert ([one["id"] for one in back["data"]], back["has_more"]) == ([ids[3]], True)
    await api.call("POST", f"/v1/sessions/{ids[0]}/end")
    only = await api.call("GET", "/v1/sessions?status=ended&mode=bidirectional_translation")
    assert [one["id"] for one in only["data"]] == [ids[0]]
    assert only["url"] == "/v1/sessions"


async def test_metadata_may_be_changed_and_the_mode_may_not(api: ApiWorld) -> None:
    made = await api.session(metadata={"a": 1})
    path = f"/v1/sessions/{made['id']}"
    assert (await api.call("PATCH", path, {"metadata": {"b": 2}}))["metadata"] == {"b": 2}
    assert (await api.call("PATCH", path, {"mode": made["mode"]}))["metadata"] == {"b": 2}
    error = await api.refused(409, "PATCH", path, {"mode": "assistive_translation", "metadata": {}})
    assert (error["code"], error["param"], "create another" in error["message"]) == ("mode_immutable", "mode", True)
    assert (await api.call("PATCH", path, {"metadata": None}))["metadata"] == {}
    assert (await api.refused(404, "PATCH", "/v1/sessions/sess_0", {}))["code"] == "session_not_found"
    assert (await api.refused(400, "PATCH", path, {"status": "ended"}))["param"] == "status"


async def test_what_a_new_session_names_has_to_be_there(api: ApiWorld) -> None:
    agent = await api.call("POST", "/v1/agents", {"name": "A"})
    base = await api.call("POST", "/v1/knowledge_bases", {"name": "B"})
    good = {"knowledge_base_id": base["id"]}
    lacks = {"knowledge_base_id": "kb_0"}
    for wanted, code, param in (
        ({"ai_agent": {"agent_id": "agt_0"}}, "ai_agent_not_found", "ai_agent.agent_id"),
        ({"ai_agent": {"agent_id": agent["id"], **lacks}}, "knowledge_base_not_found", "ai_agent.knowledge_base_id"),
        (
            {"ai_agent": {**good, "overrides": lacks}},
            "knowledge_base_not_found",
            "ai_agent.overrides.knowledge_base_id",
        ),
        ({"help_chat": lacks}, "knowledge_base_not_found", "help_chat.knowledge_base_id"),
    ):
        error = await api.store.read(missing, wanted)
        assert error is not None
        assert (error.status_code, error.code, error.param) == (404, code, param)
    assert await api.store.read(missing, {"ai_agent": {"agent_id": agent["id"], **good}, "help_chat": good}) is None


# ── steered ──────────────────────────────────────────────────────────────────────


async def test_a_party_is_dialled_through_the_trunk_that_the_session_names(api: ApiWorld) -> None:
    made = await api.session(routing={"connection_id": "carrier"})
    path = f"/v1/sessions/{made['id']}/dial"
    dialling = asyncio.create_task(
        api.call("POST", path, {"to": "+4989123456", "role": "customer", "headers": {"X-Ticket": "1"}})
    )
    await api.dialled()
    assert api.around.signalling.verbs == [("dial", "trunk:carrier/+4989123456", "sip:kallglot@192.0.2.10")]
    api.registry.on_sip(answered())
    call = await dialling
    assert (call["object"], call["status"], call["role"], call["direction"]) == (
        "call",
        "answered",
        "customer",
        "outbound",
    )
    error = await api.refused(409, "POST", path, {"to": "+4989123456", "role": "customer"})
    assert error["code"] == "party_unavailable"
    hung_up = await api.call("POST", f"/v1/sessions/{made['id']}/hangup", {"role": "customer"})
    assert (hung_up["id"], hung_up["status"]) == (call["id"], "ended")
    assert (await api.call("GET", f"/v1/sessions/{made['id']}"))["status"] == "created"


async def test_a_party_that_cannot_be_had_is_told_with_its_sip_status(api: ApiWorld) -> None:
    made = await api.session()
    body = {"to": "sip:bob@192.0.2.30", "role": "agent"}
    dialling = asyncio.create_task(api.refused(502, "POST", f"/v1/sessions/{made['id']}/dial", body))
    await api.dialled()
    api.registry.on_sip(failed(486))
    error = await dialling
    assert (error["code"], error["type"], "486" in error["message"]) == ("dial_failed", "api_error", True)


async def test_what_happens_in_a_session_is_read_from_the_store(api: ApiWorld) -> None:
    made = await api.session()
    api.parts.lobby.connect_stream(made["id"], (Party.CUSTOMER, Party.AGENT))
    await api.read_until(made["id"], "active")
    api.around.media.on_event(m.RtpLost(f"{made['id']}/customer", 30_000))
    ended = await api.read_until(made["id"], "ended")
    assert (ended["end_reason"], ended["duration_seconds"]) == ("timeout", 3.0)


async def test_steering_a_session_that_is_over_or_never_was(api: ApiWorld) -> None:
    made = await api.session()
    await api.call("POST", f"/v1/sessions/{made['id']}/end")
    body = {"to": "sip:bob@192.0.2.30", "role": "agent"}
    error = await api.refused(409, "POST", f"/v1/sessions/{made['id']}/dial", body)
    assert (error["code"], error["type"]) == ("session_ended", "conflict_error")
    for path, sent in (("dial", body), ("transfer", body), ("hangup", {"role": "agent"}), ("end", None)):
        error = await api.refused(404, "POST", f"/v1/sessions/sess_0/{path}", sent)
        assert error["code"] == "session_not_found"


# ── wrong ────────────────────────────────────────────────────────────────────────

WRONG: list[tuple[int, dict[str, Any], str, str, str]] = [
    (400, {}, "missing_required_field", "mode", "is missing"),
    (400, {"mode": "telepathy"}, "invalid_mode", "mode", "bidirectional_translation"),
    (400, {"mode": 7}, "invalid_mode", "mode", "write"),
    (422, {"mode": "ai_agent"}, "invalid_mode", "mode", "language model"),
    (400, {**MODE, "source_language": "German"}, "invalid_language_code", "source_language", "did you mean 'de'?"),
    (400, {**MODE, "source_language": "xx"}, "invalid_language_code", "source_language", "ISO 639-1"),
    (400, {**MODE, "source_language": 5}, "invalid_field_value", "source_language", "write a text"),
    (422, {**MODE, "source_language": "fr"}, "invalid_language_code", "source_language", "speech.languages"),
    (422, {**MODE, "source_language": "en", "target_language": "en"}, "invalid_field_value", "target_language", "same"),
    (400, {**MODE, "provider": "sip"}, "invalid_field_value", "provider", "write routing instead"),
    (400, {**MODE, "sorce_language": "de"}, "invalid_field_value", "sorce_language", "did you mean 'source_language'?"),
    (400, {**MODE, "routing": []}, "invalid_field_value", "routing", "write an object"),
    (422, {**MODE, "routing": {}}, "invalid_field_value", "routing", "exactly one"),
    (
        422,
        {**MODE, "routing": {"phone_number": "+4930123456", "type": "sip"}},
        "invalid_field_value",
        "routing",
        "exactly one",
    ),
    (400, {**MODE, "routing": {"phone_number": "030-123"}}, "invalid_field_value", "routing.phone_number", "E.164"),
    (422, {**MODE, "routing": {"connection_id": "x"}}, "invalid_field_value", "routing.connection_id", "carrier"),
    (
        400,
        {**MODE, "routing": {"type": "sip", "sip": {"headers": {"From": "x"}}}},
        "invalid_field_value",
        "routing.sip.headers.From",
        "match",
    ),
    (422, {**MODE, "audio": {"sample_rate": 16000}}, "invalid_field_value", "audio.sample_rate", "8000"),
    (400, {**MODE, "audio": {"encoding": "opus"}}, "invalid_field_value", "audio.encoding", "'mulaw' or 'pcm_s16le'"),
    (400, {**MODE, "recording": {"enabled": "yes"}}, "invalid_field_value", "recording.enabled", "true or false"),
    (400, {**MODE, "metadata": {str(n): n for n in range(51)}}, "invalid_field_value", "metadata", "at most 50"),
    (422, {**MODE, "ai_agent": {}}, "invalid_field_value", "ai_agent", "does not go with mode"),
]


@pytest.mark.parametrize(("status", "body", "code", "param", "words"), WRONG, ids=[str(one[1])[:60] for one in WRONG])
async def test_a_wrong_field_is_named_with_what_to_write_instead(
    shared: ApiWorld, status: int, body: dict[str, Any], code: str, param: str, words: str
) -> None:
    error = await shared.refused(status, "POST", "/v1/sessions", body)
    assert (error["code"], error.get("param"), error["type"]) == (code, param, "invalid_request_error")
    assert words in error["message"]


BROKEN = {
    "nothing": (b"", "application/json", "the body is missing"),
    "cut off": (b'{"mode":', "application/json", "not JSON"),
    "a list": (b"[]", "application/json", "send a JSON object"),
    "not said to be JSON": (b'{"mode":"ai_agent"}', "text/plain", "Content-Type: application/json"),
    "invalid UTF-8": (b'{"mode":"\xff"}', "application/json", "not JSON"),
    "a lone surrogate": (b'{"mode":"\\ud800"}', "application/json", "not JSON"),
    "NaN": (b'{"mode":NaN}', "application/json", "not JSON"),
    "too deep": (b'{"metadata":' + b"[" * 40 + b"]" * 40 + b"}", "application/json", "deeper than"),
    "far too deep": (b'{"metadata":' + b"[" * 100_000 + b"}", "application/json", "not JSON"),
    "too large": (b'{"mode":"' + b"x" * 1_100_000 + b'"}', "application/json", "larger than"),
}


@pytest.mark.parametrize("name", BROKEN)
async def test_a_body_that_cannot_be_read_is_refused(shared: ApiWorld, name: str) -> None:
    content, content_type, words = BROKEN[name]
    response = await shared.client.post("/v1/sessions", content=content, headers={"Content-Type": content_type})
    assert response.status_code == 400
    assert words in response.json()["error"]["message"]


@pytest.mark.parametrize(
    ("query", "param"),
    [("limit=0", "limit"), ("limit=101", "limit"), ("limit=x", "limit"), ("status=dead", "status"), ("mode=x", "mode")],
)
async def test_a_wrong_query_is_refused(shared: ApiWorld, query: str, param: str) -> None:
    error = await shared.refused(400, "GET", f"/v1/sessions?{query}")
    assert error["param"] == param


async def test_two_cursors_at_once_are_refused(shared: ApiWorld) -> None:
    error = await shared.refused(422, "GET", "/v1/sessions?starting_after=a&ending_before=b")
    assert error["param"] == "ending_before"


async def test_paths_and_methods_that_are_not_there(shared: ApiWorld) -> None:
    assert (await shared.refused(404, "GET", "/v2/sessions"))["code"] == "not_found"
    response = await shared.client.delete("/v1/sessions")
    assert (response.status_code, response.headers["allow"]) == (405, "GET, POST")
    assert response.json()["error"]["code"] == "method_not_allowed"
    assert (await shared.refused(404, "GET", "/v1/sessions/sess_%00%ff"))["code"] == "session_not_found"


async def test_a_server_that_drains_makes_no_session(tmp_path: Path) -> None:
    async with api_world(tmp_path) as api:
        api.registry.draining = True
        error = await api.refused(503, "POST", "/v1/sessions", MODE)
        assert (error["code"], error["retry_after"] > 0) == ("capacity_exceeded", True)
