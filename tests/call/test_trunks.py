"""The trunks of server.yaml at work: whose call it is, and on what terms one goes out."""

from __future__ import annotations

from typing import Any

import pytest

from kallglot_media.call.ports import DialError
from kallglot_media.call.trunks import Trunks, trunk_address
from kallglot_media.config.trunks import Trunk
from kallglot_media.sip.events import IncomingCall, Peer
from kallglot_media.sip.uri import Uri
from tests.support.ladder import make_request

CARRIER: dict[str, Any] = {
    "name": "carrier",
    "hosts": ("sip:192.0.2.1", "sip:192.0.2.2:5070;transport=tcp"),
    "domain": "carrier.example",
    "allow_from": ("198.51.100.0/24",),
    "numbers": {"country_code": "49", "send_as": "digits"},
    "dial": {"allow": ("+49*",), "max_per_day": 3},
    "qualify_s": None,
}


def trunks(**more: Any) -> Trunks:
    return Trunks([Trunk.model_validate(CARRIER | more)])


def incoming(source: str, user: str = "030555", **headers: str) -> IncomingCall:
    request = make_request("INVITE")
    request.uri = Uri.parse(f"sip:{user}@192.0.2.10")
    for name, value in headers.items():
        request.headers.set(name.replace("_", "-"), value)
    return IncomingCall("c", request, Peer("udp", source, 5060), None)


@pytest.mark.parametrize(
    ("source", "trunk"), [("192.0.2.1", True), ("192.0.2.2", True), ("198.51.100.77", True), ("192.0.2.3", False)]
)
def test_a_trunk_is_known_by_where_its_calls_come_from(source: str, trunk: bool) -> None:
    assert (trunks().of_source(source) is not None) == trunk
    assert trunks().called(incoming(source)) == ("+4930555" if trunk else "030555")


def test_a_hosts_name_is_known_once_it_is_resolved() -> None:
    found = trunks(hosts=("sip:sbc.example",))
    found.lines["carrier"].learn(["203.0.113.9", "2001:db8::9"])
    assert found.of_source("203.0.113.9") is found.of_source("2001:db8::9") is found.lines["carrier"]


def test_a_call_to_our_registration_says_in_to_who_is_called(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLGLOT_TEST_PASSWORD", "x")
    account = {"user": "4930555", "password_env": "KALLGLOT_TEST_PASSWORD"}
    found = trunks(account=account, registration={"contact_user": "line1"})
    assert found.called(incoming("192.0.2.1", "line1", To="<sip:03077@x>")) == "+493077"
    assert found.called(incoming("192.0.2.1", "03088", To="<sip:03077@x>")) == "+493088"
    plan = found.lines["carrier"].registration
    assert plan is not None
    assert (plan.aor, plan.registrars) == ("sip:4930555@carrier.example", CARRIER["hosts"])


def test_a_number_goes_out_as_the_trunk_writes_it() -> None:
    way = trunks(caller_id={"number": "+4930999", "tell": ("p_asserted_identity", "diversion")}).way_out(
        trunk_address("carrier", "030 123"), "Anna <sip:+4930111@us.example>", 0.0, 0
    )
    assert way is not None
    assert (way.to, way.from_, way.hosts) == (
        "sip:4930123@carrier.example",
        "<sip:4930999@carrier.example>",
        CARRIER["hosts"],
    )
    assert way.headers == [("P-Asserted-Identity", "<sip:4930999@carrier.example>")]


def test_a_from_that_is_the_trunks_already_is_left_alone() -> None:
    way = trunks().way_out("trunk:carrier/+49301", "<sip:4930111@carrier.example>", 0.0, 0)
    assert way is not None
    assert (way.from_, way.headers) == ("<sip:4930111@carrier.example>", ())
    assert trunks().way_out("sip:a@192.0.2.1", "<sip:b@c>", 0.0, 0) is None


@pytest.mark.parametrize(
    ("to", "status", "counter"),
    [
        ("trunk:carrier/+43123", 403, "trunk_number_refused"),
        ("trunk:other/+49123", 404, None),
        ("trunk:carrier/", 404, None),
        ("trunk:carrier", 404, None),
    ],
)
def test_what_is_not_dialled(to: str, status: int, counter: str | None) -> None:
    found = trunks()
    with pytest.raises(DialError) as refused:
        found.way_out(to, "<sip:b@c>", 0.0, 0)
    assert refused.value.status == status
    assert counter is None or found.counters[counter] == 1


def test_limits_count_calls_in_both_directions_until_they_end() -> None:
    found = trunks(max_calls=2)
    found.came(incoming("192.0.2.1"))
    found.came(incoming("192.0.2.99"))  # a stranger's call is no trunk's
    assert found.way_out("trunk:carrier/+49301", "<sip:b@c>", 0.0, 0) is not None
    found.began("ours", "carrier", day=0)
    assert found.objection("192.0.2.1") == "2 calls"
    assert found.objection("192.0.2.99") is None
    with pytest.raises(DialError, match="trunk carrier is full: 2 calls"):
        found.way_out("trunk:carrier/+49301", "<sip:b@c>", 0.0, 0)
    found.ended("c")
    found.ended("never was")
    assert found.objection("192.0.2.1") is None
    assert found.counters == {"trunk_limit_in": 1, "trunk_limit_out": 1}


def test_a_customers_call_goes_on_with_who_they_are() -> None:
    found = trunks(caller_id={"tell": ("p_asserted_identity", "diversion")})
    call = incoming("192.0.2.1", P_Asserted_Identity="<sip:030111@x>", From="<sip:a@b>;tag=1")
    caller = found.caller(call)
    shown, headers = found.identity("carrier", caller, found.called(call), "+4940700")
    assert shown == "<sip:4930111@carrier.example>"
    assert headers == [
        ("P-Asserted-Identity", "<sip:4930111@carrier.example>"),
        ("Diversion", "<sip:4930555@carrier.example>;reason=unconditional;counter=1"),
    ]
    assert found.caller(incoming("192.0.2.99", P_Asserted_Identity="<sip:030111@x>", From="<sip:a@b>")).number == "a"
