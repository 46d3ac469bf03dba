"""What the SIP agent tells its user. `call` is the agent's own name for a call (a str, unique per agent)."""

from __future__ import annotations

from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from kallglot_media.sip.message import Request, Response


@dataclass(frozen=True, slots=True)
class Peer:
    """One end of a transport: where bytes came from or go to.

    transport  "udp", "tcp", "tls", "ws" or "wss"
    host       an IP address, never a name (names are resolved by net/resolver.py)
    name       the domain that `host` was found for: what TLS asks for and checks; "" when there is none
    local      the listener of ours that it is reached from (routing.Address.local); "": the nearest

    Two peers are the same when the first three are.
    """

    transport: str
    host: str
    port: int
    name: str = field(default="", compare=False)
    local: str = field(default="", compare=False)


class EndedBy(StrEnum):
    """Who ended a call that was answered, or gave up one that was not."""

    LOCAL = "local"
    REMOTE = "remote"
    TIMEOUT = "timeout"
    ERROR = "error"


@dataclass(frozen=True, slots=True)
class IncomingCall:
    """A new INVITE, already answered 100. Answer with ring(), answer() or reject().

    offer     the SDP body, or None when the INVITE had none (the offer goes into our 200)
    replaces  the call that this one takes the place of (RFC 3891): answer() ends it
    """

    call: str
    request: Request
    source: Peer
    offer: bytes | None
    replaces: str | None = None


@dataclass(frozen=True, slots=True)
class CallProgress:
    """A provisional response (101–199) to our INVITE. sdp: early media, when it had a body."""

    call: str
    response: Response
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class CallAnswered:
    """Our INVITE got its 2xx; the ACK is on its way. sdp: the answer."""

    call: str
    response: Response
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class CallFailed:
    """Our INVITE ended without an answer.

    status    what the peer said, or 408 (no answer), 503 (transport failed), 487 (we cancelled)
    response  None when no final response came
    """

    call: str
    status: int
    reason: str
    response: Response | None


@dataclass(frozen=True, slots=True)
class CallConfirmed:
    """The ACK for our 200 arrived. sdp: the answer, when the offer was in our 200."""

    call: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class MediaOffered:
    """A re-INVITE, or an UPDATE or PRACK with an offer. Answer with answer_offer() or refuse_offer();
    offer None: ours goes into the 200."""

    call: str
    request: Request
    offer: bytes | None


@dataclass(frozen=True, slots=True)
class OfferAnswered:
    """Our reoffer() was taken, or a refresh of the session brought news. sdp: the answer."""

    call: str
    response: Response
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class OfferFailed:
    """Our reoffer() was refused: the media stay as they were, the call goes on.

    status  what the peer said, 503 (transport failed), 491 (its own offers crossed ours again and again)
    """

    call: str
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class ProgressConfirmed:
    """The PRACK for a reliable 18x of ours arrived (RFC 3262). sdp: the answer, when the offer was in our 18x."""

    call: str
    sdp: bytes | None


@dataclass(frozen=True, slots=True)
class TransferAsked:
    """A REFER: the peer wants its place in the call taken by somebody else. Answer with accept_transfer(),
    then tell_transfer() until a final status, or refuse_transfer().

    to           the URI to call, of anybody's choice: ask the dial plan
    replaces     the value of the Replaces header for that call (attended transfer), or None (blind)
    referred_by  who asks, as they say
    """

    call: str
    request: Request
    to: str
    replaces: str | None
    referred_by: str | None


@dataclass(frozen=True, slots=True)
class TransferProgress:
    """News of the transfer that refer() asked for: the status of the call that the peer makes, or of the REFER.

    over  no more news will come; a status below 200 then means that nobody knows how it ended
    """

    call: str
    status: int
    reason: str
    over: bool


@dataclass(frozen=True, slots=True)
class KeyPressed:
    """A key came as an INFO request (application/dtmf-relay or application/dtmf)."""

    call: str
    key: str
    duration_ms: int


@dataclass(frozen=True, slots=True)
class MessageReceived:
    """A MESSAGE (RFC 3428), already answered 200. call: "" when it came outside of any call."""

    call: str
    request: Request
    source: Peer
    content_type: str
    body: bytes


@dataclass(frozen=True, slots=True)
class CallEnded:
    """The call is over: BYE, CANCEL (487), no ACK, or an error. Said exactly once per call
    that was announced by IncomingCall or answered by CallAnswered."""

    call: str
    by: EndedBy
    status: int
    reason: str


@dataclass(frozen=True, slots=True)
class RequestAnswered:
    """SipAgent.request() is over. Said exactly once for each.

    call      the name that request() gave
    status    what the peer said, or 408 (nobody answered), 503 (nobody reached)
    response  None when no final response came
    """

    call: str
    status: int
    reason: str
    response: Response | None


SipEvent = (
    IncomingCall
    | CallProgress
    | CallAnswered
    | CallFailed
    | CallConfirmed
    | MediaOffered
    | OfferAnswered
    | OfferFailed
    | ProgressConfirmed
    | TransferAsked
    | TransferProgress
    | KeyPressed
    | MessageReceived
    | CallEnded
    | RequestAnswered
)
