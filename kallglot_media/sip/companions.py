"""Requests that belong to another request, hop by hop: ACK for a failure (RFC 3261 section 17.1.1.3), CANCEL (9.1)."""

from __future__ import annotations

from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, Response


def make_ack(invite: Request, response: Response) -> Request:
    """The ACK for a final response from 300 to 699 to `invite`. (That for a 2xx is the dialog's, section 13.2.2.4.)

    "The ACK MUST contain a single Via header field, and this MUST be equal to the top Via header field of the
    original request. [...] The To header field in the ACK MUST equal the To header field in the response."
    """
    ack = _companion(invite, "ACK")
    to = response.headers.first("To")
    if to:
        ack.headers.set("To", to)
    return ack


def make_cancel(invite: Request) -> Request:
    """The CANCEL for `invite`: same Request-URI, top Via, From, To, Call-ID, CSeq number and Route."""
    return _companion(invite, "CANCEL")


def _companion(invite: Request, method: str) -> Request:
    headers = Headers([("Via", str(invite.top_via)), ("Max-Forwards", "70")])
    # "If the INVITE request whose response is being acknowledged had Route header fields, those header fields
    # MUST appear in the ACK. This is to ensure that the ACK can be routed properly through any downstream
    # stateless proxies." The same for CANCEL.
    for route in invite.headers.all("Route"):
        headers.add("Route", route)
    for name in ("From", "To", "Call-ID"):
        headers.add(name, invite.headers.first(name) or "")
    headers.add("CSeq", f"{invite.cseq.number} {method}")
    return Request(method, invite.uri, headers)
