"""What happens in sessions, as values: for the stream, webhooks, the store and metrics.

Every event names its session. Times `…_ms` are on the recording's clock.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from kallglot_media.call.turn import TranslatedText, Turn, TurnTimings
from kallglot_media.media.messages import RecordedFile
from kallglot_media.modes.plan import Party


@dataclass(frozen=True, slots=True)
class SessionCreated:
    """A session is there; nobody is connected yet.

    origin  "sip": made by a call that a route took; "api": made by a client
    called  the number or name that was called, "" for one made by a client
    """

    session_id: str
    mode: str
    origin: str
    called: str
    source_language: str | None
    target_language: str | None
    keep: bool


@dataclass(frozen=True, slots=True)
class SessionStarted:
    """The parties are connected: words are made over from here on. provider: how the customer came; see LegOpened."""

    session_id: str
    provider: str | None = None


@dataclass(frozen=True, slots=True)
class LegOpened:
    """A party is being connected.

    call_id    the leg's public name
    provider   "sip" or "websocket"
    direction  "inbound": the party came to us; "outbound": we dialled it
    """

    session_id: str
    call_id: str
    party: Party
    provider: str
    direction: str
    to: str | None = None
    from_: str | None = None


@dataclass(frozen=True, slots=True)
class LegConnected:
    """A party is connected: sound can pass."""

    session_id: str
    call_id: str
    party: Party
    provider: str


@dataclass(frozen=True, slots=True)
class LegDisconnected:
    """A party is gone, or could not be had (connected False).

    status  the SIP status that says why, 0 when there is none
    """

    session_id: str
    call_id: str
    party: Party
    provider: str
    connected: bool
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class SpeechStarted:
    """A party began to speak."""

    session_id: str
    party: Party
    at_ms: int


@dataclass(frozen=True, slots=True)
class SpeechStopped:
    """A party stopped speaking; at_ms is the end of the last sound."""

    session_id: str
    party: Party
    at_ms: int


@dataclass(frozen=True, slots=True)
class PartialTranscript:
    """What a party seems to be saying; a later one, or a final that ends at start_ms or later, replaces it.

    text      all words since start_ms that are in no final yet
    stable    the beginning of `text` on which two successive hypotheses agree: it hardly changes any more
    start_ms  where these words begin
    translation  of `text`, where somebody reads along: told again with it as soon as it is there
    """

    session_id: str
    party: Party
    text: str
    language: str | None
    stable: str = ""
    start_ms: int = 0
    translation: TranslatedText | None = None

    @property
    def unstable(self) -> str:
        """The rest of `text`, which may still change."""
        return self.text[len(self.stable) :].lstrip()


@dataclass(frozen=True, slots=True)
class FinalTranscript:
    """A turn, final."""

    session_id: str
    turn: Turn


@dataclass(frozen=True, slots=True)
class TurnHeard:
    """A turn's translation began to be heard."""

    session_id: str
    sequence: int
    first_sample_ms: int
    timings: TurnTimings


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a listener has not yet heard was thrown away."""

    session_id: str
    listener: Party


@dataclass(frozen=True, slots=True)
class AgentMessage:
    """The AI says something: one sentence or more, as it is being spoken or shown."""

    session_id: str
    text: str


@dataclass(frozen=True, slots=True)
class ToolCalled:
    """The AI wants something done by the client at the stream. arguments: fit the tool's JSON Schema."""

    session_id: str
    tool_call_id: str
    name: str
    arguments: Mapping[str, object]


@dataclass(frozen=True, slots=True)
class Escalated:
    """The AI hands over to a person.

    step    "started": being called; "answered": the person is there; "failed": cannot be had
    to      who
    detail  why, for people
    """

    session_id: str
    step: str
    to: str
    detail: str = ""


@dataclass(frozen=True, slots=True)
class MessageLeft:
    """Nobody could be had, and the caller has said what they want.

    kind              "callback.wanted": to be called back; "voicemail.left": this is the message
    start_ms, end_ms  of the message in the session's recording; both 0 where there is no such stretch
    """

    session_id: str
    kind: str
    text: str
    start_ms: int = 0
    end_ms: int = 0


@dataclass(frozen=True, slots=True)
class SessionEnded:
    """A session is over and its files are closed. reason: one of the public names.

    started  whether the parties ever were connected
    """

    session_id: str
    reason: str
    detail: str
    started: bool
    duration_ms: int
    files: tuple[RecordedFile, ...] = ()


@dataclass(frozen=True, slots=True)
class Noted:
    """Anything else that events.jsonl has, by its name there. Never holds what was said or dialled."""

    session_id: str
    kind: str
    at_ms: int
    fields: Mapping[str, object]


SessionEvent = (
    SessionCreated
    | SessionStarted
    | LegOpened
    | LegConnected
    | LegDisconnected
    | SpeechStarted
    | SpeechStopped
    | PartialTranscript
    | FinalTranscript
    | TurnHeard
    | Cleared
    | AgentMessage
    | ToolCalled
    | Escalated
    | MessageLeft
    | SessionEnded
    | Noted
)
