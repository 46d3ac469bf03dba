"""An OpenAI-compatible chat model, streaming: words as they come, tool calls when they are whole.

Whatever the server does wrong ends in LlmFailed, which says what; nothing of what was said is in it.
"""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol

from kallglot_media.agent.types import ToolSpec

Message = Mapping[str, Any]
MOST_TOOL_CALLS = 8
LONGEST_ARGUMENTS = 20_000


@dataclass(frozen=True, slots=True)
class LlmSettings:
    """base_url: e.g. http://127.0.0.1:8080/v1; first_words_s: until the first token; answer_s: for the whole answer;
    longest_characters: what comes after so many is not waited for.
    """

    base_url: str
    model: str
    api_key: str = field(default="", repr=False)
    first_words_s: float = 8.0
    answer_s: float = 30.0
    longest_characters: int = 1200


@dataclass(frozen=True, slots=True)
class Words:
    """Some more of the answer."""

    text: str


@dataclass(frozen=True, slots=True)
class Call:
    """A tool that the model wants. arguments: as it wrote them, JSON or not."""

    id: str
    name: str
    arguments: str


Output = Words | Call


class LlmFailed(Exception):
    """No answer, or only the beginning of one.

    kind  "unreachable", "slow", "busy" (429), "refused" (4xx), "error" (5xx), "cut" or "garbage"
    """

    def __init__(self, kind: str, detail: str) -> None:
        super().__init__(f"{kind}: {detail}")
        self.kind = kind


class Llm(Protocol):
    """A model that answers."""

    def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], temperature: float
    ) -> AsyncIterator[Output]:
        """The answer as it comes. Raises LlmFailed; closing the iterator early stops the model."""
        ...


class OpenAiLlm:
    """One endpoint; `close()` when it is no longer needed."""

    def __init__(self, settings: LlmSettings) -> None:
        self.settings = settings
        self._client: Any = None

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], temperature: float
    ) -> AsyncIterator[Output]:
        """See Llm."""
        settings, loop = self.settings, asyncio.get_running_loop()
        began_s = loop.time()
        stream = None
        calls: dict[int, dict[str, str]] = {}
        characters, finished = 0, False
        try:
            async with asyncio.timeout(settings.first_words_s):
                stream = await self._ask(messages, tools, temperature)
                chunks = aiter(stream)
                chunk = await anext(chunks, None)
            while chunk is not None:
                text, done = _take(chunk, calls)
                finished = finished or done
                if text:
                    characters += len(text)
                    yield Words(text)
                if characters >= settings.longest_characters:
                    finished = True
                    break
                left_s = began_s + settings.answer_s - loop.time()
                if left_s <= 0:
                    raise LlmFailed("slow", f"not done after {settings.answer_s:g} s")
                async with asyncio.timeout(min(left_s, settings.first_words_s)):
                    chunk = await anext(chunks, None)
            if not finished and not calls and not characters:
                raise LlmFailed("garbage", "an empty answer")
            if not finished:
                raise LlmFailed("cut", "the answer ended in the middle")
            for call in _whole(calls):
                yield call
        except TimeoutError:
            raise LlmFailed("slow", f"silent for {settings.first_words_s:g} s") from None
        except (LlmFailed, GeneratorExit, asyncio.CancelledError):
            raise
        except Exception as error:
            # What the client library lets through of a server's nonsense is no closed set: ValueError, KeyError, …
            failed = _failed(error)
            if failed.kind == "unreachable" and stream is not None:
                failed = LlmFailed("cut", "the connection broke in the middle")
            raise failed from error
        finally:
            if stream is not None:
                await _closed(stream)

    async def _ask(self, messages: Sequence[Message], tools: Sequence[ToolSpec], temperature: float) -> Any:
        more: dict[str, Any] = {}
        if tools:
            more["tools"] = [
                {
                    "type": "function",
                    "function": {
                        "name": tool.name,
                        "description": tool.description,
                        "parameters": dict(tool.parameters),
                    },
                }
                for tool in tools
            ]
        return await self._connected().chat.completions.create(
            model=self.settings.model, messages=list(messages), temperature=temperature, stream=True, **more
        )

    def _connected(self) -> Any:
        """The client; importing it takes 400 ms, so that happens when it is first needed."""
        if self._client is None:
            from openai import AsyncOpenAI

            settings = self.settings
            self._client = AsyncOpenAI(
                base_url=settings.base_url,
                api_key=settings.api_key or "none",
                timeout=settings.answer_s,
                max_retries=1,
            )
        return self._client

    def warm(self) -> None:
        """Import and make the client now, not in the first caller's time."""
        self._connected()

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()


async def _closed(stream: Any) -> None:
    """Let go of the connection; a server that resists costs a second."""
    try:
        async with asyncio.timeout(1.0):
            await stream.close()
    except Exception:  # noqa: S110 - it was of no use any more anyway
        pass


def _take(chunk: Any, calls: dict[int, dict[str, str]]) -> tuple[str, bool]:
    """The words of a chunk, and whether the answer is complete with it; parts of tool calls are collected."""
    choices = getattr(chunk, "choices", None) or []
    if not choices:
        return "", False
    choice = choices[0]
    delta = choice.delta
    for part in (delta.tool_calls if delta is not None else None) or []:
        call = calls.setdefault(int(part.index or 0), {"id": "", "name": "", "arguments": ""})
        if part.id:
            call["id"] = str(part.id)
        if part.function is not None:
            call["name"] += part.function.name or ""
            call["arguments"] += part.function.arguments or ""
            if len(call["arguments"]) > LONGEST_ARGUMENTS or len(calls) > MOST_TOOL_CALLS:
                raise LlmFailed("garbage", "endless tool calls")
    text = (delta.content if delta is not None else None) or ""
    return str(text), choice.finish_reason is not None


def _whole(calls: Mapping[int, Mapping[str, str]]) -> list[Call]:
    return [
        Call(call["id"] or f"call_{index}", call["name"], call["arguments"])
        for index, call in sorted(calls.items())
        if call["name"]
    ]


def _failed(error: Exception) -> LlmFailed:
    from openai import APIConnectionError, APIStatusError, APITimeoutError

    if isinstance(error, APITimeoutError):
        return LlmFailed("slow", "no answer in time")
    if isinstance(error, APIConnectionError):
        return LlmFailed("unreachable", type(error).__name__)
    if isinstance(error, APIStatusError):
        status = error.status_code
        kind = "busy" if status == 429 else "error" if status >= 500 else "refused"
        return LlmFailed(kind, f"HTTP {status}")
    if isinstance(error, json.JSONDecodeError | ValueError | KeyError | TypeError | AttributeError):
        return LlmFailed("garbage", type(error).__name__)
    return LlmFailed("cut", type(error).__name__)
