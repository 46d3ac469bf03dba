"""The OpenAPI document: complete, with examples that are true. (Every answer in these tests is held to it, too.)"""

from __future__ import annotations

import json
from typing import Any, get_args

import pytest

from kallglot_media.api.endpoint_bodies import EventType
from kallglot_media.api.errors import CODES
from kallglot_media.store import keys
from kallglot_media.store.endpoints import ALL, EVENT_TYPES
from tests.support.api_world import ApiWorld
from tests.support.truth import Truth

pytestmark = pytest.mark.loopback

PATHS = """
    POST   /v1/sessions
    GET    /v1/sessions
    GET    /v1/sessions/{session_id}
    PATCH  /v1/sessions/{session_id}
    POST   /v1/sessions/{session_id}/end
    POST   /v1/sessions/{session_id}/dial
    POST   /v1/sessions/{session_id}/hangup
    POST   /v1/sessions/{session_id}/transfer
    GET    /v1/sessions/{session_id}/transcript
    GET    /v1/sessions/{session_id}/recordings
    GET    /v1/recordings/{recording_id}
    DELETE /v1/recordings/{recording_id}
    GET    /v1/recordings/{recording_id}/audio
    POST   /v1/sessions/{session_id}/analysis
    GET    /v1/analyses/{analysis_id}
    POST   /v1/agents
    GET    /v1/agents
    GET    /v1/agents/{agent_id}
    PATCH  /v1/agents/{agent_id}
    DELETE /v1/agents/{agent_id}
    POST   /v1/knowledge_bases
    GET    /v1/knowledge_bases
    GET    /v1/knowledge_bases/{base_id}
    DELETE /v1/knowledge_bases/{base_id}
    POST   /v1/knowledge_bases/{base_id}/search
    POST   /v1/knowledge_bases/{base_id}/documents
    GET    /v1/knowledge_bases/{base_id}/documents
    GET    /v1/knowledge_bases/{base_id}/documents/{document_id}
    DELETE /v1/knowledge_bases/{base_id}/documents/{document_id}
    POST   /v1/webhook_endpoints
    GET    /v1/webhook_endpoints
    GET    /v1/webhook_endpoints/{endpoint_id}
    PATCH  /v1/webhook_endpoints/{endpoint_id}
    DELETE /v1/webhook_endpoints/{endpoint_id}
    POST   /v1/webhook_endpoints/{endpoint_id}/test
    GET    /v1/webhook_endpoints/{endpoint_id}/deliveries
    GET    /v1/webhook_endpoints/{endpoint_id}/deliveries/{delivery_id}
    GET    /healthz
    GET    /readyz
    GET    /metrics
"""
IDEMPOTENT = {
    "sessions_create",
    "sessions_end",
    "sessions_dial",
    "sessions_transfer",
    "analyses_create",
    "agents_create",
    "knowledge_create",
    "documents_add",
    "endpoints_create",
}


@pytest.fixture
async def truth(api: ApiWorld) -> Truth:
    return Truth((await api.client.get("/openapi.json")).json())


async def test_every_endpoint_is_there_and_says_what_it_is(truth: Truth) -> None:
    wanted = [tuple(line.split()) for line in PATHS.strip().splitlines()]
    assert sorted((method, path) for method, path, _ in truth.operations()) == sorted(wanted)
    tags = {tag["name"] for tag in truth.document["tags"]}
    names = [operation["operationId"] for _, _, operation in truth.operations()]
    assert len(set(names)) == len(names)
    for method, path, operation in truth.operations():
        where = f"{method} {path}"
        assert operation["summary"], where
        assert operation["description"], where
        assert set(operation["tags"]) <= tags, where
        assert (operation.get("x-scope") in keys.SCOPES) == path.startswith("/v1"), where
        for parameter in operation.get("parameters", ()):
            assert parameter.get("description"), f"{where} {parameter['name']}"
        for status, response in operation["responses"].items():
            assert response["description"], f"{where} {status}"
            assert "X-Request-ID" in response["headers"], f"{where} {status}"


async def test_repeated_requests_are_honoured_where_the_document_says_so(truth: Truth) -> None:
    has = {
        operation["operationId"]
        for _, _, operation in truth.operations()
        if any(parameter["name"] == "Idempotency-Key" for parameter in operation.get("parameters", ()))
    }
    assert has == IDEMPOTENT
    for _, path, operation in truth.operations():
        if operation["operationId"] in IDEMPOTENT:
            assert {"400", "409"} <= set(operation["responses"]), path


def bodies(truth: Truth) -> list[tuple[str, dict[str, Any]]]:
    """Every JSON body of the document, and where it is."""
    found = []
    for method, path, operation in truth.operations():
        places = {"request": operation.get("requestBody", {}), **operation["responses"]}
        for name, place in places.items():
            content = place.get("content", {}).get("application/json")
            if content is not None:
                found.append((f"{method} {path} {name}", content))
    return found


async def test_every_body_has_an_example_that_fits_its_schema(truth: Truth) -> None:
    found = bodies(truth)
    assert len(found) > 200
    for where, content in found:
        assert "example" in content, where
        truth.validate(content["schema"], content["example"], where)


async def test_request_examples_are_taken_as_they_are(api: ApiWorld, truth: Truth) -> None:
    """Those of objects that need no other one; in docs/api.md the rest is run."""
    for path in ("/v1/agents", "/v1/knowledge_bases", "/v1/webhook_endpoints", "/v1/sessions"):
        content = truth.document["paths"][path]["post"]["requestBody"]["content"]["application/json"]
        await api.call("POST", path, content["example"])


async def test_lists_of_names_are_those_of_the_code(truth: Truth) -> None:
    assert get_args(EventType) == (ALL, *EVENT_TYPES)
    assert truth.document["components"]["schemas"]["ErrorBody"]["properties"]["code"]["enum"] == list(CODES)


async def test_it_is_json_that_names_nothing_twice(api: ApiWorld) -> None:
    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        assert len({name for name, _ in pairs}) == len(pairs), [name for name, _ in pairs]
        return dict(pairs)

    text = (await api.client.get("/openapi.json")).text
    assert json.loads(text, object_pairs_hook=once)["openapi"].startswith("3.1")
    assert "HTTPValidationError" not in text
