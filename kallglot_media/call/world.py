"""What a session is made of: what all share (World), what it is (SessionFacts), why it ended (EndReason)."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from pathlib import Path

from kallglot_media.call.announcer import Announcer
from kallglot_media.call.bus import Bus
from kallglot_media.call.clients import ClientBook
from kallglot_media.call.direction import Deadlines
from kallglot_media.call.leg import Leg, MediaHome
from kallglot_media.call.ports import Media, Signalling
from kallglot_media.ids import Ids
from kallglot_media.speech.types import SpeechEngines


class EndReason(StrEnum):
    """Why a session ended; the public names."""

    COMPLETED = "completed"
    CUSTOMER_HANGUP = "customer_hangup"
    AGENT_HANGUP = "agent_hangup"
    ERROR = "error"
    TIMEOUT = "timeout"
    EXPLICIT_END = "explicit_end"
    TRANSFERRED = "transferred"


@dataclass(frozen=True, slots=True)
class World:
    """What all sessions share.

    bind     bind(sip_call, leg): send this call's SIP events to this leg
    bus      where sessions tell what happens in them
    clients  who is connected to which session's stream
    """

    signalling: Signalling
    media: Media
    engines: SpeechEngines
    announcer: Announcer
    ids: Ids
    home: MediaHome
    sessions_dir: Path
    deadlines: Deadlines
    longest_line: int
    bind: Callable[[str, Leg], None]
    bus: Bus = field(default_factory=Bus)
    clients: ClientBook = field(init=False)

    def __post_init__(self) -> None:
        object.__setattr__(self, "clients", ClientBook(self.bus))


@dataclass(frozen=True, slots=True)
class SessionFacts:
    """What session.json says from the start.

    called  the number or name that was called; "" when the session was made by the API
    keep    whether sound and words are written down
    generation  which reading of the configuration it goes by, 1 being that of the start
    """

    mode: str
    source_language: str | None
    target_language: str | None
    called: str
    keep: bool
    generation: int = 1


def now_text() -> str:
    """The time of day, ISO 8601 in UTC with ms."""
    return datetime.now(UTC).isoformat(timespec="milliseconds").replace("+00:00", "Z")
