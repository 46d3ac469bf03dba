"""Keys, scopes, limits, repeated requests, and what every answer has."""

from __future__ import annotations

import asyncio
import socket
import threading
from pathlib import Path

import pytest

from kallglot_media.api.rate_limit import RateLimit
from kallglot_media.store import keys
from kallglot_media.store.errors import StoreUnavailable
from tests.support.api_world import ApiWorld, api_world
from tests.support.call_world import answered

pytestmark = pytest.mark.loopback

MODE = {"mode": "bidirectional_translation"}
PATH = "/v1/sessions"


# ── keys ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("header", ["Authorization", "X-API-Key"])
async def test_a_key_comes_in_either_header(api: ApiWorld, header: str) -> None:
    value = api.token if header == "X-API-Key" else f"bearer {api.token}"
    api.client.headers.pop("Authorization")
    await api.call("GET", PATH, headers={header: value})


@pytest.mark.parametrize(
    "header", [None, "", "Basic YTpi", "Bearer", "Bearer sk_live_nonsense", "Bearer kst_token", "Bearer \xff"]
)
async def test_without_a_good_key_nothing_is_told(shared: ApiWorld, header: str | None) -> None:
    shared.client.headers.pop("Authorization", None)
    headers = {} if header is None else {"Authorization": header.encode("latin-1")}
    for method, path in (("GET", PATH), ("POST", PATH), ("GET", "/v1/sessions/sess_0")):
        response = await shared.client.request(method, path, headers=headers)  # type: ignore[arg-type]
        assert response.status_code == 401
        assert response.json()["error"]["code"] == "invalid_api_key"
        assert response.headers["www-authenticate"].startswith("Bearer")


async def test_a_revoked_and_an_expired_key_are_told_so(api: ApiWorld) -> None:
    revoked = await api.key()
    await api.store.write(keys.revoke, revoked[:16])
    expired = await api.key(expires_at_ms=1)
    for token, code in ((revoked, "revoked_api_key"), (expired, "expired_api_key")):
        error = await api.refused(401, "GET", PATH, headers={"Authorization": f"Bearer {token}"})
        assert (error["code"], error["type"]) == (code, "authentication_error")


async def test_a_key_without_the_scope_is_told_which_one_it_lacks(api: ApiWorld) -> None:
    token = await api.key("sessions:read")
    headers = {"Authorization": f"Bearer {token}"}
    await api.call("GET", PATH, headers=headers)
    error = await api.refused(403, "POST", PATH, MODE, headers=headers)
    assert (error["code"], error["type"]) == ("insufficient_permissions", "permission_error")
    assert "sessions:write" in error["message"]
    assert token not in error["message"]


async def test_a_wrong_body_without_a_key_says_nothing_about_the_body(api: ApiWorld) -> None:
    api.client.headers.pop("Authorization")
    response = await api.client.post(PATH, content=b"{")
    assert response.status_code == 401


async def test_guessing_keys_is_slow(api: ApiWorld) -> None:
    statuses = {
        (await api.client.get(PATH, headers={"Authorization": f"Bearer sk_live_{n}"})).status_code for n in range(70)
    }
    assert statuses == {401, 429}


# ── limits ───────────────────────────────────────────────────────────────────────


async def test_headers_say_how_much_is_left_and_429_when_nothing_is(tmp_path: Path) -> None:
    async with api_world(tmp_path, requests_per_minute=3) as api:
        left = []
        for _ in range(3):
            response = await api.client.get(PATH)
            left.append((response.headers["x-ratelimit-limit"], response.headers["x-ratelimit-remaining"]))
        assert left == [("3", "2"), ("3", "1"), ("3", "0")]
        refused = await api.client.get(PATH)
        error = refused.json()["error"]
        assert (refused.status_code, error["code"]) == (429, "rate_limit_exceeded")
        assert refused.headers["retry-after"] == str(error["retry_after"])
        assert int(refused.headers["x-ratelimit-reset"]) > 0


def test_a_bucket_refills_steadily() -> None:
    limit = RateLimit(60)
    assert [limit.ask("a", 0.0).granted for _ in range(61)] == [True] * 60 + [False]
    assert limit.ask("b", 0.0).granted, "another name has its own"
    assert limit.ask("a", 0.5).wait_s == pytest.approx(0.5)
    assert limit.ask("a", 1.0).granted
    assert not limit.ask("a", 1.0).granted


# ── repeated requests ────────────────────────────────────────────────────────────


async def test_the_same_key_and_body_are_done_once_and_answered_alike(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    first = await api.client.post(PATH, json=MODE, headers=headers)
    again = await api.client.post(PATH, json=MODE, headers=headers)
    assert (first.status_code, first.content) == (again.status_code, again.content)
    assert "idempotency-replayed" not in first.headers
    assert again.headers["idempotency-replayed"] == "true"
    assert len((await api.call("GET", PATH))["data"]) == 1


async def test_the_same_key_with_another_body_is_refused(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    await api.call("POST", PATH, MODE, headers=headers)
    error = await api.refused(400, "POST", PATH, {**MODE, "metadata": {}}, headers=headers)
    assert (error["code"], error["param"]) == ("idempotency_mismatch", "Idempotency-Key")


async def test_a_request_that_failed_may_be_sent_again_with_the_same_key(api: ApiWorld) -> None:
    headers = {"Idempotency-Key": "one"}
    await api.refused(400, "POST", PATH, {}, headers=headers)
    await api.call("POST", PATH, MODE, headers=headers)


async def test_while_the_first_is_not_answered_the_second_is_told_to_wait(api: ApiWorld) -> None:
    session = await api.session()
    path, body = f"{PATH}/{session['id']}/dial", {"to": "sip:bob@192.0.2.30", "role": "agent"}
    headers = {"Idempotency-Key": "dial"}
    first = asyncio.create_task(api.call("POST", path, body, headers=headers))
    await api.dialled()
    error = await api.refused(409, "POST", path, body, headers=headers)
    assert (error["code"], error["type"]) == ("idempotency_conflict", "conflict_error")
    api.registry.on_sip(answered())
    assert await api.call("POST", path, body, headers=headers) == await first
    assert len(api.around.signalling.verbs) == 1


@pytest.mark.parametrize("key", ["", "x" * 256])
async def test_an_idempotency_key_that_is_none_is_refused(shared: ApiWorld, key: str) -> None:
    error = await shared.refused(400, "POST", PATH, MODE, headers={"Idempotency-Key": key})
    assert error["param"] == "Idempotency-Key"


# ── what every answer has ────────────────────────────────────────────────────────


async def test_a_database_that_is_away_is_503_and_says_when_to_come_back(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def away(*_: object, **__: object) -> None:
        raise StoreUnavailable("database is locked")

    monkeypatch.setattr(api.store, "write", away)
    response = await api.client.post(PATH, json=MODE)
    error = response.json()["error"]
    assert (response.status_code, error["code"], error["type"]) == (503, "service_unavailable", "api_error")
    assert response.headers["retry-after"] == str(error["retry_after"])


async def test_a_mistake_of_ours_is_500_with_a_request_id_and_no_more(
    api: ApiWorld, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    def broken(*_: object) -> None:
        raise KeyError("a secret of the server")

    monkeypatch.setattr(api.parts.desk, "settle", broken)
    error = await api.refused(500, "POST", PATH, MODE)
    assert (error["code"], "secret" in error["message"]) == ("internal_error", False)
    assert error["request_id"] in capsys.readouterr().out, "the log has the same id"


async def test_browsers_of_allowed_origins_may_ask(tmp_path: Path) -> None:
    async with api_world(tmp_path, cors_origins=["https://console.example.com"]) as api:
        asked = {"Access-Control-Request-Method": "POST", "Access-Control-Request-Headers": "authorization"}
        good = await api.client.options(PATH, headers={"Origin": "https://console.example.com", **asked})
        assert good.headers["access-control-allow-origin"] == "https://console.example.com"
        bad = await api.client.options(PATH, headers={"Origin": "https://evil.example.com", **asked})
        assert "access-control-allow-origin" not in bad.headers


async def test_health_readiness_and_metrics_need_no_key(api: ApiWorld) -> None:
    await api.session()
    api.client.headers.pop("Authorization")
    assert await api.call("GET", "/healthz") == {"status": "ok"}
    assert (await api.call("GET", "/readyz"))["status"] == "ready"
    api.health.wrong["media"] = "it is being started"  # type: ignore[attr-defined]
    not_ready = await api.client.get("/readyz")
    assert (not_ready.status_code, not_ready.json()["problems"]) == (503, {"media": "it is being started"})
    metrics = (await api.client.get("/metrics")).text
    assert 'kallglot_http_requests_total{method="POST",route="/v1/sessions",status="201"} 1.0' in metrics
    assert "kallglot_sessions_waiting 1.0" in metrics
    assert 'kallglot_events_total{name="refused_draining",part="call"} 1.0' in metrics


async def test_a_client_that_is_gone_in_the_middle_harms_nobody(api: ApiWorld) -> None:
    port = int(api.url.rpartition(":")[2])

    def hang_up() -> None:
        with socket.create_connection(("127.0.0.1", port)) as ours:
            ours.sendall(f"POST {PATH} HTTP/1.1\r\nHost: x\r\nX-API-Key: {api.token}\r\n".encode())
            ours.sendall(b"Content-Type: application/json\r\nContent-Length: 1000\r\n\r\n{")

    thread = threading.Thread(target=hang_up)
    thread.start()
    await asyncio.to_thread(thread.join)
    await api.session()
