"""A trunk's hosts and its limits: which of them answer, whom to try first, and whether one more call may be made.

Asked with OPTIONS as RFC 3261 section 11 has it: whatever answers is alive, but for 503.
Two answers in a row bring a host back and two silences take it out, so that one lost datagram moves no calls.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum

_SOON_S = 5.0
"""After a silence, and while a host comes back, it is asked again after this instead of `qualify_s`."""


class State(StrEnum):
    """What is known of a host."""

    UNKNOWN = "unknown"  # not asked yet: it may be used
    UP = "up"
    DOUBTFUL = "doubtful"  # one silence: still used
    DOWN = "down"
    RETURNING = "returning"  # one answer: not yet used


class On(StrEnum):
    """What came of asking it."""

    ANSWER = "any response but 503"
    SILENCE = "no response, or 503"


S, E = State, On
TABLE: Mapping[tuple[State, On], State] = {
    (S.UNKNOWN, E.ANSWER): S.UP,
    (S.UNKNOWN, E.SILENCE): S.DOWN,
    (S.UP, E.ANSWER): S.UP,
    (S.UP, E.SILENCE): S.DOUBTFUL,
    (S.DOUBTFUL, E.ANSWER): S.UP,
    (S.DOUBTFUL, E.SILENCE): S.DOWN,
    (S.DOWN, E.ANSWER): S.RETURNING,
    (S.DOWN, E.SILENCE): S.DOWN,
    (S.RETURNING, E.ANSWER): S.UP,
    (S.RETURNING, E.SILENCE): S.DOWN,
}
USABLE = frozenset({S.UNKNOWN, S.UP, S.DOUBTFUL})


@dataclass(frozen=True, slots=True)
class TrunkRules:
    """hosts        SIP URIs, the preferred one first
    max_calls     at the same time, in both directions; None: no limit
    calls_per_s   new calls of ours; a burst of one second's worth is let through; None: no limit
    qualify_s     between two questions to a host; None: none are asked, and every host counts as up
    """

    name: str
    hosts: tuple[str, ...]
    max_calls: int | None = None
    calls_per_s: float | None = None
    qualify_s: float | None = None


@dataclass(frozen=True, slots=True)
class HostChanged:
    """A host came up or went down. `usable`: how many of the trunk's hosts are left."""

    trunk: str
    host: str
    up: bool
    usable: int


@dataclass(slots=True)
class _Host:
    uri: str
    state: State = State.UNKNOWN
    due_s: float | None = None
    asked: bool = False


class Trunk:
    """See the module. The shell sends the pings, and says what came of them."""

    def __init__(self, rules: TrunkRules) -> None:
        self.rules = rules
        self._hosts = [_Host(uri) for uri in rules.hosts]
        self._calls: set[str] = set()
        self._tokens = self._burst
        self._filled_s = 0.0
        self._events: list[HostChanged] = []

    # ── which host ──────────────────────────────────────────────────────────────

    def start(self, now_s: float) -> None:
        """Begin to ask."""
        if self.rules.qualify_s is not None:
            for host in self._hosts:
                host.due_s = now_s

    def next_time_s(self) -> float | None:
        """When take_pings() has something next."""
        return min((host.due_s for host in self._hosts if host.due_s is not None), default=None)

    def take_pings(self, now_s: float) -> list[str]:
        """The hosts to ask now; each must be followed by ponged()."""
        due = [host for host in self._hosts if host.due_s is not None and host.due_s <= now_s]
        for host in due:
            host.due_s, host.asked = None, True
        return [host.uri for host in due]

    def ponged(self, uri: str, status: int, now_s: float) -> None:
        """What came of asking: a SIP status; 408 for silence, 503 for a host that cannot be reached or drains."""
        host = next((host for host in self._hosts if host.uri == uri and host.asked), None)
        if host is None or self.rules.qualify_s is None:
            return
        host.asked = False
        before = host.state
        host.state = TABLE[before, On.SILENCE if status in (408, 503) else On.ANSWER]
        steady = host.state in (State.UP, State.DOWN)
        host.due_s = now_s + (self.rules.qualify_s if steady else min(self.rules.qualify_s, _SOON_S))
        is_up = host.state in USABLE
        if before is State.UNKNOWN or (before in USABLE) != is_up:
            self._events.append(HostChanged(self.rules.name, uri, is_up, len(self.usable())))

    def usable(self) -> list[str]:
        """The hosts that are not down."""
        return [host.uri for host in self._hosts if host.state in USABLE]

    def order(self) -> list[str]:
        """Whom to send a call to, one after the other. When all are down each is tried: we may be wrong."""
        return self.usable() or [host.uri for host in self._hosts]

    def states(self) -> dict[str, State]:
        """host → what is known of it."""
        return {host.uri: host.state for host in self._hosts}

    def take_events(self) -> list[HostChanged]:
        """What changed since the last time."""
        taken, self._events = self._events, []
        return taken

    # ── one more call ───────────────────────────────────────────────────────────

    @property
    def open_calls(self) -> int:
        """Calls that began and have not ended."""
        return len(self._calls)

    def objection(self) -> str | None:
        """Why no call may begin now, in either direction; None when one may."""
        most = self.rules.max_calls
        return f"{most} calls" if most is not None and len(self._calls) >= most else None

    def take_turn(self, now_s: float) -> str | None:
        """As objection(), for a call of ours, which uses up a turn of `calls_per_s` when it may be made."""
        wrong = self.objection()
        if wrong is not None or self.rules.calls_per_s is None:
            return wrong
        self._tokens = min(self._burst, self._tokens + (now_s - self._filled_s) * self.rules.calls_per_s)
        self._filled_s = now_s
        if self._tokens < 1.0:
            return f"{self.rules.calls_per_s:g} calls per second"
        self._tokens -= 1.0
        return None

    def began(self, call: str) -> None:
        """A call uses this trunk."""
        self._calls.add(call)

    def ended(self, call: str) -> None:
        """It no longer does."""
        self._calls.discard(call)

    @property
    def _burst(self) -> float:
        return max(1.0, self.rules.calls_per_s or 0.0)
