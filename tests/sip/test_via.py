"""Via: RFC 3261 section 20.42, RFC 3581."""

from __future__ import annotations

import pytest

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.via import Via


@pytest.mark.parametrize(
    ("text", "via", "written"),
    [
        ("SIP/2.0/UDP h", Via("UDP", "h"), "SIP/2.0/UDP h"),
        ("sip/2.0/tcp h:5070;a", Via("TCP", "h", 5070, (("a", None),)), "SIP/2.0/TCP h:5070;a"),
        ("SIP / 2.0 / TLS  h : 1 ; a = b", Via("TLS", "h", 1, (("a", "b"),)), "SIP/2.0/TLS h:1;a=b"),
        ("SIP/2.0/UDP [::1]:5060;a", Via("UDP", "::1", 5060, (("a", None),)), "SIP/2.0/UDP [::1]:5060;a"),
        ("SIP/2.0/X-y a_b.c", Via("X-Y", "a_b.c"), "SIP/2.0/X-Y a_b.c"),
    ],
)
def test_hops(text: str, via: Via, written: str) -> None:
    assert Via.parse(text) == via
    assert str(via) == written


@pytest.mark.parametrize("rest", [":0", ":99999", ":", " x", ";;", ";=", "[::1"])
def test_what_is_no_port_or_parameter(rest: str) -> None:
    with pytest.raises(SipError):
        Via.parse(f"SIP/2.0/UDP h{rest}")


@pytest.mark.parametrize(
    "text",
    ["", "SIP/2.0/UDP", "SIP/2.0/ h", "SIP/1.0/UDP h", "HTTP/2.0/UDP h", "SIP/2.0/UDPh", "SIP/2.0/UDP ::1"],
)
def test_what_is_no_hop(text: str) -> None:
    with pytest.raises(SipError) as caught:
        Via.parse(text)
    assert caught.value.kind == "bad_via"


def test_parameters() -> None:
    via = Via.parse("SIP/2.0/UDP h;branch=z9hG4bKa;rport;received=192.0.2.1")
    assert (via.branch, via.received, via.rport, via.wants_rport) == ("z9hG4bKa", "192.0.2.1", None, True)
    assert via.with_param("rport", "5").rport == 5
    assert via.param("x") is None
    assert via.param("rport") == ""
    assert Via.parse("SIP/2.0/UDP h;branch=").branch is None
    assert not Via("UDP", "h").wants_rport


@pytest.mark.parametrize("rport", ["0", "65536", "-1", "x", "999999", "٥", ""])
def test_an_rport_that_is_no_port(rport: str) -> None:
    assert Via("UDP", "h", None, (("rport", rport),)).rport is None


@pytest.mark.parametrize(
    ("branch", "unique"), [("z9hG4bKa", True), ("Z9HG4BKa", True), ("z9hG4bK", False), ("a", False), (None, False)]
)
def test_which_branches_name_a_transaction(branch: str | None, unique: bool) -> None:
    params = (("branch", branch),) if branch else ()
    assert (Via("UDP", "h", None, params).unique_branch is not None) is unique
