"""From whom to call to where the INVITE goes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.call.phones import Phones
from kallglot_media.call.ports import DialError
from kallglot_media.call.trunks import Trunks
from kallglot_media.config.sip import Sip
from kallglot_media.config.trunks import Trunk
from kallglot_media.net.finder import Finder
from kallglot_media.net.resolver import Resolver
from kallglot_media.sip.events import Peer
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request
from kallglot_media.sip.settings import Target
from kallglot_media.sip.uri import Uri
from tests.support.counting_ids import CountingIds

HERE = "sip:192.0.2.10"


class Names:
    """A DNS with these addresses and no more."""

    def __init__(self, addresses: Mapping[str, list[str]]) -> None:
        self._addresses = addresses

    async def naptr(self, name: str) -> list[Any]:
        return []

    async def srv(self, name: str) -> list[Any]:
        return []

    async def addresses(self, host: str) -> list[str]:
        if host not in self._addresses:
            raise OSError("no such name")
        return self._addresses[host]


def registered(*contacts: str, source: Peer | None = None, path: str = "") -> Request:
    headers = [("Via", "SIP/2.0/UDP 192.0.2.50:5060;branch=z9hG4bK1"), ("From", "<sip:anna@x>;tag=1")]
    headers += [("To", "<sip:anna@x>"), ("Call-ID", "c"), ("CSeq", "1 REGISTER")]
    headers += [("Contact", contact) for contact in contacts] + ([("Path", path)] if path else [])
    return Request("REGISTER", Uri.parse(HERE), Headers(headers))


@pytest.fixture
def phones(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Phones:
    monkeypatch.setenv("KALLGLOT_TEST_PASSWORD", "x")
    sip = Sip.model_validate(
        {
            "listen": ({"host": "192.0.2.10"},),
            "accounts": ({"user": "anna", "password_env": "KALLGLOT_TEST_PASSWORD"},),
            "registrar": {"enabled": True, "free_from": ("192.0.2.0/24",), "domains": ("calls.example",)},
        }
    )
    return Phones(CountingIds(), sip, tmp_path / "registrations.json")


PHONE = Peer("udp", "192.0.2.50", 5060)


def finder(phones: Phones | None = None, *trunks: dict[str, Any], **names: list[str]) -> Finder:
    lookup = Names({name.replace("_", "."): found for name, found in names.items()})
    return Finder(Resolver(lookup), Trunks([Trunk.model_validate(one) for one in trunks]), phones)


async def test_an_address_is_resolved() -> None:
    found = await finder(b_example=["192.0.2.7", "192.0.2.8"]).find("<sip:bob@b.example>", "<sip:a@b>", 0.0)
    assert [target.peer.host for target in found.targets] == ["192.0.2.7", "192.0.2.8"]
    assert found.trunk is None


@pytest.mark.parametrize("to", ["sip:bob@192.0.2.7:5080;transport=tcp", "<sip:bob@192.0.2.7:5080;transport=tcp>"])
async def test_the_transport_of_an_address_is_used_with_and_without_brackets(to: str) -> None:
    """A bare URI in a header would lose it to the header: the call would go out over UDP."""
    found = await finder().find(to, "<sip:a@b>", 0.0)
    assert [target.peer for target in found.targets] == [Peer("tcp", "192.0.2.7", 5080)]


@pytest.mark.parametrize(("to", "wrong"), [("sip:bob@nowhere.example", "no such name"), ("bob", "not a URI")])
async def test_what_cannot_be_found_says_why(to: str, wrong: str) -> None:
    with pytest.raises(DialError, match=wrong):
        await finder().find(to, "<sip:a@b>", 0.0)


async def test_a_trunks_hosts_are_tried_in_their_order_and_one_without_a_name_is_left_out() -> None:
    trunk = {"name": "t", "hosts": ("sip:a.example", "sip:gone.example", "sip:192.0.2.3;transport=tcp")}
    there = finder(None, trunk | {"dial": {"allow": ("2??",)}}, a_example=["192.0.2.1"])
    found = await there.find("trunk:t/201", "<sip:a@b>", 0.0)
    assert (found.to, found.trunk) == ("sip:201@a.example", "t")
    assert [target.peer for target in found.targets] == [Peer("udp", "192.0.2.1", 5060), Peer("tcp", "192.0.2.3", 5060)]


async def test_a_phone_that_logged_on_is_found_at_each_address_of_ours(phones: Phones) -> None:
    phones.registrar.receive(registered("<sip:anna@192.0.2.50>;q=0.5", "<sip:anna@192.0.2.51>"), PHONE, 0.0)
    for host in ("192.0.2.10", "Calls.Example"):
        found = await finder(phones).find(f"sip:anna@{host}", "<sip:a@b>", 1.0)
        assert [str(target.uri) for target in found.targets] == ["sip:anna@192.0.2.51", "sip:anna@192.0.2.50"]
    with pytest.raises(DialError, match="anna is not logged on"):
        await finder(phones).find("sip:anna@192.0.2.10", "<sip:a@b>", 9999.0)


async def test_a_path_leads_to_the_phone_and_an_unknown_name_is_passed_over(phones: Phones) -> None:
    phones.registrar.receive(registered("<sip:anna@gone.example>", "<sip:anna@192.0.2.51>"), PHONE, 0.0)
    found = await finder(phones).find("sip:anna@192.0.2.10", "<sip:a@b>", 1.0)
    assert [str(target.uri) for target in found.targets] == ["sip:anna@192.0.2.51"]
    way = registered("<sip:anna@10.9.9.9>", path="<sip:edge.example;lr>")
    way.headers.set("Call-ID", "d")
    way.headers.set("CSeq", "2 REGISTER")
    phones.registrar.receive(way, PHONE, 0.5)
    found = await finder(phones, edge_example=["192.0.2.99"]).find("sip:anna@192.0.2.10", "<sip:a@b>", 1.0)
    assert Target(Peer("udp", "192.0.2.99", 5060), Uri.parse("sip:anna@10.9.9.9"), ("<sip:edge.example;lr>",)) in (
        found.targets
    )


async def test_a_name_that_is_no_user_of_ours_is_an_address_like_others(phones: Phones) -> None:
    found = await finder(phones).find("sip:bob@192.0.2.10", "<sip:a@b>", 0.0)
    assert [target.peer.host for target in found.targets] == ["192.0.2.10"]


def test_phones_are_remembered_over_a_restart(phones: Phones, tmp_path: Path) -> None:
    phones.registrar.receive(registered("<sip:anna@192.0.2.50>"), PHONE, 0.0)
    phones.save(0.0)
    phones.save(0.0)
    before = dict(phones.registrar.registered(1.0))
    phones.registrar.receive(registered("*"), PHONE, 1.0)
    phones.load(1.0)
    assert phones.registrar.registered(1.0) == before == {"anna": 1}
    (tmp_path / "registrations.json").write_text('{"anna": [{}]}')
    phones.load(2.0)
    (tmp_path / "registrations.json").write_text("[")
    phones.load(2.0)
    assert phones.registrar.registered(2.0) == before
