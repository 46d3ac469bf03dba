"""A session in which an AI answers, as its mode file or its client has it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from datetime import datetime
from typing import TYPE_CHECKING

from kallglot_media.agent.endpoint import Patience
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.holding import SILENCE, HoldRules
from kallglot_media.call.transferring import AgentTarget
from kallglot_media.media.messages import Gains

if TYPE_CHECKING:
    from kallglot_media.agent.conversation import Conversation
    from kallglot_media.call.session import Session


@dataclass(frozen=True, slots=True)
class VoiceRules:
    """How the AI sounds. voices: language -> installed voice, None its first one; pitch, speed: 1 as installed."""

    name: str = "alloy"
    voices: Mapping[str, str | None] = field(default_factory=dict)
    pitch: float = 1.0
    speed: float = 1.0


@dataclass(frozen=True, slots=True)
class VoicemailRules:
    """longest_s: of a message; silence_s: after so long without a word it is over."""

    longest_s: float = 120.0
    silence_s: float = 4.0


@dataclass(frozen=True, slots=True)
class HandoffRules:
    """To whom and how.

    refer_to  who the caller's side is asked to call itself, when that is how it goes
    is_open   whether somebody is there at a time
    nobody    what is offered when no human can be had: "callback", "voicemail" or "nothing"
    """

    target: AgentTarget
    refer_to: str | None = None
    summary: bool = True
    key: str | None = "0"
    is_open: Callable[[datetime], bool] = lambda now: True
    hold: HoldRules = SILENCE
    nobody: str = "callback"
    voicemail: VoicemailRules = VoicemailRules()


@dataclass(frozen=True, slots=True)
class AnsweringRules:
    """See the module.

    converse  makes the session's conversation, knowledge and all
    phrase    phrase(name, language) -> text
    greeting  said first; "" waits for the caller
    """

    converse: Callable[[Session], Awaitable[Conversation]]
    phrase: Callable[[str, str], str]
    greeting: str
    caller_language: str
    inner_language: str
    human_language: str
    voice: VoiceRules
    voices: Mapping[str, str | None]
    segment: SegmentRules
    gains: Gains
    patience: Patience
    max_call_s: float
    max_turns: int
    barge_in: bool = True
    silence_s: float = 8.0
    silence_prompts: int = 2
    filler_ms: int = 1500
    keys_ms: int = 2500
    redact: Callable[[str], str] = lambda text: text
    handoff: HandoffRules | None = None
