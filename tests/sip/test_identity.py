"""Who calls: what is believed of whom, and what a trunk is told. RFC 3325, 3323, 5806, 7044."""

from __future__ import annotations

import pytest

from kallglot_media.sip.identity import ANONYMOUS, MOST_ENTRIES, Caller, OutgoingIdentity, Tell, caller_of, outgoing
from kallglot_media.sip.message import Request
from kallglot_media.sip.numbers import NumberPlan
from kallglot_media.sip.uri import NameAddr
from tests.support.ladder import make_request

ALL = frozenset(Tell)


def invite(*headers: tuple[str, str]) -> Request:
    request = make_request("INVITE")
    request.headers.set("From", '"Eve" <sip:eve@bad.example>;tag=1')
    for name, value in headers:
        request.headers.add(name, value)
    return request


PAI = ("P-Asserted-Identity", '"Anna" <sip:+4930111@carrier.example>, <tel:+4930111>')


def test_an_assertion_is_believed_from_a_trunk_only() -> None:
    trusted, stranger = caller_of(invite(PAI), trusted=True), caller_of(invite(PAI), trusted=False)
    assert (trusted.number, trusted.address.display, trusted.asserted) == ("+4930111", "Anna", True)
    assert (stranger.number, stranger.address.display, stranger.asserted) == ("eve", "Eve", False)
    assert stranger.address.tag is None


@pytest.mark.parametrize("value", ["<tel:+4930111>", "<tel:+4930111>, <sip:nobody>", 'broken", <tel:+4930111>'])
def test_a_tel_uri_will_do(value: str) -> None:
    assert caller_of(invite(("P-Asserted-Identity", value)), trusted=True).number in ("+4930111", "eve")


@pytest.mark.parametrize(
    ("header", "private"),
    [("id", True), ("header;critical", True), ("user, id", True), ("none", False), ("critical", False)],
)
def test_who_does_not_want_to_be_shown(header: str, private: bool) -> None:
    words = header.replace(", ", ";")
    assert caller_of(invite(("Privacy", words)), trusted=True).private == private


def test_an_anonymous_from_is_private() -> None:
    request = invite(PAI)
    request.headers.set("From", '"Anonymous" <sip:anonymous@anonymous.invalid>;tag=1')
    caller = caller_of(request, trusted=True)
    assert (caller.private, caller.number) == (True, "+4930111")


def test_diversions_and_history_are_bounded_and_only_from_trunks() -> None:
    many = [("Diversion", f"<sip:{n}@x>;reason=no-answer") for n in range(30)]
    request = invite(*many, ("History-Info", "<sip:a@x>;index=1, <sip:b@x>;index=1.1"))
    caller = caller_of(request, trusted=True)
    assert len(caller.diversions) == MOST_ENTRIES
    assert caller.diversions[0].param("reason") == "no-answer"
    assert caller.history == ("<sip:a@x>;index=1", "<sip:b@x>;index=1.1")
    assert caller_of(request, trusted=False).history == ()


CALLER = caller_of(invite(PAI), trusted=True)


def test_the_trunk_gets_what_it_asked_for_in_its_own_writing() -> None:
    ways = OutgoingIdentity("trunk.example", None, ALL, NumberPlan("49", send_as="national").from_e164)
    shown, headers = outgoing(CALLER, "+4930500", "+4940700", ways)
    assert str(shown) == "Anna <sip:030111@trunk.example>"
    assert headers == [
        ("P-Asserted-Identity", "Anna <sip:030111@trunk.example>"),
        ("Diversion", "<sip:030500@trunk.example>;reason=unconditional;counter=1"),
        ("History-Info", "<sip:030500@trunk.example>;index=1"),
        ("History-Info", "<sip:040700@trunk.example>;index=1.1;mp=1"),
    ]


def test_a_fixed_number_hides_name_and_number() -> None:
    shown, headers = outgoing(CALLER, "+4930500", "+4940700", OutgoingIdentity("t.example", "+4930999"))
    assert str(shown) == "<sip:+4930999@t.example>"
    assert headers == []


def test_a_private_caller_is_anonymous_in_from() -> None:
    private = Caller(CALLER.address, asserted=True, private=True)
    shown, headers = outgoing(private, "1", "2", OutgoingIdentity("t.example", tell=frozenset({Tell.ASSERTED})))
    assert shown == ANONYMOUS
    assert headers == [("P-Asserted-Identity", "Anna <sip:+4930111@t.example>"), ("Privacy", "id")]
    assert outgoing(private, "1", "2", OutgoingIdentity("t.example")) == (ANONYMOUS, [])


def test_history_goes_on_where_it_ended() -> None:
    caller = Caller(CALLER.address, history=("<sip:a@x>;index=1", "<sip:+4930500@x>;index=1.1"))
    ways = OutgoingIdentity("t.example", tell=frozenset({Tell.HISTORY}))
    _, headers = outgoing(caller, "+4930500", "+4940700", ways)
    assert [value for _, value in headers][2:] == ["<sip:+4940700@t.example>;index=1.1.1;mp=1.1"]
    _, headers = outgoing(caller, "other", "+4940700", ways)
    assert [NameAddr.parse(value).param("index") for _, value in headers] == ["1", "1.1", "1.1.1", "1.1.1.1"]
