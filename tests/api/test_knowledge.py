"""Knowledge bases over HTTP: made, filled with documents of every kind, searched, deleted."""

from __future__ import annotations

import base64
from typing import Any

import pytest

from kallglot_media.api.knowledge_bodies import MOST_DOCUMENT_BYTES
from tests.support.api_world import ApiWorld
from tests.support.pdfs import pdf

pytestmark = pytest.mark.loopback

PATH = "/v1/knowledge_bases"


async def test_a_base_is_made_read_listed_and_deleted(api: ApiWorld) -> None:
    made = await api.call("POST", PATH, {"name": "Rückgabe", "language": "de", "metadata": {"a": 1}})
    assert made["id"].startswith("kb_")
    assert (made["language"], made["document_count"], made["description"]) == ("de", 0, None)
    assert await api.call("GET", f"{PATH}/{made['id']}") == made
    listed = await api.call("GET", PATH)
    assert ([one["id"] for one in listed["data"]], listed["has_more"]) == ([made["id"]], False)
    deleted = await api.call("DELETE", f"{PATH}/{made['id']}")
    assert deleted == {"id": made["id"], "object": "knowledge_base", "deleted": True}
    assert (await api.refused(404, "GET", f"{PATH}/{made['id']}"))["code"] == "knowledge_base_not_found"
    assert (await api.refused(404, "DELETE", f"{PATH}/{made['id']}"))["code"] == "knowledge_base_not_found"


async def test_documents_are_read_in_the_background_and_found_by_their_words(api: ApiWorld) -> None:
    base = await api.call("POST", PATH, {"name": "Returns"})
    documents = f"{PATH}/{base['id']}/documents"
    text = {
        "title": "Sending back",
        "text": "Returned parcels are refunded within 14 days.",
        "source": "https://e.com/r",
    }
    added = await api.client.post(documents, json=text)
    assert (added.status_code, added.json()["status"]) == (202, "pending")
    html = base64.b64encode(b"<h1>Postage</h1><p>Posting a letter costs two euros.</p>").decode()
    await api.call("POST", documents, {"title": "Postage", "content": html, "media_type": "text/html"})
    content = pdf(["Warranty claims need the receipt."])
    sent = await api.client.post(
        f"{documents}?title=Warranty", content=content, headers={"Content-Type": "application/pdf"}
    )
    assert sent.status_code == 202, sent.text
    markdown = "# Hours\n\nWe answer from nine to five."
    sent = await api.client.post(
        f"{documents}?title=Hours&language=en&source=wiki",
        content=markdown.encode(),
        headers={"Content-Type": "text/markdown; charset=utf-8"},
    )
    assert (sent.json()["media_type"], sent.json()["source"]) == ("text/markdown", "wiki")
    await api.read_documents()
    listed = await api.call("GET", documents)
    assert {one["title"]: one["status"] for one in listed["data"]} == dict.fromkeys(
        ("Sending back", "Postage", "Warranty", "Hours"), "ready"
    )
    assert (await api.call("GET", f"{PATH}/{base['id']}"))["document_count"] == 4
    for query, title in (
        ("refund for a parcel", "Sending back"),
        ("posted letters", "Postage"),
        ("receipts", "Warranty"),
        ("hours", "Hours"),
    ):
        found = await api.call("POST", f"{PATH}/{base['id']}/search", {"query": query, "limit": 1})
        assert (found["method"], found["data"][0]["title"], found["data"][0]["score"]) == ("words", title, 1.0)
    first = listed["data"][-1]
    assert (first["passage_count"], first["size_bytes"]) == (1, len(text["text"]))
    again = await api.call("POST", documents, text)
    assert again["id"] == first["id"], "the same content is the same document"
    await api.call("DELETE", f"{documents}/{first['id']}")
    assert (await api.refused(404, "GET", f"{documents}/{first['id']}"))["code"] == "document_not_found"
    found = await api.call("POST", f"{PATH}/{base['id']}/search", {"query": "refunded parcels"})
    assert "Sending back" not in [one["title"] for one in found["data"]]


async def test_the_same_file_under_another_title_is_another_request(api: ApiWorld) -> None:
    base = await api.call("POST", PATH, {"name": "Returns"})
    path = f"{PATH}/{base['id']}/documents"
    headers = {"Content-Type": "text/plain", "Idempotency-Key": "one"}
    first = await api.client.post(f"{path}?title=A", content=b"words", headers=headers)
    again = await api.client.post(f"{path}?title=A", content=b"words", headers=headers)
    assert (first.status_code, again.content) == (202, first.content)
    other = await api.client.post(f"{path}?title=B", content=b"words", headers=headers)
    assert (other.status_code, other.json()["error"]["code"]) == (400, "idempotency_mismatch")


async def test_a_document_that_cannot_be_read_says_why(api: ApiWorld) -> None:
    base = await api.call("POST", PATH, {"name": "Returns"})
    documents = f"{PATH}/{base['id']}/documents"
    bad = base64.b64encode(b"%PDF-1.7 not really").decode()
    made = await api.call("POST", documents, {"title": "Bad", "content": bad, "media_type": "application/pdf"})
    await api.read_documents()
    read = await api.call("GET", f"{documents}/{made['id']}")
    assert (read["status"], bool(read["error"])) == ("failed", True)


async def test_a_base_of_another_shows_no_documents(api: ApiWorld) -> None:
    one, two = [await api.call("POST", PATH, {"name": name}) for name in ("one", "two")]
    made = await api.call("POST", f"{PATH}/{one['id']}/documents", {"title": "T", "text": "words"})
    for method in ("GET", "DELETE"):
        error = await api.refused(404, method, f"{PATH}/{two['id']}/documents/{made['id']}")
        assert error["code"] == "document_not_found"


WRONG: list[tuple[int, str, Any, str, str]] = [
    (400, "", {}, "name", "is missing"),
    (400, "", {"name": "a", "language": "English"}, "language", "did you mean 'en'?"),
    (400, "", {"name": "a", "metadata": [1]}, "metadata", "an object"),
    (400, "/documents", {"text": "a"}, "title", "is missing"),
    (422, "/documents", {"title": "a"}, "text", "exactly one"),
    (422, "/documents", {"title": "a", "text": "a", "content": "YQ=="}, "text", "exactly one"),
    (422, "/documents", {"title": "a", "content": "no base64!"}, "content", "base64"),
    (422, "/documents", {"title": "a", "text": "a", "media_type": "application/pdf"}, "text", "content"),
    (400, "/documents", {"title": "a", "text": "a", "media_type": "application/msword"}, "media_type", "'text/html'"),
    (400, "/documents", {"title": "a", "text": 7}, "text", "a text"),
    (400, "/search", {}, "query", "is missing"),
    (400, "/search", {"query": ""}, "query", "at least 1"),
    (400, "/search", {"query": "a", "limit": 0}, "limit", "at least 1"),
    (400, "/search", {"query": "a", "limit": 51}, "limit", "at most 50"),
]


async def test_wrong_knowledge_requests(api: ApiWorld) -> None:
    base = await api.call("POST", PATH, {"name": "Returns"})
    for status, path, body, param, words in WRONG:
        whole = f"{PATH}/{base['id']}{path}" if path else PATH
        error = await api.refused(status, "POST", whole, body)
        assert (error["param"], words in error["message"]) == (param, True), error
    for path, body in (("/documents", {"title": "a", "text": "a"}), ("/search", {"query": "a"})):
        assert (await api.refused(404, "POST", f"{PATH}/kb_0{path}", body))["code"] == "knowledge_base_not_found"
    assert (await api.refused(404, "GET", f"{PATH}/kb_0/documents"))["code"] == "knowledge_base_not_found"


async def test_wrong_files(api: ApiWorld) -> None:
    base = await api.call("POST", PATH, {"name": "Returns"})
    path = f"{PATH}/{base['id']}/documents"

    async def refused(status: int, query: str, content: bytes, media_type: str | None) -> dict[str, Any]:
        headers = {} if media_type is None else {"Content-Type": media_type}
        response = await api.client.post(path + query, content=content, headers=headers)
        assert response.status_code == status, response.text
        error: dict[str, Any] = response.json()["error"]
        return error

    assert (await refused(422, "", b"a", "text/plain"))["param"] == "title"
    assert (await refused(422, "?title=a", b"", "text/plain"))["param"] == "the body"
    assert (await refused(400, "?title=a", b"a", "application/msword"))["param"] == "Content-Type"
    assert (await refused(400, "?title=a", b"a", None))["param"] == "Content-Type"
    assert (await refused(400, "?title=a&language=xx", b"a", "text/plain"))["code"] == "invalid_language_code"
    assert "larger than" in (await refused(400, "?title=a", b"a" * (MOST_DOCUMENT_BYTES * 2), "text/plain"))["message"]
    assert "send at most" in (await refused(422, "?title=a", b"a" * (MOST_DOCUMENT_BYTES + 1), "text/plain"))["message"]
    assert "not JSON" in (await refused(400, "", b'{"title":', "application/json"))["message"]
    assert "send a JSON object" in (await refused(400, "", b"[]", "application/json"))["message"]
