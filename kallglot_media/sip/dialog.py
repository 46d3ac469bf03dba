"""Dialogs, RFC 3261 section 12: who the two ends are, which way to them, and in which order.

A dialog is a value with a little bookkeeping. It writes the requests that go into
it and judges the order of those that come; it sends nothing and knows no time.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.uri import NameAddr, Uri

MAX_FORWARDS = "70"
_MOST_ROUTES = 32

DialogKey = tuple[str, str, str]
"""Call-ID, our tag, their tag: "a dialog is identified at each UA" by these. RFC 3261 section 12."""


@dataclass(slots=True)
class Dialog:
    """One peer-to-peer relationship.

    local, remote   our and their From/To value, tags included ("" as tag: an RFC 2543 peer)
    remote_target   their Contact: the Request-URI of what we send
    route_set       the proxies on the way, nearest first
    local_cseq      the number of our last request
    remote_cseq     the number of their last one; None until they have sent any
    is_early        True until a 2xx
    """

    call_id: str
    local: NameAddr
    remote: NameAddr
    remote_target: Uri
    route_set: tuple[NameAddr, ...]
    local_cseq: int
    remote_cseq: int | None
    is_early: bool = True

    @property
    def key(self) -> DialogKey:
        return (self.call_id, self.local.tag or "", self.remote.tag or "")

    @classmethod
    def as_server(cls, request: Request, local_tag: str) -> Dialog:
        """The dialog that our responses to `request` make. RFC 3261 section 12.1.1.

        Raises SipError when Contact or Record-Route cannot be read.
        """
        contact = request.contact
        return cls(
            call_id=request.call_id,
            local=request.to.with_tag(local_tag),
            remote=request.from_,
            remote_target=contact.uri if contact is not None else request.from_.uri,
            route_set=_routes(request),
            local_cseq=0,
            remote_cseq=request.cseq.number,
        )

    @classmethod
    def as_client(cls, request: Request, response: Response) -> Dialog:
        """The dialog that `response` to our `request` makes. RFC 3261 section 12.1.2.

        Raises SipError when Contact or Record-Route cannot be read.
        """
        contact = response.contact
        return cls(
            call_id=request.call_id,
            local=request.from_,
            remote=response.to,
            # Without a Contact, which a 2xx must have, the URI that got us here is the best guess.
            remote_target=contact.uri if contact is not None else request.uri,
            route_set=tuple(reversed(_routes(response))),
            local_cseq=request.cseq.number,
            remote_cseq=None,
            is_early=response.status < 200,
        )

    def refresh_target(self, message: Request | Response) -> None:
        """Re-INVITE, UPDATE and their 2xx may move the remote target. RFC 3261 section 12.2."""
        contact = message.contact
        if contact is not None:
            self.remote_target = contact.uri

    def takes_in_order(self, request: Request) -> bool:
        """False for a request older than one already seen: it is to be answered 500. RFC 3261 12.2.2."""
        number = request.cseq.number
        # "If the remote sequence number was not empty, but the sequence number of the
        #  request is lower than the remote sequence number, the request is out of order"
        if self.remote_cseq is not None and number < self.remote_cseq:
            return False
        self.remote_cseq = number
        return True

    def request(self, method: str, *, cseq: int | None = None, headers: Sequence[tuple[str, str]] = ()) -> Request:
        """A request inside this dialog, without Via and Contact. RFC 3261 section 12.2.1.1.

        cseq  given for ACK, which repeats the number of its INVITE; otherwise the next one is taken
        """
        if cseq is None:
            self.local_cseq += 1
            cseq = self.local_cseq
        uri, routes = self._way()
        fields = [("Route", str(route)) for route in routes]
        fields += [
            ("Max-Forwards", MAX_FORWARDS),
            ("From", str(self.local)),
            ("To", str(self.remote)),
            ("Call-ID", self.call_id),
            ("CSeq", f"{cseq} {method}"),
        ]
        return Request(method, uri, Headers([*fields, *headers]))

    @property
    def next_hop(self) -> Uri:
        """The URI whose address the request goes to. RFC 3261 sections 8.1.2 and 12.2.1.1."""
        return self.route_set[0].uri if self.route_set else self.remote_target

    def _way(self) -> tuple[Uri, tuple[NameAddr, ...]]:
        """Request-URI and Route values, for loose and for strict routers."""
        target = _as_request_uri(self.remote_target)
        if not self.route_set:
            return target, ()
        first = self.route_set[0].uri
        if first.is_lr:
            return target, self.route_set
        # "If the first URI does not contain the lr parameter, the UAC MUST place the first URI
        #  from the route set into the Request-URI, stripping any parameters that are not allowed
        #  in a Request-URI … and the remote target URI into the Route header field as the last value."
        return _as_request_uri(first), (*self.route_set[1:], NameAddr(None, target, ()))


def _as_request_uri(uri: Uri) -> Uri:
    """Without what 19.1.1 (table 1) does not allow there, and some Contacts have: headers, and the method parameter."""
    if not uri.headers and not uri.has_param("method"):
        return uri
    return replace(uri, headers=(), params=tuple(param for param in uri.params if param[0].lower() != "method"))


def _routes(message: Request | Response) -> tuple[NameAddr, ...]:
    return tuple(NameAddr.parse(value) for value in message.headers.values("Record-Route")[:_MOST_ROUTES])
