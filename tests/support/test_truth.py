"""The judge of answers finds what it is there to find."""

from __future__ import annotations

import httpx2
import pytest

from tests.support.truth import Truth

DOCUMENT = {
    "components": {"schemas": {"A": {"type": "object", "required": ["id"], "additionalProperties": False,
                                     "properties": {"id": {"type": "string"}}}}},
    "paths": {"/a/{x}": {"get": {"responses": {"200": {"content": {"application/json": {
        "schema": {"$ref": "#/components/schemas/A"}}}}}}}},
}  # fmt: skip


def answer(
    path: str = "/a/1", status: int = 200, body: str = '{"id":"1"}', kind: str = "application/json"
) -> httpx2.Response:
    request = httpx2.Request("GET", f"http://x{path}")
    headers = {"content-type": kind, "x-request-id": "req_1"}
    return httpx2.Response(status, headers=headers, content=body.encode(), request=request)


def test_what_is_described_passes() -> None:
    Truth(DOCUMENT).check(answer())
    Truth(DOCUMENT).check(answer("/b", 404))


@pytest.mark.parametrize(
    ("wrong", "words"),
    [
        (answer("/b"), "not in the document"),
        (answer(status=201), "this status"),
        (answer(kind="text/plain"), "text/plain"),
        (answer(body="{}"), "id"),
        (answer(body='{"id":"1","more":1}'), "more"),
    ],
)
def test_what_is_not_described_is_found(wrong: httpx2.Response, words: str) -> None:
    with pytest.raises(AssertionError, match=words):
        Truth(DOCUMENT).check(wrong)
