"""What passes over a stream, whoever's way of writing it: our own (native.py) or a carrier's (carriers.py)."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from kallglot_media.modes.plan import Party

Json = dict[str, Any]


class BadMessage(Exception):
    """A message that cannot be used; the session lives. `str()` is for the client: what is there, what to write."""

    def __init__(self, code: str, message: str, param: str | None = None) -> None:
        super().__init__(message)
        self.code = code
        self.param = param


@dataclass(frozen=True, slots=True)
class Sound:
    """A party says something: µ-law at 8 kHz. party None: the only one that the client carries."""

    party: Party | None
    sound: bytes


@dataclass(frozen=True, slots=True)
class Subscribe:
    """The client wants these events, and no others."""

    events: frozenset[str]


@dataclass(frozen=True, slots=True)
class Chat:
    """The client typed something."""

    text: str


@dataclass(frozen=True, slots=True)
class ToolResult:
    """What came of a tool call."""

    tool_call_id: str
    output: object
    error: str | None


@dataclass(frozen=True, slots=True)
class Key:
    """A key was pressed on the phone behind the stream."""

    party: Party
    digit: str


@dataclass(frozen=True, slots=True)
class Mark:
    """The carrier has played all that was sent before the mark of this name."""

    name: str


@dataclass(frozen=True, slots=True)
class Ping:
    """The client wants to know whether we are there."""


@dataclass(frozen=True, slots=True)
class End:
    """The session is to end."""


@dataclass(frozen=True, slots=True)
class HungUp:
    """The phone behind the stream was hung up."""


Incoming = Sound | Subscribe | Chat | ToolResult | Key | Mark | Ping | End | HungUp


class Framing(Protocol):
    """One way of writing it. A method that returns None has no word for it."""

    def read(self, text: str) -> Sequence[Incoming]:
        """What a text frame says. Raises BadMessage."""
        ...

    def sound(self, party: Party, first_sample: int, sound: bytes) -> Sequence[str]:
        """Frames with something for a party to hear."""
        ...

    def clear(self, party: Party) -> str | None:
        """What was sent and has not been played yet is to be thrown away."""
        ...

    def event(self, name: str, body: Mapping[str, Any]) -> str | None:
        """Something happened."""
        ...


def read_object(text: str) -> Json:
    """A JSON object. Raises BadMessage."""
    try:
        value = json.loads(text)
        if "\\u" in text:  # half of a pair, or a NUL, is no text for a database or an engine
            json.dumps(value, ensure_ascii=False).encode()
            if "\\u0000" in text:
                raise ValueError("NUL")
    except (ValueError, RecursionError) as error:
        why = getattr(error, "msg", "nested too deeply" if isinstance(error, RecursionError) else str(error)).lower()
        raise BadMessage("invalid_field_value", f"the frame is no JSON: {why}; write one object a frame") from None
    if not isinstance(value, dict):
        kind = type(value).__name__
        raise BadMessage("invalid_field_value", f'the frame is a JSON {kind}; write an object with a "type"')
    return value
