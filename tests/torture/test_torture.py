"""The messages of RFC 4475 and RFC 5118, each with the RFC's verdict, as a datagram and as a stream."""

from __future__ import annotations

import re
from pathlib import Path
from typing import NamedTuple

import pytest

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.message import Message, Request, Response, error_response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.stream import Framer
from kallglot_media.sip.transaction_keys import is_2543, server_key

HERE = Path(__file__).parent

ACCEPT = "accept"
"""A parser must not refuse it. What the layers above owe it is in the note."""
DROP = "drop"
"""A response that cannot be read, or nowhere to send the refusal to."""


class Case(NamedTuple):
    """One file: ACCEPT, DROP or the status of the refusal; the SipError.kind; what else there is to say."""

    section: str
    name: str
    verdict: str | int
    kind: str = ""
    note: str = ""


RFC4475 = [
    Case("3.1.1.1", "wsinv", ACCEPT),
    Case("3.1.1.2", "intmeth", ACCEPT, note="405 or 501 above: the method is unknown"),
    Case("3.1.1.3", "esc01", ACCEPT),
    Case("3.1.1.4", "escnull", ACCEPT),
    Case("3.1.1.5", "esc02", ACCEPT, note="405 or 501 above: RE%47IST%45R is not REGISTER"),
    Case("3.1.1.6", "lwsdisp", ACCEPT),
    Case("3.1.1.7", "longreq", ACCEPT),
    Case("3.1.1.8", "dblreq", ACCEPT, note="the second request in the datagram is ignored"),
    Case("3.1.1.9", "semiuri", ACCEPT),
    Case("3.1.1.10", "transports", ACCEPT),
    Case("3.1.1.11", "mpart01", ACCEPT),
    Case("3.1.1.12", "unreason", ACCEPT),
    Case("3.1.1.13", "noreason", ACCEPT),
    Case("3.1.2.1", "badinv01", 400, "bad_via"),
    Case("3.1.2.2", "clerr", 400, "short_body"),
    Case("3.1.2.3", "ncl", 400, "bad_content_length"),
    Case("3.1.2.4", "scalar02", 400, "bad_cseq"),
    Case("3.1.2.5", "scalarlg", DROP, "bad_cseq"),
    Case("3.1.2.6", "quotbal", 400, "bad_address"),
    Case("3.1.2.7", "ltgtruri", 400, "bad_uri"),
    Case("3.1.2.8", "lwsruri", 400, "bad_start_line"),
    Case("3.1.2.9", "lwsstart", 400, "bad_start_line"),
    Case("3.1.2.10", "trws", 400, "bad_start_line"),
    Case("3.1.2.11", "escruri", 400, "bad_uri", "may be mended by guessing; we do not guess"),
    Case("3.1.2.12", "baddate", ACCEPT, note="400 or ignored; nothing here reads Date"),
    Case("3.1.2.13", "regbadct", 400, "bad_address"),
    Case("3.1.2.14", "badaspec", 400, "bad_uri", "may be mended by guessing; we do not guess"),
    Case("3.1.2.15", "baddn", 400, "no_empty_line", "may be mended; the archive's file lacks its empty line as well"),
    Case("3.1.2.16", "badvers", 505, "bad_version"),
    Case("3.1.2.17", "mismatch01", 400, "cseq_mismatch"),
    Case("3.1.2.18", "mismatch02", 400, "cseq_mismatch", "501 would do as well"),
    Case("3.1.2.19", "bigcode", DROP, "bad_status"),
    Case("3.2.1", "badbranch", ACCEPT, note="matched as RFC 2543 does: the branch is only the cookie"),
    Case("3.3.1", "insuf", 400, "no_call_id"),
    Case("3.3.2", "unkscm", ACCEPT, note="416 above"),
    Case("3.3.3", "novelsc", ACCEPT, note="416 above"),
    Case("3.3.4", "unksm2", ACCEPT, note="no registrar here: 405 above"),
    Case("3.3.5", "bext01", ACCEPT, note="420 above, with Unsupported"),
    Case("3.3.6", "invut", ACCEPT, note="415 above, with Accept"),
    Case("3.3.7", "regaut01", ACCEPT, note="as if it had no credentials: 401 above"),
    Case("3.3.8", "multi01", 400, "repeated_header"),
    Case("3.3.9", "mcl01", 400, "repeated_header"),
    Case("3.3.10", "bcast", ACCEPT, note="dropped above: two Vias, or no transaction waits for it"),
    Case("3.3.11", "zeromf", ACCEPT, note="an end point answers it, a proxy says 483"),
    Case("3.3.12", "cparam01", ACCEPT),
    Case("3.3.13", "cparam02", ACCEPT),
    Case("3.3.14", "regescrt", ACCEPT),
    Case("3.3.15", "sdp01", ACCEPT, note="406 above: it accepts only what we do not speak"),
    Case("3.4.1", "inv2543", ACCEPT),
    Case("-", "test", DROP, "bad_header", "in the archive only; no Via to answer to"),
]

RFC5118 = [
    Case("4.1", "ipv6-good", ACCEPT),
    Case("4.2", "ipv6-bad", 400, "bad_uri"),
    Case("4.3", "port-ambiguous", ACCEPT),
    Case("4.4", "port-unambiguous", ACCEPT),
    Case("4.5", "via-received-param-with-delim", ACCEPT),
    Case("4.5", "via-received-param-no-delim", ACCEPT),
    Case("4.6", "ipv6-in-sdp", ACCEPT),
    Case("4.7", "mult-ip-in-header", ACCEPT),
    Case("4.8", "mult-ip-in-sdp", ACCEPT),
    Case("4.9", "ipv4-mapped-ipv6", ACCEPT),
    Case("4.10", "ipv6-bug-abnf-3-colons", ACCEPT, note="an implementation must tolerate both constructs"),
    Case("4.10", "ipv6-correct-abnf-2-colons", ACCEPT),
]

CASES = [pytest.param(case, id=f"{case.name}-{case.section}") for case in RFC4475 + RFC5118]


def bytes_of(name: str) -> bytes:
    """The wire form: as archived for RFC 4475, line ends mended for RFC 5118."""
    path = HERE / "rfc4475" / f"{name}.dat"
    if path.exists():
        return path.read_bytes()
    data = (HERE / "rfc5118" / name).read_bytes().replace(b"\n", b"\r\n")
    if b"\r\n\r\n" not in data:
        data += b"\r\n"
    body = data.partition(b"\r\n\r\n")[2]
    return re.sub(rb"Content-Length: \d+", b"Content-Length: %d" % len(body), data)


def parsed(name: str) -> Message:
    return parse_message(bytes_of(name))


def test_every_file_has_a_verdict() -> None:
    files = {path.stem for path in (HERE / "rfc4475").glob("*.dat")} | {p.name for p in (HERE / "rfc5118").iterdir()}
    assert files == {case.name for case in RFC4475 + RFC5118}
    assert len(files) == 62


@pytest.mark.parametrize("case", CASES)
def test_as_a_datagram(case: Case) -> None:
    data = bytes_of(case.name)
    if case.verdict == ACCEPT:
        message = parse_message(data)
        assert parse_message(message.serialize()).serialize() == message.serialize()
        return
    with pytest.raises(SipError) as caught:
        parse_message(data)
    assert caught.value.kind == case.kind
    response = error_response(caught.value, to_tag="t")
    if case.verdict == DROP:
        assert response is None
    else:
        assert response is not None
        assert response.status == case.verdict
        assert parse_via_of(data) in response.serialize()


def parse_via_of(data: bytes) -> bytes:
    """The Via as it came, which is the way back."""
    match = re.search(rb"\r\nVia:\s*(.*)\r\n", data)
    assert match is not None
    return match[1]


@pytest.mark.parametrize("case", CASES)
def test_as_a_stream_in_two_pieces(case: Case) -> None:
    """What the framer lets through, the parser judges as it judges the datagram; what it does not, is lost anyhow."""
    outcome = of_stream(bytes_of(case.name))
    if case.name == "inv2543":
        assert outcome == "no_content_length"  # it needs none in a datagram
    elif case.kind in {"short_body", "no_empty_line"}:
        assert outcome == "waiting"  # for the rest
    elif case.name in {"mcl01", "multi01", "test"}:
        assert outcome in {case.kind, "no_content_length"}
    else:
        assert outcome == (case.kind or "read")


def of_stream(data: bytes) -> str:
    """What becomes of the first message: "read", "waiting" or the kind of its SipError."""
    framer = Framer()
    try:
        frames = framer.feed(data[:100]) + framer.feed(data[100:])
        if not frames:
            return "waiting"
        parse_message(frames[0], stream=True)
    except SipError as error:
        return error.kind
    return "read"


@pytest.mark.parametrize("case", [pytest.param(case, id=case.name) for case in RFC5118])
def test_rfc_5118_as_archived_is_refused_unanswered(case: Case) -> None:
    with pytest.raises(SipError) as caught:
        parse_message((HERE / "rfc5118" / case.name).read_bytes())
    assert caught.value.kind == "bare_line_end"
    assert error_response(caught.value, to_tag="t") is None


# -- that they are not only accepted but understood --


def request(name: str) -> Request:
    message = parsed(name)
    assert isinstance(message, Request)
    return message


def response(name: str) -> Response:
    message = parsed(name)
    assert isinstance(message, Response)
    return message


def test_wsinv_is_unfolded() -> None:
    message = request("wsinv")
    assert message.to.tag == "1918181833n"
    assert message.from_.display == 'J Rosenberg \\"'
    assert message.from_.tag == "98asjd8"
    assert message.max_forwards == 68
    assert message.cseq == (9, "INVITE")
    assert message.headers.first("Subject") == ""
    assert message.headers.first("NewFangledHeader") == "newfangled value continued newfangled value"
    assert [(via.transport, via.host, via.branch) for via in message.vias] == [
        ("UDP", "192.0.2.2", "390skdjuw"),
        ("TCP", "spindle.example.com", "z9hG4bK9ikj8"),
        ("UDP", "192.168.255.111", "z9hG4bK30239"),
    ]
    assert message.contact is not None
    assert message.contact.display == 'Quoted string ""'
    assert message.contact.param("newparam") == "newvalue"
    assert message.contact.param("secondparam") == ""
    assert message.contact.param("q") == "0.33"
    assert message.uri.has_param("unknownparam")
    assert message.body.startswith(b"v=0\r\n")


def test_intmeth_keeps_its_odd_characters() -> None:
    message = request("intmeth")
    assert message.method == "!interesting-Method0123456789_*+`.%indeed'~"
    assert message.uri.user == "1_unusual.URI~(to-be!sure)&isn't+it$/crazy?,/;;*"
    assert message.uri.password == "&it+has=1,weird!*pas$wo~d_too.(doesn't-it)"
    assert message.to.display == "BEL:\a NUL:\0 DEL:\x7f"
    assert message.from_.display == "token1~` token2'+_ token3*%!.-"
    assert message.from_.param("fromparam''~+*_!.-%") == "работающий"
    assert message.from_.tag == "_token~1'+`*%!-."
    assert message.headers.first("extensionheader-!.%*+_`'~") == "\ufeff大停電"


def test_escapes_are_resolved_only_when_asked() -> None:
    assert request("esc01").uri.user_text == "sips:user@example.com"
    assert request("esc01").from_.uri.user_text == "I have spaces"
    assert [contact.uri.user_text for contact in request("escnull").contacts] == ["\0", "\0\0"]
    message = request("esc02")
    assert message.method == "RE%47IST%45R"
    assert message.to.display == "%Z%45"
    assert [contact.uri.user for contact in message.contacts] == ["alias1", "alias3"]


def test_longreq_keeps_every_byte() -> None:
    message = request("longreq")
    assert len(message.vias) == 34
    assert len(message.serialize()) > 3000
    assert message.to.display is not None
    assert len(message.to.display) > 100


def test_dblreq_is_one_request() -> None:
    assert request("dblreq").method == "REGISTER"
    assert request("dblreq").body == b""


def test_semiuri_has_no_parameter() -> None:
    assert request("semiuri").uri.user_text == "user;par=u@example.net"
    assert not request("semiuri").uri.params


def test_mpart01_keeps_its_binary_body() -> None:
    body = request("mpart01").body
    assert len(body) == 553
    assert b"\0" in body


def test_reasons() -> None:
    assert response("unreason").reason.startswith("= 2**3 * 5**2 но сто")
    assert (response("noreason").status, response("noreason").reason) == (100, "")


def test_badbranch_and_inv2543_are_told_apart_the_old_way() -> None:
    assert is_2543(server_key(request("badbranch")))
    assert is_2543(server_key(request("inv2543")))
    assert not is_2543(server_key(request("invut")))


def test_unknown_schemes_are_opaque() -> None:
    assert (request("unkscm").uri.scheme, request("unkscm").uri.opaque) == (
        "nobodyknowsthisscheme",
        "totallyopaquecontent",
    )
    assert request("novelsc").uri.scheme == "soap.beep"
    assert request("unksm2").to.uri.scheme == "isbn"


def test_where_a_contact_parameter_belongs() -> None:
    one, two = request("cparam01").contact, request("cparam02").contact
    assert one is not None
    assert two is not None
    assert (one.param("unknownparam"), one.uri.params) == ("", ())
    assert (two.params, two.uri.has_param("unknownparam")) == ((), True)


def test_regescrt_keeps_the_header_in_its_contact() -> None:
    contact = request("regescrt").contact
    assert contact is not None
    assert contact.uri.headers == (("Route", "%3Csip:sip.example.com%3E"),)


def test_ipv6_addresses_are_read_without_brackets() -> None:
    assert request("ipv6-good").uri.host == "2001:db8::10"
    assert (request("port-ambiguous").uri.host, request("port-ambiguous").uri.port) == ("2001:db8::10:5070", None)
    assert (request("port-unambiguous").uri.host, request("port-unambiguous").uri.port) == ("2001:db8::10", 5070)
    for name in ("via-received-param-with-delim", "via-received-param-no-delim"):
        assert request(name).top_via.received == "2001:db8::9:255"
    assert [via.host for via in request("mult-ip-in-header").vias] == ["2001:db8::9:1", "192.0.2.1", "2001:db8::9:255"]
    assert request("ipv4-mapped-ipv6").top_via.host == "::ffff:192.0.2.10"
    assert request("ipv6-bug-abnf-3-colons").to.uri.host == "2001:db8:::192.0.2.1"
