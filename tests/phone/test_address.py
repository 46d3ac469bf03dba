"""Whom a phone can call, and from which address of its own: what is wrong is said before anything is sent."""

from __future__ import annotations

import pytest

from kallglot_media.errors import SetupError
from kallglot_media.phone.address import check_times, destination_of, local_towards, own_uri
from kallglot_media.sip.events import Peer


def test_destinations() -> None:
    assert destination_of("sip:echo@127.0.0.1", "udp") == Peer("udp", "127.0.0.1", 5060)
    assert destination_of("sip:echo@127.0.0.1:5070;transport=TCP", "udp") == Peer("tcp", "127.0.0.1", 5070)
    assert destination_of("sip:echo@[::1]:5070", "tcp") == Peer("tcp", "::1", 5070)


@pytest.mark.parametrize(
    ("uri", "wrong"),
    [
        ("echo", "no SIP address"),
        ("", "no SIP address"),
        ("sip:echo@example.org", "has the name example.org"),
        ("sip:echo@127.0.0.1;transport=tls", "wants tls"),
        ("sip:echo@127.0.0.1;transport=sctp", "wants sctp"),
        ("sips:echo@127.0.0.1", "is a sips: address"),
        ("tel:+4930123456", "is a tel: address"),
    ],
)
def test_what_this_phone_cannot_call(uri: str, wrong: str) -> None:
    with pytest.raises(SetupError) as caught:
        destination_of(uri, "udp")
    assert caught.value.where == uri
    assert wrong in caught.value.wrong


def test_the_own_address_is_the_one_that_leads_there() -> None:
    assert local_towards(Peer("udp", "127.0.0.1", 5060)) == "127.0.0.1"


def test_where_no_way_leads_is_said() -> None:
    with pytest.raises(SetupError, match="cannot be reached from here"):
        local_towards(Peer("udp", "255.255.255.255", 5060))


def test_the_own_address_has_brackets_where_it_needs_them() -> None:
    assert own_uri("phone", "::1", 5070) == "sip:phone@[::1]:5070"
    assert own_uri("phone", "127.0.0.1", 5070) == "sip:phone@127.0.0.1:5070"


@pytest.mark.parametrize("user", ["a b", "a\r\nX: y", "ä@@<", "", "a:b", "a@b", "a;b=c>"])
def test_a_user_that_no_address_can_have(user: str) -> None:
    with pytest.raises(SetupError) as caught:
        own_uri(user, "127.0.0.1", 5070)
    assert caught.value.where == "--user"


@pytest.mark.parametrize("value_s", [-1.0, float("nan"), float("inf"), 1e9])
def test_what_is_no_time(value_s: float) -> None:
    with pytest.raises(SetupError, match="--wait: is"):
        check_times(wait=value_s)
    check_times(wait=0.0, ring=60.0)
