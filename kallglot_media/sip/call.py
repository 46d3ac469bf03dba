"""INVITE calls as tables, RFC 3261 sections 9, 13, 14 and 15, and what both roles share.

`uac.py` and `uas.py` walk these tables; a missing entry is the answer "not now":
a late timer, a verb that lost a race, a message that no longer matters.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Protocol

from kallglot_media.sip.dialog import DialogKey
from kallglot_media.sip.events import Peer, SipEvent
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.params import QUOTED, TOKEN
from kallglot_media.sip.settings import AgentSettings
from kallglot_media.sip.uri import Uri


class State(StrEnum):
    """Where a call is. The first four are the caller's, the next three the callee's."""

    CALLING = "calling"  # INVITE sent, nothing heard
    CANCEL_WAITING = "cancel waiting"  # to be cancelled as soon as anything is heard
    PROCEEDING = "proceeding"  # a provisional response came
    CANCELLING = "cancelling"  # CANCEL sent, the final response is still due
    ALERTING = "alerting"  # INVITE received, no final response yet
    ANSWERED = "answered"  # 200 sent again and again until the ACK
    BYE_WAITING = "bye waiting"  # hung up before the ACK came
    CONFIRMED = "confirmed"
    ENDING = "ending"  # BYE sent
    ENDED = "ended"


class On(StrEnum):
    """What can happen to a call."""

    TRYING = "100"
    PROGRESS = "101-199"
    OK = "first 2xx"
    OK_AGAIN = "2xx of a dialog that was acknowledged"
    OK_ELSEWHERE = "2xx of another fork"
    CHALLENGED = "401 or 407 that we can answer"
    TOO_SHORT = "422, and a longer session interval to ask for"
    REFUSED = "any other final response"
    NO_RESPONSE = "timer B or F"
    UNREACHABLE = "the transport failed"
    NEXT_TARGET = "503, silence or no way to this target, and there is another"
    TOO_LONG = "rang longer than allowed"
    CANCEL_LOST = "no final response after CANCEL"
    RING = "ring()"
    ANSWER = "answer()"
    REJECT = "reject()"
    HANGUP = "hangup()"
    CANCEL = "CANCEL received"
    ACK = "ACK received"
    NO_ACK = "no ACK for 64*T1"
    NO_PRACK = "no PRACK for 64*T1"
    LOST = "the peer does not know the dialog any more, or gave no sign of life"
    BYE = "BYE received"
    BYE_DONE = "our BYE has its response, or will never get one"


class Do(StrEnum):
    """What a call does about it, in the order of the table."""

    ACKNOWLEDGE = "make the dialog and send ACK"
    ACKNOWLEDGE_AGAIN = "send the same ACK again"
    LEAVE_FORK = "ACK and BYE to the fork that lost"
    RETRY = "INVITE again with credentials"
    TRY_NEXT = "INVITE to the next target"
    ASK_LONGER = "INVITE again with a longer session interval"
    SEND_CANCEL = "CANCEL"
    SEND_BYE = "BYE"
    GIVE_UP = "destroy the INVITE transaction"
    SEND_PROVISIONAL = "1xx"
    SEND_OK = "200, and again until ACK"
    SEND_FINAL = "300-699"
    STOP_OK = "no more 200"
    TELL_PROGRESS = "CallProgress"
    TELL_ANSWERED = "CallAnswered"
    TELL_CONFIRMED = "CallConfirmed"
    TELL_FAILED = "CallFailed"
    TELL_ENDED = "CallEnded"


Table = Mapping[tuple[State, On], tuple[State, tuple[Do, ...]]]
S, E, A = State, On, Do

CALLER: Table = {
    (S.CALLING, E.TRYING): (S.PROCEEDING, ()),
    (S.CALLING, E.PROGRESS): (S.PROCEEDING, (A.TELL_PROGRESS,)),
    (S.CALLING, E.OK): (S.CONFIRMED, (A.ACKNOWLEDGE, A.TELL_ANSWERED)),
    (S.CALLING, E.CHALLENGED): (S.CALLING, (A.RETRY,)),
    (S.CALLING, E.TOO_SHORT): (S.CALLING, (A.ASK_LONGER,)),
    (S.CALLING, E.REFUSED): (S.ENDED, (A.TELL_FAILED,)),
    (S.CALLING, E.NO_RESPONSE): (S.ENDED, (A.TELL_FAILED,)),
    (S.CALLING, E.UNREACHABLE): (S.ENDED, (A.TELL_FAILED,)),
    # RFC 3263 4.3: "If a failure occurs, the client SHOULD create a new request, which is identical to the
    #  previous, but has a different value of the Via branch ID than the previous … the SIP request to be sent
    #  to the next element in the list"
    (S.CALLING, E.NEXT_TARGET): (S.CALLING, (A.GIVE_UP, A.TRY_NEXT)),
    (S.PROCEEDING, E.NEXT_TARGET): (S.CALLING, (A.GIVE_UP, A.TRY_NEXT)),
    (S.CALLING, E.TOO_LONG): (S.CANCEL_WAITING, ()),
    # 9.1: "If no provisional response has been received, the CANCEL request MUST NOT be sent;
    #  rather, the client MUST wait for the arrival of a provisional response"
    (S.CALLING, E.HANGUP): (S.CANCEL_WAITING, ()),
    (S.CANCEL_WAITING, E.TRYING): (S.CANCELLING, (A.SEND_CANCEL,)),
    (S.CANCEL_WAITING, E.PROGRESS): (S.CANCELLING, (A.SEND_CANCEL,)),
    (S.CANCEL_WAITING, E.OK): (S.ENDING, (A.ACKNOWLEDGE, A.SEND_BYE, A.TELL_FAILED)),
    (S.CANCEL_WAITING, E.CHALLENGED): (S.ENDED, (A.TELL_FAILED,)),
    (S.CANCEL_WAITING, E.REFUSED): (S.ENDED, (A.TELL_FAILED,)),
    (S.CANCEL_WAITING, E.NO_RESPONSE): (S.ENDED, (A.TELL_FAILED,)),
    (S.CANCEL_WAITING, E.UNREACHABLE): (S.ENDED, (A.TELL_FAILED,)),
    (S.PROCEEDING, E.TRYING): (S.PROCEEDING, ()),
    (S.PROCEEDING, E.PROGRESS): (S.PROCEEDING, (A.TELL_PROGRESS,)),
    (S.PROCEEDING, E.OK): (S.CONFIRMED, (A.ACKNOWLEDGE, A.TELL_ANSWERED)),
    (S.PROCEEDING, E.CHALLENGED): (S.CALLING, (A.RETRY,)),
    (S.PROCEEDING, E.TOO_SHORT): (S.CALLING, (A.ASK_LONGER,)),
    (S.PROCEEDING, E.REFUSED): (S.ENDED, (A.TELL_FAILED,)),
    # 15: the callee "MUST NOT send a BYE on an early dialog", but some do: what else could it mean?
    (S.PROCEEDING, E.BYE): (S.CANCELLING, (A.SEND_CANCEL,)),
    (S.PROCEEDING, E.UNREACHABLE): (S.ENDED, (A.GIVE_UP, A.TELL_FAILED)),
    (S.PROCEEDING, E.TOO_LONG): (S.CANCELLING, (A.SEND_CANCEL,)),
    (S.PROCEEDING, E.HANGUP): (S.CANCELLING, (A.SEND_CANCEL,)),
    (S.CANCELLING, E.TRYING): (S.CANCELLING, ()),
    (S.CANCELLING, E.PROGRESS): (S.CANCELLING, ()),
    # The 200 and the CANCEL crossed: the call stands, and only a BYE takes it down.
    (S.CANCELLING, E.OK): (S.ENDING, (A.ACKNOWLEDGE, A.SEND_BYE, A.TELL_FAILED)),
    (S.CANCELLING, E.CHALLENGED): (S.ENDED, (A.TELL_FAILED,)),
    (S.CANCELLING, E.REFUSED): (S.ENDED, (A.TELL_FAILED,)),
    (S.CANCELLING, E.UNREACHABLE): (S.ENDED, (A.GIVE_UP, A.TELL_FAILED)),
    # 9.1: "if there is no final response for the original request in 64*T1 seconds …
    #  the client SHOULD consider the original transaction cancelled and SHOULD destroy" it
    (S.CANCELLING, E.CANCEL_LOST): (S.ENDED, (A.GIVE_UP, A.TELL_FAILED)),
    (S.CONFIRMED, E.OK_AGAIN): (S.CONFIRMED, (A.ACKNOWLEDGE_AGAIN,)),
    (S.CONFIRMED, E.OK_ELSEWHERE): (S.CONFIRMED, (A.LEAVE_FORK,)),
    (S.CONFIRMED, E.HANGUP): (S.ENDING, (A.SEND_BYE, A.TELL_ENDED)),
    (S.CONFIRMED, E.BYE): (S.ENDED, (A.TELL_ENDED,)),
    (S.CONFIRMED, E.NO_ACK): (S.ENDING, (A.SEND_BYE, A.TELL_ENDED)),  # of our 200 to a re-INVITE, 14.2
    (S.CONFIRMED, E.LOST): (S.ENDING, (A.SEND_BYE, A.TELL_ENDED)),  # 12.2.1.2, RFC 4028 section 10
    (S.ENDING, E.OK_AGAIN): (S.ENDING, (A.ACKNOWLEDGE_AGAIN,)),
    (S.ENDING, E.OK_ELSEWHERE): (S.ENDING, (A.LEAVE_FORK,)),
    (S.ENDING, E.BYE): (S.ENDING, ()),
    (S.ENDING, E.BYE_DONE): (S.ENDED, ()),
    (S.ENDED, E.OK_AGAIN): (S.ENDED, (A.ACKNOWLEDGE_AGAIN,)),
    (S.ENDED, E.OK): (S.ENDED, (A.LEAVE_FORK,)),
    (S.ENDED, E.OK_ELSEWHERE): (S.ENDED, (A.LEAVE_FORK,)),
}

CALLEE: Table = {
    (S.ALERTING, E.RING): (S.ALERTING, (A.SEND_PROVISIONAL,)),
    (S.ALERTING, E.ANSWER): (S.ANSWERED, (A.SEND_OK,)),
    (S.ALERTING, E.REJECT): (S.ENDED, (A.SEND_FINAL, A.TELL_ENDED)),
    (S.ALERTING, E.HANGUP): (S.ENDED, (A.SEND_FINAL, A.TELL_ENDED)),
    (S.ALERTING, E.CANCEL): (S.ENDED, (A.SEND_FINAL, A.TELL_ENDED)),
    # 15: "The caller's UA MAY send a BYE for either confirmed or early dialogs"
    (S.ALERTING, E.BYE): (S.ENDED, (A.SEND_FINAL, A.TELL_ENDED)),
    (S.ALERTING, E.TOO_LONG): (S.ENDED, (A.SEND_FINAL, A.TELL_ENDED)),
    (S.ALERTING, E.UNREACHABLE): (S.ENDED, (A.GIVE_UP, A.TELL_ENDED)),
    (S.ALERTING, E.NO_PRACK): (S.ENDED, (A.SEND_FINAL, A.TELL_ENDED)),
    (S.ANSWERED, E.ACK): (S.CONFIRMED, (A.STOP_OK, A.TELL_CONFIRMED)),
    (S.ANSWERED, E.NO_ACK): (S.ENDING, (A.STOP_OK, A.SEND_BYE, A.TELL_ENDED)),
    # 15: "The callee's UA MUST NOT send a BYE on a confirmed dialog until it has received
    #  an ACK for its 2xx response or until the server transaction times out."
    (S.ANSWERED, E.HANGUP): (S.BYE_WAITING, (A.TELL_ENDED,)),
    (S.ANSWERED, E.BYE): (S.ENDED, (A.STOP_OK, A.TELL_ENDED)),
    (S.BYE_WAITING, E.ACK): (S.ENDING, (A.STOP_OK, A.SEND_BYE)),
    (S.BYE_WAITING, E.NO_ACK): (S.ENDING, (A.STOP_OK, A.SEND_BYE)),
    (S.BYE_WAITING, E.BYE): (S.ENDED, (A.STOP_OK,)),
    (S.CONFIRMED, E.HANGUP): (S.ENDING, (A.SEND_BYE, A.TELL_ENDED)),
    (S.CONFIRMED, E.BYE): (S.ENDED, (A.TELL_ENDED,)),
    (S.CONFIRMED, E.NO_ACK): (S.ENDING, (A.SEND_BYE, A.TELL_ENDED)),
    (S.CONFIRMED, E.LOST): (S.ENDING, (A.SEND_BYE, A.TELL_ENDED)),
    (S.ENDING, E.BYE): (S.ENDING, ()),
    (S.ENDING, E.BYE_DONE): (S.ENDED, ()),
}


@dataclass(frozen=True, slots=True)
class Incoming:
    """A request and the key of its server transaction ("" for an ACK, which has none).

    cancels  for CANCEL: the key of the INVITE that it is aimed at, None when there is none
    """

    key: str
    request: Request
    source: Peer
    cancels: str | None = None


class Wire(Protocol):
    """What a call needs from its agent: transactions, timers by name, and somebody to tell."""

    settings: AgentSettings

    def send_request(self, call: str, request: Request, to: Peer, now_s: float) -> str:
        """Start a client transaction with a new branch; its key comes back with every response."""
        ...

    def send_cancel(self, call: str, invite_key: str, now_s: float, headers: tuple[tuple[str, str], ...]) -> None:
        """CANCEL that INVITE: same Via, same Route, same destination."""
        ...

    def send_ack(self, request: Request, to: Peer) -> bytes:
        """Send an ACK for a 2xx, outside any transaction. Returns what was sent, to be sent again."""
        ...

    def send_again(self, data: bytes, to: Peer) -> None: ...

    def respond(self, incoming: Incoming, response: Response, now_s: float) -> None: ...

    def forget(self, key: str, now_s: float) -> None:
        """Destroy a transaction; nothing is sent."""
        ...

    def own(self, key: str, call: str) -> None:
        """Tell this call when that server transaction fails."""
        ...

    def set_timer(self, call: str, name: str, at_s: float | None) -> None:
        """Call the call's on_timer(name) at that time; None: not any more."""
        ...

    def bind(self, key: DialogKey, call: str) -> None: ...

    def unbind(self, key: DialogKey) -> None: ...

    def emit(self, event: SipEvent) -> None: ...

    def count(self, name: str) -> None: ...

    def contact(self, to: Peer) -> str:
        """Our Contact value for messages to that peer."""
        ...

    def way_to(self, uri: Uri, flow: Peer, *, behind_nat: bool) -> Peer:
        """Where a request inside a dialog goes; never to a peer that we have no transport for."""
        ...

    def speaks(self, peer: Peer) -> bool:
        """Whether we have a transport for it."""
        ...

    def nonce(self) -> str: ...

    def up_to(self, most: int) -> int:
        """A number from 0 to `most` that peers cannot foresee."""
        ...


class OkUntilAck:
    """A 2xx to an INVITE, sent again by the core until the ACK. RFC 3261 section 13.3.1.4.

    "the interval starts at T1 seconds and doubles for each retransmission until it reaches
    T2 seconds", over TCP too, and after 64*T1 without an ACK the dialog is to be ended.
    """

    def __init__(
        self, wire: Wire, call: str, incoming: Incoming, response: Response, now_s: float, timer: str = "ok"
    ) -> None:
        self._timer = timer
        self.incoming = incoming
        self.response = response
        self._wire = wire
        self._call = call
        self._interval_s = wire.settings.timers.t1_s
        self._give_up_s = now_s + wire.settings.timers.give_up_s
        self._send(now_s)

    @property
    def cseq(self) -> int:
        return self.incoming.request.cseq.number

    def on_time(self, now_s: float) -> bool:
        """Send again; False when 64*T1 are over."""
        if now_s >= self._give_up_s:
            return False
        self._interval_s = min(2 * self._interval_s, self._wire.settings.timers.t2_s)
        self._send(now_s)
        return True

    def stop(self) -> None:
        self._wire.set_timer(self._call, self._timer, None)

    def _send(self, now_s: float) -> None:
        self._wire.respond(self.incoming, self.response, now_s)
        self._wire.set_timer(self._call, self._timer, min(now_s + self._interval_s, self._give_up_s))


_REASON_VALUE = re.compile(rf"{TOKEN}++(?: ?; ?{TOKEN}++(?: ?= ?(?:{TOKEN}++|{QUOTED}))?+)++")
"""RFC 3326 section 2: protocol *(SEMI reason-params), after white space was made single spaces."""


def reason_header(text: str | None) -> tuple[tuple[str, str], ...]:
    """A Reason header (RFC 3326): a full value ("Q.850;cause=16") as it is, plain words as the text of a cause.

    A cause is always there: for SIP and Q.850 section 2 wants one, and billing reads nothing else.
    """
    if not text:
        return ()
    if text in ("BYE", "hung up"):
        return (("Reason", 'Q.850;cause=16;text="Normal call clearing"'),)
    # Often the other leg's words: a line end would begin a header of their choosing, and no other control belongs here.
    clean = "".join(char for char in " ".join(text.split()) if char.isprintable())
    if _REASON_VALUE.fullmatch(clean):
        return (("Reason", clean),)
    quoted = clean.replace("\\", "\\\\").replace('"', '\\"')
    return (("Reason", f'Q.850;cause=31;text="{quoted}"'),)  # normal, unspecified


def sdp_of(message: Request | Response) -> bytes | None:
    """The SDP body, None when there is no body or it is something else. No Content-Type counts as SDP."""
    return message.body if message.body and message.content_type in (None, "application/sdp") else None


def end_of(request: Request) -> str:
    """Why the peer ended a call: its Reason header, or the method."""
    return request.headers.first("Reason") or request.method
