"""The client transactions: RFC 3261 section 17.1, with section 7.2 and 8.4 of RFC 6026."""

from __future__ import annotations

from typing import ClassVar

from kallglot_media.sip.companions import make_ack
from kallglot_media.sip.message import Message, Request, Response
from kallglot_media.sip.timers import Timer, Timers
from kallglot_media.sip.transaction_machine import Do, Machine, On, Start, State, Table, response_event

_ACCEPT = (Do.STOP_TIMERS, Do.PASS_UP, Start(Timer.M))
_FAIL = (Do.STOP_TIMERS, Do.SEND_ACK, Do.PASS_UP, Start(Timer.D))

INVITE_CLIENT: Table = {
    (State.CALLING, Timer.A): (State.CALLING, (Do.RESEND, Do.BACK_OFF)),
    (State.CALLING, Timer.B): (State.TERMINATED, (Do.REPORT_TIMEOUT,)),
    (State.CALLING, On.GET_1XX): (State.PROCEEDING, (Do.STOP_TIMERS, Do.PASS_UP)),
    (State.CALLING, On.GET_2XX): (State.ACCEPTED, _ACCEPT),
    (State.CALLING, On.GET_FAILURE): (State.COMPLETED, _FAIL),
    (State.CALLING, On.TRANSPORT_ERROR): (State.TERMINATED, (Do.REPORT_TRANSPORT,)),
    (State.CALLING, On.ABANDON): (State.TERMINATED, ()),
    # No timer here: how long it may ring is the user's decision.
    (State.PROCEEDING, On.GET_1XX): (State.PROCEEDING, (Do.PASS_UP,)),
    (State.PROCEEDING, On.GET_2XX): (State.ACCEPTED, _ACCEPT),
    (State.PROCEEDING, On.GET_FAILURE): (State.COMPLETED, _FAIL),
    (State.PROCEEDING, On.ABANDON): (State.TERMINATED, ()),
    (State.ACCEPTED, On.GET_2XX): (State.ACCEPTED, (Do.PASS_UP,)),
    (State.ACCEPTED, Timer.M): (State.TERMINATED, ()),
    (State.COMPLETED, On.GET_FAILURE): (State.COMPLETED, (Do.RESEND,)),
    (State.COMPLETED, On.TRANSPORT_ERROR): (State.TERMINATED, (Do.REPORT_TRANSPORT,)),
    (State.COMPLETED, Timer.D): (State.TERMINATED, ()),
}
"""Figure 5 of RFC 6026."""

_DONE = (Do.STOP_TIMERS, Do.PASS_UP, Start(Timer.K))

NON_INVITE_CLIENT: Table = {
    (State.TRYING, Timer.E): (State.TRYING, (Do.RESEND, Do.BACK_OFF)),
    (State.TRYING, Timer.F): (State.TERMINATED, (Do.REPORT_TIMEOUT,)),
    # "If Timer E fires while in the "Proceeding" state, [...] Timer E is reset with a value of T2" (17.1.2.2)
    (State.TRYING, On.GET_1XX): (State.PROCEEDING, (Do.PASS_UP, Do.SLOW_DOWN)),
    (State.TRYING, On.GET_2XX): (State.COMPLETED, _DONE),
    (State.TRYING, On.GET_FAILURE): (State.COMPLETED, _DONE),
    (State.TRYING, On.TRANSPORT_ERROR): (State.TERMINATED, (Do.REPORT_TRANSPORT,)),
    (State.TRYING, On.ABANDON): (State.TERMINATED, ()),
    (State.PROCEEDING, Timer.E): (State.PROCEEDING, (Do.RESEND, Do.BACK_OFF)),
    (State.PROCEEDING, Timer.F): (State.TERMINATED, (Do.REPORT_TIMEOUT,)),
    (State.PROCEEDING, On.GET_1XX): (State.PROCEEDING, (Do.PASS_UP,)),
    (State.PROCEEDING, On.GET_2XX): (State.COMPLETED, _DONE),
    (State.PROCEEDING, On.GET_FAILURE): (State.COMPLETED, _DONE),
    (State.PROCEEDING, On.TRANSPORT_ERROR): (State.TERMINATED, (Do.REPORT_TRANSPORT,)),
    (State.PROCEEDING, On.ABANDON): (State.TERMINATED, ()),
    (State.COMPLETED, Timer.K): (State.TERMINATED, ()),
}
"""Figure 6 of RFC 3261."""


class InviteClient(Machine):
    """Section 17.1.1: resends an INVITE until something comes back, and acknowledges failures."""

    __slots__ = ("_request",)
    table: ClassVar[Table] = INVITE_CLIENT
    first_state: ClassVar[State] = State.CALLING

    def __init__(self, request: Request, *, reliable: bool, timers: Timers | None = None, key: str = "") -> None:
        super().__init__(reliable=reliable, timers=timers or Timers(), key=key)
        self._request = request

    def start(self, now_s: float) -> None:
        """Send the INVITE."""
        self._last = self._request.serialize()
        self._output.append(self._last)
        self._start(Timer.A, now_s)
        self._start(Timer.B, now_s)

    def receive(self, response: Response, now_s: float) -> None:
        """A response that matches this transaction, section 17.1.3."""
        self._fire(response_event(response.status, On.GET_1XX, On.GET_2XX, On.GET_FAILURE), now_s, response)
        self.on_time(now_s)  # timers of zero length, on streams

    def _act_specially(self, action: Do, message: Message | None) -> None:
        assert action is Do.SEND_ACK
        assert isinstance(message, Response)
        self._last = make_ack(self._request, message).serialize()
        self._output.append(self._last)


class NonInviteClient(Machine):
    """Section 17.1.2: resends any other request until its final response."""

    __slots__ = ()
    table: ClassVar[Table] = NON_INVITE_CLIENT
    first_state: ClassVar[State] = State.TRYING

    def __init__(self, request: Request, *, reliable: bool, timers: Timers | None = None, key: str = "") -> None:
        super().__init__(reliable=reliable, timers=timers or Timers(), key=key)
        self._last = request.serialize()

    def start(self, now_s: float) -> None:
        """Send the request."""
        self._output.append(self._last)
        self._start(Timer.E, now_s)
        self._start(Timer.F, now_s)

    def receive(self, response: Response, now_s: float) -> None:
        """A response that matches this transaction, section 17.1.3."""
        self._fire(response_event(response.status, On.GET_1XX, On.GET_2XX, On.GET_FAILURE), now_s, response)
        self.on_time(now_s)  # timers of zero length, on streams
