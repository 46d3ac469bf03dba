"""URIs and addresses: RFC 3261 sections 19.1 and 20.10, RFC 3966."""

from __future__ import annotations

import pytest

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.uri import NameAddr, Uri, escape_user, unescape


@pytest.mark.parametrize(
    ("text", "uri"),
    [
        ("sip:example.com", Uri("sip", host="example.com")),
        ("SIPS:alice@example.com:5061", Uri("sips", "alice", host="example.com", port=5061)),
        ("sip:alice:secret@example.com", Uri("sip", "alice", "secret", "example.com")),
        ("sip:@example.com", None),
        ("sip:alice:@example.com", Uri("sip", "alice", "", "example.com")),
        ("sip:[2001:db8::1]", Uri("sip", host="2001:db8::1")),
        ("sip:a@[::ffff:192.0.2.1]:5060", Uri("sip", "a", host="::ffff:192.0.2.1", port=5060)),
        ("sip:*21#@example.com", Uri("sip", "*21#", host="example.com")),
        ("sip:+49(30)1;x=y@h", Uri("sip", "+49(30)1;x=y", host="h")),
        ("sip:a?b@h", Uri("sip", "a?b", host="h")),
        ("sip:h;lr;maddr=1.2.3.4", Uri("sip", host="h", params=(("lr", None), ("maddr", "1.2.3.4")))),
        ("sip:h;a=", Uri("sip", host="h", params=(("a", ""),))),
        ("sip:a@h?Subject=x&b", Uri("sip", "a", host="h", headers=(("Subject", "x"), ("b", None)))),
        ("sip:a@h;p?s=t", Uri("sip", "a", host="h", params=(("p", None),), headers=(("s", "t"),))),
        ("tel:+49301234;phone-context=x", Uri("tel", "+49301234", params=(("phone-context", "x"),))),
        ("tel:110", Uri("tel", "110")),
        ("mailto:a@b", Uri("mailto", opaque="a@b")),
        ("urn:service:sos", Uri("urn", opaque="service:sos")),
    ],
)
def test_uris(text: str, uri: Uri | None) -> None:
    if uri is None:
        with pytest.raises(SipError):
            Uri.parse(text)
        return
    assert Uri.parse(text) == uri
    assert Uri.parse(str(uri)) == uri
    assert str(uri).lower() == text.lower()


@pytest.mark.parametrize(
    "text",
    [
        "",
        "sip:",
        "sip",
        "alice@example.com",
        ":h",
        "1sip:h",
        "sip:a b@h",
        "sip:a@b@h",
        "sip:h:",
        "sip:h:0",
        "sip:h:65536",
        "sip:h:123456",
        "sip:h:5060x",
        "sip:h:٥",
        "sip:h;",
        "sip:h;;a",
        "sip:h;=b",
        "sip:h?",
        "sip:h?&",
        "sip:h/x",
        "sip:exämple.com",
        "sip:2001:db8::1",
        "sip:[2001:db8::1",
        "sip:[g::]",
        "sip:[]",
        'sip:"a"@h',
        "sip:<h>",
        "sip:a\x00@h",
        "sip:a\x7f@h",
        "tel:1;",
        "x:a b",
    ],
)
def test_what_is_no_uri(text: str) -> None:
    with pytest.raises(SipError) as caught:
        Uri.parse(text)
    assert caught.value.kind == "bad_uri"


def test_parameters_are_found_without_case() -> None:
    uri = Uri.parse("sip:h;LR;Transport=tcp")
    assert uri.is_lr
    assert uri.param("transport") == "tcp"
    assert uri.param("lr") == ""
    assert uri.param("x") is None
    assert not uri.has_param("x")


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        # the examples of section 19.1.4
        ("sip:%61lice@atlanta.com;transport=TCP", "sip:alice@AtLanTa.CoM;Transport=tcp", True),
        ("sip:carol@chicago.com", "sip:carol@chicago.com;newparam=5", True),
        ("sip:carol@chicago.com;newparam=5", "sip:carol@chicago.com;security=on", True),
        (
            "sip:biloxi.com;transport=tcp;method=REGISTER?to=sip:bob%40biloxi.com",
            "sip:biloxi.com;method=REGISTER;transport=tcp?to=sip:bob%40biloxi.com",
            True,
        ),
        (
            "sip:alice@atlanta.com?subject=project%20x&priority=urgent",
            "sip:alice@atlanta.com?priority=urgent&subject=project%20x",
            True,
        ),
        ("SIP:ALICE@AtLanTa.CoM;Transport=udp", "sip:alice@AtLanTa.CoM;Transport=UDP", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:5060", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com;transport=udp", False),
        ("sip:bob@biloxi.com", "sip:bob@biloxi.com:6000;transport=tcp", False),
        ("sip:carol@chicago.com", "sip:carol@chicago.com?Subject=next%20meeting", False),
        ("sip:carol@chicago.com;security=on", "sip:carol@chicago.com;security=off", False),
        ("sip:bob@phone21.boxesbybob.com", "sip:bob@192.0.2.4", False),
        ("sip:a@h", "sips:a@h", False),
        ("urn:a", "urn:b", False),
    ],
)
def test_equivalence(one: str, other: str, same: bool) -> None:
    assert Uri.parse(one).same_as(Uri.parse(other)) is same
    assert Uri.parse(other).same_as(Uri.parse(one)) is same


def test_escapes() -> None:
    assert escape_user("alice@home: 50 %") == "alice%40home%3A%2050%20%25"
    assert unescape(escape_user("Jürgen@x")) == "Jürgen@x"
    assert unescape("%Z%4") == "%Z%4"
    assert unescape("%ff") == "\ufffd"
    assert Uri.parse("sip:h").user_text is None


@pytest.mark.parametrize("display", [" ", "  a", "a ", "a  b", ""])
def test_blanks_at_the_ends_of_a_name_are_quoted(display: str) -> None:
    assert NameAddr.parse(str(NameAddr(display, Uri.parse("sip:a@b.example"), ()))).display == display


@pytest.mark.parametrize(
    ("text", "display", "uri", "tag", "written"),
    [
        ("<sip:a@h>", None, "sip:a@h", None, "<sip:a@h>"),
        ("sip:a@h;tag=1", None, "sip:a@h", "1", "<sip:a@h>;tag=1"),
        ("sip:a@h ; Tag = 1", None, "sip:a@h", "1", "<sip:a@h>;Tag=1"),
        ("Bob <sip:a@h>;tag=1", "Bob", "sip:a@h", "1", "Bob <sip:a@h>;tag=1"),
        ("Bob<sip:a@h;lr>;x", "Bob", "sip:a@h;lr", None, "Bob <sip:a@h;lr>;x"),
        ('"Bob" <sip:a@h>', "Bob", "sip:a@h", None, "Bob <sip:a@h>"),
        ('"B, \\"x\\" <y>;" <sip:a@h>', 'B, "x" <y>;', "sip:a@h", None, '"B, \\"x\\" <y>;" <sip:a@h>'),
        ("Jürgen K <sip:a@h>", "Jürgen K", "sip:a@h", None, '"Jürgen K" <sip:a@h>'),
        ('"" <sip:a@h>', "", "sip:a@h", None, '"" <sip:a@h>'),
        ("<sip:a@h>;tag=", None, "sip:a@h", None, "<sip:a@h>;tag="),
        ("<sip:a@h?x=y>", None, "sip:a@h?x=y", None, "<sip:a@h?x=y>"),
        ("<tel:+49;ext=1>;tag=2", None, "tel:+49;ext=1", "2", "<tel:+49;ext=1>;tag=2"),
    ],
)
def test_addresses(text: str, display: str | None, uri: str, tag: str | None, written: str) -> None:
    address = NameAddr.parse(text)
    assert (address.display, str(address.uri), address.tag) == (display, uri, tag)
    assert str(address) == written
    assert NameAddr.parse(written) == address


@pytest.mark.parametrize(
    "text",
    [
        "",
        "Bob",
        "<>",
        "<sip:a@h",
        "sip:a@h>",
        '"Bob <sip:a@h>',
        'B "x" <sip:a@h>',
        "a, b <sip:a@h>",
        "<sip:a@h>x",
        "<sip:a@h> <sip:b@h>",
        "<sip:a@h>;;",
        "<sip:a@h>;=",
        "<sip:a@h>, <sip:b@h>",
        "sip:a@h, sip:b@h",
        "sip:a@h?x=y",
        "< sip:a@h>",
        '<sip:a@h>;tag="x',
    ],
)
def test_what_is_no_address(text: str) -> None:
    with pytest.raises(SipError):
        NameAddr.parse(text)


def test_a_tag_is_set_where_it_stands_or_added() -> None:
    assert str(NameAddr.parse("<sip:a@h>;x=1").with_tag("t")) == "<sip:a@h>;x=1;tag=t"
    assert str(NameAddr.parse("<sip:a@h>;tag=1;x=1").with_tag("t")) == "<sip:a@h>;tag=t;x=1"
    assert NameAddr.parse('<sip:a@h>;text="a;b"').param("text") == "a;b"


def test_parameters_of_a_bare_address_are_the_uris_when_a_person_wrote_it_and_the_headers_in_a_header() -> None:
    text = "sip:bob@b.example;transport=tcp"
    assert NameAddr.of(text).uri.param("transport") == "tcp"
    assert NameAddr.of(f'"Bob" <{text}>;x=y').uri.param("transport") == "tcp"
    assert NameAddr.parse(text).uri.param("transport") is None
    with pytest.raises(SipError):
        NameAddr.of("bob")
