"""What clients send and get about webhook endpoints and deliveries."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from kallglot_media.api.validation import Answer, Body, Metadata

EventType = Literal[
    "*",
    "session.created",
    "session.started",
    "session.ended",
    "session.provider.connected",
    "session.provider.disconnected",
    "transcript.segment",
    "transcript.ready",
    "recording.ready",
    "recording.failed",
    "analysis.complete",
    "analysis.failed",
    "tool.call",
    "escalation.started",
    "escalation.answered",
    "escalation.failed",
    "callback.wanted",
    "voicemail.left",
]
Url = Annotated[
    str,
    Field(
        min_length=1,
        max_length=2048,
        examples=["https://example.com/hooks/kallglot"],
        # Said, not checked: what is wrong with a URL the guard says better than a pattern.
        json_schema_extra={"pattern": "^https?://[!-~]+$"},
    ),
]
Events = Annotated[
    list[EventType], Field(min_length=1, max_length=50, examples=[["session.ended", "transcript.ready"]])
]
Description = Annotated[str, Field(max_length=500)]
State = Literal["pending", "delivered", "failed"]


class NewEndpoint(Body):
    """POST /v1/webhook_endpoints."""

    url: Url
    """Where events are POSTed to."""

    events: Events = Field(default=["*"])
    """Which; left out or `*`: all."""

    secret: Annotated[str | None, Field(min_length=16, max_length=200, pattern="^[!-~]+$")] = None
    """What signs them; left out: a new one, which the answer shows this once."""

    description: Description | None = None
    """For people."""

    metadata: Metadata | None = None
    """The client's own, echoed."""


class EndpointChange(Body):
    """PATCH /v1/webhook_endpoints/{id}: what is given is replaced, the rest stays."""

    url: Url | None = None
    events: Events | None = None
    enabled: bool | None = None
    """false: nothing new is sent there."""

    description: Description | None = None
    metadata: Metadata | None = None


class EndpointObject(Answer):
    """Where events go."""

    id: str
    object: Literal["webhook_endpoint"]
    url: str
    events: list[EventType]
    enabled: bool
    description: str | None
    metadata: dict[str, Any]
    secret: str | None = None
    """Only in the answer to its creation."""

    created_at: str
    updated_at: str


class EndpointList(Answer):
    """A page of endpoints, newest first."""

    object: Literal["list"]
    data: list[EndpointObject]
    has_more: bool
    url: str


class AttemptObject(Answer):
    """One POST. status: of its answer, null when there was none."""

    number: int
    at: str
    took_ms: int
    status: int | None
    error: str | None
    answer: str | None
    """How the answer's body began."""


class DeliveryObject(Answer):
    """One event on its way to one endpoint."""

    id: str
    object: Literal["webhook_delivery"]
    endpoint_id: str
    event_id: str
    event_type: str
    session_id: str | None
    state: State
    attempts: int
    next_attempt_at: str | None
    created_at: str
    done_at: str | None


class WholeDelivery(DeliveryObject):
    """With what was sent and every attempt."""

    event: dict[str, Any]
    history: list[AttemptObject]


class DeliveryList(Answer):
    """A page of deliveries, newest first."""

    object: Literal["list"]
    data: list[DeliveryObject]
    has_more: bool
    url: str
