"""configs/modes/ai_agent.yaml and help_chat_voice.yaml: an AI answers. The API's names where it has them."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated, Literal, TypeVar

from pydantic import Field, ValidationInfo, field_validator

from kallglot_media.config.hours import Hours
from kallglot_media.config.mode import Gains, Hold, ModeRecording, Segment, Target
from kallglot_media.config.phrases import Phrases
from kallglot_media.config.reader import is_file, is_folder
from kallglot_media.config.store import EnvName, ModelEndpoint
from kallglot_media.config.tools import Tool
from kallglot_media.config.types import ConfigPath, Language, Settings, bad
from kallglot_media.modes.plan import Party

VOICES = ("alloy", "echo", "fable", "onyx", "nova", "shimmer")
"""The six voices that the API names."""

VoiceName = Literal["alloy", "echo", "fable", "onyx", "nova", "shimmer"]
DOCUMENT_TYPES = (".txt", ".md", ".markdown", ".html", ".htm", ".pdf")


S = TypeVar("S")


class Voice(Settings):
    """How one of the six voices is made, with an installed voice."""

    voices: dict[Language, Annotated[str, Field(min_length=1)]] = Field(default_factory=dict, examples=[{"de": "de"}])
    """language: installed voice, or `VOICE#SPEAKER`. Left out: the server's voice for that language."""

    pitch: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """How high: 1 is as installed, 1.1 a tenth higher."""

    speed: Annotated[float, Field(ge=0.5, le=2)] = 1.0
    """How fast: 1 is as installed."""


class AiAgent(Settings):
    """The AI agent; the names are the API's."""

    system_prompt: Annotated[str, Field(max_length=100_000)] = ""
    """Who it is and what it may do, in `target_language`."""

    voice: VoiceName = "alloy"
    """One of the six voices."""

    temperature: Annotated[float, Field(ge=0, le=2)] = 0.3
    """Of the model."""

    greeting: Annotated[str | None, Field(max_length=2000)] = None
    """Said first, in the caller's language; left out: `phrases.greeting`. "" waits for the caller."""

    knowledge_base_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    """A knowledge base of the store."""

    tools: Annotated[tuple[Tool, ...], Field(max_length=50)] = ()
    """What it may do."""

    @field_validator("tools")
    @classmethod
    def _once(cls, tools: tuple[Tool, ...]) -> tuple[Tool, ...]:
        seen: set[str] = {"transfer_to_human"}
        for index, tool in enumerate(tools):
            if tool.name in seen:
                raise bad(f"is '{tool.name}' again", "give each tool a name of its own", at=f"{index}.name")
            seen.add(tool.name)
        return tools


class HelpChat(Settings):
    """The help desk; the names are the API's."""

    knowledge_base_id: Annotated[str | None, Field(min_length=1, max_length=200)] = None
    """A knowledge base of the store."""

    escalation_enabled: bool = False
    """Whether a caller can have a human: `handoff` says who, or `escalation_phone`."""

    escalation_phone: Annotated[str | None, Field(pattern=r"^\+[1-9][0-9]{6,14}$", examples=["+4930123456"])] = None
    """The human's number, called over `handoff.trunk` or the first trunk."""

    voice: VoiceName = "alloy"
    """One of the six voices."""


class Voicemail(Settings):
    """A message that a caller leaves: a piece of the session's recording, and its words."""

    longest_s: Annotated[float, Field(ge=5, le=3600)] = 120
    """The longest message."""

    silence_s: Annotated[float, Field(ge=1, le=60)] = 4
    """After so long without a word it is over; so it is at `#`, and when the caller hangs up."""


class Handoff(Target):
    """To whom the AI hands over, and when."""

    mode: Literal["attended", "cold"] = "attended"
    """`attended`: the human is called and told what it is about, then both talk here. `cold`: the caller's side is
    asked to call the human itself (REFER), and this server is out of the call."""

    summary: bool = True
    """Tell the human in a sentence what it is about before the caller is put through."""

    language: Language | None = None
    """What the human speaks; left out: `target_language`. Another than the caller's: the call goes on translated."""

    key: Annotated[str | None, Field(pattern=r"^[0-9*#]$")] = "0"
    """The key that asks for a human; null: none does."""

    after_failures: Annotated[int, Field(ge=1, le=20)] | None = 2
    """So many answers in a row that did not help end with a human; null: never."""

    keywords: Annotated[tuple[Annotated[str, Field(min_length=2, max_length=100)], ...], Field(max_length=200)] = ()
    """Words that ask for a human, besides those that every language has of its own."""

    angry: bool = True
    """Hand over when the caller is upset."""

    hours: Hours | None = None
    """When there is a human; left out: always."""

    nobody: Literal["callback", "voicemail", "nothing"] = "callback"
    """What a caller is offered when no human can be had. `callback`: what they say is written down. `voicemail`: they
    leave a message after a beep; needs a recording, without one a callback is offered. `nothing`: the AI goes on."""

    voicemail: Voicemail = Voicemail()
    """The message."""

    @field_validator("number")
    @classmethod
    def _one_way(cls, number: str | None, info: ValidationInfo) -> str | None:
        """Unlike other targets: `help_chat.escalation_phone` may be who is called."""
        if info.data.get("to") is not None and (info.data.get("trunk") is not None or number is not None):
            raise bad("does not go with to", "write either to: and a SIP address, or trunk: and number:")
        if number is not None and info.data.get("trunk") is None:
            raise bad("goes with trunk", "write both trunk: and number:")
        return number

    @property
    def names_somebody(self) -> bool:
        """Whether it says by itself who is called."""
        return self.to is not None or self.number is not None


class TurnTaking(Settings):
    """Who speaks when."""

    unfinished_ms: Annotated[int, Field(ge=0, le=10_000)] = 900
    """More silence than `segment.stop_ms` after a sentence that does not sound finished ("and", "my number is")."""

    digits_ms: Annotated[int, Field(ge=0, le=10_000)] = 1200
    """The same after digits: somebody may be reading out a number."""

    barge_in: bool = True
    """Whether the caller can interrupt the AI."""

    silence_s: Annotated[float, Field(ge=1, le=300)] = 8
    """After so long without a word the caller is asked whether they are there."""

    silence_prompts: Annotated[int, Field(ge=0, le=10)] = 2
    """So many times; then the call ends."""

    filler_ms: Annotated[int, Field(ge=200, le=30_000)] = 1500
    """When an answer takes longer than this, the caller is asked to wait."""

    keys_ms: Annotated[int, Field(ge=200, le=20_000)] = 2500
    """After so long without another key, or at `#`, the keys pressed are taken as said."""


class AnsweringLimits(Settings):
    """When things end by themselves."""

    max_call_s: Annotated[float, Field(ge=5, le=86_400)] | None = None
    """The longest call; left out: limits.max_call_s of server.yaml."""

    max_turns: Annotated[int, Field(ge=1, le=10_000)] = 200
    """So many things the caller may say."""

    first_words_s: Annotated[float, Field(ge=0.5, le=120)] = 8
    """The model must begin to answer within this time."""

    answer_s: Annotated[float, Field(ge=1, le=300)] = 30
    """The model must have answered within this time; what came by then is said."""

    answer_characters: Annotated[int, Field(ge=50, le=20_000)] = 1200
    """A longer answer is cut off after its last whole sentence."""

    tool_rounds: Annotated[int, Field(ge=1, le=20)] = 5
    """So many times in a row may the model call tools before it must answer."""


class Guards(Settings):
    """What does not come in or go out."""

    redact: tuple[Literal["card", "iban", "email", "phone"], ...] = ()
    """Replaced by a label in transcripts, webhooks and what the human is told; the model still gets it."""

    blocked_topics: dict[str, Annotated[tuple[str, ...], Field(min_length=1)]] = Field(
        default_factory=dict, examples=[{"politics": ["election", "Wahl"]}]
    )
    """topic: words. Whoever uses one hears `phrases.off_topic`; an answer with one is not said."""

    blocked_words: tuple[Annotated[str, Field(min_length=2)], ...] = ()
    """Words that are never said: the sentence is left out."""


class Knowledge(Settings):
    """Where answers come from, besides a knowledge base of the store."""

    documents: Annotated[tuple[ConfigPath, ...], Field(max_length=1000, examples=[["faq.md"]])] = ()
    """Files (text, Markdown, HTML, PDF) or folders of them, read at the start."""

    threshold: Annotated[float, Field(ge=0, le=1)] = 0.5
    """How sure an answer without a language model must be; below it `phrases.not_found` is said."""

    likeness: Annotated[float, Field(ge=0, le=1)] = 0.5
    """With a language model and `embeddings` of server.yaml: how alike (cosine) a passage must be to what was asked to
    count without a word of it. Other embedding models want other numbers."""

    passages: Annotated[int, Field(ge=1, le=20)] = 4
    """So many are given to a language model for each question."""

    @field_validator("documents")
    @classmethod
    def _readable(cls, documents: tuple[Path, ...]) -> tuple[Path, ...]:
        for index, path in enumerate(documents):
            if path.is_absolute() and not is_folder(path) and not is_file(path):
                raise bad(
                    f"is '{path}', which is neither file nor folder", "write the path of a document", at=f"{index}"
                )
            if path.suffix and path.suffix.lower() not in DOCUMENT_TYPES:
                raise bad(f"is '{path}', no document that can be read",
                          f"write a file that ends in {', '.join(DOCUMENT_TYPES)}", at=f"{index}")  # fmt: skip
        return documents


class AnsweringMode(Settings):
    """A mode in which an AI answers the caller."""

    base: ConfigPath | None = None
    """A file with settings that this one does not say: mappings are merged, everything else here is taken instead."""

    mode: Annotated[Literal["ai_agent", "help_chat_voice"], Field(examples=["ai_agent"])]
    """What kind of session this is."""

    source_language: Annotated[Language, Field(examples=["de"])]
    """What the caller speaks and hears."""

    target_language: Annotated[Language | None, Field(examples=["en"])] = None
    """What prompt, knowledge and human are in. Left out: the same. Another: questions and answers are translated."""

    ai_agent: Annotated[AiAgent | None, Field(validate_default=True, examples=[{"system_prompt": "You are …"}])] = None
    """With mode ai_agent."""

    help_chat: Annotated[HelpChat | None, Field(validate_default=True, examples=[{"escalation_enabled": True}])] = None
    """With mode help_chat_voice."""

    llm: ModelEndpoint | None = None
    """The language model; left out: `llm` of server.yaml. A help desk with neither uses its documents' words."""

    tools_url: Annotated[str | None, Field(pattern=r"^https?://[!-~]+$")] = None
    """Where tools without an address of their own are POSTed to."""

    tools_secret_env: EnvName | None = None
    """The environment variable with the secret that tool calls are signed with."""

    knowledge: Knowledge = Knowledge()
    """Documents to answer from."""

    handoff: Handoff | None = None
    """To whom the AI hands over."""

    phrases: Phrases = Phrases()
    """What the AI says by itself."""

    voices: dict[Language, str | None] = Field(default_factory=dict, examples=[{"de": "de"}])
    """language: installed voice, for the server's announcements after a handoff."""

    ai_voices: dict[VoiceName, Voice] = Field(default_factory=dict, examples=[{"nova": {"pitch": 1.1}}])
    """How the six voices are made; one left out is a speaker of the language's voice, or made from it."""

    turn_taking: TurnTaking = TurnTaking()
    """Who speaks when."""

    limits: AnsweringLimits = AnsweringLimits()
    """When things end by themselves."""

    guards: Guards = Guards()
    """What does not come in or go out."""

    segment: Segment = Segment(stop_ms=300)
    """How speech is cut into utterances. The silence is short: `turn_taking` waits where the words are unfinished."""

    gains: Gains = Gains()
    """How loud the original voice stays in a call that goes on translated."""

    hold: Hold = Hold()
    """`music`: what the caller hears while a human is called; left out: it rings."""

    recording: ModeRecording = ModeRecording()
    """What is kept."""

    @field_validator("ai_agent")
    @classmethod
    def _agent_of_the_mode(cls, agent: AiAgent | None, info: ValidationInfo) -> AiAgent | None:
        return _belongs(agent, "ai_agent", "ai_agent", info)

    @field_validator("help_chat")
    @classmethod
    def _chat_of_the_mode(cls, chat: HelpChat | None, info: ValidationInfo) -> HelpChat | None:
        return _belongs(chat, "help_chat", "help_chat_voice", info)

    @field_validator("handoff")
    @classmethod
    def _somebody(cls, handoff: Handoff | None, info: ValidationInfo) -> Handoff | None:
        chat: HelpChat | None = info.data.get("help_chat")
        if handoff is None or handoff.names_somebody or (chat is not None and chat.escalation_phone is not None):
            return handoff
        raise bad("says nobody to call", "write to: and a SIP address, or trunk: and number:")

    @field_validator("recording")
    @classmethod
    def _kept_for_messages(cls, recording: ModeRecording, info: ValidationInfo) -> ModeRecording:
        handoff: Handoff | None = info.data.get("handoff")
        if handoff is not None and handoff.nobody == "voicemail" and not recording.enabled:
            mend = "write enabled: true, or handoff.nobody: callback"
            raise bad(
                "is false, and a message (handoff.nobody: voicemail) is a piece of the recording", mend, at="enabled"
            )
        return recording

    @property
    def voice(self) -> VoiceName:
        """Which of the six voices speaks."""
        section = self.ai_agent or self.help_chat
        assert section is not None
        return section.voice

    @property
    def knowledge_base_id(self) -> str | None:
        """The knowledge base of the store, if one is named."""
        section = self.ai_agent or self.help_chat
        assert section is not None
        return section.knowledge_base_id

    @property
    def inner_language(self) -> str:
        """What prompt and knowledge are in."""
        return self.target_language or self.source_language

    @property
    def human_language(self) -> str:
        """What the human speaks whom the AI hands over to."""
        return (self.handoff.language if self.handoff else None) or self.inner_language

    def language_of(self, party: Party) -> str:
        """What this party speaks and hears."""
        return self.source_language if party is Party.CUSTOMER else self.human_language

    def targets(self) -> tuple[tuple[tuple[str | int, ...], Target], ...]:
        """Whom this mode may call: place in the file, target."""
        named = self.handoff is not None and self.handoff.names_somebody
        return ((("handoff",), self.handoff),) if named and self.handoff is not None else ()


def _belongs(section: S | None, name: str, mode: str, info: ValidationInfo) -> S | None:
    if "mode" not in info.data:
        return section
    if info.data["mode"] == mode and section is None:
        raise bad("is missing", f"write {name}: and what it is to do; {name}: {{}} takes every default")
    if info.data["mode"] != mode and section is not None:
        raise bad(f"does not go with mode: {info.data['mode']}", f"remove it, or write mode: {mode}")
    return section
