"""Tools: arguments are checked before anybody sees them, and whatever goes wrong is told to the model."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from typing import Any

import pytest

from kallglot_media.agent.tools import Failed, NotTaken, Tool, ToolBox, ToolSettings, load_python
from kallglot_media.agent.types import ToolSpec
from kallglot_media.config.tools import schema_mistake
from kallglot_media.webhooks.post import Answer
from kallglot_media.webhooks.signature import HEADER, verify

SCHEMA = {
    "type": "object",
    "properties": {"number": {"type": "string", "pattern": "^[0-9]+$"}},
    "required": ["number"],
    "additionalProperties": False,
}
SPEC = ToolSpec("lookup", "", SCHEMA)


class Post:
    """Answers by the script."""

    def __init__(self, *answers: Answer) -> None:
        self.answers = list(answers)
        self.sent: list[tuple[str, Mapping[str, str], bytes]] = []

    async def __call__(self, url: str, headers: Mapping[str, str], body: bytes) -> Answer:
        self.sent.append((url, headers, body))
        return self.answers.pop(0)


def box(post: Post, **more: Any) -> ToolBox:
    tool = Tool(SPEC, **{"url": "https://desk.example/tools", **more})
    return ToolBox(ToolSettings([tool], None, "secret", post), "sess_1")


@pytest.mark.parametrize(
    ("written", "error"),
    [
        ("{", "the arguments are not JSON"),
        ("[1]", "the arguments are list, not an object"),
        ('{"number": 5}', "number: 5 is not of type"),
        ("{}", '"number" is a required property'),
        ('{"number": "5", "x": 1}', "Additional properties are not allowed"),
        ('{"number": NaN}', "NaN is not JSON"),
        ("[" * 100_000, "the arguments are not JSON"),
    ],
)
async def test_arguments_that_do_not_fit_never_leave(written: str, error: str) -> None:
    post = Post()
    used = await box(post).call("c", "lookup", written)
    assert used.error is not None
    assert error in used.error
    assert post.sent == []


async def test_a_call_is_signed_and_its_output_comes_back() -> None:
    post = Post(Answer(200, b'{"output": {"status": "sent"}}'))
    used = await box(post).call("call_7", "lookup", '{"number": "4711"}')
    assert (used.output, used.error) == ({"status": "sent"}, None)
    url, headers, body = post.sent[0]
    assert url == "https://desk.example/tools"
    assert json.loads(body) == {
        "session_id": "sess_1", "tool_call_id": "call_7", "name": "lookup", "arguments": {"number": "4711"},
    }  # fmt: skip
    stamp = int(headers[HEADER].split(",")[0].removeprefix("t="))
    assert verify("secret", headers[HEADER], body, stamp)


@pytest.mark.parametrize(
    ("answer", "error"),
    [
        (Answer(500), "answered 500"),
        (Answer(None, error="no answer within 10 s"), "no answer within 10 s"),
        (Answer(200, b'{"error": "no such order"}'), "no such order"),
    ],
)
async def test_a_tool_that_fails_says_why(answer: Answer, error: str) -> None:
    assert (await box(Post(answer)).call("c", "lookup", '{"number": "1"}')).error == error


async def test_one_retry_when_calling_twice_does_no_harm() -> None:
    post = Post(Answer(503), Answer(200, b'"fine"'))
    assert (await box(post, idempotent=True).call("c", "lookup", '{"number": "1"}')).output == "fine"
    post = Post(Answer(503), Answer(200, b'"fine"'))
    assert (await box(post).call("c", "lookup", '{"number": "1"}')).error == "answered 503"


async def test_a_tool_that_never_answers_is_given_up() -> None:
    async def silent(call_id: str, name: str, arguments: Mapping[str, object], limit_s: float) -> object:
        await asyncio.Event().wait()
        return None

    tools = ToolBox(ToolSettings([Tool(SPEC, timeout_s=0.01)]), "s", silent)
    assert (await tools.call("c", "lookup", '{"number": "1"}')).error == "no result within 0.01 s"


async def test_the_client_at_the_stream_comes_first() -> None:
    async def taken(call_id: str, name: str, arguments: Mapping[str, object], limit_s: float) -> object:
        if arguments["number"] == "0":
            raise Failed("no such thing")
        if arguments["number"] == "9":
            raise NotTaken
        return {"from": "stream"}

    post = Post(Answer(200, b'"from the url"'))
    tools = ToolBox(ToolSettings([Tool(SPEC, url="https://desk.example")], post=post), "s", taken)
    assert (await tools.call("c", "lookup", '{"number": "1"}')).output == {"from": "stream"}
    assert (await tools.call("c", "lookup", '{"number": "0"}')).error == "no such thing"
    assert (await tools.call("c", "lookup", '{"number": "9"}')).output == "from the url"


def double(number: str) -> str:
    """A desk's own function."""
    return number * 2


async def later(number: str) -> dict[str, str]:
    """Another one."""
    if number == "0":
        raise RuntimeError("the database is away")
    return {"number": number}


async def test_a_python_function_is_called_with_keywords() -> None:
    for name, number, output, error in (
        ("double", "12", "1212", None),
        ("later", "3", {"number": "3"}, None),
        ("later", "0", None, "RuntimeError: the database is away"),
    ):
        tools = ToolBox(ToolSettings([Tool(SPEC, python=f"tests.agent.test_tools:{name}")]), "s")
        used = await tools.call("c", "lookup", json.dumps({"number": number}))
        assert (used.output, used.error) == (output, error)


@pytest.mark.parametrize(
    "name", ["no.such.module:x", "tests.agent.test_tools:nothing", "tests.agent.test_tools:SCHEMA"]
)
def test_a_function_that_is_not_there_is_named(name: str) -> None:
    with pytest.raises(ValueError, match=r"install the module|write the name"):
        load_python(name)


async def test_a_tool_that_nobody_knows_and_one_that_nobody_does() -> None:
    assert (await box(Post()).call("c", "rm", "{}")).error == "there is no tool rm; there are: lookup"
    alone = ToolBox(ToolSettings([Tool(SPEC)]), "s")
    assert (await alone.call("c", "lookup", '{"number": "1"}')).error == "nobody is there to do this"


async def test_a_huge_result_is_cut() -> None:
    post = Post(Answer(200, json.dumps("x" * 50_000).encode()))
    assert len(str((await box(post).call("c", "lookup", '{"number": "1"}')).output)) < 9000


@pytest.mark.parametrize(
    ("schema", "wrong"),
    [({"type": "array"}, True), ({"type": "object", "properties": 5}, True), ({"$ref": "http://192.0.2.1/x"}, True),
     ({"type": "objekt"}, True), ({}, False), (SCHEMA, False), ("x", True)],
)  # fmt: skip
def test_a_schema_that_is_none_is_found_before_a_call(schema: Any, *, wrong: bool) -> None:
    assert (schema_mistake(schema) is not None) is wrong
