"""One client at a session's stream: what it carries, what it is told, and what it asks for."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from kallglot_media.api.stream import events
from kallglot_media.api.stream.framing import (
    BadMessage,
    Chat,
    End,
    Framing,
    HungUp,
    Incoming,
    Key,
    Mark,
    Ping,
    Sound,
    Subscribe,
    ToolResult,
)
from kallglot_media.api.stream.native import BY_DEFAULT
from kallglot_media.call.bus import Mailbox, Rank
from kallglot_media.call.clients import ToolOutcome
from kallglot_media.call.events import PartialTranscript, SessionEnded, SessionEvent
from kallglot_media.call.lobby import Lobby
from kallglot_media.call.stream_leg import StreamLeg
from kallglot_media.call.world import EndReason
from kallglot_media.modes.plan import Party

RATE_HZ = 8000
MOST_AHEAD_S = 5.0
"""A client that sends sound faster than time goes may be so much ahead; more is thrown away."""

AHEAD_AGAIN_S = 4.0

_HANGUPS = {Party.CUSTOMER: EndReason.CUSTOMER_HANGUP, Party.AGENT: EndReason.AGENT_HANGUP}


@dataclass(frozen=True, slots=True)
class Said:
    """Something for a party to hear."""

    party: Party
    first_sample: int
    sound: bytes


@dataclass(frozen=True, slots=True)
class Cleared:
    """What a party has not yet heard is not to be heard."""

    party: Party


@dataclass(frozen=True, slots=True)
class Told:
    """An event for this client alone."""

    name: str
    body: Mapping[str, Any]


Item = SessionEvent | Said | Cleared | Told


class HungUpByCarrier(Exception):
    """The phone behind the stream was hung up. reason: the session's, if nobody else is there."""

    def __init__(self, reason: EndReason) -> None:
        super().__init__()
        self.reason = reason


class Client:
    """See the module. `take` for what it says; `frames` for what waits to be sent to it.

    legs        the parties whose sound it carries; none for one that listens only
    has_spoken  whether it ever sent sound
    """

    def __init__(self, lobby: Lobby, session_id: str, framing: Framing) -> None:
        self.session_id = session_id
        self.framing = framing
        self.mailbox: Mailbox[Item] = Mailbox()
        self.legs: dict[Party, StreamLeg] = {}
        self.counters: Counter[str] = Counter()
        self.has_spoken = False
        self._lobby = lobby
        self._loop = asyncio.get_running_loop()
        self._events: frozenset[str] = BY_DEFAULT
        self._ahead: dict[Party, tuple[float, float]] = {}  # s of sound beyond real time, as of
        self._too_fast: set[Party] = set()
        self._not_carried: set[Party] = set()
        self._claim: Callable[[], dict[Party, StreamLeg]] | None = None

    # ── whom it carries ──────────────────────────────────────────────────────────

    def carry(self, legs: dict[Party, StreamLeg]) -> None:
        """From now on it carries these parties' sound."""
        self.legs = legs
        for leg in legs.values():
            leg.on_sound = self._hear
            leg.on_clear = self._clear

    def listen_only(self, claim: Callable[[], dict[Party, StreamLeg]] | None) -> None:
        """It carries nobody now. claim: takes seats as soon as it sends sound, or None when it never may."""
        for leg in self.legs.values():
            leg.unbind()
        self.legs = {}
        self._claim = claim

    def wants(self, name: str) -> bool:
        """Whether it subscribed to this event."""
        return name in self._events

    def _hear(self, leg: StreamLeg, first_sample: int, sound: bytes) -> None:
        self.mailbox.put(Said(leg.party, first_sample, sound), Rank.SOUND)

    def _clear(self, leg: StreamLeg) -> None:
        party = leg.party
        self.mailbox.drop(Rank.SOUND, lambda item: isinstance(item, Said) and item.party is party)
        self.mailbox.put(Cleared(party))

    # ── what it is told ──────────────────────────────────────────────────────────

    def tell(self, name: str, **body: Any) -> None:
        """An event for this client alone."""
        self.mailbox.put(Told(name, body))

    def complain(self, error: BadMessage) -> None:
        """session.error; the session lives."""
        self.counters["bad_messages"] += 1
        more = {} if error.param is None else {"param": error.param}
        self.tell("session.error", code=error.code, message=str(error), **more)

    def frames(self, item: Item) -> list[str]:
        """The frames that tell of an item, and before it how many were left out; [] when it is not for this client."""
        frames: list[str | None] = [self._left_out()] if self.mailbox.dropped else []
        if isinstance(item, Said):
            sent = self.framing.sound(item.party, item.first_sample, item.sound)
            frames += sent
        elif isinstance(item, Cleared):
            frames.append(self.framing.clear(item.party))
        elif isinstance(item, Told):
            frames.append(self.framing.event(item.name, item.body))
        else:
            frames.append(self._event(item))
        return [frame for frame in frames if frame is not None]

    def _event(self, event: SessionEvent) -> str | None:
        if isinstance(event, PartialTranscript) and "transcript.partial" not in self._events:
            return None
        written = events.written(event)
        if written is None:
            return None
        name, body = written
        if name not in self._events and not isinstance(event, SessionEnded):
            return None
        return self.framing.event(name, body)

    def _left_out(self) -> str | None:
        dropped = self.mailbox.dropped
        sounds, partials = dropped[Rank.SOUND], dropped[Rank.PARTIAL]
        dropped.clear()
        self.counters["sound_left_out"] += sounds
        self.counters["partials_left_out"] += partials
        return self.framing.event(
            "session.error",
            {
                "code": "reading_too_slowly",
                "message": f"this client reads too slowly: {sounds} audio.output and {partials} transcript.partial "
                "were left out; finals never are",
                "dropped": {"audio.output": sounds, "transcript.partial": partials},
            },
        )

    # ── what it says ─────────────────────────────────────────────────────────────

    def take_text(self, text: str) -> None:
        """A text frame of the client. Raises HungUpByCarrier."""
        try:
            for incoming in self.framing.read(text):
                self.take(incoming)
        except BadMessage as error:
            self.complain(error)

    def take(self, incoming: Incoming) -> None:
        """Raises BadMessage, HungUpByCarrier."""
        if isinstance(incoming, Sound):
            self._take_sound(incoming)
        elif isinstance(incoming, Ping):
            self.tell("pong", session_id=self.session_id)
        elif isinstance(incoming, End):
            self._lobby.end(self.session_id, EndReason.EXPLICIT_END, "asked by a client at the stream")
        elif isinstance(incoming, Subscribe):
            self._events = incoming.events
        elif isinstance(incoming, Chat):
            self._chat(incoming)
        elif isinstance(incoming, ToolResult):
            self._tool_result(incoming)
        elif isinstance(incoming, Key):
            if (session := self._lobby.session(self.session_id)) is not None:
                session.key_pressed(incoming.party, incoming.digit)
        elif isinstance(incoming, Mark):
            self.counters["marks_played"] += 1
        elif isinstance(incoming, HungUp):
            raise HungUpByCarrier(_HANGUPS[next(iter(self.legs), Party.CUSTOMER)])

    def _take_sound(self, incoming: Sound) -> None:
        party = incoming.party
        if self._claim is not None:
            claim, self._claim = self._claim, None
            self.carry(claim())
        if party is None:
            if len(self.legs) != 1:
                raise BadMessage(
                    "missing_required_field", 'speaker: is missing; write "customer" or "agent"', "speaker"
                )
            party = next(iter(self.legs))
        leg = self.legs.get(party)
        if leg is None or leg.ended.done():
            self._complain_not_carried(party)
            return
        self.has_spoken = True
        if self._is_too_far_ahead(party, len(incoming.sound) / RATE_HZ):
            self.counters["sound_too_fast"] += 1
            return
        leg.hear(incoming.sound)

    def _complain_not_carried(self, party: Party) -> None:
        """Once for each time that it loses a party, not for each piece of sound."""
        self.counters["sound_not_carried"] += 1
        if party in self._not_carried:
            return
        self._not_carried.add(party)
        raise BadMessage(
            "party_unavailable",
            f"speaker: the {party}'s sound does not come from this client: it listens only, another client or a phone "
            f"has the {party}'s place, or the {party} was hung up",
            "speaker",
        )

    def _is_too_far_ahead(self, party: Party, seconds: float) -> bool:
        """Whether a piece of sound would put the client more than MOST_AHEAD_S before real time."""
        now_s = self._loop.time()
        ahead_s, as_of_s = self._ahead.get(party, (0.0, now_s))
        ahead_s = max(0.0, ahead_s - (now_s - as_of_s))
        if ahead_s < AHEAD_AGAIN_S:
            self._too_fast.discard(party)
        fits = ahead_s + seconds <= MOST_AHEAD_S
        self._ahead[party] = (ahead_s + seconds if fits else ahead_s, now_s)
        if not fits and party not in self._too_fast:
            self._too_fast.add(party)
            self.tell(
                "session.error",
                code="rate_limit_exceeded",
                message=f"audio.input of the {party} comes faster than time goes: what is more than {MOST_AHEAD_S:g} s "
                "ahead is thrown away; send 20 ms of sound every 20 ms",
                param="speaker",
            )
        return not fits

    def _chat(self, incoming: Chat) -> None:
        if not self._lobby.clients(self.session_id).chat(incoming.text):
            raise BadMessage("invalid_mode", "chat.message: this session takes no typed messages; speak", "type")

    def _tool_result(self, incoming: ToolResult) -> None:
        outcome = ToolOutcome(incoming.output, incoming.error)
        if not self._lobby.clients(self.session_id).tool_result(incoming.tool_call_id, outcome):
            raise BadMessage(
                "invalid_field_value",
                "tool_call_id: no tool call of this name waits for a result; it was answered already, or is too late",
                "tool_call_id",
            )
