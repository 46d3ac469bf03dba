"""Bytes to SIP messages. RFC 3261 sections 7 and 18.3.

What every message needs (start line, Via, From, To, Call-ID, CSeq, Contact, lengths) is checked here, so no accessor
of a parsed message raises.
"""

from __future__ import annotations

import re

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers, Item, canonical, known_name
from kallglot_media.sip.message import Message, Request, Response
from kallglot_media.sip.params import LWS, TOKEN, parse_number
from kallglot_media.sip.uri import Uri

MAX_MESSAGE_BYTES = 65_535
"""The largest datagram there is (RFC 3261 section 18.1.1 asks for it); the same for streams. Calls need 1 to 4 KB."""
MAX_HEADERS = 256
"""Header lines in one message: 70 hops of Via and as many Record-Route (Max-Forwards bounds both), and room."""

_token = re.compile(f"{TOKEN}+").fullmatch
_fold = re.compile(r"\r\n[ \t]+")
_SINGLE = frozenset({"From", "To", "Call-ID", "CSeq", "Max-Forwards", "Content-Length", "Content-Type"})


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
