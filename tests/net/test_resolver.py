"""RFC 3263 against a DNS in memory."""

from __future__ import annotations

import asyncio
import random
from dataclasses import dataclass, field

import pytest

from kallglot_media.net.resolver import Naptr, ResolveError, Resolver, Srv
from kallglot_media.sip.events import Peer


@dataclass
class PretendDns:
    naptrs: dict[str, list[Naptr]] = field(default_factory=dict)
    srvs: dict[str, list[Srv]] = field(default_factory=dict)
    hosts: dict[str, list[str]] = field(default_factory=dict)
    asked: list[str] = field(default_factory=list)

    async def naptr(self, name: str) -> list[Naptr]:
        self.asked.append(f"NAPTR {name}")
        return self.naptrs.get(name, [])

    async def srv(self, name: str) -> list[Srv]:
        self.asked.append(f"SRV {name}")
        return self.srvs.get(name.rstrip("."), [])

    async def addresses(self, host: str) -> list[str]:
        self.asked.append(f"A {host}")
        if host not in self.hosts:
            raise OSError("Name or service not known")
        return self.hosts[host]


def resolver(dns: PretendDns, **more: object) -> Resolver:
    return Resolver(dns, chance=random.Random(1), **more)  # type: ignore[arg-type]


@pytest.mark.parametrize(
    ("uri", "peer"),
    [
        ("sip:bob@192.0.2.1", Peer("udp", "192.0.2.1", 5060)),
        ("sip:bob@192.0.2.1:5070;transport=TCP", Peer("tcp", "192.0.2.1", 5070)),
        ("sips:bob@192.0.2.1", Peer("tls", "192.0.2.1", 5061)),
        ("sips:bob@192.0.2.1;transport=tcp", Peer("tls", "192.0.2.1", 5061)),
        ("sip:bob@[2001:DB8::1]", Peer("udp", "2001:db8::1", 5060)),
        ("sip:bob@example.com;maddr=192.0.2.9", Peer("udp", "192.0.2.9", 5060)),
    ],
)
async def test_literals_need_no_question(uri: str, peer: Peer) -> None:
    dns = PretendDns()
    assert await resolver(dns, transports=("udp", "tcp", "tls")).resolve(uri) == [peer]
    assert dns.asked == []


async def test_a_name_with_a_port_is_a_plain_host() -> None:
    dns = PretendDns(hosts={"pbx.example": ["192.0.2.1", "2001:db8::1"]})
    assert await resolver(dns).resolve("sip:pbx.example:5070") == [
        Peer("udp", "192.0.2.1", 5070),
        Peer("udp", "2001:db8::1", 5070),
    ]
    assert dns.asked == ["A pbx.example"]


async def test_a_name_without_a_dot_is_never_asked_for_srv() -> None:
    dns = PretendDns(hosts={"localhost": ["127.0.0.1"]})
    assert await resolver(dns).resolve("sip:echo@localhost") == [Peer("udp", "127.0.0.1", 5060)]


async def test_naptr_then_srv_then_addresses() -> None:
    dns = PretendDns(
        naptrs={
            "example.com": [
                Naptr(50, 50, "SIPS+D2T", "_sips._tcp.example.com."),
                Naptr(100, 50, "SIP+D2U", "_sip._udp.example.com."),
                Naptr(90, 50, "SIP+D2T", "_sip._tcp.example.com."),
                Naptr(10, 50, "E2U+sip", "nowhere."),
            ]
        },
        srvs={
            "_sip._tcp.example.com": [Srv(1, 0, "two.example.com", 5062), Srv(0, 0, "one.example.com", 5061)],
            "_sip._udp.example.com": [Srv(0, 0, "192.0.2.3", 5063)],
        },
        hosts={"one.example.com": ["192.0.2.1"], "two.example.com": ["192.0.2.2"]},
    )
    assert await resolver(dns).resolve("sip:bob@example.com") == [
        Peer("tcp", "192.0.2.1", 5061),
        Peer("tcp", "192.0.2.2", 5062),
        Peer("udp", "192.0.2.3", 5063),
    ]


async def test_srv_alone_and_the_transport_asked_for() -> None:
    dns = PretendDns(
        srvs={"_sip._tcp.example.com": [Srv(0, 1, "a.example.com", 5070), Srv(5, 0, ".", 1)]},
        hosts={"a.example.com": ["192.0.2.1"]},
    )
    dns.srvs["_sip._tcp.example.com"][1] = Srv(5, 0, "", 1)
    want = [Peer("tcp", "192.0.2.1", 5070)]
    assert await resolver(dns).resolve("sip:example.com") == want
    assert await resolver(dns).resolve("sip:example.com;transport=tcp") == want
    assert dns.asked[-2:] == ["SRV _sip._tcp.example.com", "A a.example.com"]


async def test_without_records_it_is_a_host() -> None:
    dns = PretendDns(hosts={"example.com": ["192.0.2.1"]})
    assert await resolver(dns).resolve("sip:example.com") == [Peer("udp", "192.0.2.1", 5060)]
    assert dns.asked[0] == "NAPTR example.com"


async def test_weights_share_the_load_inside_one_priority() -> None:
    dns = PretendDns(srvs={"_sip._udp.example.com": [Srv(0, 3, "192.0.2.1", 1), Srv(0, 1, "192.0.2.2", 1)]})
    lookup = resolver(dns)
    first = [(await lookup.resolve("sip:example.com"))[0].host for _ in range(400)]
    assert 0.68 < first.count("192.0.2.1") / 400 < 0.82


@pytest.mark.parametrize(
    ("uri", "wrong"),
    [
        ("sip:nobody.example", "nobody.example: Name or service not known"),
        ("sip:192.0.2.1;transport=sctp", "transport 'sctp' is not one of"),
        ("sip:192.0.2.1;transport=tls", "no address that we can send to over udp, tcp"),
    ],
)
async def test_what_cannot_be_reached_is_said(uri: str, wrong: str) -> None:
    with pytest.raises(ResolveError, match=wrong):
        await resolver(PretendDns()).resolve(uri)


async def test_one_deadline_for_everything() -> None:
    class Silent(PretendDns):
        async def naptr(self, name: str) -> list[Naptr]:
            await asyncio.Event().wait()
            return []

    with pytest.raises(ResolveError, match=r"no answer from the DNS within 0\.01 s"):
        await resolver(Silent(), deadline_s=0.01).resolve("sip:example.com")
