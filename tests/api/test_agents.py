"""Stored agents over HTTP."""

from __future__ import annotations

from typing import Any

import pytest

from kallglot_media.store import audit
from kallglot_media.store.page import Page
from tests.support.api_world import ApiWorld

pytestmark = pytest.mark.loopback

PATH = "/v1/agents"
TOOL = {"name": "lookup_order", "description": "Look up an order", "parameters": {"type": "object", "properties": {}}}


async def test_an_agent_is_made_read_changed_and_deleted(api: ApiWorld) -> None:
    base = await api.call("POST", "/v1/knowledge_bases", {"name": "Returns"})
    body = {
        "name": "Support",
        "system_prompt": "You help.",
        "voice": "alloy",
        "temperature": 0.5,
        "knowledge_base_id": base["id"],
        "tools": [TOOL],
        "handoff": {"to": "+4930123456", "mode": "cold", "summary": False},
        "metadata": {"team": 7},
    }
    made = await api.call("POST", PATH, body)
    assert made["id"].startswith("agt_")
    assert made == {**body, "id": made["id"], "object": "agent", "greeting": None, "tools": [{**TOOL}],
                    "created_at": made["created_at"], "updated_at": made["updated_at"]}  # fmt: skip
    assert await api.call("GET", f"{PATH}/{made['id']}") == made
    changed = await api.call("PATCH", f"{PATH}/{made['id']}", {"greeting": "Hello!", "voice": None, "tools": []})
    assert (changed["greeting"], changed["voice"], changed["tools"], changed["name"]) == ("Hello!", None, [], "Support")
    assert (await api.call("PATCH", f"{PATH}/{made['id']}", {"metadata": None}))["metadata"] == {}
    listed = await api.call("GET", PATH)
    assert ([one["id"] for one in listed["data"]], listed["url"]) == ([made["id"]], PATH)
    assert await api.call("DELETE", f"{PATH}/{made['id']}") == {"id": made["id"], "object": "agent", "deleted": True}
    for method in ("GET", "DELETE"):
        assert (await api.refused(404, method, f"{PATH}/{made['id']}"))["code"] == "agent_not_found"
    assert (await api.refused(404, "PATCH", f"{PATH}/{made['id']}", {}))["code"] == "agent_not_found"
    actions = [one.action for one in (await api.store.read(audit.page, Page(), subject=made["id"])).items]
    assert actions == ["agent.deleted", "agent.changed", "agent.changed", "agent.created"]


async def test_the_same_key_makes_one_agent(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.call("POST", PATH, {"name": "A"}, headers=headers)
    assert await api.call("POST", PATH, {"name": "A"}, headers=headers) == first
    assert len((await api.call("GET", PATH))["data"]) == 1


WRONG: list[tuple[int, dict[str, Any], str, str]] = [
    (400, {}, "name", "is missing"),
    (400, {"name": ""}, "name", "at least 1"),
    (400, {"name": "x" * 201}, "name", "at most 200"),
    (400, {"name": "a", "prompt": "x"}, "prompt", "system_prompt"),
    (400, {"name": "a", "voice": "bob"}, "voice", "'alloy'"),
    (400, {"name": "a", "temperature": 3}, "temperature", "at most 2"),
    (400, {"name": "a", "temperature": "hot"}, "temperature", "a number"),
    (400, {"name": "a", "tools": {}}, "tools", "a list"),
    (400, {"name": "a", "tools": [{"name": "no spaces"}]}, "tools[0].name", "match"),
    (400, {"name": "a", "tools": [{"name": "t", "url": "ftp://x"}]}, "tools[0].url", "match"),
    (400, {"name": "a", "handoff": {}}, "handoff.to", "is missing"),
    (422, {"name": "a", "tools": [TOOL, TOOL]}, "tools[1].name", "another name"),
    (
        422,
        {"name": "a", "tools": [{"name": "t", "parameters": {"type": "array"}}]},
        "tools[0].parameters.type",
        "object",
    ),
    (
        422,
        {"name": "a", "tools": [{"name": "t", "parameters": {"properties": 7}}]},
        "tools[0].parameters",
        "properties",
    ),
    (
        422,
        {"name": "a", "tools": [{"name": "t", "parameters": {"$ref": "https://example.com/schema"}}]},
        "tools[0].parameters",
        "not fetched",
    ),
    (404, {"name": "a", "knowledge_base_id": "kb_0"}, "knowledge_base_id", "POST /v1/knowledge_bases"),
]


async def test_wrong_agents(api: ApiWorld) -> None:
    for status, body, param, words in WRONG:
        error = await api.refused(status, "POST", PATH, body)
        assert (error["param"], words in error["message"]) == (param, True), error
    made = await api.call("POST", PATH, {"name": "A"})
    error = await api.refused(404, "PATCH", f"{PATH}/{made['id']}", {"knowledge_base_id": "kb_0"})
    assert (error["code"], error["param"]) == ("knowledge_base_not_found", "knowledge_base_id")
    await api.refused(400, "PATCH", f"{PATH}/{made['id']}", {"temperature": -1})
