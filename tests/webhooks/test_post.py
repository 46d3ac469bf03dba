"""One POST to a real server: what it gets, and what becomes of it when it misbehaves."""

from __future__ import annotations

import ssl
from pathlib import Path

import pytest

from kallglot_media.webhooks.guard import Guard
from kallglot_media.webhooks.post import LONGEST_ANSWER_BYTES, Answer, HttpPost
from tests.support.receiver import STALL, Receiver

pytestmark = pytest.mark.loopback
DATA = Path(__file__).parent / "data"


async def test_the_body_arrives_byte_for_byte(post: HttpPost, receiver: Receiver) -> None:
    answer = await post(f"http://hooks.test:{receiver.port}/a?b=1", {"X-One": "1"}, b'{"a":1}')
    assert answer == Answer(200, b"thanks")
    (got,) = receiver.requests
    assert (got.target, got.body, got.headers["x-one"]) == ("/a?b=1", b'{"a":1}', "1")
    assert got.headers["host"] == f"hooks.test:{receiver.port}"
    assert got.headers["content-type"] == "application/json"
    assert got.headers["user-agent"].startswith("kallglot-media/")


async def test_connections_are_kept(post: HttpPost, receiver: Receiver) -> None:
    for _ in range(3):
        await post(f"http://hooks.test:{receiver.port}/", {}, b"{}")
    assert (len(receiver.requests), receiver.connections) == (3, 1)


async def test_redirects_are_not_followed(post: HttpPost, receiver: Receiver) -> None:
    receiver.will(302)
    receiver.extra = f"Location: http://127.0.0.1:{receiver.port}/inside\r\n"
    assert (await post(f"http://hooks.test:{receiver.port}/", {}, b"{}")).status == 302
    assert len(receiver.requests) == 1


async def test_a_server_that_never_answers(guard: Guard, receiver: Receiver) -> None:
    post = HttpPost(guard, time_limit_s=0.05)
    receiver.will(STALL)
    assert await post(f"http://hooks.test:{receiver.port}/", {}, b"{}") == Answer(None, error="no answer within 0.05 s")
    await post.close()


async def test_a_server_that_is_not_there(post: HttpPost) -> None:
    async with Receiver() as gone:
        port = gone.port
    answer = await post(f"http://hooks.test:{port}/", {}, b"{}")
    assert answer.status is None
    assert answer.error is not None
    assert answer.error.startswith("ConnectError")


async def test_an_answer_without_end_is_cut(post: HttpPost, receiver: Receiver) -> None:
    receiver.body = b"x" * (1 << 20)
    answer = await post(f"http://hooks.test:{receiver.port}/", {}, b"{}")
    assert (answer.status, len(answer.body)) == (200, LONGEST_ANSWER_BYTES)
    receiver.body = b"short"
    assert (await post(f"http://hooks.test:{receiver.port}/", {}, b"{}")).body == b"short"


async def test_private_targets_are_refused_when_the_name_is_resolved(receiver: Receiver) -> None:
    async def rebound(host: str, port: int) -> list[str]:
        return ["127.0.0.1"]

    post = HttpPost(Guard(resolve=rebound))
    answer = await post(f"http://hooks.test:{receiver.port}/", {}, b"{}")
    assert answer.error is not None
    assert "leads to 127.0.0.1, a private address" in answer.error
    assert receiver.requests == []
    await post.close()


async def test_tls_checks_the_name_in_the_url(guard: Guard) -> None:
    server = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    server.load_cert_chain(DATA / "hooks.test.pem", DATA / "hooks.test.key.pem")
    post = HttpPost(guard, tls=ssl.create_default_context(cafile=str(DATA / "hooks.test.pem")))
    async with Receiver(tls=server) as receiver:
        assert (await post(f"https://hooks.test:{receiver.port}/", {}, b"{}")).status == 200
        wrong = await post(f"https://other.test:{receiver.port}/", {}, b"{}")
        assert wrong.error is not None
        assert "CERTIFICATE_VERIFY_FAILED" in wrong.error
        await post.close()
