"""The tools of an AI agent, and what is no JSON Schema."""

from __future__ import annotations

import re
from typing import Annotated, Any

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.types import Settings, bad

ENTRY_POINT = r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$"


class Tool(Settings):
    """A function that the model may call: at the stream's client when one has subscribed, else at `url` or `python`."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$", examples=["lookup_order"])]
    """What the model calls it."""

    description: Annotated[str, Field(max_length=2000)] = ""
    """What the model is told about it."""

    parameters: dict[str, Any] = Field(default_factory=lambda: {"type": "object", "properties": {}})
    """JSON Schema of its arguments. Arguments that it does not allow never leave the server."""

    url: Annotated[str | None, Field(pattern=r"^https?://[!-~]+$", examples=["https://shop.example.com/tools"])] = None
    """Where it is POSTed to, signed like a webhook."""

    python: Annotated[str | None, Field(pattern=r"^[A-Za-z_][\w.]*:[A-Za-z_]\w*$", examples=["desk.tools:lookup"])] = (
        None
    )
    """A function of a Python module on the server, `module:function`; it gets the arguments as keywords."""

    match: Annotated[str | None, Field(max_length=500, examples=["booking (?P<number>[0-9]{4,8})"])] = None
    """Without a language model: a regular expression on what the caller says (digits as figures) or keys in; its named
    groups are the arguments."""

    reply: Annotated[str, Field(max_length=1000, examples=["Your room is ready at {ready_at}."])] = ""
    """With `match`: what is said then, in `target_language`, with the names of the output in braces."""

    not_found: Annotated[str, Field(max_length=1000)] = ""
    """With `match`: what is said when the tool gives an error."""

    timeout_s: Annotated[float, Field(ge=0.1, le=60)] = 10
    """A result later than this is given up, and the model is told."""

    idempotent: bool = False
    """true: calling it twice does no harm, so it is tried once more when it fails."""

    @field_validator("parameters")
    @classmethod
    def _is_a_schema(cls, parameters: dict[str, Any]) -> dict[str, Any]:
        wrong = schema_mistake(parameters)
        if wrong is not None:
            raise bad(f"is no JSON Schema of an object: {wrong}", "write type: object and properties:")
        found: dict[str, Any] = plain(parameters)
        return found

    @field_validator("match")
    @classmethod
    def _is_a_pattern(cls, match: str | None) -> str | None:
        try:
            re.compile(match or "")
        except re.error as error:
            raise bad(f"is no regular expression: {error}", "write one, e.g. '(?P<number>[0-9]{4,8})'") from None
        return match

    @field_validator("python")
    @classmethod
    def _one_way(cls, python: str | None, info: ValidationInfo) -> str | None:
        if python is not None and info.data.get("url") is not None:
            raise bad("does not go with url", "write either url: or python:")
        return python


def schema_mistake(schema: Any) -> str | None:
    """Why this is no JSON Schema of an object; None when it is one."""
    import jsonschema_rs

    schema = plain(schema)
    if not isinstance(schema, dict) or schema.get("type", "object") != "object":
        return "its type is not object"
    try:
        jsonschema_rs.meta.validate(schema)
        jsonschema_rs.validator_for(schema, retriever=_no_retriever)
    except (ValueError, jsonschema_rs.ValidationError) as error:
        return " ".join(str(error).split())[:200]
    return None


def _no_retriever(uri: str) -> Any:
    """A schema must stand by itself: nothing is fetched for it."""
    raise ValueError(f"it refers to {uri}, and nothing is fetched")


def plain(value: Any) -> Any:
    """The same with lists for tuples, as JSON has it."""
    if isinstance(value, dict):
        return {key: plain(one) for key, one in value.items()}
    return [plain(one) for one in value] if isinstance(value, list | tuple) else value
