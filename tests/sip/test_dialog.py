"""RFC 3261 section 12."""

from __future__ import annotations

import pytest

from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.uri import Uri


def invite(*more: tuple[str, str]) -> Request:
    fields = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("From", "<sip:alice@example.com>;tag=a"),
        ("To", "<sip:bob@example.com>"),
        ("Call-ID", "c1"),
        ("CSeq", "7 INVITE"),
        *more,
    ]
    return Request("INVITE", Uri.parse("sip:bob@192.0.2.2"), Headers(fields))


def ok(*more: tuple[str, str], status: int = 200, tag: str = "b") -> Response:
    fields = [
        ("Via", "SIP/2.0/UDP 192.0.2.1;branch=z9hG4bK1"),
        ("From", "<sip:alice@example.com>;tag=a"),
        ("To", f"<sip:bob@example.com>;tag={tag}"),
        ("Call-ID", "c1"),
        ("CSeq", "7 INVITE"),
        *more,
    ]
    return Response(status, "OK", Headers(fields))


ROUTES = (
    ("Record-Route", "<sip:p3.example.com;lr>, <sip:p2.example.com;lr>"),
    ("Record-Route", "<sip:p1.example.com;lr>"),
)
CONTACT = ("Contact", "<sip:far@192.0.2.9:5070>")


def test_the_callee_keeps_the_order_of_record_route() -> None:
    dialog = Dialog.as_server(invite(*ROUTES, CONTACT), "b")
    assert dialog.key == ("c1", "b", "a")
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:far@192.0.2.9:5070"
    assert bye.headers.values("Route") == [
        "<sip:p3.example.com;lr>",
        "<sip:p2.example.com;lr>",
        "<sip:p1.example.com;lr>",
    ]
    assert (bye.from_.tag, bye.to.tag, bye.cseq.number) == ("b", "a", 1)
    assert dialog.next_hop.host == "p3.example.com"


def test_the_caller_reverses_it() -> None:
    dialog = Dialog.as_client(invite(), ok(*ROUTES, CONTACT))
    assert dialog.key == ("c1", "a", "b")
    bye = dialog.request("BYE")
    assert bye.headers.values("Route")[0] == "<sip:p1.example.com;lr>"
    assert (bye.from_.tag, bye.to.tag, bye.cseq.number) == ("a", "b", 8)


def test_a_strict_router_gets_the_request_uri() -> None:
    """RFC 3261 12.2.1.1: the first route goes into the Request-URI, the remote target to the end."""
    dialog = Dialog.as_client(
        invite(),
        ok(("Record-Route", "<sip:p2.example.com;lr>"), ("Record-Route", "<sip:p1.example.com;method=X;a=1>"), CONTACT),
    )
    bye = dialog.request("BYE")
    assert str(bye.uri) == "sip:p1.example.com;a=1"
    assert bye.headers.values("Route") == ["<sip:p2.example.com;lr>", "<sip:far@192.0.2.9:5070>"]
    assert dialog.next_hop.host == "p1.example.com"


def test_without_routes_the_target_is_the_way() -> None:
    dialog = Dialog.as_client(invite(), ok(CONTACT))
    assert "Route" not in dialog.request("BYE").headers
    assert str(dialog.next_hop) == "sip:far@192.0.2.9:5070"


def test_the_target_moves_with_contact() -> None:
    dialog = Dialog.as_server(invite(CONTACT), "b")
    dialog.refresh_target(invite(("Contact", "<sip:new@192.0.2.8>")))
    assert dialog.remote_target.host == "192.0.2.8"
    dialog.refresh_target(invite())
    assert dialog.remote_target.host == "192.0.2.8"


def test_order_of_requests() -> None:
    """RFC 3261 12.2.2: lower than the last is out of order; gaps are fine."""
    dialog = Dialog.as_server(invite(CONTACT), "b")

    def arrives(number: int) -> bool:
        request = invite()
        request.headers.set("CSeq", f"{number} BYE")
        return dialog.takes_in_order(request)

    assert [arrives(number) for number in (6, 8, 20, 19, 20)] == [False, True, True, False, True]


def test_ack_repeats_the_number_of_its_invite() -> None:
    dialog = Dialog.as_client(invite(), ok(CONTACT))
    ack = dialog.request("ACK", cseq=7)
    assert str(ack.cseq.number) == "7"
    assert dialog.request("BYE").cseq.number == 8


def test_peers_without_tags_or_contact() -> None:
    request = invite()
    request.headers.set("From", "sip:old@192.0.2.5")
    dialog = Dialog.as_server(request, "b")
    assert dialog.key == ("c1", "b", "")
    assert dialog.remote_target.host == "192.0.2.5"
    assert Dialog.as_client(invite(), ok()).remote_target.host == "192.0.2.2"


def test_a_record_route_that_is_no_address_makes_no_dialog() -> None:
    with pytest.raises(SipError):
        Dialog.as_server(invite(("Record-Route", "nonsense")), "b")


def test_what_a_request_uri_may_not_have_is_left_out_of_it() -> None:
    """RFC 3261 19.1.1, table 1: no headers and no method parameter; some Contacts have them all the same."""
    dialog = Dialog.as_client(invite(), ok(("Contact", "<sip:far@192.0.2.9;Method=INVITE;ob?Replaces=c%40x>")))
    assert str(dialog.request("BYE").uri) == "sip:far@192.0.2.9;ob"
