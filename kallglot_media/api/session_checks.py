"""What the schema of a new session cannot say: which fields go together, and whether what they name is there."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

import jsonschema_rs

from kallglot_media.api.errors import ApiError, invalid, no_such_base
from kallglot_media.api.session_bodies import NewSession, Tool
from kallglot_media.store import agents, knowledge
from kallglot_media.store.tx import Tx


def missing(tx: Tx, wanted: Mapping[str, Any]) -> ApiError | None:
    """What a request names that is not there: a stored agent, a knowledge base."""
    agent = wanted.get("ai_agent") or {}
    agent_id = agent.get("agent_id")
    if agent_id is not None and agents.get(tx, agent_id) is None:
        why = f"ai_agent.agent_id: there is no agent {agent_id[:100]!r}; make one: POST /v1/agents"
        return ApiError(404, "ai_agent_not_found", why, param="ai_agent.agent_id")
    places = {
        "ai_agent": agent,
        "ai_agent.overrides": agent.get("overrides") or {},
        "help_chat": wanted.get("help_chat") or {},
    }
    for place, settings in places.items():
        base_id = settings.get("knowledge_base_id")
        if base_id is not None and knowledge.get_base(tx, base_id) is None:
            return no_such_base(base_id, f"{place}.knowledge_base_id")
    return None


def check(body: NewSession) -> None:
    """What the schema cannot say: which fields go together. Raises ApiError 422."""
    routing, audio = body.routing, body.audio
    if routing is not None:
        ways = [name for name in ("phone_number", "connection_id", "type") if getattr(routing, name) is not None]
        if len(ways) != 1:
            there = " and ".join(ways) or "none of them"
            raise invalid("routing", f"has {there}; write exactly one of phone_number, connection_id and type")
        if routing.sip is not None and routing.type is None:
            raise invalid("routing.sip", "does not go with " + ways[0] + '; write type: "sip"')
    if audio is not None and audio.encoding == "mulaw" and audio.sample_rate != 8000:
        raise invalid("audio.sample_rate", f"is {audio.sample_rate}; mulaw has 8000")
    for field, mode in (("ai_agent", "ai_agent"), ("help_chat", "help_chat_voice")):
        if getattr(body, field) is not None and body.mode != mode:
            raise invalid(field, f'does not go with mode "{body.mode}"; remove it, or write mode: "{mode}"')
    if body.ai_agent is not None:
        check_tools(body.ai_agent.tools, "ai_agent.tools")
        if body.ai_agent.overrides is not None:
            check_tools(body.ai_agent.overrides.tools, "ai_agent.overrides.tools")


def with_agent(tx: Tx, wanted: Mapping[str, Any]) -> dict[str, Any]:
    """A request in which a stored agent's settings stand in place of its name, with the overrides over them."""
    asked = dict(wanted.get("ai_agent") or {})
    agent_id, overrides = asked.pop("agent_id", None), asked.pop("overrides", None) or {}
    stored = agents.get(tx, agent_id) if agent_id is not None else None
    settings = {**(stored.settings if stored is not None else {}), **asked, **overrides}
    return {**wanted, "ai_agent": settings} if settings or wanted.get("ai_agent") is not None else dict(wanted)


def check_tools(tools: Sequence[Tool] | None, place: str) -> None:
    """Names of their own, and parameters that are a JSON Schema. Raises ApiError 422."""
    names: set[str] = set()
    for at, tool in enumerate(tools or ()):
        where = f"{place}[{at}]"
        if tool.name in names:
            raise invalid(f"{where}.name", f"is '{tool.name}' a second time; write another name")
        names.add(tool.name)
        if tool.parameters.get("type", "object") != "object":
            raise invalid(f"{where}.parameters.type", 'is not "object"; arguments have names: write type: "object"')
        try:
            jsonschema_rs.validator_for(tool.parameters, retriever=_not_fetched)
        except ValueError as error:
            why = str(error).splitlines()[0][:200]
            mend = 'write one like {"type": "object", "properties": {"number": {"type": "string"}}}'
            raise invalid(f"{where}.parameters", f"is no JSON Schema ({why}); {mend}") from None


def _not_fetched(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")
