"""The server transactions: RFC 3261 section 17.2, with section 7.1 and 8.5 of RFC 6026."""

from __future__ import annotations

from typing import ClassVar

from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Message, Request, Response, make_response
from kallglot_media.sip.timers import Timer, Timers
from kallglot_media.sip.transaction_machine import AckReceived, Do, Machine, On, Start, State, Table, response_event

INVITE_SERVER: Table = {
    (State.TRYING, Timer.TRYING): (State.PROCEEDING, (Do.SEND_TRYING,)),
    (State.TRYING, On.GET_REQUEST_AGAIN): (State.TRYING, ()),
    (State.TRYING, On.SEND_1XX): (State.PROCEEDING, (Do.STOP_TIMERS, Do.SEND)),
    (State.TRYING, On.SEND_2XX): (State.ACCEPTED, (Do.STOP_TIMERS, Do.SEND, Start(Timer.L))),
    (State.TRYING, On.SEND_FAILURE): (State.COMPLETED, (Do.STOP_TIMERS, Do.SEND, Start(Timer.G), Start(Timer.H))),
    (State.TRYING, On.ABANDON): (State.TERMINATED, ()),
    (State.PROCEEDING, On.GET_REQUEST_AGAIN): (State.PROCEEDING, (Do.RESEND,)),
    (State.PROCEEDING, On.SEND_1XX): (State.PROCEEDING, (Do.SEND,)),
    (State.PROCEEDING, On.SEND_2XX): (State.ACCEPTED, (Do.SEND, Start(Timer.L))),
    (State.PROCEEDING, On.SEND_FAILURE): (State.COMPLETED, (Do.SEND, Start(Timer.G), Start(Timer.H))),
    (State.PROCEEDING, On.TRANSPORT_ERROR): (State.PROCEEDING, (Do.REPORT_TRANSPORT,)),
    (State.PROCEEDING, On.ABANDON): (State.TERMINATED, ()),
    # "Any retransmissions of the INVITE received in this state are absorbed" (RFC 6026 section 7.1): the user
    # resends its 2xx itself until the ACK comes (section 13.3.1.4), end to end.
    (State.ACCEPTED, On.GET_REQUEST_AGAIN): (State.ACCEPTED, ()),
    (State.ACCEPTED, On.SEND_2XX): (State.ACCEPTED, (Do.SEND,)),
    (State.ACCEPTED, On.GET_ACK): (State.ACCEPTED, (Do.PASS_ACK_UP,)),
    (State.ACCEPTED, On.TRANSPORT_ERROR): (State.ACCEPTED, (Do.REPORT_TRANSPORT,)),
    (State.ACCEPTED, Timer.L): (State.TERMINATED, ()),
    (State.COMPLETED, On.GET_REQUEST_AGAIN): (State.COMPLETED, (Do.RESEND,)),
    (State.COMPLETED, Timer.G): (State.COMPLETED, (Do.RESEND, Do.BACK_OFF)),
    (State.COMPLETED, On.GET_ACK): (State.CONFIRMED, (Do.STOP_TIMERS, Start(Timer.I))),
    (State.COMPLETED, On.TRANSPORT_ERROR): (State.COMPLETED, (Do.REPORT_TRANSPORT,)),
    (State.COMPLETED, Timer.H): (State.TERMINATED, (Do.REPORT_NO_ACK,)),
    (State.CONFIRMED, On.GET_ACK): (State.CONFIRMED, ()),
    (State.CONFIRMED, On.GET_REQUEST_AGAIN): (State.CONFIRMED, ()),
    (State.CONFIRMED, Timer.I): (State.TERMINATED, ()),
}
"""Figure 7 of RFC 6026. TRYING is its Proceeding before any response: there the 200 ms run, and there is nothing
to resend."""

_DONE = (State.COMPLETED, (Do.SEND, Start(Timer.J)))

NON_INVITE_SERVER: Table = {
    # "Once in the "Trying" state, any further request retransmissions are discarded." (17.2.2)
    (State.TRYING, On.GET_REQUEST_AGAIN): (State.TRYING, ()),
    (State.TRYING, On.SEND_1XX): (State.PROCEEDING, (Do.SEND,)),
    (State.TRYING, On.SEND_2XX): _DONE,
    (State.TRYING, On.SEND_FAILURE): _DONE,
    (State.TRYING, On.ABANDON): (State.TERMINATED, ()),
    (State.PROCEEDING, On.GET_REQUEST_AGAIN): (State.PROCEEDING, (Do.RESEND,)),
    (State.PROCEEDING, On.SEND_1XX): (State.PROCEEDING, (Do.SEND,)),
    (State.PROCEEDING, On.SEND_2XX): _DONE,
    (State.PROCEEDING, On.SEND_FAILURE): _DONE,
    (State.PROCEEDING, On.TRANSPORT_ERROR): (State.TERMINATED, (Do.REPORT_TRANSPORT,)),
    (State.PROCEEDING, On.ABANDON): (State.TERMINATED, ()),
    # "Any other final responses passed by the TU to the server transaction MUST be discarded" (17.2.2)
    (State.COMPLETED, On.SEND_2XX): (State.COMPLETED, ()),
    (State.COMPLETED, On.SEND_FAILURE): (State.COMPLETED, ()),
    (State.COMPLETED, On.GET_REQUEST_AGAIN): (State.COMPLETED, (Do.RESEND,)),
    (State.COMPLETED, On.TRANSPORT_ERROR): (State.TERMINATED, (Do.REPORT_TRANSPORT,)),
    (State.COMPLETED, Timer.J): (State.TERMINATED, ()),
}
"""Figure 8 of RFC 3261."""


class InviteServer(Machine):
    """Section 17.2.1: resends failures until their ACK, and answers copies of the INVITE."""

    __slots__ = ("_request", "_source")
    table: ClassVar[Table] = INVITE_SERVER
    first_state: ClassVar[State] = State.TRYING

    def __init__(self, request: Request, *, reliable: bool, timers: Timers | None = None, key: str = "") -> None:
        super().__init__(reliable=reliable, timers=timers or Timers(), key=key)
        self._request: Request | None = request
        self._source: Peer | None = None

    def start(self, now_s: float) -> None:
        """The INVITE has come: within 200 ms something goes back.

        "The server transaction MUST generate a 100 (Trying) response unless it knows that the TU will
        generate a provisional or final response within 200 ms" (17.2.1)
        """
        self._start(Timer.TRYING, now_s)

    def receive(self, request: Request, source: Peer, now_s: float) -> bool:
        """A copy of the INVITE, or an ACK, that matches this transaction (section 17.2.3).

        False for an ACK before there is anything to acknowledge.
        """
        self._source = source
        taken = self._fire(On.GET_ACK if request.method == "ACK" else On.GET_REQUEST_AGAIN, now_s, request)
        self.on_time(now_s)  # timers of zero length, on streams
        return taken

    def send(self, response: Response, now_s: float) -> bool:
        """Our user's response; False when it comes too late (after a final one)."""
        on = response_event(response.status, On.SEND_1XX, On.SEND_2XX, On.SEND_FAILURE)
        taken = self._fire(on, now_s, response)
        if self.state is not State.TRYING:
            self._request = None  # not needed to make a 100 any more; there may be thousands in ACCEPTED
        return taken

    def _act_specially(self, action: Do, message: Message | None) -> None:
        if action is Do.PASS_ACK_UP:
            assert isinstance(message, Request)
            assert self._source is not None
            self._events.append(AckReceived(self.key, message, self._source))
            return
        assert action is Do.SEND_TRYING
        assert self._request is not None
        self._last = make_response(self._request, 100).serialize()
        self._output.append(self._last)


class NonInviteServer(Machine):
    """Section 17.2.2: answers copies of any other request."""

    __slots__ = ()
    table: ClassVar[Table] = NON_INVITE_SERVER
    first_state: ClassVar[State] = State.TRYING

    def __init__(self, *, reliable: bool, timers: Timers | None = None, key: str = "") -> None:
        super().__init__(reliable=reliable, timers=timers or Timers(), key=key)

    def start(self, now_s: float) -> None:
        """The request has come; nothing happens until the user answers."""

    def receive(self, request: Request, source: Peer, now_s: float) -> bool:
        """A copy of the request; always taken."""
        return self._fire(On.GET_REQUEST_AGAIN, now_s, request)

    def send(self, response: Response, now_s: float) -> bool:
        """Our user's response; False when the transaction is gone."""
        taken = self._fire(response_event(response.status, On.SEND_1XX, On.SEND_2XX, On.SEND_FAILURE), now_s, response)
        self.on_time(now_s)  # timers of zero length, on streams
        return taken
