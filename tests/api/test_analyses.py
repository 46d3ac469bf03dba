"""Analyses over HTTP: asked for, made in the background, read, told to webhooks."""

from __future__ import annotations

from typing import Any

import pytest

from kallglot_media.store import deliveries
from kallglot_media.store.page import Page
from tests.support.api_world import ApiWorld

pytestmark = pytest.mark.loopback

SCRIPT = """
    0-2 customer de Meine Bestellung ist kaputt angekommen | en My order arrived broken
    3-5 agent    en I will send you a new one today | de Ich schicke Ihnen heute eine neue
"""


async def test_an_analysis_is_asked_for_made_and_read(api: ApiWorld) -> None:
    hook = await api.call(
        "POST", "/v1/webhook_endpoints", {"url": "http://127.0.0.1:1/", "events": ["analysis.complete"]}
    )
    made = await api.session()
    await api.say(made["id"], SCRIPT)
    asked = await api.client.post(f"/v1/sessions/{made['id']}/analysis")
    assert asked.status_code == 202
    started = asked.json()
    assert (started["object"], started["status"], started["profile"]) == ("analysis", "processing", "default")
    assert started["include"] == ["summary", "sentiment", "compliance", "keywords", "performance"]
    await api.make_analyses()
    done = await api.call("GET", f"/v1/analyses/{started['id']}")
    assert (done["status"], done["completed_at"] >= done["created_at"]) == ("completed", True)
    assert "I will send you a new one today" in done["summary"]
    assert {kind: one["method"] for kind, one in done["results"].items()} == {
        "summary": "extract",
        "sentiment": "lexicon",
        "compliance": "computed",
        "keywords": "computed",
        "performance": "computed",
    }
    (told,) = (await api.store.read(deliveries.page, Page(), endpoint_id=hook["id"])).items
    assert (told.event_type, told.session_id) == ("analysis.complete", made["id"])


async def test_only_what_is_wanted_with_its_options(api: ApiWorld) -> None:
    made = await api.session()
    await api.say(made["id"], SCRIPT)
    rule = {"name": "repair", "phrases": ["new one"], "speaker": "agent", "within_seconds": 10}
    body = {
        "include": ["compliance", "keywords", "compliance"],
        "profile": "sales",
        "language": "de",
        "compliance": {"rules": [rule]},
        "keywords": {"limit": 1},
    }
    started = await api.call("POST", f"/v1/sessions/{made['id']}/analysis", body)
    assert (started["include"], started["profile"]) == (["compliance", "keywords"], "sales")
    await api.make_analyses()
    done = await api.call("GET", f"/v1/analyses/{started['id']}")
    assert (done["compliance"], done["summary"], done["sentiment"]) == ({"status": "ok", "flags": []}, None, None)
    assert done["results"]["compliance"]["rules"][0]["found"][0]["speaker"] == "agent"
    assert len({word["language"] for word in done["results"]["keywords"]["keywords"]}) == len(done["keywords"])


async def test_a_session_without_words_fails_and_says_why(api: ApiWorld) -> None:
    made = await api.session()
    started = await api.call("POST", f"/v1/sessions/{made['id']}/analysis", {"include": ["summary"]})
    await api.make_analyses()
    done = await api.call("GET", f"/v1/analyses/{started['id']}")
    assert (done["status"], "no transcript" in done["error"]) == ("failed", True)


WRONG: list[tuple[int, dict[str, Any], str, str]] = [
    (400, {"include": []}, "include", "at least 1"),
    (400, {"include": ["mood"]}, "include[0]", "'summary'"),
    (400, {"include": "summary"}, "include", "a list"),
    (400, {"analyses": ["summary"]}, "analyses", "no such field"),
    (400, {"language": "German"}, "language", "did you mean 'de'?"),
    (400, {"profile": ""}, "profile", "at least 1"),
    (400, {"compliance": {}}, "compliance.rules", "is missing"),
    (400, {"compliance": {"rules": [{"name": "a"}]}}, "compliance.rules[0].phrases", "is missing"),
    (400, {"compliance": {"rules": [{"name": "a", "phrases": [" "]}]}}, "compliance.rules[0].phrases[0]", "match"),
    (400, {"compliance": {"rules": [{"name": "a", "phrases": ["b"], "must": "x"}]}}, "compliance.rules[0].must", "say"),
    (400, {"compliance": {"rules": [{"name": "a", "phrases": ["b"], "within_seconds": -1}]}},
     "compliance.rules[0].within_seconds", "at least 0"),
    (400, {"keywords": {"limit": 101}}, "keywords.limit", "at most 100"),
    (400, {"keywords": {"limit": 1.5}}, "keywords.limit", "whole number"),
    (422, {"include": ["compliance"]}, "compliance", "rules"),
]  # fmt: skip


async def test_wrong_analysis_requests(api: ApiWorld) -> None:
    path = f"/v1/sessions/{(await api.session())['id']}/analysis"
    for status, body, param, words in WRONG:
        error = await api.refused(status, "POST", path, body)
        assert (error["param"], words in error["message"]) == (param, True), error
    assert (await api.refused(404, "POST", "/v1/sessions/sess_0/analysis", {}))["code"] == "session_not_found"
    assert (await api.refused(404, "GET", "/v1/analyses/anl_0"))["code"] == "analysis_not_found"
    headers = {"Idempotency-Key": "one"}
    first = await api.call("POST", path, {"include": ["keywords"]}, headers=headers)
    assert await api.call("POST", path, {"include": ["keywords"]}, headers=headers) == first
