"""An answer from a language model: passages to it, sentences from it as they are whole, tools in between."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator, Sequence
from contextlib import aclosing
from typing import TYPE_CHECKING, Any

from kallglot_media.agent.guards import fenced
from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.llm import Call, Llm, LlmFailed, Words
from kallglot_media.agent.meaning import search
from kallglot_media.agent.prompt import messages_of, system_message, without_marks
from kallglot_media.agent.sentences import SentenceStream, spoken
from kallglot_media.agent.tools import TRANSFER, ToolBox
from kallglot_media.agent.types import Found, HandOver, Heard, Line, Piece, Say, ToolSpec, ToolUsed, Waiting

if TYPE_CHECKING:
    from kallglot_media.agent.conversation import Manners

_TRANSFER_SPEC = ToolSpec(
    TRANSFER,
    "Put the caller through to a human. Use it when the caller asks for a person, or when you cannot help.",
    {"type": "object", "properties": {"reason": {"type": "string"}}, "additionalProperties": False},
)


class Generator:
    """One answer. handed_over: the model gave the caller to a human; found: passages, when they are known already."""

    def __init__(
        self,
        manners: Manners,
        llm: Llm,
        tools: ToolBox | None,
        knowledge: Knowledge,
        found: Sequence[Found] | None = None,
    ) -> None:
        self._found = found
        self.handed_over = False
        self._manners = manners
        self._llm = llm
        self._tools = tools
        self._knowledge = knowledge
        self._blocked = False

    async def run(self, heard: Heard, history: Sequence[Line]) -> AsyncIterator[Piece]:
        """The answer to the history's last line. Raises LlmFailed."""
        manners = self._manners
        found = self._found
        if found is None:
            found = await search(self._knowledge, heard.inner, manners.inner_language, manners.passages)
        system = system_message(
            manners.system_prompt,
            manners.language_name,
            found,
            has_knowledge=len(self._knowledge) > 0,
            has_human=manners.has_human,
        )
        messages = messages_of(system, history)
        for _ in range(manners.tool_rounds):
            calls: list[Call] = []
            async for piece in self._round(messages, found, calls):
                yield piece
            if not calls or self._blocked:
                return
            if any(call.name == TRANSFER for call in calls) and manners.has_human:
                self.handed_over = True
                yield HandOver("tool")
                return
            yield Waiting(calls[0].name)
            used = await asyncio.gather(*(self._call(call) for call in calls))
            for one in used:
                yield one
            messages += _told(calls, used)
        raise LlmFailed("garbage", f"called tools {manners.tool_rounds} times in a row")

    async def _round(self, messages: Sequence[Any], found: Sequence[Found], calls: list[Call]) -> AsyncIterator[Piece]:
        """The sentences of one request; the tools it asks for go into `calls`."""
        manners = self._manners
        specs = [*(self._tools.specs if self._tools else ()), *((_TRANSFER_SPEC,) if manners.has_human else ())]
        sentences, spoken_characters = SentenceStream(), 0
        stream = self._llm.stream(messages, specs, manners.temperature)
        async with aclosing(stream) as outputs:  # type: ignore[type-var]
            async for output in outputs:
                if isinstance(output, Call):
                    calls.append(output)
                    continue
                for sentence in sentences.push(output.text if isinstance(output, Words) else ""):
                    if (piece := self._sayable(sentence, found)) is not None:
                        yield piece
                    if self._blocked:
                        return
                    spoken_characters += len(sentence)
        rest = sentences.rest()
        # what an answer that ran too long left unfinished is no sentence
        whole = spoken_characters + len(rest) < manners.answer_characters or rest.endswith((".", "!", "?", "…"))
        if rest and whole and (piece := self._sayable(rest, found)) is not None:
            yield piece

    def _sayable(self, sentence: str, found: Sequence[Found]) -> Say | None:
        """A sentence ready to be spoken; None when it must not be, or has no words."""
        manners = self._manners
        text, sources = without_marks(spoken(sentence), found)
        if not any(char.isalnum() for char in text):
            return Say("", manners.inner_language, sources) if sources else None
        if manners.topics.touched(text) is not None:
            self._blocked = True
            return Say(manners.phrase("off_topic"), manners.caller_language, phrase="off_topic")
        return None if manners.topics.unsayable(text) else Say(text, manners.inner_language, sources)

    async def _call(self, call: Call) -> ToolUsed:
        if self._tools is None:
            return ToolUsed(call.name, call.arguments, error="there are no tools here")
        return await self._tools.call(call.id, call.name, call.arguments)


def _told(calls: Sequence[Call], used: Sequence[ToolUsed]) -> list[dict[str, Any]]:
    """What the model is told of its calls: its own request, then each result, fenced."""
    asked = [
        {"id": call.id, "type": "function", "function": {"name": call.name, "arguments": _as_json(call.arguments)}}
        for call in calls
    ]
    messages: list[dict[str, Any]] = [{"role": "assistant", "content": None, "tool_calls": asked}]
    for call, one in zip(calls, used, strict=True):
        result = {"error": one.error} if one.error is not None else {"output": one.output}
        text = json.dumps(result, ensure_ascii=False, default=str)
        messages.append({"role": "tool", "tool_call_id": call.id, "content": fenced(f"result of {call.name}", text)})
    return messages


def _as_json(arguments: str) -> str:
    """What the model wrote, as long as it is JSON: servers refuse a request with anything else in it."""
    try:
        json.loads(arguments)
    except ValueError:
        return "{}"
    return arguments
