"""What clients send and get about sessions and calls."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kallglot_media.api.validation import Answer, Body, Language, Metadata, PhoneNumber, whole

Mode = Literal["bidirectional_translation", "assistive_translation", "ai_agent", "help_chat_voice"]
Role = Literal["customer", "agent"]
EndReasonName = Literal[
    "completed", "customer_hangup", "agent_hangup", "error", "timeout", "explicit_end", "transferred"
]
Text = Annotated[str, Field(max_length=100_000)]
Name = Annotated[str, Field(min_length=1, max_length=200)]
HeaderName = Annotated[str, Field(pattern=r"^[Xx]-[A-Za-z0-9-]{1,60}$")]
HeaderValue = Annotated[str, Field(max_length=500, pattern=r"^[ -~]*$")]
SipHeaders = Annotated[
    dict[HeaderName, HeaderValue],
    Field(max_length=20, examples=[{"X-Ticket": "4711"}], json_schema_extra={"additionalProperties": False}),
]
SipUri = Annotated[str, Field(max_length=500, pattern=r"^sips?:[!-~]+$", examples=["sip:agent@192.0.2.20:5060"])]


class SipRouting(Body):
    """With `type: sip`."""

    from_uri: SipUri | None = None
    """Who calls that we make come from."""

    headers: SipHeaders | None = None
    """X- headers that are put on every call that we make."""


class Routing(Body):
    """How the parties come: exactly one of `phone_number`, `connection_id` and `type`."""

    phone_number: PhoneNumber | None = None
    """A number of ours. Inbound: its next call is this session's. Outbound: whom the other side sees."""

    connection_id: Annotated[str | None, Field(min_length=1, max_length=100, examples=["carrier"])] = None
    """A trunk by its name."""

    type: Literal["sip"] | None = None
    """Calls to `sip:<session id>@<this server>`."""

    sip: SipRouting | None = None
    """More about `type: sip`."""

    direction: Literal["inbound", "outbound"] = "inbound"
    """Who calls: the customer us, or we the customer (`POST …/dial`)."""


class Audio(Body):
    """How sound is coded on the stream: µ-law at 8000 Hz, or 16-bit PCM at 16000 Hz."""

    encoding: Literal["mulaw", "pcm_s16le"] = "mulaw"
    """`mulaw` at 8000 Hz, `pcm_s16le` (little endian) at 8000 or 16000 Hz."""

    sample_rate: Annotated[Literal[8000, 16000], BeforeValidator(whole)] = 8000
    """Samples a second."""

    channels: Annotated[Literal[1], BeforeValidator(whole)] = 1
    """Mono."""


class RecordingWish(Body):
    """Whether sound and transcript are kept."""

    enabled: bool
    """false: nothing of what is said is written down."""

    channels: Literal["dual"] = "dual"
    """Each party's original and translation."""


class Tool(Body):
    """A function that the model may call."""

    name: Annotated[str, Field(pattern=r"^[A-Za-z0-9_-]{1,64}$")]
    description: Annotated[str, Field(max_length=2000)] = ""
    parameters: Annotated[dict[str, Any], Field(examples=[{"type": "object", "properties": {}}])] = Field(
        default_factory=dict
    )
    """JSON Schema of its arguments."""

    url: Annotated[str | None, Field(max_length=2000, pattern=r"^https?://[!-~]+$")] = None
    """Where it is called when no stream client takes it."""


class Handoff(Body):
    """To whom an AI hands over."""

    to: Annotated[str, Field(min_length=1, max_length=500)]
    mode: Literal["cold", "attended"] = "attended"
    summary: bool = True


class AgentSettings(Body):
    """An AI agent."""

    system_prompt: Text | None = None
    voice: Literal["alloy", "echo", "fable", "onyx", "nova", "shimmer"] | None = None
    temperature: Annotated[float | None, Field(ge=0, le=2)] = None
    knowledge_base_id: Name | None = None
    tools: Annotated[list[Tool], Field(max_length=50)] | None = None
    handoff: Handoff | None = None
    greeting: Annotated[str | None, Field(max_length=2000)] = None


class SessionAgent(AgentSettings):
    """The AI agent of a session: settings of its own, or a stored one with changes."""

    agent_id: Name | None = None
    overrides: AgentSettings | None = None


class ChatLine(Body):
    """One line of a chat that went before."""

    role: Literal["user", "assistant"]
    text: Annotated[str, Field(max_length=10_000)]


class HelpChat(Body):
    """A help desk."""

    knowledge_base_id: Name | None = None
    escalation_enabled: bool = False
    escalation_phone: PhoneNumber | None = None
    history: Annotated[list[ChatLine], Field(max_length=200)] | None = None


class NewSession(Body):
    """POST /v1/sessions."""

    mode: Annotated[Mode, Field(examples=["bidirectional_translation"])]
    """What kind of session it is. It cannot be changed later."""

    source_language: Annotated[Language | None, Field(examples=["de"])] = None
    """What the customer speaks; left out: found out from what is said."""

    target_language: Annotated[Language | None, Field(examples=["en"])] = None
    """What the agent speaks; left out: found out from what is said."""

    routing: Routing | None = None
    """How the parties come; left out: to `sip:<session id>@<this server>` or to the stream, whoever is first."""

    audio: Audio | None = None
    """How sound is coded on the stream."""

    recording: RecordingWish | None = None
    """Whether it is kept; left out: as the server is set up."""

    metadata: Metadata | None = None
    """The client's own, echoed."""

    ai_agent: SessionAgent | None = None
    """With mode `ai_agent`."""

    help_chat: HelpChat | None = None
    """With mode `help_chat_voice`."""


class SessionChange(Body):
    """PATCH /v1/sessions/{id}."""

    metadata: Metadata | None = None
    """The client's own: replaced as a whole; null takes it away."""

    mode: Mode | None = None
    """May be sent, but not changed: 409 `mode_immutable`."""


class Dial(Body):
    """POST /v1/sessions/{id}/dial."""

    to: Annotated[str, Field(max_length=500, pattern=r"^(sips?:[!-~]+|\+[1-9][0-9]{6,14})$", examples=["+4930123456"])]
    """A telephone number (E.164) or a SIP address."""

    from_: Annotated[
        str | None,
        Field(alias="from", max_length=500, pattern=r"^(sips?:[!-~]+|\+[1-9][0-9]{6,14})$", examples=["+4930987654"]),
    ] = None
    """Whom the other side sees."""

    role: Role
    """Whose place it is."""

    headers: SipHeaders | None = None
    """X- headers of the call."""

    timeout_s: Annotated[float, Field(ge=1, le=120)] = 30
    """How long it rings."""


class HangUp(Body):
    """POST /v1/sessions/{id}/hangup."""

    role: Role
    """Who is dropped."""


class Transfer(Body):
    """POST /v1/sessions/{id}/transfer."""

    to: Annotated[str, Field(max_length=500, pattern=r"^(sips?:[!-~]+|\+[1-9][0-9]{6,14})$", examples=["+4930123456"])]
    """A telephone number (E.164) or a SIP address."""

    from_: Annotated[
        str | None, Field(alias="from", max_length=500, pattern=r"^(sips?:[!-~]+|\+[1-9][0-9]{6,14})$")
    ] = None
    """Whom the other side sees."""

    role: Role = "agent"
    """Whose place the new party takes."""

    mode: Literal["cold", "attended"] = "cold"
    """`cold`: the old party is dropped as soon as the new one answers."""

    headers: SipHeaders | None = None
    """X- headers of the call."""

    timeout_s: Annotated[float, Field(ge=1, le=120)] = 30
    """How long it rings."""


# ── answers ──────────────────────────────────────────────────────────────────────


class StreamObject(Answer):
    """Where the session's WebSocket is."""

    url: str
    token: str
    """Good for connecting, for this session, until `expires_at`."""

    expires_at: str


class RecordingState(Answer):
    """Whether it is kept."""

    enabled: bool


class SessionObject(Answer):
    """A session."""

    id: str
    object: Literal["session"]
    status: Literal["created", "active", "ended"]
    mode: str
    provider: Literal["sip", "websocket", "webrtc"]
    phone_number: str | None
    source_language: str | None
    target_language: str | None
    stream: StreamObject | None = None
    """While the session is not ended; not in lists and webhooks."""

    recording: RecordingState
    metadata: dict[str, Any]
    created_at: str
    started_at: str | None
    ended_at: str | None
    duration_seconds: float | None
    end_reason: EndReasonName | None


class SessionList(Answer):
    """A page of sessions, newest first."""

    object: Literal["list"]
    data: list[SessionObject]
    has_more: bool
    url: str


class CallObject(Answer):
    """One party's connection."""

    id: str
    object: Literal["call"]
    session_id: str
    role: Literal["customer", "agent", "ai"]
    direction: Literal["inbound", "outbound"]
    status: Literal["ringing", "answered", "ended", "failed"]
    to: str | None
    from_: Annotated[str | None, Field(alias="from")]
    sip_status: int | None
    created_at: str
    answered_at: str | None
    ended_at: str | None
