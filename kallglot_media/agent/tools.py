"""Tools: their arguments checked against JSON Schema before anybody sees them, called within a time limit.

Where a call goes: to the client at the stream when one takes tool calls, else to the tool's own URL or Python function,
else to the mode's `tools_url`. Arguments are data; nothing in them is ever run.
"""

from __future__ import annotations

import asyncio
import importlib
import inspect
import json
import re
import time
from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

import jsonschema_rs

from kallglot_media.agent.types import ToolSpec, ToolUsed
from kallglot_media.webhooks.post import Post
from kallglot_media.webhooks.signature import HEADER, sign

LONGEST_RESULT = 8000
TRANSFER = "transfer_to_human"
"""Built in wherever there is a human to hand over to."""


@dataclass(frozen=True, slots=True)
class ToolRule:
    """A tool without a model. match: on what the caller says, its named groups are the arguments.

    reply      what is said with the output's names filled in; not_found: when there is none
    """

    match: re.Pattern[str]
    reply: str
    not_found: str = ""

    def said(self, used: ToolUsed) -> str:
        """What to say of a result. A name that the output lacks is left out."""
        if used.error is not None:
            return self.not_found
        output = used.output if isinstance(used.output, Mapping) else {"output": used.output}
        return re.sub(r"\{(\w+)\}", lambda name: str(output.get(name[1], "")), self.reply)


@dataclass(frozen=True, slots=True)
class Tool:
    """A tool and where it goes. python: "module:function"; url: POSTed to; rule: when there is no model."""

    spec: ToolSpec
    url: str | None = None
    python: str | None = None
    timeout_s: float = 10.0
    idempotent: bool = False
    rule: ToolRule | None = None


class NotTaken(Exception):
    """Nobody at the stream takes tool calls."""


class Failed(Exception):
    """A tool did not work; the message is for the model to read."""


class StreamTools(Protocol):
    """The clients at the session's stream."""

    async def __call__(self, call_id: str, name: str, arguments: Mapping[str, object], limit_s: float) -> object:
        """The output. Raises NotTaken, Failed, TimeoutError."""
        ...


async def nobody(call_id: str, name: str, arguments: Mapping[str, object], limit_s: float) -> object:
    """No stream."""
    raise NotTaken


@dataclass(frozen=True, slots=True)
class ToolSettings:
    """url: for tools without an address; secret: what calls are signed with; post: sends them."""

    tools: Sequence[Tool] = ()
    url: str | None = None
    secret: str = field(default="", repr=False)
    post: Post | None = None


class ToolBox:
    """The tools of one session. session_id: told to whoever is asked."""

    def __init__(self, settings: ToolSettings, session_id: str, stream: StreamTools = nobody) -> None:
        self._settings = settings
        self._session_id = session_id
        self._stream = stream
        self._tools = {tool.spec.name: tool for tool in settings.tools}
        self._validators: dict[str, Any] = {}

    @property
    def specs(self) -> list[ToolSpec]:
        """What the model is told."""
        return [tool.spec for tool in self._tools.values()]

    def by_rule(self, said: str) -> tuple[Tool, str] | None:
        """The tool whose rule fits what the caller said, and its arguments as JSON."""
        for tool in self._tools.values():
            found = tool.rule.match.search(said) if tool.rule is not None else None
            if found is not None:
                return tool, json.dumps({name: value for name, value in found.groupdict().items() if value is not None})
        return None

    async def call(self, call_id: str, name: str, written: str) -> ToolUsed:
        """Check and call. Never raises for what model or tool do wrong: the error goes back to the model."""
        began_s = time.monotonic()
        tool = self._tools.get(name)
        if tool is None:
            there = ", ".join(self._tools) or "none"
            return ToolUsed(name, written, error=f"there is no tool {name}; there are: {there}")
        try:
            arguments = self._checked(tool, written)
        except Failed as wrong:
            return ToolUsed(name, written, error=str(wrong))
        output, error = await self._tried(call_id, tool, arguments)
        return ToolUsed(name, arguments, output, error, round(1000 * (time.monotonic() - began_s)))

    def _checked(self, tool: Tool, written: str) -> dict[str, object]:
        try:
            arguments = json.loads(written or "{}", parse_constant=_no_constant)
        except (ValueError, RecursionError) as error:
            raise Failed(f"the arguments are not JSON: {error}; call it again with a JSON object") from None
        if not isinstance(arguments, dict):
            raise Failed(f"the arguments are {type(arguments).__name__}, not an object; call it again")
        validator = self._validators.get(tool.spec.name)
        if validator is None:
            schema = dict(tool.spec.parameters) or {"type": "object"}
            validator = self._validators[tool.spec.name] = jsonschema_rs.validator_for(schema, retriever=_not_fetched)
        wrong = [
            f"{'.'.join(map(str, error.instance_path)) or 'arguments'}: {error.message}"
            for error in validator.iter_errors(arguments)
        ]
        if wrong:
            raise Failed("the arguments do not fit: " + "; ".join(wrong[:5])[:500])
        return arguments

    async def _tried(self, call_id: str, tool: Tool, arguments: dict[str, object]) -> tuple[object, str | None]:
        """Once, and once more when it may be: (output, error)."""
        error = ""
        for _ in range(2 if tool.idempotent else 1):
            try:
                async with asyncio.timeout(tool.timeout_s):
                    return _short(await self._reached(call_id, tool, arguments)), None
            except TimeoutError:
                error = f"no result within {tool.timeout_s:g} s"
            except Failed as why:
                error = str(why)
        return None, error

    async def _reached(self, call_id: str, tool: Tool, arguments: dict[str, object]) -> object:
        try:
            return await self._stream(call_id, tool.spec.name, arguments, tool.timeout_s)
        except NotTaken:
            pass
        if tool.python is not None:
            return await _run_python(tool.python, arguments)
        url = tool.url or self._settings.url
        if url is None or self._settings.post is None:
            raise Failed("nobody is there to do this")
        return await self._posted(self._settings.post, url, call_id, tool.spec.name, arguments)

    async def _posted(self, post: Post, url: str, call_id: str, name: str, arguments: dict[str, object]) -> object:
        value = {"session_id": self._session_id, "tool_call_id": call_id, "name": name, "arguments": arguments}
        body = json.dumps(value, ensure_ascii=False).encode()
        headers = {HEADER: sign(self._settings.secret, int(time.time()), body)} if self._settings.secret else {}
        answer = await post(url, headers, body)
        if answer.status is None:
            raise Failed(answer.error or "no answer")
        if not 200 <= answer.status < 300:
            raise Failed(f"answered {answer.status}")
        text = answer.body.decode("utf-8", "replace")
        try:
            found = json.loads(text)
        except ValueError:
            return text
        if isinstance(found, dict) and isinstance(found.get("error"), str):
            raise Failed(found["error"][:500])
        return found["output"] if isinstance(found, dict) and set(found) == {"output"} else found


def load_python(name: str) -> Callable[..., Any]:
    """The function that "module:function" names. Raises ValueError: what is wrong and what to write."""
    module, _, function = name.partition(":")
    try:
        found = getattr(importlib.import_module(module), function)
    except ImportError as error:
        raise ValueError(f"{name}: {error}; install the module where the server runs") from None
    except AttributeError:
        raise ValueError(f"{name}: the module has no {function}; write the name of a function in it") from None
    if not callable(found):
        raise ValueError(f"{name}: is no function; write the name of one")
    return found  # type: ignore[no-any-return]


async def _run_python(name: str, arguments: dict[str, object]) -> object:
    """Keywords in, something that JSON can hold out. What it raises is told to the model by its kind alone."""
    try:
        function = load_python(name)
        result = (
            function(**arguments)
            if inspect.iscoroutinefunction(function)
            else await asyncio.to_thread(function, **arguments)
        )
        return await result if isinstance(result, Awaitable) else result
    except (asyncio.CancelledError, TimeoutError):
        raise
    except Exception as error:  # the desk's own code: its mistake is no mistake of the call
        raise Failed(f"{type(error).__name__}: {error}"[:300]) from error


def _short(output: object) -> object:
    """What fits into a prompt: long results are cut, and say so."""
    text = json.dumps(output, ensure_ascii=False, default=str)
    return output if len(text) <= LONGEST_RESULT else text[:LONGEST_RESULT] + " … (cut)"


def _no_constant(name: str) -> object:
    raise ValueError(f"{name} is not JSON")


def _not_fetched(uri: str) -> Any:
    raise ValueError(f"{uri} is not fetched")
