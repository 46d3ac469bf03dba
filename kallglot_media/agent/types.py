"""What goes into a conversation, and what comes out of it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Via(StrEnum):
    """How the caller said something."""

    VOICE = "voice"
    CHAT = "chat"
    KEYS = "keys"


@dataclass(frozen=True, slots=True)
class Heard:
    """Something the caller said.

    text   in the caller's language
    inner  the same in the language of prompt and knowledge; equal to `text` where that is the caller's
    """

    text: str
    inner: str
    via: Via = Via.VOICE


@dataclass(frozen=True, slots=True)
class Say:
    """Something to be said: a sentence, or a few.

    language  what it is written in
    sources   titles of the documents it is from; with no text: of what was said before
    phrase    the name of the phrase that it is, "" for words of its own
    """

    text: str
    language: str
    sources: tuple[str, ...] = ()
    phrase: str = ""


@dataclass(frozen=True, slots=True)
class HandOver:
    """The caller is to be put through to a human. why: "asked", "key", "failures", "tool", "keyword", "upset"."""

    why: str


@dataclass(frozen=True, slots=True)
class Finish:
    """The call is to end after what was said."""

    why: str


@dataclass(frozen=True, slots=True)
class ToolUsed:
    """A tool was called. arguments: as checked, or as written when they could not be read; error None: it worked."""

    name: str
    arguments: Mapping[str, object] | str
    output: object = None
    error: str | None = None
    took_ms: int = 0


@dataclass(frozen=True, slots=True)
class Waiting:
    """A tool was asked and has not answered yet: the caller may be told to wait."""

    tool: str


Piece = Say | HandOver | Finish | ToolUsed | Waiting


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the history. role: "user" or "assistant"; text: in the inner language, as it was really heard."""

    role: str
    text: str


@dataclass(frozen=True, slots=True)
class Source:
    """A piece of knowledge. language: what it is written in."""

    title: str
    text: str
    language: str
    heading: str | None = None
    page: int | None = None
    source: str | None = None


@dataclass(frozen=True, slots=True)
class Found:
    """A piece of knowledge that fits a question. score: how well, 0–1 for the best of them."""

    source: Source
    score: float


@dataclass(frozen=True, slots=True)
class ToolSpec:
    """A tool as the model sees it. parameters: JSON Schema."""

    name: str
    description: str
    parameters: Mapping[str, object] = field(default_factory=lambda: {"type": "object", "properties": {}})
