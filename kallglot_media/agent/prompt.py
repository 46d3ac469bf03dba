"""What a language model is told: who it is, how one speaks on the phone, what the documents say."""

from __future__ import annotations

import re
from collections.abc import Sequence
from typing import Any

from kallglot_media.agent.guards import FENCE_RULE, fenced
from kallglot_media.agent.types import Found, Line

MOST_LINES = 24
"""Lines of the history that the model still sees."""

LONGEST_PASSAGE = 1500
_MARK = re.compile(r"\s*\[\s*(\d{1,2}(?:\s*,\s*\d{1,2})*)\s*\]")

_MANNERS = (
    "You are speaking with a caller on the telephone. What you write is read aloud: short, plain sentences, no lists, "
    "no Markdown, no links, no emoji. Answer in one to three sentences. Write numbers as one says them. "
    "Speak {language}."
)
_KNOWLEDGE = (
    "Answer questions of fact only from the numbered material below, and put the number of what you used in brackets "
    "at the end of the sentence, like [1]. When the material does not answer the question, say that you do not know"
    "{offer}; never guess."
)
_NO_MATERIAL = "No material is about this question. Do not state facts about it; say that you do not know{offer}."
_OFFER = " and offer to put the caller through to a person"


def system_message(prompt: str, language: str, found: Sequence[Found], *, has_knowledge: bool, has_human: bool) -> str:
    """The whole system message. language: its name in English."""
    parts = [prompt.strip(), _MANNERS.format(language=language)]
    offer = _OFFER if has_human else ""
    if found:
        parts += [_KNOWLEDGE.format(offer=offer), FENCE_RULE]
        for number, one in enumerate(found, 1):
            head = " › ".join(filter(None, (one.source.title, one.source.heading)))
            parts.append(f"[{number}] " + fenced(head, one.source.text, LONGEST_PASSAGE))
    elif has_knowledge:
        parts.append(_NO_MATERIAL.format(offer=offer))
    return "\n\n".join(part for part in parts if part)


def messages_of(system: str, history: Sequence[Line]) -> list[dict[str, Any]]:
    """The request's messages: the system message and the last lines of the conversation."""
    lines = [{"role": line.role, "content": line.text} for line in history[-MOST_LINES:]]
    return [{"role": "system", "content": system}, *lines]


def without_marks(sentence: str, found: Sequence[Found]) -> tuple[str, tuple[str, ...]]:
    """A sentence as it is spoken, and the titles of the sources that it names.

    without_marks("It costs 5 euros [1].", found) == ("It costs 5 euros.", ("Prices",))
    """
    named: dict[str, None] = {}
    for mark in _MARK.finditer(sentence):
        for number in re.findall(r"\d+", mark[1]):
            if 0 < int(number) <= len(found):
                source = found[int(number) - 1].source
                named[" › ".join(filter(None, (source.title, source.heading)))] = None
    return _MARK.sub("", sentence).strip(), tuple(named)
