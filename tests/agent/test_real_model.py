"""The same client against a model server of yours: Ollama, vLLM, llama.cpp, LM Studio, a hosted one.

KALLGLOT_TEST_LLM_URL=http://127.0.0.1:11434/v1 KALLGLOT_TEST_LLM_MODEL=qwen3:4b pytest tests/agent/test_real_model.py

No server with weights can be had from PyPI alone, so these are skipped where no such variable is set.
"""

from __future__ import annotations

import os
from collections.abc import AsyncIterator

import pytest

from kallglot_media.agent.conversation import Conversation, Manners
from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.llm import LlmSettings, OpenAiLlm
from kallglot_media.agent.tools import Tool, ToolBox, ToolSettings
from kallglot_media.agent.types import Heard, Piece, Say, Source, ToolSpec, ToolUsed
from kallglot_media.config.phrases import Phrases

URL = os.environ.get("KALLGLOT_TEST_LLM_URL", "")
MODEL = os.environ.get("KALLGLOT_TEST_LLM_MODEL", "default")
KEY = os.environ.get("KALLGLOT_TEST_LLM_KEY", "")

pytestmark = pytest.mark.skipif(not URL, reason="set KALLGLOT_TEST_LLM_URL to an OpenAI-compatible server")

SHOP = Knowledge([Source("faq", "Shipping costs 4.90 euros.", "en", "Shipping costs")])
NUMBER = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}


def order_status(number: str) -> dict[str, str]:
    """The tool that the model may call."""
    return {"number": number, "status": "in the yellow van"}


@pytest.fixture
async def llm() -> AsyncIterator[OpenAiLlm]:
    made = OpenAiLlm(LlmSettings(URL, MODEL, KEY, first_words_s=120.0, answer_s=120.0))
    made.warm()
    yield made
    await made.close()


async def ask(llm: OpenAiLlm, text: str, tools: ToolBox | None = None) -> list[Piece]:
    manners = Manners(
        "en", "en", lambda name: Phrases().text(name, "en"), system_prompt="You are a shop's assistant.",
        temperature=0.0,
    )  # fmt: skip
    conversation = Conversation(manners, SHOP, llm=llm, tools=tools)
    return [piece async for piece in conversation.respond(Heard(text, text))]


def said(pieces: list[Piece]) -> str:
    return " ".join(piece.text for piece in pieces if isinstance(piece, Say))


async def test_what_the_documents_say_is_said(llm: OpenAiLlm) -> None:
    assert "4.90" in said(await ask(llm, "How much is shipping?"))


async def test_a_tool_is_called_and_its_result_told(llm: OpenAiLlm) -> None:
    spec = ToolSpec("order_status", "Where an order is. Call it with the order's number.", NUMBER)
    box = ToolBox(ToolSettings([Tool(spec, python="tests.agent.test_real_model:order_status")]), "sess_1")
    pieces = await ask(llm, "Where is my order 4711?", box)
    assert [(one.name, one.arguments) for one in pieces if isinstance(one, ToolUsed)] == [
        ("order_status", {"number": "4711"})
    ]
    assert "van" in said(pieces)
