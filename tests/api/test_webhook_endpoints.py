"""Webhook endpoints over HTTP: made, changed, tested, deleted; and the history of what was sent."""

from __future__ import annotations

import json
import time
from typing import Any

import pytest

from kallglot_media.store import audit
from kallglot_media.store.page import Page
from kallglot_media.webhooks.post import HttpPost
from kallglot_media.webhooks.sender import WebhookSender
from kallglot_media.webhooks.signature import verify
from tests.support.api_world import ApiWorld
from tests.support.receiver import Receiver

pytestmark = pytest.mark.loopback

PATH = "/v1/webhook_endpoints"


async def test_an_endpoint_is_made_read_changed_and_deleted(api: ApiWorld) -> None:
    body = {"url": "https://example.com/hook", "events": ["session.ended"], "description": "ours", "metadata": {"a": 1}}
    made = await api.call("POST", PATH, body)
    assert made["id"].startswith("wh_")
    assert made["secret"].startswith("whsec_")
    shown = {name: value for name, value in made.items() if name != "secret"}
    assert shown == {**body, "id": made["id"], "object": "webhook_endpoint", "enabled": True,
                     "created_at": made["created_at"], "updated_at": made["updated_at"]}  # fmt: skip
    assert await api.call("GET", f"{PATH}/{made['id']}") == shown, "its secret is shown once"
    assert (await api.call("GET", PATH))["data"] == [shown]
    changed = await api.call("PATCH", f"{PATH}/{made['id']}", {"enabled": False, "events": ["*"]})
    assert (changed["enabled"], changed["events"], changed["url"]) == (False, ["*"], body["url"])
    assert (await api.call("DELETE", f"{PATH}/{made['id']}"))["deleted"] is True
    for method, path, sent in (("GET", "", None), ("DELETE", "", None), ("PATCH", "", {}), ("POST", "/test", None),
                               ("GET", "/deliveries", None)):  # fmt: skip
        error = await api.refused(404, method, f"{PATH}/{made['id']}{path}", sent)
        assert error["code"] == "webhook_endpoint_not_found"
    entries = (await api.store.read(audit.page, Page(), subject=made["id"])).items
    assert [one.action.partition(".")[2] for one in entries] == ["deleted", "changed", "created"]
    assert made["secret"] not in json.dumps([dict(one.detail or {}) for one in entries])


async def test_events_arrive_signed_with_the_endpoints_secret_and_their_history_is_kept(api: ApiWorld) -> None:
    async with Receiver() as receiver:
        receiver.will(500)
        url = f"http://127.0.0.1:{receiver.port}/hook"
        made = await api.call(
            "POST", PATH, {"url": url, "events": ["session.created"], "secret": "whsec_my_own_secret"}
        )
        assert made["secret"] == "whsec_my_own_secret"
        session = await api.session()
        post = HttpPost(api.parts.guard)
        sender = WebhookSender(api.store, post, chance=lambda: 0.0)
        await sender.step()
        tested = await api.client.post(f"{PATH}/{made['id']}/test")
        assert (tested.status_code, tested.json()["event_type"]) == (202, "endpoint.test")
        await sender.step()
        await post.close()
    for request in receiver.requests:
        assert verify(made["secret"], request.headers["kallglot-signature"], request.body, time.time())
    envelope = json.loads(receiver.requests[0].body)
    assert (envelope["type"], envelope["data"]["id"], envelope["api_version"]) == (
        "session.created",
        session["id"],
        "v1",
    )
    history = await api.call("GET", f"{PATH}/{made['id']}/deliveries")
    test, created = history["data"]
    assert (created["state"], created["attempts"], created["next_attempt_at"] > created["created_at"]) == (
        "pending",
        1,
        True,
    )
    assert (test["state"], test["next_attempt_at"], test["session_id"]) == ("delivered", None, None)
    only = await api.call("GET", f"{PATH}/{made['id']}/deliveries?state=pending")
    assert [one["id"] for one in only["data"]] == [created["id"]]
    whole = await api.call("GET", f"{PATH}/{made['id']}/deliveries/{created['id']}")
    assert whole["event"] == envelope
    (attempt,) = whole["history"]
    assert (attempt["number"], attempt["status"], attempt["answer"]) == (1, 500, "thanks")
    assert "answered 500" in attempt["error"]
    error = await api.refused(404, "GET", f"{PATH}/{made['id']}/deliveries/wh_del_0")
    assert error["code"] == "webhook_delivery_not_found"


WRONG: list[tuple[int, dict[str, Any], str, str]] = [
    (400, {}, "url", "is missing"),
    (400, {"url": 7}, "url", "a text"),
    (422, {"url": "example.com"}, "url", "https://host/path"),
    (422, {"url": "ftp://example.com"}, "url", "https://host/path"),
    (422, {"url": "https://user:pass@example.com"}, "url", "leave them out"),
    (422, {"url": "https://10.0.0.1/hook"}, "url", "webhooks.allow_networks"),
    (422, {"url": "https://[::ffff:10.0.0.1]/"}, "url", "webhooks.allow_networks"),
    (422, {"url": "https://2852039166/"}, "url", "169.254.169.254"),
    (400, {"url": "https://example.com", "events": []}, "events", "at least 1"),
    (400, {"url": "https://example.com", "events": ["session.deleted"]}, "events[0]", "'session.ended'"),
    (400, {"url": "https://example.com", "events": "*"}, "events", "a list"),
    (400, {"url": "https://example.com", "secret": "short"}, "secret", "at least 16"),
    (400, {"url": "https://example.com", "enabled": True}, "enabled", "no such field"),
]


async def test_wrong_endpoints(api: ApiWorld) -> None:
    for status, body, param, words in WRONG:
        error = await api.refused(status, "POST", PATH, body)
        assert (error["param"], words in error["message"]) == (param, True), error
    made = await api.call("POST", PATH, {"url": "https://example.com"})
    assert made["events"] == ["*"]
    error = await api.refused(422, "PATCH", f"{PATH}/{made['id']}", {"url": "http://192.168.0.1/"})
    assert error["param"] == "url"
    await api.refused(400, "PATCH", f"{PATH}/{made['id']}", {"enabled": "no"})
    await api.refused(400, "GET", f"{PATH}/{made['id']}/deliveries?state=lost")
