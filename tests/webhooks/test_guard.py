"""No webhook reaches what only this server can reach."""

from __future__ import annotations

import ipaddress
from collections.abc import Sequence

import pytest

from kallglot_media.webhooks.guard import Guard, Refused

GOOD = [
    "https://example.com/hook",
    "http://example.com:8080/a?b=c",
    "https://93.184.216.34/",
    "https://[2606:4700::1]/",
]

PRIVATE = [
    "127.0.0.1", "10.0.0.1", "172.16.0.1", "192.168.1.1", "169.254.169.254", "100.64.0.1", "0.0.0.0", "224.0.0.1",
    "255.255.255.255", "240.0.0.1", "192.0.2.1", "198.18.0.1", "[::1]", "[::]", "[fe80::1]", "[fd00::1]", "[ff02::1]",
    "[::ffff:127.0.0.1]", "[::ffff:10.0.0.1]", "[64:ff9b::7f00:1]", "[2002:7f00:1::]", "[::127.0.0.1]",
    "[2001:db8::1]", "127.1", "2130706433", "0x7f000001", "0177.0.0.1",
]  # fmt: skip

MALFORMED = [
    ("ftp://example.com/", "no https"),
    ("example.com/hook", "no https"),
    ("https://", "no https"),
    ("https://example.com:0/", "port"),
    ("https://example.com:99999/", "no URL"),
    ("https://[::1/", "no URL"),
    ("https://user@example.com/", "user name"),
    ("https://example.com/#part", "fragment"),
    ("https://example.com/a b", "characters"),
    ("https://exämple.com/", "characters"),
    ("https://example.com/\r\nHost: x", "characters"),
    ("https://example.com/" + "x" * 2048, "at most 2048"),
]


@pytest.mark.parametrize("url", GOOD)
def test_public_urls_are_taken(url: str) -> None:
    Guard().check_url(url)


@pytest.mark.parametrize("host", PRIVATE)
def test_private_addresses_are_refused_however_they_are_written(host: str) -> None:
    with pytest.raises(Refused, match=r"list its network in webhooks\.allow_networks"):
        Guard().check_url(f"https://{host}/hook")


@pytest.mark.parametrize(("url", "why"), MALFORMED)
def test_what_cannot_be_sent_to_says_why(url: str, why: str) -> None:
    with pytest.raises(Refused, match=why):
        Guard().check_url(url)


def test_the_configuration_may_allow_a_network() -> None:
    guard = Guard([ipaddress.ip_network("10.1.0.0/16"), ipaddress.ip_network("fd00::/8")])
    for url in ("http://10.1.2.3/", "http://[fd00::5]/", "http://[::ffff:10.1.2.3]/"):
        guard.check_url(url)
    with pytest.raises(Refused):
        guard.check_url("http://10.2.0.1/")


def names(**hosts: Sequence[str]) -> Guard:
    async def resolve(host: str, port: int) -> Sequence[str]:
        return hosts[host]

    return Guard(resolve=resolve)


async def test_a_name_is_refused_when_any_of_its_addresses_is() -> None:
    guard = names(good=["93.184.216.34", "2606:4700::1"], mixed=["93.184.216.34", "127.0.0.1"], link=["fe80::1%eth0"])
    assert await guard.addresses("good", 443) == ["93.184.216.34", "2606:4700::1"]
    for host in ("mixed", "link"):
        with pytest.raises(Refused):
            await guard.addresses(host, 443)


async def test_a_name_without_address_is_no_answer() -> None:
    with pytest.raises(OSError, match="has no address"):
        await names(empty=[]).addresses("empty", 443)
