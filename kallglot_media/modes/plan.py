"""A mode as data: all modes pass through the same media tick.

`made={listener: talker}` reads "the listener hears the talker's words, made over".
`live={listener: (talkers…)}` reads "the listener hears these voices as they are".
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from enum import StrEnum


class Party(StrEnum):
    """Who takes part in a session."""

    CUSTOMER = "customer"
    AGENT = "agent"
    AI = "ai"


class Words(StrEnum):
    """Where the words of made speech come from."""

    NONE = "none"
    TRANSLATE = "translate"
    ANSWER = "answer"


@dataclass(frozen=True, slots=True)
class Plan:
    """Who hears whom.

    words  where made words come from
    live   listener -> talkers whose original voice the listener hears at full level
    made   listener -> the talker whose words the listener hears as made speech
    """

    words: Words
    live: Mapping[Party, tuple[Party, ...]] = field(default_factory=dict)
    made: Mapping[Party, Party] = field(default_factory=dict)


_C, _A, _AI = Party.CUSTOMER, Party.AGENT, Party.AI

BIDIRECTIONAL_TRANSLATION = Plan(Words.TRANSLATE, made={_C: _A, _A: _C})
ASSISTIVE_TRANSLATION = Plan(Words.TRANSLATE, live={_A: (_C,)}, made={_C: _A})
AI_AGENT = Plan(Words.ANSWER, made={_C: _AI})
HANDED_OVER = Plan(Words.TRANSLATE, live={_A: (_C,), _C: (_A,)})
BRIDGED = Plan(Words.NONE, live={_A: (_C,), _C: (_A,)})
INTERPRETER = Plan(Words.TRANSLATE, made={_C: _C})
"""One caller hears their own words in the other language: the number to try by oneself."""
ECHO = Plan(Words.NONE, live={_C: (_C,)})
SILENT = Plan(Words.NONE)
"""Before anybody is connected, and while only announcements play."""
