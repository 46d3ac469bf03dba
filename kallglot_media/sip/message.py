"""SIP messages as values; their bytes, and the responses to them. RFC 3261 sections 7, 8.2.6 and 18.2.1.

What every message needs was checked by `parser.py`, so no accessor of a parsed message raises; everything else stays
text until somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers, Item
from kallglot_media.sip.params import LWS, TOKEN, parse_number, split_commas
from kallglot_media.sip.reasons import reason_phrase
from kallglot_media.sip.uri import NameAddr, Uri
from kallglot_media.sip.via import Via

LARGEST_CSEQ = 2**32 - 1
"""Section 8.1.1.5 asks for less than 2**31; a few stacks start above, so only what is no 32-bit number is refused."""

_cseq = re.compile(rf"([0-9]++)[ \t]++({TOKEN}++)").fullmatch
_COPIED = frozenset({"Via", "From", "To", "Call-ID", "CSeq"})
_DIALOG_MAKING = frozenset({"INVITE", "SUBSCRIBE", "REFER", "NOTIFY"})


class CSeq(NamedTuple):
    """Section 20.16."""

    number: int
    method: str


class _Fields:
    """What requests and responses both offer. Parsed on first use, then remembered until that header changes."""

    __slots__ = ()
    headers: Headers
    body: bytes

    @property
    def call_id(self) -> str:
        """Section 20.8, compared byte by byte."""
        return self.headers.parsed("Call-ID", _read_call_id)

    @property
    def cseq(self) -> CSeq:
        """Section 20.16."""
        return self.headers.parsed("CSeq", _read_cseq)

    @property
    def from_(self) -> NameAddr:
        """Section 20.20."""
        return self.headers.parsed("From", _read_from)

    @property
    def to(self) -> NameAddr:
        """Section 20.39."""
        return self.headers.parsed("To", _read_to)

    @property
    def vias(self) -> list[Via]:
        """All hops, the latest first; section 20.42."""
        return self.headers.parsed("Via", _read_vias)

    @property
    def top_via(self) -> Via:
        """The hop that sent this message."""
        return self.headers.parsed("Via", _read_vias)[0]

    @property
    def contact(self) -> NameAddr | None:
        """The first Contact; None when there is none or it is "*" (REGISTER)."""
        contacts = self.contacts
        return contacts[0] if contacts else None

    @property
    def contacts(self) -> list[NameAddr]:
        """All Contacts, "*" left out; section 20.10."""
        return self.headers.parsed("Contact", _read_contacts) if "Contact" in self.headers else []

    @property
    def max_forwards(self) -> int | None:
        """Hops left, 0 to 255; section 20.22. None when absent."""
        return self.headers.parsed("Max-Forwards", _read_max_forwards) if "Max-Forwards" in self.headers else None

    @property
    def content_type(self) -> str | None:
        """The media type without parameters, lower case: "application/sdp". None when absent."""
        value = self.headers.first("Content-Type")
        return None if value is None else value.partition(";")[0].strip(LWS).lower()


@dataclass(slots=True)
class Request(_Fields):
    """Section 7.1. `method` keeps its case: methods are case-sensitive."""

    method: str
    uri: Uri
    headers: Headers
    body: bytes = b""

    def serialize(self) -> bytes:
        """The wire form, with the right Content-Length."""
        return _serialize(f"{self.method} {self.uri} SIP/2.0\r\n", self.headers, self.body)


@dataclass(slots=True)
class Response(_Fields):
    """Section 7.2."""

    status: int
    reason: str
    headers: Headers = field(default_factory=Headers)
    body: bytes = b""

    def serialize(self) -> bytes:
        """The wire form, with the right Content-Length."""
        return _serialize(f"SIP/2.0 {self.status} {self.reason}\r\n", self.headers, self.body)


Message = Request | Response


def make_response(
    request: Request,
    status: int,
    reason: str | None = None,
    *,
    to_tag: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
    body: bytes = b"",
    content_type: str | None = None,
) -> Response:
    """A response to `request`, section 8.2.6: its Vias, From, To, Call-ID and CSeq as they came.

    to_tag        put on To unless the request already has one (a 100 needs none)
    headers       added after the copied ones
    content_type  required with a body

    Record-Route is copied into 101 to 299 of requests that make dialogs (12.1.1), Timestamp into 100 (8.2.6.1).
    """
    if body and content_type is None:
        raise ValueError("a body needs a content_type")
    response = _response_to(request.method, request.headers, status, reason, None if request.to.tag else to_tag)
    for name, value in headers:
        response.headers.add(name, value)
    if content_type is not None:
        response.headers.set("Content-Type", content_type)
    response.body = body
    return response


def error_response(error: SipError, *, to_tag: str) -> Response | None:
    """What to send back, statelessly, for a request that could not be parsed; None when it cannot or must not be.

    "A stateless UAS MUST NOT generate provisional responses and MUST ignore ACK requests" (8.2.7).
    """
    if error.headers is None or error.method in (None, "ACK") or "Via" not in error.headers:
        return None
    try:
        tag = None if NameAddr.parse(error.headers.first("To") or "").tag else to_tag
    except SipError:
        tag = None
    assert error.method is not None  # checked above
    return _response_to(error.method, error.headers, error.status, f"{reason_phrase(error.status)} ({error})", tag)


def mark_received(request: Request, host: str, port: int) -> None:
    """Write where a request really came from into its top Via. RFC 3261 section 18.2.1, RFC 3581 section 4."""
    via, *later = request.vias
    wants_rport = via.wants_rport
    if not wants_rport and _same_host(via.host, host):
        return
    params = [param for param in via.params if param[0].lower() not in ("received", "rport")]
    params.append(("received", host))
    if wants_rport:
        params.append(("rport", str(port)))
    via = Via(via.transport, via.host, via.port, tuple(params))
    others = split_commas(request.headers.first("Via") or "")[1:]
    request.headers.replace_first("Via", ", ".join([str(via), *others]))
    request.headers.keep_parsed("Via", [via, *later])


def _serialize(start_line: str, headers: Headers, body: bytes) -> bytes:
    length = f"Content-Length: {len(body)}\r\n"
    lines = [length if key == "Content-Length" else f"{name}: {value}\r\n" for key, name, value in headers.items()]
    if length not in lines:
        lines.append(length)
    return f"{start_line}{''.join(lines)}\r\n".encode("utf-8", "replace") + body


def _response_to(method: str, headers: Headers, status: int, reason: str | None, to_tag: str | None) -> Response:
    record_route = 101 <= status < 300 and method in _DIALOG_MAKING
    items: list[Item] = []
    for item in headers.items():
        key = item[0]
        if key in _COPIED:
            # A To without angle brackets takes the tag just the same: its parameters are header parameters (20.39).
            items.append((key, key, f"{item[2]};tag={to_tag}") if key == "To" and to_tag else (key, key, item[2]))
        elif (key == "Record-Route" and record_route) or (key == "Timestamp" and status == 100):
            items.append(item)
    return Response(status, reason_phrase(status) if reason is None else reason, Headers.of_items(items))


def _required(headers: Headers, name: str) -> str:
    value = headers.first(name)
    if not value:
        raise SipError(f"no_{name.lower().replace('-', '_')}", f"{name} is missing")
    return value


def _read_call_id(headers: Headers) -> str:
    value = _required(headers, "Call-ID")
    if " " in value or "\t" in value:
        raise SipError("bad_call_id", "Call-ID has white space in it")
    return value


def _read_cseq(headers: Headers) -> CSeq:
    match = _cseq(_required(headers, "CSeq"))
    if match is None:
        raise SipError("bad_cseq", "CSeq is not a number and a method")
    return CSeq(parse_number(match[1], LARGEST_CSEQ, "bad_cseq", "CSeq"), match[2])


def _read_from(headers: Headers) -> NameAddr:
    return NameAddr.parse(_required(headers, "From"))


def _read_to(headers: Headers) -> NameAddr:
    return NameAddr.parse(_required(headers, "To"))


def _read_vias(headers: Headers) -> list[Via]:
    _required(headers, "Via")
    return [Via.parse(element) for element in headers.values("Via")]


def _read_contacts(headers: Headers) -> list[NameAddr]:
    return [NameAddr.parse(element) for element in headers.values("Contact") if element != "*"]


def _read_max_forwards(headers: Headers) -> int:
    return parse_number(_required(headers, "Max-Forwards"), 255, "bad_max_forwards", "Max-Forwards")


def _same_host(sent_by: str, source: str) -> bool:
    if sent_by == source:
        return True
    try:
        return ip_address(sent_by) == ip_address(source)
    except ValueError:
        return False
