"""SIP messages: bytes to value and back. RFC 3261 sections 7, 8.2.6, 18.2.1 and 18.3.

What every message needs (start line, Via, From, To, Call-ID, CSeq, Contact, lengths) is checked when it is parsed,
so no accessor of a parsed message raises; everything else stays text until somebody asks.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, field
from ipaddress import ip_address
from typing import NamedTuple

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers, Item, canonical, known_name
from kallglot_media.sip.params import LWS, TOKEN, parse_number, split_commas
from kallglot_media.sip.reasons import reason_phrase
from kallglot_media.sip.uri import NameAddr, Uri
from kallglot_media.sip.via import Via

MAX_MESSAGE_BYTES = 65_535
"""The largest datagram there is (RFC 3261 section 18.1.1 asks for it); the same for streams. Calls need 1 to 4 KB."""
MAX_HEADERS = 256
"""Header lines in one message: 70 hops of Via and as many Record-Route (Max-Forwards bounds both), and room."""
LARGEST_CSEQ = 2**32 - 1
"""Section 8.1.1.5 asks for less than 2**31; a few stacks start above, so only what is no 32-bit number is refused."""

_token = re.compile(f"{TOKEN}+").fullmatch
_fold = re.compile(r"\r\n[ \t]+")
_cseq = re.compile(rf"([0-9]++)[ \t]++({TOKEN}++)").fullmatch
_SINGLE = frozenset({"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"})
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


def parse_message(data: bytes, *, stream: bool = False) -> Message:
    """One message. Raises SipError, and nothing else.

    A datagram may be longer than its Content-Length says (the rest is dropped), never shorter; on a stream
    Content-Length must be there (section 18.3; stream.py cuts messages out of a stream).
    """
    if len(data) > MAX_MESSAGE_BYTES:
        raise SipError("too_large", f"{len(data)} bytes, the limit is {MAX_MESSAGE_BYTES}", status=513)
    # "Implementations processing SIP messages over stream-oriented transports MUST ignore any CRLF appearing
    # before the start-line" (7.5); harmless for datagrams.
    start = 0
    while data.startswith(b"\r\n", start):
        start += 2
    end = data.find(b"\r\n\r\n", start)
    if end < 0:  # read what there is, to answer it
        start_line, headers, problem = _split_head(_decode(data[start:].removesuffix(b"\r\n")))
        problem = problem or SipError("no_empty_line", "no empty line ends the headers")
        body = b""
    else:
        start_line, headers, problem = _split_head(_decode(data[start:end]))
        body = data[end + 4 :]
    if start_line[:4].upper() == "SIP/":
        if problem is not None:
            raise problem
        return _read_response(start_line, headers, body, stream)
    return _read_request(start_line, headers, body, stream, problem)


def is_keepalive(data: bytes) -> bool:
    """True for a datagram of line ends, zero bytes or nothing: phones send them to hold a NAT binding open."""
    return len(data) <= 64 and not data.strip(b"\r\n\0 ")


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


def _decode(head: bytes) -> str:
    """Section 7 says UTF-8. Old PBXs send display names in Latin-1; refusing the call would not help anybody."""
    try:
        return head.decode()
    except UnicodeDecodeError:
        return head.decode("latin-1")


def _split_head(head: str) -> tuple[str, Headers, SipError | None]:
    """Start line, headers and what is wrong with them; what can be read is returned even then, to answer with."""
    line_ends = head.count("\r\n")
    if head.count("\r") != line_ends or head.count("\n") != line_ends:
        raise SipError("bare_line_end", "a carriage return or line feed stands alone")
    if "\r\n " in head or "\r\n\t" in head:  # folded lines, section 7.3.1
        head = _fold.sub(" ", head)
    lines = head.split("\r\n")
    if len(lines) > MAX_HEADERS + 1:
        raise SipError("too_many_headers", f"{len(lines) - 1} header lines, the limit is {MAX_HEADERS}", status=513)
    problem: SipError | None = None
    items: list[Item] = []
    first: dict[str, str] = {}
    for line in lines[1:]:
        name, colon, value = line.partition(":")
        key = known_name(name)
        if key is None or not colon:
            name = name.rstrip(LWS)
            if not colon or not _token(name):
                problem = problem or SipError("bad_header", f"header line {len(items) + 1} is not name: value")
                continue
            key = canonical(name)
            name = known_name(key) or name
        else:
            name = key
        value = value.strip(LWS)
        if key not in first:
            first[key] = value
        elif key in _SINGLE:
            problem = problem or SipError("repeated_header", f"{key} occurs more than once")
            continue
        items.append((key, name, value))
    return lines[0], Headers.of_items(items, first), problem


def _read_request(start_line: str, headers: Headers, body: bytes, stream: bool, problem: SipError | None) -> Request:
    parts = start_line.split(" ")
    method = parts[0]
    if not _token(method):
        raise SipError("bad_start_line", "the first line is neither a request nor a response")
    try:
        if problem is not None:
            raise problem
        return _read_request_line(parts, headers, body, stream)
    except SipError as error:
        error.method, error.headers = method, headers
        raise


def _read_request_line(parts: list[str], headers: Headers, body: bytes, stream: bool) -> Request:
    method = parts[0]
    if len(parts) != 3:
        raise SipError("bad_start_line", "the request line is not method, URI, SIP/2.0 with one space between")
    if parts[2].upper() != "SIP/2.0":
        if re.fullmatch(r"SIP/[0-9]+\.[0-9]+", parts[2], re.IGNORECASE):
            raise SipError("bad_version", "the version is not SIP/2.0", status=505)
        raise SipError("bad_start_line", "the request line does not end in SIP/2.0")
    uri = Uri.parse(parts[1])
    if uri.headers:  # forbidden in a Request-URI by the table in 19.1.1; RFC 4475 section 3.1.2.11
        raise SipError("bad_uri", "the Request-URI carries headers")
    request = Request(method, uri, headers)
    _check_fields(request)
    if request.cseq.method != method:
        raise SipError("cseq_mismatch", "the method of CSeq is not that of the request")
    request.body = _read_body(headers, body, stream)
    return request


def _read_response(start_line: str, headers: Headers, body: bytes, stream: bool) -> Response:
    version, _, rest = start_line.partition(" ")
    status, _, reason = rest.partition(" ")
    if version.upper() != "SIP/2.0":
        raise SipError("bad_version", "the version is not SIP/2.0", status=505)
    if not (len(status) == 3 and status.isascii() and status.isdigit() and "100" <= status <= "699"):
        raise SipError("bad_status", "the status is not a number from 100 to 699")
    response = Response(int(status), reason, headers)
    _check_fields(response)
    response.body = _read_body(headers, body, stream)
    return response


def _check_fields(message: Message) -> None:
    """Read what every message needs; what is read is remembered, so this costs nothing twice."""
    headers = message.headers
    _ = (message.top_via, message.call_id, message.cseq, message.from_, message.to, message.contacts)
    if isinstance(message, Request):
        _ = message.max_forwards
    elif "Max-Forwards" in headers:
        headers.remove("Max-Forwards")  # means nothing in a response


def _read_body(headers: Headers, body: bytes, stream: bool) -> bytes:
    text = headers.first("Content-Length")
    if text is None:
        if stream:
            raise SipError("no_content_length", "no Content-Length on a stream")
        return body
    length = parse_number(text, 2**32 - 1, "bad_content_length", "Content-Length")
    # Section 18.3: "If the transport packet ends before the end of the message body, this is considered an error"
    if length > len(body):
        raise SipError("short_body", f"Content-Length is {length}, {len(body)} bytes came")
    return body if length == len(body) else body[:length]


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
