"""POST, GET, PATCH, DELETE /v1/agents: stored settings of AI agents, named by sessions with `agent_id`."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Annotated, Any, Literal

from fastapi import APIRouter
from pydantic import Field
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import Paged, answer, gone, listed
from kallglot_media.api.auth import By, by
from kallglot_media.api.docs import errors
from kallglot_media.api.errors import no_such_base, not_found
from kallglot_media.api.parts import parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.session_bodies import AgentSettings, Handoff, Name, Tool
from kallglot_media.api.session_checks import check_tools
from kallglot_media.api.validation import Answer, Deleted, Metadata
from kallglot_media.ledger.objects import Json, when
from kallglot_media.store import agents, audit, knowledge
from kallglot_media.store.agents import Agent
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1/agents", tags=["agents"], route_class=ApiRoute)

_SETTINGS = tuple(AgentSettings.model_fields)


class NewAgent(AgentSettings):
    """POST /v1/agents."""

    name: Annotated[Name, Field(examples=["Support, first line"])]
    """For people."""

    metadata: Metadata | None = None
    """The client's own, echoed."""


class AgentChange(AgentSettings):
    """PATCH /v1/agents/{id}: what is given is replaced, null takes it away, the rest stays."""

    name: Name | None = None
    """For people; cannot be taken away."""

    metadata: Metadata | None = None
    """The client's own: replaced as a whole."""


class AgentObject(Answer):
    """A stored AI agent."""

    id: str
    object: Literal["agent"]
    name: str
    system_prompt: str | None
    voice: str | None
    temperature: float | None
    knowledge_base_id: str | None
    tools: list[Tool] | None
    handoff: Handoff | None
    greeting: str | None
    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class AgentList(Answer):
    """A page of agents, newest first."""

    object: Literal["list"]
    data: list[AgentObject]
    has_more: bool
    url: str


def agent_json(agent: Agent) -> Json:
    """An agent as clients see it."""
    body: Json = {"id": agent.id, "object": "agent", "name": agent.name}
    body |= {name: agent.settings.get(name) for name in _SETTINGS}
    body |= {"metadata": agent.metadata}
    return body | {"created_at": when(agent.created_at_ms), "updated_at": when(agent.updated_at_ms)}


@router.post(
    "",
    status_code=201,
    summary="Store an agent",
    response_model=AgentObject,
    responses=errors(400, 404, 409, 422),
    openapi_extra=needs("agents:write", idempotent=True),
)
async def create(body: NewAgent, request: Request) -> Response:
    """Sessions in mode `ai_agent` may name it, and change single settings with `overrides`."""
    check_tools(body.tools, "tools")
    settings = body.model_dump(mode="json", exclude_none=True, exclude={"name", "metadata"})
    made = await parts_of(request).store.write(_create, by(request), body.name, settings, body.metadata or {})
    if made is None:
        raise no_such_base(body.knowledge_base_id, "knowledge_base_id")
    return answer(agent_json(made), 201)


def _create(tx: Tx, by: By, name: str, settings: Mapping[str, Any], metadata: Mapping[str, Any]) -> Agent | None:
    if not _base_is_there(tx, settings):
        return None
    made = agents.create(tx, name, settings, metadata)
    audit.note(tx, by.actor, "agent.created", made.id, request_id=by.request_id)
    return made


def _base_is_there(tx: Tx, settings: Mapping[str, Any]) -> bool:
    base_id = settings.get("knowledge_base_id")
    return base_id is None or knowledge.get_base(tx, base_id) is not None


@router.get(
    "",
    summary="List agents",
    response_model=AgentList,
    responses=errors(400, 422),
    openapi_extra=needs("agents:read"),
)
async def index(request: Request, page: Paged) -> Response:
    """Stored agents, newest first."""
    return listed(await parts_of(request).store.read(agents.page, page), "/v1/agents", agent_json)


@router.get(
    "/{agent_id}",
    summary="Read an agent",
    response_model=AgentObject,
    responses=errors(404),
    openapi_extra=needs("agents:read"),
)
async def read(agent_id: str, request: Request) -> Response:
    """One agent."""
    found = await parts_of(request).store.read(agents.get, agent_id)
    if found is None:
        raise not_found("agent", agent_id)
    return answer(agent_json(found))


@router.patch(
    "/{agent_id}",
    summary="Change an agent",
    response_model=AgentObject,
    responses=errors(400, 404, 422),
    openapi_extra=needs("agents:write"),
)
async def change(agent_id: str, body: AgentChange, request: Request) -> Response:
    """Sessions that run already keep the settings that they began with."""
    check_tools(body.tools, "tools")
    given = body.model_dump(mode="json", exclude_unset=True)
    changed = await parts_of(request).store.write(_change, by(request), agent_id, given)
    if changed is None:
        raise not_found("agent", agent_id)
    if changed is _NO_BASE:
        raise no_such_base(body.knowledge_base_id, "knowledge_base_id")
    assert isinstance(changed, Agent)
    return answer(agent_json(changed))


_NO_BASE = object()


def _change(tx: Tx, by: By, agent_id: str, given: Mapping[str, Any]) -> Agent | object | None:
    before = agents.get(tx, agent_id)
    if before is None:
        return None
    if not _base_is_there(tx, given):
        return _NO_BASE
    settings = {**before.settings, **{name: given[name] for name in given if name in _SETTINGS}}
    settings = {name: value for name, value in settings.items() if value is not None}
    metadata = (given["metadata"] or {}) if "metadata" in given else None
    audit.note(tx, by.actor, "agent.changed", agent_id, request_id=by.request_id, detail={"fields": sorted(given)})
    return agents.change(tx, agent_id, name=given.get("name"), settings=settings, metadata=metadata)


@router.delete(
    "/{agent_id}",
    summary="Delete an agent",
    response_model=Deleted,
    responses=errors(404),
    openapi_extra=needs("agents:write"),
)
async def delete(agent_id: str, request: Request) -> Response:
    """Sessions that run already go on; new ones cannot name it any more."""
    if not await parts_of(request).store.write(_delete, by(request), agent_id):
        raise not_found("agent", agent_id)
    return gone("agent", agent_id)


def _delete(tx: Tx, by: By, agent_id: str) -> bool:
    if not agents.delete(tx, agent_id):
        return False
    audit.note(tx, by.actor, "agent.deleted", agent_id, request_id=by.request_id)
    return True
