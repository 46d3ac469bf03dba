"""What the four transactions of RFC 3261 section 17 share: states, events, actions, and how a table is run.

No socket, no clock, no task. `now_s` comes in with every call; what has to happen on the wire comes out of
`take_output`, what the user has to know out of `take_events`.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import ClassVar, NamedTuple

from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Message, Request, Response
from kallglot_media.sip.timers import Timer, Timers


class State(StrEnum):
    """Figures 5 to 8; ACCEPTED is RFC 6026's."""

    CALLING = "CALLING"
    TRYING = "TRYING"
    PROCEEDING = "PROCEEDING"
    ACCEPTED = "ACCEPTED"
    COMPLETED = "COMPLETED"
    CONFIRMED = "CONFIRMED"
    TERMINATED = "TERMINATED"


class On(StrEnum):
    """What can happen besides a timer. GET is from the network, SEND from our user."""

    GET_1XX = "GET_1XX"
    GET_2XX = "GET_2XX"
    GET_FAILURE = "GET_FAILURE"
    GET_REQUEST_AGAIN = "GET_REQUEST_AGAIN"
    GET_ACK = "GET_ACK"
    SEND_1XX = "SEND_1XX"
    SEND_2XX = "SEND_2XX"
    SEND_FAILURE = "SEND_FAILURE"
    TRANSPORT_ERROR = "TRANSPORT_ERROR"
    ABANDON = "ABANDON"


class Do(StrEnum):
    """What a step does besides starting a timer."""

    SEND = "SEND"
    """Put our user's response on the wire and keep it for resending."""
    RESEND = "RESEND"
    """Put the last message on the wire once more, if there was one."""
    SEND_TRYING = "SEND_TRYING"
    SEND_ACK = "SEND_ACK"
    BACK_OFF = "BACK_OFF"
    """Start the timer that fired again, with a longer interval."""
    STOP_TIMERS = "STOP_TIMERS"
    SLOW_DOWN = "SLOW_DOWN"
    """From the next resend on, wait T2."""
    PASS_UP = "PASS_UP"  # noqa: S105 - not a password
    PASS_ACK_UP = "PASS_ACK_UP"  # noqa: S105
    REPORT_TIMEOUT = "REPORT_TIMEOUT"
    REPORT_NO_ACK = "REPORT_NO_ACK"
    REPORT_TRANSPORT = "REPORT_TRANSPORT"


class Start(NamedTuple):
    """Start a timer, as table 4 says for this transport."""

    timer: Timer


Action = Do | Start
Table = Mapping[tuple[State, On | Timer], tuple[State, tuple[Action, ...]]]
"""(state, event) -> (state, actions). A missing entry means "not now": a late timer or a stray message."""


@dataclass(frozen=True, slots=True)
class RequestReceived:
    """A new request: a server transaction waits for respond().

    cancels  for CANCEL: the INVITE server transaction it is aimed at, None when there is none (481)
    merged   True when the same request has come over another path (482, section 8.2.2.2)
    """

    transaction: str
    request: Request
    source: Peer
    cancels: str | None = None
    merged: bool = False


@dataclass(frozen=True, slots=True)
class AckReceived:
    """The ACK for a 2xx. transaction is None when it has a branch of its own, as RFC 3261 asks: find its dialog."""

    transaction: str | None
    request: Request
    source: Peer


@dataclass(frozen=True, slots=True)
class ResponseReceived:
    """A response to a request of ours. Several 2xx to one INVITE are several dialogs, or copies that want an ACK."""

    transaction: str
    response: Response


@dataclass(frozen=True, slots=True)
class TimedOut:
    """No final response came: treat as 408 (section 8.1.3.1)."""

    transaction: str


@dataclass(frozen=True, slots=True)
class NoAck:
    """Our failure response to an INVITE was never acknowledged. Nothing to be done but to know."""

    transaction: str


@dataclass(frozen=True, slots=True)
class TransportFailed:
    """The message could not be sent: treat as 503 (section 8.1.3.1)."""

    transaction: str
    why: str


@dataclass(frozen=True, slots=True)
class Terminated:
    """The transaction is gone; always the last event of a transaction."""

    transaction: str


TransactionEvent = RequestReceived | AckReceived | ResponseReceived | TimedOut | NoAck | TransportFailed | Terminated


class Machine:
    """Runs one table. The subclasses say which messages are which event."""

    __slots__ = ("_deadlines", "_events", "_last", "_output", "_resend_s", "key", "reliable", "state", "timers")

    table: ClassVar[Table] = {}
    first_state: ClassVar[State]

    def __init__(self, *, reliable: bool, timers: Timers, key: str) -> None:
        self.key = key
        self.reliable = reliable
        self.timers = timers
        self.state = self.first_state
        self._last = b""
        self._resend_s = 0.0
        self._deadlines: dict[Timer, float] = {}
        self._output: list[bytes] = []
        self._events: list[TransactionEvent] = []

    def next_time_s(self) -> float | None:
        """When on_time() wants to be called; None when nothing is pending."""
        return min(self._deadlines.values()) if self._deadlines else None

    def on_time(self, now_s: float) -> None:
        """Run the timers that are due, earliest first."""
        while self._deadlines:
            timer = min(self._deadlines, key=self._deadlines.__getitem__)
            if self._deadlines[timer] > now_s:
                return
            del self._deadlines[timer]
            self._fire(timer, now_s)

    def transport_failed(self, now_s: float, why: str) -> None:
        """What was sent last did not leave, or did not arrive."""
        self._fire(On.TRANSPORT_ERROR, now_s, why=why)

    def abandon(self, now_s: float) -> None:
        """Our user gives up; nothing is sent. For an INVITE whose CANCEL brought no final response (section 9.1)."""
        self._fire(On.ABANDON, now_s)

    def take_output(self) -> list[bytes]:
        """What to send since the last call, in order."""
        output, self._output = self._output, []
        return output

    def take_events(self) -> list[TransactionEvent]:
        """What the user has to know since the last call, in order."""
        events, self._events = self._events, []
        return events

    def _fire(self, on: On | Timer, now_s: float, message: Message | None = None, why: str = "") -> bool:
        """Take one step; False when the table has none."""
        step = self.table.get((self.state, on))
        if step is None:
            return False
        self.state, actions = step
        for action in actions:
            if isinstance(action, Start):
                self._start(action.timer, now_s)
            elif action is Do.BACK_OFF:
                assert isinstance(on, Timer)  # a table with BACK_OFF elsewhere is wrong; a test looks
                self._resend_s = self.timers.backed_off_s(on, self._resend_s)
                self._deadlines[on] = now_s + self._resend_s
            else:
                self._act(action, message, why)
        if self.state is State.TERMINATED:
            self._deadlines.clear()
            self._events.append(Terminated(self.key))
        return True

    def _start(self, timer: Timer, now_s: float) -> None:
        delay_s = self.timers.delay_s(timer, reliable=self.reliable)
        if delay_s is None:
            return
        self._deadlines[timer] = now_s + delay_s
        if timer in (Timer.A, Timer.E, Timer.G):
            self._resend_s = delay_s

    def _act(self, action: Do, message: Message | None, why: str) -> None:
        match action:
            case Do.SEND:
                assert message is not None
                self._last = message.serialize()
                self._output.append(self._last)
            case Do.RESEND:
                if self._last:
                    self._output.append(self._last)
            case Do.SLOW_DOWN:
                self._resend_s = self.timers.t2_s
            case Do.STOP_TIMERS:
                self._deadlines.clear()
            case Do.PASS_UP:
                assert isinstance(message, Response)
                self._events.append(ResponseReceived(self.key, message))
            case Do.REPORT_TIMEOUT:
                self._events.append(TimedOut(self.key))
            case Do.REPORT_NO_ACK:
                self._events.append(NoAck(self.key))
            case Do.REPORT_TRANSPORT:
                self._events.append(TransportFailed(self.key, why))
            case _:
                self._act_specially(action, message)

    def _act_specially(self, action: Do, message: Message | None) -> None:
        raise AssertionError(f"{type(self).__name__} has no action {action}")


def response_event(status: int, one: On, two: On, failure: On) -> On:
    """Which of three events a status code is."""
    return one if status < 200 else two if status < 300 else failure
