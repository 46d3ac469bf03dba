"""Messages: RFC 3261 sections 7, 8.2.6, 18.2.1 and 18.3."""

from __future__ import annotations

import pytest

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import CSeq, Request, Response, error_response, make_response, mark_received
from kallglot_media.sip.parser import MAX_HEADERS, MAX_MESSAGE_BYTES, is_keepalive, parse_message
from kallglot_media.sip.uri import Uri

INVITE = (
    "INVITE sip:bob@biloxi.example.com SIP/2.0\r\n"
    "Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport\r\n"
    "Max-Forwards: 70\r\n"
    "To: Bob <sip:bob@biloxi.example.com>\r\n"
    "From: Alice <sip:alice@atlanta.example.com>;tag=1928301774\r\n"
    "Call-ID: a84b4c76e66710@pc33.atlanta.example.com\r\n"
    "CSeq: 314159 INVITE\r\n"
    "Contact: <sip:alice@pc33.atlanta.example.com>\r\n"
    "Content-Type: application/sdp\r\n"
    "Content-Length: 5\r\n"
    "\r\n"
    "v=0\r\n"
)


def parse_request(text: str, *, stream: bool = False) -> Request:
    message = parse_message(text.encode(), stream=stream)
    assert isinstance(message, Request)
    return message


def refusal(text: str, *, stream: bool = False) -> SipError:
    with pytest.raises(SipError) as caught:
        parse_message(text.encode(), stream=stream)
    return caught.value


def test_a_request_is_read() -> None:
    request = parse_request(INVITE)
    assert request.method == "INVITE"
    assert request.uri == Uri("sip", "bob", host="biloxi.example.com")
    assert request.call_id == "a84b4c76e66710@pc33.atlanta.example.com"
    assert request.cseq == CSeq(314159, "INVITE")
    assert request.from_.display == "Alice"
    assert request.from_.tag == "1928301774"
    assert request.to.tag is None
    assert request.top_via.branch == "z9hG4bK776asdhds"
    assert request.contact is not None
    assert request.contact.uri.host == "pc33.atlanta.example.com"
    assert request.max_forwards == 70
    assert request.content_type == "application/sdp"
    assert request.body == b"v=0\r\n"


def test_a_message_is_written_as_it_came() -> None:
    assert parse_request(INVITE).serialize() == INVITE.encode()


def test_compact_forms_and_odd_case_are_the_same_headers() -> None:
    compact = INVITE.replace("Via:", "v:").replace("To:", "T :").replace("From:", "fRoM:").replace("Call-ID:", "i:")
    assert parse_request(compact) == parse_request(INVITE)


def test_unknown_headers_keep_their_spelling() -> None:
    request = parse_request(INVITE.replace("Max-Forwards", "x-CaseTrace: 7\r\nMax-Forwards"))
    assert b"x-CaseTrace: 7\r\n" in request.serialize()
    assert request.headers.first("X-casetrace") == "7"


def test_folded_lines_are_one_line() -> None:
    folded = INVITE.replace("Bob <sip:bob@biloxi.example.com>", "Bob\r\n   \t<sip:bob@biloxi.example.com>")
    assert parse_request(folded).to.uri.host == "biloxi.example.com"


def test_latin_1_display_names_of_old_pbxs_are_read() -> None:
    data = INVITE.encode().replace(b"Alice", b'"J\xfcrgen"')
    message = parse_message(data)
    assert message.from_.display == "Jürgen"
    assert parse_message(message.serialize()).from_.display == "Jürgen"


def test_a_datagram_may_be_longer_than_its_content_length() -> None:
    """18.3: "If there are additional bytes [...] beyond the end of the body, they MUST be discarded"."""
    assert parse_request(INVITE + "tail").body == b"v=0\r\n"


def test_a_datagram_without_content_length_is_body_to_its_end() -> None:
    assert parse_request(INVITE.replace("Content-Length: 5\r\n", "")).body == b"v=0\r\n"


def test_a_stream_needs_a_content_length() -> None:
    assert refusal(INVITE.replace("Content-Length: 5\r\n", ""), stream=True).kind == "no_content_length"


@pytest.mark.parametrize(
    ("old", "new", "kind"),
    [
        ("Content-Length: 5", "Content-Length: 6", "short_body"),
        ("Content-Length: 5", "Content-Length: -5", "bad_content_length"),
        ("Content-Length: 5", "Content-Length: ٥", "bad_content_length"),
        ("Content-Length: 5", "Content-Length: " + "9" * 5000, "bad_content_length"),
        ("Content-Length: 5", "Content-Length: 5\r\nl: 5", "repeated_header"),
        ("Max-Forwards: 70", "Max-Forwards: 256", "bad_max_forwards"),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\nFoobar roobar", "bad_header"),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\nFoo bar: 1", "bad_header"),
        ("Max-Forwards: 70", "Max-Forwards: 70\r\n: 1", "bad_header"),
        ("Max-Forwards: 70", "Max-Forwards: 70\nX: y", "bare_line_end"),
        ("Max-Forwards: 70", "Max-Forwards: 70\rX: y", "bare_line_end"),
        ("CSeq: 314159 INVITE", "CSeq: 314159 BYE", "cseq_mismatch"),
        ("CSeq: 314159 INVITE", "CSeq: 314159 invite", "cseq_mismatch"),
        ("CSeq: 314159 INVITE", "CSeq: 4294967296 INVITE", "bad_cseq"),
        ("CSeq: 314159 INVITE", "CSeq: 314159", "bad_cseq"),
        ("CSeq: 314159 INVITE", "CSeq: INVITE 1", "bad_cseq"),
        ("CSeq: 314159 INVITE\r\n", "", "no_cseq"),
        ("CSeq:", "CSeq: 1 INVITE\r\nCSeq:", "repeated_header"),
        ("Call-ID: a84b", "Call-ID: a 84b", "bad_call_id"),
        ("Call-ID: a84b4c76e66710@pc33.atlanta.example.com", "Call-ID:", "no_call_id"),
        ("Via: SIP", "X-Via: SIP", "no_via"),
        ("SIP/2.0/UDP pc33", "SIP/1.0/UDP pc33", "bad_via"),
        ("atlanta.example.com;branch", "atlanta.example.com:0;branch", "bad_via"),
        ("atlanta.example.com;branch", "atlanta.example.com:65536;branch", "bad_via"),
        ("To: Bob", "To: Bob, Jr.", "bad_address"),
        ("To: Bob", 'To: "Bob', "bad_address"),
        ("Contact: <sip:alice", "Contact: <sip:al ice", "bad_uri"),
        (" SIP/2.0\r\n", " SIP/7.0\r\n", "bad_version"),
        (" SIP/2.0\r\n", " SIP/2.0 \r\n", "bad_start_line"),
        (" SIP/2.0\r\n", " HTTP/1.1\r\n", "bad_start_line"),
        ("INVITE sip:bob", "INVITE  sip:bob", "bad_start_line"),
        ("INVITE sip:bob@biloxi.example.com", "INVITE <sip:bob@biloxi.example.com>", "bad_uri"),
        ("sip:bob@biloxi.example.com SIP", "sip:bob@biloxi.example.com?Route=x SIP", "bad_uri"),
        ("\r\n\r\nv=0", "\r\nv=0", "bad_header"),
        ("\r\n\r\nv=0\r\n", "\r\n", "no_empty_line"),
    ],
)
def test_what_is_not_sip_is_refused_by_name_and_can_be_answered(old: str, new: str, kind: str) -> None:
    assert old in INVITE
    error = refusal(INVITE.replace(old, new, 1))
    assert error.kind == kind
    assert str(error)
    response = error_response(error, to_tag="t")
    if kind == "no_via" or kind == "bare_line_end":
        assert response is None
    else:
        assert response is not None
        assert response.status == (505 if kind == "bad_version" else 400)
        assert response.serialize().startswith(b"SIP/2.0 ")


def test_an_ack_is_never_answered() -> None:
    error = refusal(INVITE.replace("INVITE", "ACK").replace("Max-Forwards: 70", "Max-Forwards: x"))
    assert error.kind == "bad_max_forwards"
    assert error_response(error, to_tag="t") is None


def test_a_response_is_never_answered() -> None:
    error = refusal(INVITE.replace("INVITE sip:bob@biloxi.example.com SIP/2.0", "SIP/2.0 2000 OK"))
    assert error.kind == "bad_status"
    assert error_response(error, to_tag="t") is None


@pytest.mark.parametrize(
    "text", ["", "\r\n", "\r\n\r\n", "\r\n\r\n\r\n", "\0" * 40, "GET / HTTP/1.1\r\n\r\n", "é\r\n\r\n"]
)
def test_noise_is_refused_and_not_answered(text: str) -> None:
    error = refusal(text)
    assert error_response(error, to_tag="t") is None


def test_limits_are_named() -> None:
    many = "X: y\r\n" * MAX_HEADERS
    error = refusal(INVITE.replace("Max-Forwards", many + "Max-Forwards"))
    assert (error.kind, error.status) == ("too_many_headers", 513)
    error = refusal(INVITE + "x" * MAX_MESSAGE_BYTES)
    assert (error.kind, error.status) == ("too_large", 513)


@pytest.mark.parametrize(
    ("line", "status", "reason"),
    [
        ("SIP/2.0 180 Ringing", 180, "Ringing"),
        ("SIP/2.0 100 ", 100, ""),
        ("SIP/2.0 100", 100, ""),
        ("sip/2.0 200 OK  then", 200, "OK  then"),
        ("SIP/2.0 699 ünknown", 699, "ünknown"),
    ],
)
def test_status_lines(line: str, status: int, reason: str) -> None:
    message = parse_message(INVITE.replace("INVITE sip:bob@biloxi.example.com SIP/2.0", line).encode())
    assert isinstance(message, Response)
    assert (message.status, message.reason) == (status, reason)


@pytest.mark.parametrize("status", ["99", "099", "700", "4294967301", "²00", "-20", "2 00", "abc", ""])
def test_other_status_codes_are_refused(status: str) -> None:
    assert (
        refusal(INVITE.replace("INVITE sip:bob@biloxi.example.com SIP/2.0", f"SIP/2.0 {status} X")).kind == "bad_status"
    )


def test_a_response_copies_what_the_rfc_names() -> None:
    request = parse_request(
        INVITE.replace(
            "Max-Forwards", "Via: SIP/2.0/TCP b;branch=z9hG4bK2\r\nRecord-Route: <sip:p1;lr>\r\nMax-Forwards"
        )
    )
    response = make_response(request, 180, to_tag="xyz", headers=[("Server", "k")])
    assert response.serialize() == (
        b"SIP/2.0 180 Ringing\r\n"
        b"Via: SIP/2.0/UDP pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport\r\n"
        b"Via: SIP/2.0/TCP b;branch=z9hG4bK2\r\n"
        b"Record-Route: <sip:p1;lr>\r\n"
        b"To: Bob <sip:bob@biloxi.example.com>;tag=xyz\r\n"
        b"From: Alice <sip:alice@atlanta.example.com>;tag=1928301774\r\n"
        b"Call-ID: a84b4c76e66710@pc33.atlanta.example.com\r\n"
        b"CSeq: 314159 INVITE\r\n"
        b"Server: k\r\n"
        b"Content-Length: 0\r\n"
        b"\r\n"
    )
    assert response.to.tag == "xyz"
    assert len(response.vias) == 2


def test_failures_and_trying_carry_no_record_route() -> None:
    request = parse_request(
        INVITE.replace("Max-Forwards", "Timestamp: 54\r\nRecord-Route: <sip:p1;lr>\r\nMax-Forwards")
    )
    assert "Record-Route" not in make_response(request, 486, to_tag="x").headers
    trying = make_response(request, 100)
    assert "Record-Route" not in trying.headers
    assert trying.headers.first("Timestamp") == "54"
    assert trying.to.tag is None


def test_a_to_tag_that_is_there_stays() -> None:
    request = parse_request(
        INVITE.replace("To: Bob <sip:bob@biloxi.example.com>", "To: sip:bob@biloxi.example.com;tag=old")
    )
    assert make_response(request, 200, to_tag="new").to.tag == "old"


def test_a_to_without_angle_brackets_takes_a_tag() -> None:
    request = parse_request(INVITE.replace("To: Bob <sip:bob@biloxi.example.com>", "To: sip:bob@biloxi.example.com"))
    assert make_response(request, 200, to_tag="new").to.tag == "new"


def test_a_body_needs_a_type() -> None:
    with pytest.raises(ValueError, match="content_type"):
        make_response(parse_request(INVITE), 200, body=b"v=0")


def test_headers_cannot_be_smuggled_into_a_message() -> None:
    with pytest.raises(ValueError, match="another header"):
        make_response(parse_request(INVITE), 200, headers=[("Subject", "a\r\nX: y")])


def test_where_a_request_came_from_is_written_into_its_via() -> None:
    request = parse_request(INVITE)
    mark_received(request, "192.0.2.7", 40_000)
    assert request.top_via.received == "192.0.2.7"
    assert request.top_via.rport == 40_000
    assert make_response(request, 200, to_tag="t").top_via.rport == 40_000


def test_received_is_left_out_when_it_says_nothing_new() -> None:
    plain = INVITE.replace("pc33.atlanta.example.com;branch=z9hG4bK776asdhds;rport", "192.0.2.7:5060;branch=z9hG4bK1")
    request = parse_request(plain)
    mark_received(request, "192.0.2.7", 40_000)
    assert request.top_via.received is None
    request = parse_request(plain.replace("192.0.2.7:5060", "[2001:db8:0::1]:5060"))
    mark_received(request, "2001:db8::1", 5060)
    assert request.top_via.received is None
    mark_received(request, "2001:db8::2", 5060)
    assert request.top_via.received == "2001:db8::2"


def test_only_the_top_element_of_a_shared_via_line_is_marked() -> None:
    request = parse_request(INVITE.replace(";rport\r\n", ";rport, SIP/2.0/TCP b;branch=z9hG4bK2\r\n"))
    mark_received(request, "192.0.2.7", 1)
    assert [via.received for via in request.vias] == ["192.0.2.7", None]
    assert len(request.vias) == 2


def test_what_was_parsed_follows_a_changed_header() -> None:
    request = parse_request(INVITE)
    assert request.cseq.number == 314159
    request.headers.set("CSeq", "2 INVITE")
    assert request.cseq.number == 2
    request.headers.insert_first("Via", "SIP/2.0/UDP me;branch=z9hG4bK9")
    assert [via.host for via in request.vias] == ["me", "pc33.atlanta.example.com"]


def test_a_star_contact_is_no_address() -> None:
    request = parse_request(INVITE.replace("Contact: <sip:alice@pc33.atlanta.example.com>", "Contact: *"))
    assert request.contact is None


def test_keepalives_are_known() -> None:
    assert is_keepalive(b"\r\n\r\n")
    assert is_keepalive(b"\0\0\0\0")
    assert is_keepalive(b"")
    assert not is_keepalive(b"OPTIONS")
    assert not is_keepalive(b"\r\n" * 1000)


def test_text_that_no_encoding_holds_is_still_sent() -> None:
    headers = Headers([("Subject", "\ud800")])
    assert Response(200, "OK", headers).serialize().startswith(b"SIP/2.0 200 OK\r\nSubject: ?\r\n")
