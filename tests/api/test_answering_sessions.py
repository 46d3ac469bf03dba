"""Sessions in which an AI answers, made by a client: what is taken, what is refused, and what a stored agent adds."""

from __future__ import annotations

import pytest

from kallglot_media.api.session_checks import with_agent
from kallglot_media.store import agents
from tests.support.api_world import ApiWorld

HELP = {"mode": "help_chat_voice", "source_language": "de", "target_language": None}


async def test_a_help_desk_needs_no_language_model(api: ApiWorld) -> None:
    history = [{"role": "user", "text": "Mein Paket fehlt."}]
    made = await api.session(**HELP, help_chat={"history": history, "escalation_enabled": False})
    assert (made["mode"], made["source_language"], made["status"]) == ("help_chat_voice", "de", "created")


async def test_an_ai_agent_needs_one_and_the_error_says_what_to_do(api: ApiWorld) -> None:
    body = {"mode": "ai_agent", "source_language": "en", "ai_agent": {"system_prompt": "You are kind."}}
    error = await api.refused(422, "POST", "/v1/sessions", body)
    assert (error["code"], error["param"]) == ("invalid_mode", "mode")
    assert "write llm: in server.yaml" in error["message"]


@pytest.mark.parametrize(
    ("help_chat", "param", "mend"),
    [
        ({"escalation_enabled": True}, "help_chat.escalation_phone", "write a number like +4930123456"),
        (
            {"escalation_enabled": True, "escalation_phone": "+14155551234"},
            "help_chat.escalation_phone",
            "write a number of its dial.allow",
        ),
    ],
)
async def test_an_escalation_must_lead_somewhere_allowed(
    api: ApiWorld, help_chat: dict[str, object], param: str, mend: str
) -> None:
    error = await api.refused(422, "POST", "/v1/sessions", {**HELP, "help_chat": help_chat})
    assert error["param"] == param
    assert mend in error["message"]


async def test_an_allowed_number_is_taken(api: ApiWorld) -> None:
    made = await api.session(**HELP, help_chat={"escalation_enabled": True, "escalation_phone": "+4930123456"})
    assert made["status"] == "created"


async def test_a_schema_that_is_none_is_refused_when_the_session_is_made(api: ApiWorld) -> None:
    tools = [{"name": "x", "parameters": {"type": "objekt"}}]
    body = {"mode": "ai_agent", "source_language": "en", "ai_agent": {"tools": tools}}
    error = await api.refused(422, "POST", "/v1/sessions", body)
    assert error["param"].startswith("ai_agent.tools")


async def test_a_stored_agents_settings_stand_for_its_name_and_overrides_win(api: ApiWorld) -> None:
    agent = await api.store.write(agents.create, "desk", {"system_prompt": "old", "voice": "nova", "temperature": 0.1})
    asked = {
        "mode": "ai_agent",
        "ai_agent": {"agent_id": agent.id, "overrides": {"system_prompt": "new"}, "greeting": "Hi"},
    }
    merged = await api.store.read(with_agent, asked)
    assert merged["ai_agent"] == {"system_prompt": "new", "voice": "nova", "temperature": 0.1, "greeting": "Hi"}
