"""An OpenAI-compatible chat server that plays a script: a process of its own, the real protocol, streaming.

    with LlmServer(folder, [{"when": "Paket", "say": "Es ist unterwegs."}, {"say": "Wie bitte?"}]) as llm:
        … base_url=llm.url …
        llm.requests()        # every request body, in order

A rule is played when its `when` (a regular expression) is found in the last user or tool message; the first that fits.
    say        words, streamed; pace_ms: between two of them
    tools      [{"name", "arguments"}]: tool calls, their arguments in pieces; arguments may be any text
    status     an HTTP error instead; times: only for so many requests, then the next rule that fits
    stall_s    silence before the first word; stall_after: words after which the silence comes
    cut_after  words after which the connection is closed
    garbage    lines that are no JSON; endless: words without end
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import sys
from collections import Counter
from collections.abc import AsyncIterator, Mapping, Sequence
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import uvicorn
from starlette.applications import Starlette
from starlette.requests import Request
from starlette.responses import JSONResponse, Response, StreamingResponse
from starlette.routing import Route

from tests.support.processes import HOST, Child, free_port, until

REPOSITORY = Path(__file__).parents[2]
Rule = Mapping[str, Any]


class _Cut(Exception):
    """The script says that the connection breaks here."""


class Player:
    """Answers requests by the script."""

    def __init__(self, rules: Sequence[Rule], log: Path) -> None:
        self._rules = rules
        self._log = log
        self._played: Counter[int] = Counter()

    async def chat(self, request: Request) -> Response:
        """POST /v1/chat/completions."""
        body = await request.json()
        with self._log.open("a", encoding="utf-8") as log:
            log.write(json.dumps(body, ensure_ascii=False) + "\n")
        rule = self._rule_for(body["messages"])
        if "status" in rule:
            return JSONResponse({"error": {"message": "scripted", "type": "scripted"}}, rule["status"])
        if not body.get("stream"):
            return JSONResponse({"error": {"message": "only streams are played"}}, 400)
        return StreamingResponse(self._stream(rule), media_type="text/event-stream")

    def _rule_for(self, messages: Sequence[Mapping[str, Any]]) -> Rule:
        last = next(
            (str(one.get("content") or "") for one in reversed(messages) if one["role"] in ("user", "tool")), ""
        )
        for number, rule in enumerate(self._rules):
            if self._played[number] < rule.get("times", 10**9) and re.search(rule.get("when", ""), last):
                self._played[number] += 1
                return rule
        return {"say": "I have no line for that."}

    async def _stream(self, rule: Rule) -> AsyncIterator[str]:
        await asyncio.sleep(rule.get("stall_s", 0) if "stall_after" not in rule else 0)
        if rule.get("garbage"):
            yield "data: {this is no JSON\n\n"
            yield "data: [1, 2\n\n"
            return
        pace_s = rule.get("pace_ms", 0) / 1000
        if rule.get("endless"):
            while True:
                yield _chunk({"content": "and on and on. "})
                await asyncio.sleep(0.001)
        for number, word in enumerate(re.findall(r"\S+\s*", rule.get("say", ""))):
            if number == rule.get("cut_after"):
                raise _Cut
            if number == rule.get("stall_after"):
                await asyncio.sleep(rule["stall_s"])
            yield _chunk({"content": word})
            await asyncio.sleep(pace_s)
        for index, tool in enumerate(rule.get("tools", ())):
            written = tool["arguments"] if isinstance(tool["arguments"], str) else json.dumps(tool["arguments"])
            half = len(written) // 2
            head = {"index": index, "id": f"call_{index}", "type": "function"}
            yield _chunk({"tool_calls": [{**head, "function": {"name": tool["name"], "arguments": ""}}]})
            for part in (written[:half], written[half:]):
                yield _chunk({"tool_calls": [{"index": index, "function": {"arguments": part}}]})
        yield _chunk({}, "tool_calls" if rule.get("tools") else "stop")
        yield "data: [DONE]\n\n"


def _chunk(delta: Mapping[str, Any], finish: str | None = None) -> str:
    value = {
        "id": "chatcmpl-1", "object": "chat.completion.chunk", "created": 1, "model": "script",
        "choices": [{"index": 0, "delta": {"role": "assistant", **delta}, "finish_reason": finish}],
    }  # fmt: skip
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


class LlmServer:
    """The process. url: its base_url."""

    def __init__(self, folder: Path, rules: Sequence[Rule], *, port: int | None = None) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.port = port or free_port()
        self.url = f"http://{HOST}:{self.port}/v1"
        self._log = folder / "requests.jsonl"
        script = folder / "script.json"
        script.write_text(json.dumps(list(rules)), encoding="utf-8")
        command = [sys.executable, "-m", "tests.support.llm_server", str(self.port), str(script), str(self._log)]
        self._child = Child(command, folder / "llm.log", cwd=REPOSITORY)
        until("the model server listens", lambda: "running on" in self._child.log, 20.0)

    def requests(self) -> list[dict[str, Any]]:
        """The body of every request."""
        return [json.loads(line) for line in self._log.read_text("utf-8").splitlines()] if self._log.exists() else []

    def stop(self) -> None:
        """End it, as a model server that goes down."""
        self._child.stop()

    def __enter__(self) -> Self:
        return self

    def __exit__(self, kind: type[BaseException] | None, error: BaseException | None, at: TracebackType | None) -> None:
        self.stop()


def main() -> None:
    """python -m tests.support.llm_server PORT SCRIPT LOG"""
    parser = argparse.ArgumentParser()
    parser.add_argument("port", type=int)
    parser.add_argument("script", type=Path)
    parser.add_argument("log", type=Path)
    asked = parser.parse_args()
    player = Player(json.loads(asked.script.read_text("utf-8")), asked.log)
    app = Starlette(routes=[Route("/v1/chat/completions", player.chat, methods=["POST"])])
    uvicorn.run(app, host=HOST, port=asked.port, log_level="info", timeout_graceful_shutdown=1)


if __name__ == "__main__":
    main()
