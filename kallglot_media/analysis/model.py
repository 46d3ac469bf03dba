"""The language model that writes summaries and judges sentiment: any OpenAI-compatible endpoint."""

from __future__ import annotations

import asyncio
import json
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Protocol


@dataclass(frozen=True, slots=True)
class ModelSettings:
    """base_url: e.g. http://127.0.0.1:8080/v1; api_key: "" when it needs none; deadline_s: for one answer."""

    base_url: str
    model: str
    api_key: str = ""
    deadline_s: float = 60.0


class ModelFailed(Exception):
    """The model gave no usable answer, and why. Never holds what was said."""


class Model(Protocol):
    """Answers in JSON."""

    @property
    def name(self) -> str:
        """What the analysis says it was made with."""
        ...

    async def ask(self, instructions: str, material: str) -> Mapping[str, Any]:
        """The object that the model answers with. Raises ModelFailed."""
        ...


class OpenAiModel:
    """An OpenAI-compatible endpoint."""

    def __init__(self, settings: ModelSettings) -> None:
        self._settings = settings
        self._client: Any = None

    @property
    def name(self) -> str:
        return self._settings.model

    async def ask(self, instructions: str, material: str) -> Mapping[str, Any]:
        from openai import APIStatusError, OpenAIError

        messages = [{"role": "system", "content": instructions}, {"role": "user", "content": material}]
        try:
            async with asyncio.timeout(self._settings.deadline_s):
                answer = await self._connected().chat.completions.create(
                    model=self.name, messages=messages, temperature=0, response_format={"type": "json_object"}
                )
        except TimeoutError:
            raise ModelFailed(f"no answer within {self._settings.deadline_s:g} s") from None
        except APIStatusError as error:
            raise ModelFailed(f"answered {error.status_code}") from error
        except OpenAIError as error:
            raise ModelFailed(type(error).__name__) from error
        if not answer.choices:
            raise ModelFailed("answered nothing")
        return parse(answer.choices[0].message.content or "")

    def _connected(self) -> Any:
        """The client; importing it takes 400 ms, so that happens when it is first needed."""
        if self._client is None:
            from openai import AsyncOpenAI

            settings = self._settings
            self._client = AsyncOpenAI(
                base_url=settings.base_url,
                api_key=settings.api_key or "none",
                timeout=settings.deadline_s,
                max_retries=1,
            )
        return self._client

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()


def parse(text: str) -> Mapping[str, Any]:
    """The JSON object in an answer, also when the model wrapped it in words or a code block. Raises ModelFailed."""
    begin, end = text.find("{"), text.rfind("}")
    try:
        value = json.loads(text[begin : end + 1]) if begin >= 0 else None
    except (ValueError, RecursionError):
        value = None
    if not isinstance(value, dict):
        raise ModelFailed("answered no JSON object")
    return value
