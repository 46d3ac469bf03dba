"""The model client against a real server process: words, tools, and everything that a server can do wrong."""

from __future__ import annotations

from collections.abc import AsyncIterator, Iterator
from contextlib import aclosing
from typing import Any

import pytest

from kallglot_media.agent.llm import Call, LlmFailed, LlmSettings, OpenAiLlm, Words
from kallglot_media.agent.types import ToolSpec
from tests.support.llm_server import LlmServer
from tests.support.processes import HOST, free_port

pytestmark = pytest.mark.loopback

RULES: list[dict[str, Any]] = [
    {"when": "^words$", "say": "One two three."},
    {
        "when": "^tool$",
        "say": "Wait.",
        "tools": [{"name": "a", "arguments": {"x": "ü"}}, {"name": "b", "arguments": "{"}],
    },
    {"when": "^429$", "status": 429},
    {"when": "^500$", "status": 500},
    {"when": "^once$", "status": 500, "times": 1},
    {"when": "^once$", "say": "Second time."},
    {"when": "^401$", "status": 401},
    {"when": "^stall$", "stall_s": 5, "say": "late"},
    {"when": "^hang$", "stall_s": 5, "stall_after": 2, "say": "One two three."},
    {"when": "^cut$", "cut_after": 2, "say": "One two three."},
    {"when": "^garbage$", "garbage": True},
    {"when": "^endless$", "endless": True},
    {"when": "^silent$", "say": ""},
]
SPEC = ToolSpec("a", "does a", {"type": "object", "properties": {"x": {"type": "string"}}})


@pytest.fixture(scope="module")
def server(tmp_path_factory: pytest.TempPathFactory) -> Iterator[LlmServer]:
    with LlmServer(tmp_path_factory.mktemp("llm"), RULES) as running:
        yield running


@pytest.fixture
async def llm(server: LlmServer) -> AsyncIterator[OpenAiLlm]:
    """Patient: a busy machine is no failure."""
    made = OpenAiLlm(LlmSettings(server.url, "script", first_words_s=30.0, answer_s=30.0, longest_characters=200))
    made.warm()
    yield made
    await made.close()


async def ask(llm: OpenAiLlm, text: str) -> list[object]:
    return [one async for one in llm.stream([{"role": "user", "content": text}], [SPEC], 0.5)]


async def test_words_come_as_they_are_made(llm: OpenAiLlm, server: LlmServer) -> None:
    assert await ask(llm, "words") == [Words("One "), Words("two "), Words("three.")]
    sent = server.requests()[-1]
    assert (sent["model"], sent["temperature"], sent["stream"]) == ("script", 0.5, True)
    assert sent["tools"][0]["function"]["parameters"] == SPEC.parameters


async def test_tool_calls_come_whole_with_whatever_arguments_the_model_wrote(llm: OpenAiLlm) -> None:
    assert await ask(llm, "tool") == [
        Words("Wait."), Call("call_0", "a", '{"x": "\\u00fc"}'), Call("call_1", "b", "{"),
    ]  # fmt: skip


@pytest.mark.parametrize(
    ("text", "kind"),
    [("429", "busy"), ("500", "error"), ("401", "refused"), ("cut", "cut"), ("garbage", "garbage"), ("silent", None)],
)
async def test_what_a_server_does_wrong_has_a_name(llm: OpenAiLlm, text: str, kind: str | None) -> None:
    if kind is None:
        assert await ask(llm, text) == []
        return
    with pytest.raises(LlmFailed) as failed:
        await ask(llm, text)
    assert failed.value.kind == kind


@pytest.mark.parametrize("text", ["stall", "hang"])
async def test_a_server_that_falls_silent_is_given_up(server: LlmServer, text: str) -> None:
    llm = OpenAiLlm(LlmSettings(server.url, "script", first_words_s=1.0, answer_s=3.0))
    llm.warm()
    with pytest.raises(LlmFailed) as failed:
        await ask(llm, text)
    assert failed.value.kind == "slow"
    await llm.close()


async def test_a_server_that_fails_once_is_asked_again(llm: OpenAiLlm) -> None:
    assert await ask(llm, "once") == [Words("Second "), Words("time.")]


async def test_an_endless_answer_is_not_waited_for(llm: OpenAiLlm) -> None:
    said = await ask(llm, "endless")
    assert 200 <= sum(len(one.text) for one in said if isinstance(one, Words)) < 300


async def test_nobody_there() -> None:
    llm = OpenAiLlm(LlmSettings(f"http://{HOST}:{free_port()}/v1", "script", first_words_s=3.0))
    with pytest.raises(LlmFailed) as failed:
        await ask(llm, "words")
    assert failed.value.kind == "unreachable"
    await llm.close()


async def test_an_answer_can_be_left_in_the_middle(llm: OpenAiLlm) -> None:
    async with aclosing(llm.stream([{"role": "user", "content": "endless"}], [], 0)) as stream:  # type: ignore[type-var]
        assert isinstance(await anext(stream), Words)
    assert await ask(llm, "words")
