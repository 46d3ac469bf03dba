"""Where messages go. RFC 3261 section 18."""

from __future__ import annotations

import pytest

from kallglot_media.sip.events import Peer
from kallglot_media.sip.routing import Addresses, in_dialog_peer, is_private, own_contact, own_via, peer_of, same_host
from kallglot_media.sip.uri import Uri
from kallglot_media.sip.via import Via

UDP = Peer("udp", "198.51.100.7", 40_000)
TCP = Peer("tcp", "198.51.100.7", 40_000)


@pytest.mark.parametrize(
    ("uri", "flow", "peer"),
    [
        ("sip:a@203.0.113.9", UDP, Peer("udp", "203.0.113.9", 5060)),
        ("sip:a@203.0.113.9:5070;transport=tcp", UDP, Peer("tcp", "203.0.113.9", 5070)),
        ("sips:a@203.0.113.9", UDP, Peer("tls", "203.0.113.9", 5061)),
        ("sip:a@198.51.100.7:5070", TCP, Peer("tcp", "198.51.100.7", 5070)),
        ("sip:a@203.0.113.9;transport=sctp", TCP, Peer("udp", "203.0.113.9", 5060)),
        ("sip:a@[2001:DB8::9]", UDP, Peer("udp", "2001:db8::9", 5060)),
        ("sip:a@example.com;maddr=203.0.113.9", UDP, Peer("udp", "203.0.113.9", 5060)),
        ("sip:a@example.com", UDP, None),
        ("tel:+49123", UDP, None),
    ],
)
def test_the_peer_of_a_uri(uri: str, flow: Peer, peer: Peer | None) -> None:
    assert peer_of(Uri.parse(uri), flow) == peer


@pytest.mark.parametrize(
    ("uri", "flow", "behind_nat", "peer"),
    [
        ("sip:a@203.0.113.9", UDP, False, Peer("udp", "203.0.113.9", 5060)),
        ("sip:a@203.0.113.9", UDP, True, UDP),
        ("sip:a@pbx.example", UDP, False, UDP),
        ("sip:a@192.168.1.5:5060", UDP, False, UDP),
        ("sip:a@198.51.100.7:5060;transport=tcp", TCP, False, TCP),
        ("sip:a@198.51.100.7:5060;transport=udp", TCP, False, Peer("udp", "198.51.100.7", 5060)),
        ("sip:a@127.0.0.1:5070", Peer("udp", "127.0.0.1", 5060), False, Peer("udp", "127.0.0.1", 5070)),
    ],
)
def test_where_a_request_inside_a_dialog_goes(uri: str, flow: Peer, behind_nat: bool, peer: Peer) -> None:
    assert in_dialog_peer(Uri.parse(uri), flow, behind_nat=behind_nat) == peer


def test_our_addresses_by_transport_and_ip_version() -> None:
    ours = Addresses()
    ours.set("udp", "198.51.100.1", 5060)
    ours.set("udp", "2001:db8::1", 5061)
    assert str(ours.towards(UDP)) == "198.51.100.1:5060"
    assert str(ours.towards(Peer("udp", "2001:db8::7", 5060))) == "[2001:db8::1]:5061"
    assert ours.towards(TCP) is None
    assert ours.has(Via.parse("SIP/2.0/UDP 198.51.100.1;branch=z9hG4bK1"))
    assert ours.has(Via.parse("SIP/2.0/UDP [2001:DB8:0::1]:5061;branch=z9hG4bK1"))
    assert not ours.has(Via.parse("SIP/2.0/UDP 198.51.100.1:5070;branch=z9hG4bK1"))
    assert not ours.has(Via.parse("SIP/2.0/TCP 198.51.100.1:5060;branch=z9hG4bK1"))


def test_via_and_contact() -> None:
    ours = Addresses()
    ours.set("tcp", "2001:db8::1", 5060)
    address = ours.towards(TCP)
    assert address is not None
    assert own_via("tcp", address, "z9hG4bK1") == "SIP/2.0/TCP [2001:db8::1]:5060;branch=z9hG4bK1"
    assert own_via("udp", address, "z9hG4bK1").endswith(";rport")
    assert own_contact("tcp", address, "us") == "<sip:us@[2001:db8::1]:5060;transport=tcp>"


@pytest.mark.parametrize(
    ("one", "other", "same"),
    [
        ("192.0.2.1", "192.0.2.1", True),
        ("::1", "0:0:0:0:0:0:0:1", True),
        ("[::1]", "::1", True),
        ("PBX.example", "pbx.EXAMPLE", True),
        ("192.0.2.1", "192.0.2.2", False),
        ("pbx.example", "192.0.2.1", False),
    ],
)
def test_same_host(one: str, other: str, same: bool) -> None:
    assert same_host(one, other) is same


@pytest.mark.parametrize(
    ("host", "private"),
    [
        ("192.168.1.1", True),
        ("100.64.0.1", True),
        ("fd00::1", True),
        ("127.0.0.1", True),
        ("203.0.113.9", False),
        ("x", False),
    ],
)
def test_is_private(host: str, private: bool) -> None:
    assert is_private(host) is private
