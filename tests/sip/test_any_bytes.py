"""No bytes raise anything but SipError, none take more than linear time, and reading undoes writing."""

from __future__ import annotations

import contextlib
from pathlib import Path

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as some

from kallglot_media.sip.digest_scheme import parse_digest
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Message, Request, Response, error_response, make_response, mark_received
from kallglot_media.sip.params import parse_number, parse_params, quote, split_commas, unquote
from kallglot_media.sip.parser import MAX_HEADERS, MAX_MESSAGE_BYTES, parse_message
from kallglot_media.sip.transaction_keys import client_key, merge_key, server_key
from kallglot_media.sip.uri import NameAddr, Uri
from kallglot_media.sip.via import Via

TORTURE = [path.read_bytes() for path in sorted((Path(__file__).parents[1] / "torture").glob("rfc*/*"))]
WHOLE = [data for data in TORTURE if b"\r\n\r\n" in data]


def touch_all(message: Message) -> None:
    """Every accessor, and everything done with a message before a user sees it."""
    _ = (message.call_id, message.cseq, message.from_.tag, message.to.tag, message.vias, message.top_via.received)
    _ = (message.contact, message.contacts, message.max_forwards, message.content_type, message.top_via.rport)
    client_key(message)
    if isinstance(message, Request):
        server_key(message)
        merge_key(message)
        mark_received(message, "192.0.2.1", 5060)
        make_response(message, 200, to_tag="t").serialize()


def read_or_refuse(data: bytes) -> None:
    for stream in (False, True):
        try:
            message = parse_message(data, stream=stream)
        except SipError as error:
            response = error_response(error, to_tag="t")
            if response is not None:
                response.serialize()
        else:
            touch_all(message)
            if len(message.serialize()) > MAX_MESSAGE_BYTES:
                continue  # Latin-1 in, UTF-8 out: up to twice as long
            again = parse_message(message.serialize(), stream=stream)
            assert again.serialize() == message.serialize()
            touch_all(again)


@given(some.binary(max_size=400))
def test_any_bytes(data: bytes) -> None:
    read_or_refuse(data)


@given(some.sampled_from(WHOLE), some.data())
@settings(max_examples=300)
def test_any_torture_message_with_any_change(whole: bytes, draw: some.DataObject) -> None:
    data = bytearray(whole)
    for _ in range(draw.draw(some.integers(1, 4))):
        at = draw.draw(some.integers(0, len(data)))
        end = min(len(data), at + draw.draw(some.integers(0, 8)))
        data[at:end] = draw.draw(
            some.binary(max_size=4) | some.sampled_from([b"\r\n", b"\r\n ", b'"', b"<", b";", b","])
        )
    read_or_refuse(bytes(data))


START_LINES = some.sampled_from(["INVITE sip:a@h SIP/2.0", "OPTIONS tel:1 SIP/2.0", "SIP/2.0 200 OK", "SIP/2.0 100 "])
NAMES = some.sampled_from(
    ["Via", "v", "To", "t", "From", "f", "Call-ID", "i", "CSeq", "Contact", "m", "l", "X-Any", "Route"]
)
SIGNS = list('<>"\\;,= \t:@?*[]%é\0')
WORDS_OF_SIP = ["%41", "\r\n ", "tag", "sip:a@h", "SIP/2.0/UDP h", "branch=z9hG4bK1", "1", "INVITE", "70", "rport"]
PIECES = some.sampled_from([*SIGNS, *WORDS_OF_SIP, "\N{MUSICAL SYMBOL G CLEF}"])
VALUES = some.lists(PIECES, max_size=8).map("".join)
GOOD = [("Via", "SIP/2.0/UDP h;branch=z9hG4bK1"), ("To", "<sip:a@h>"), ("From", "<sip:b@h>;tag=1"), ("Call-ID", "c")]


@given(START_LINES, some.lists(some.tuples(NAMES, VALUES), max_size=6), some.booleans(), some.binary(max_size=10))
@settings(max_examples=300)
def test_anything_that_looks_like_headers(
    start_line: str, headers: list[tuple[str, str]], complete: bool, body: bytes
) -> None:
    method = start_line.partition(" ")[0] if not start_line.startswith("SIP") else "INVITE"
    lines = [*GOOD, ("CSeq", f"1 {method}"), *headers] if complete else headers
    head = "\r\n".join([start_line, *(f"{name}: {value}" for name, value in lines)])
    read_or_refuse(head.encode() + b"\r\n\r\n" + body)


# -- reading undoes writing --

TEXT = some.text(some.characters(exclude_categories=["Cs"], exclude_characters="\r\n"), max_size=20)
SHOWN = some.text(some.characters(exclude_categories=["Cs", "Cc"]), max_size=20)
WORDS = some.from_regex(r"[A-Za-z0-9.!%*_+`'~-]{1,12}", fullmatch=True)
HOSTS = some.from_regex(r"[a-z0-9.-]{1,12}", fullmatch=True) | some.sampled_from(["192.0.2.1", "2001:db8::1", "::1"])
PORTS = some.none() | some.integers(1, 65_535)
PARAMS = some.lists(some.tuples(WORDS, some.none() | WORDS | SHOWN.map(quote)), max_size=3).map(tuple)
URI_PARAMS = some.lists(some.tuples(WORDS, some.none() | WORDS), max_size=3).map(tuple)
USERS = some.none() | some.from_regex(r"[A-Za-z0-9.!*_+'()&=$,;?/~-]{1,12}", fullmatch=True)


@some.composite
def uris(draw: some.DrawFn) -> Uri:
    user = draw(USERS)
    password = draw(some.none() | WORDS) if user is not None else None
    scheme = draw(some.sampled_from(["sip", "sips"]))
    return Uri(scheme, user, password, draw(HOSTS), draw(PORTS), draw(URI_PARAMS), draw(URI_PARAMS))


@given(uris())
@example(Uri("sip", "a;b?c", None, "h"))
def test_uris_survive(uri: Uri) -> None:
    assert Uri.parse(str(uri)) == uri
    assert uri.same_as(uri)


@given(some.builds(NameAddr, some.none() | SHOWN, uris(), PARAMS))
def test_addresses_survive(address: NameAddr) -> None:
    assert NameAddr.parse(str(address)) == address


@given(some.builds(Via, WORDS.map(str.upper), HOSTS, PORTS, PARAMS))
def test_hops_survive(via: Via) -> None:
    assert Via.parse(str(via)) == via


@given(SHOWN)
def test_quoting_survives(text: str) -> None:
    assert unquote(quote(text)) == text
    assert split_commas(quote(text)) == [quote(text)]


@given(some.lists(some.builds(NameAddr, some.none() | SHOWN, uris(), PARAMS), min_size=1, max_size=4))
def test_lists_survive(addresses: list[NameAddr]) -> None:
    line = ", ".join(map(str, addresses))
    assert [NameAddr.parse(element) for element in split_commas(line)] == addresses


@given(
    some.lists(some.tuples(WORDS, TEXT.map(str.strip)), max_size=5), some.binary(max_size=50), some.integers(100, 699)
)
def test_messages_survive(extra: list[tuple[str, str]], body: bytes, status: int) -> None:
    extra = [(f"X-{name}", value.strip(" \t")) for name, value in extra]
    headers = Headers([*GOOD, ("CSeq", "1 INVITE"), *extra])
    response = Response(status, "Because", headers, body)
    again = parse_message(response.serialize(), stream=True)
    assert isinstance(again, Response)
    assert (again.status, again.reason, again.body) == (status, "Because", body)
    assert list(again.headers)[:-1] == list(headers)


# -- nothing takes more than linear time: quadratic readers need minutes for these, and the suite has a time limit --

LONG = 1_000_000
PATHOLOGICAL = [
    " " * LONG,
    "\t" * LONG,
    '"' * LONG,
    '"' + "\\" * LONG,
    '"' + "a" * LONG,
    '"' + '\\"' * (LONG // 2),
    "<" * LONG,
    "," * LONG,
    "<," * (LONG // 2),
    '",' * (LONG // 2),
    ";a" * (LONG // 2),
    ";a=" * (LONG // 3),
    ";a" + " " * LONG,
    ";" + "a" * LONG,
    ';a="' + "b" * LONG,
    "a" * LONG,
    "a" * LONG + "<sip:h>",
    "sip:" + "a" * LONG,
    "sip:" + "a:" * (LONG // 2),
    "sip:a@h" + ";" * LONG,
    "sip:a@h" + ";a=b" * (LONG // 4),
    "sip:a@h?" + "a=b&" * (LONG // 4),
    "sip:[" + ":" * LONG,
    "SIP/2.0/UDP " + " " * LONG,
    "SIP/2.0/UDP " + "h" * LONG,
    "SIP/2.0/UDP h" + " " * LONG + ":x",
    "SIP/2.0/UDP h;" + "a=" * (LONG // 2),
    "9" * LONG,
    "Digest " + 'a="' * (LONG // 3),
    "Digest " + "a=b," * (LONG // 4),
    "Digest " + "a" * LONG,
    "%" * LONG,
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("text", PATHOLOGICAL, ids=lambda text: repr(text[:20]))
def test_a_megabyte_is_read_in_one_go(text: str) -> None:
    for parse in (Uri.parse, NameAddr.parse, Via.parse, split_commas, parse_digest, unquote):
        with contextlib.suppress(SipError):
            parse(text)
    with contextlib.suppress(SipError):
        parse_params(text, "x")
    with contextlib.suppress(SipError):
        parse_number(text, 2**32, "x", "x")


FILLERS = [
    b" ",
    b"\r\n ",
    b",",
    b";",
    b'"',
    b"\\",
    b"<",
    b"a: b\r\n",
    b"v: SIP/2.0/UDP h\r\n",
    b"m: <sip:a@h>,",
    b"\xff",
    b"%",
]


@pytest.mark.timeout(10)
@pytest.mark.parametrize("name", [b"Via: SIP/2.0/UDP h", b"To: ", b"m: ", b"CSeq: 1", b"X: ", b"", b"l: "])
@pytest.mark.parametrize("filler", FILLERS)
def test_the_longest_datagram_is_read_in_one_go(name: bytes, filler: bytes) -> None:
    good = b"".join(f"{name}: {value}\r\n".encode() for name, value in GOOD)
    head = b"INVITE sip:a@h SIP/2.0\r\n" + good + b"CSeq: 1 INVITE\r\n" + name
    read_or_refuse(head + filler * ((65_000 - len(head)) // len(filler)) + b"\r\n\r\n")


def test_ten_thousand_headers_are_refused_by_number() -> None:
    with pytest.raises(SipError) as caught:
        parse_message(b"INVITE sip:a@h SIP/2.0\r\n" + b"a:\r\n" * 10_000 + b"\r\n")
    assert caught.value.kind == "too_many_headers"
    assert MAX_HEADERS < 10_000
