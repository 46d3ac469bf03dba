"""Floods, scanners and mistakes from strangers; and trunks, which none of that may touch."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import IncomingCall, Peer
from kallglot_media.sip.guard import Bucket, Guard, GuardRules, network_of
from kallglot_media.sip.message import Response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.settings import Accept, AgentSettings, Challenge, Decision, Reject
from tests.support.counting_ids import CountingIds

TRUNK, STRANGER, OTHER = Peer("udp", "10.0.0.5", 5060), Peer("udp", "203.0.113.9", 5060), Peer("udp", "203.0.113.7", 9)


def request(
    method: str = "INVITE", *, number: int = 1, agent: str = "phone", more: str = "", who: str = "100"
) -> bytes:
    return (
        f"{method} sip:900@192.0.2.1 SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 203.0.113.9:5060;branch=z9hG4bK{method}{number};rport\r\n"
        f'From: "x" <sip:{who}@203.0.113.9>;tag=t{number}\r\nTo: <sip:900@192.0.2.1>\r\nCall-ID: c{number}\r\n'
        f"CSeq: 1 {method}\r\nContact: <sip:{who}@203.0.113.9>\r\nUser-Agent: {agent}\r\n"
        f"{more}Content-Length: 0\r\n\r\n"
    ).encode()


def policy(request: object, source: Peer) -> Decision:
    return Accept() if source.host.startswith("10.") else Reject(403)


@dataclass
class Place:
    """An agent, and how it answered whom."""

    rules: GuardRules = field(default_factory=GuardRules)
    accept: object = policy
    now_s: float = 100.0

    def __post_init__(self) -> None:
        self.agent = SipAgent(
            CountingIds(),
            AgentSettings(
                guard=self.rules,
                trusted=lambda host: host.startswith("10."),
                accept=self.accept,  # type: ignore[arg-type]
            ),
        )
        self.agent.set_address("udp", "192.0.2.1", 5060)

    def hear(self, data: bytes, source: Peer = STRANGER) -> list[int]:
        """The statuses that go back."""
        self.agent.receive(data, source, self.now_s)
        found = [parse_message(datagram) for datagram, _ in self.agent.take_datagrams()]
        return [message.status for message in found if isinstance(message, Response)]

    def calls(self) -> int:
        return sum(isinstance(event, IncomingCall) for event in self.agent.take_events())


def test_a_bucket_fills_with_time() -> None:
    bucket = Bucket(2.0, 1.5, 0.0)
    assert [bucket.take(0.0) for _ in range(4)] == [True, True, True, False]
    assert bucket.take(0.4) is False
    assert bucket.take(0.5) is True
    assert [bucket.take(100.0) for _ in range(4)] == [True, True, True, False]


def test_a_scanner_is_banned_at_once() -> None:
    place = Place()
    assert place.hear(request("OPTIONS", agent="friendly-scanner")) == []
    assert place.hear(request("OPTIONS", number=2)) == []
    assert place.agent.counters["guard_scanner"] == place.agent.counters["guard_bans"] == 1
    assert place.agent.counters["guard_banned"] == 1
    assert place.hear(request("OPTIONS", number=3), OTHER) == [403]
    assert place.agent.open_transactions == 1


def test_a_scanner_is_known_by_its_from_too_but_people_are_not() -> None:
    place = Place()
    assert place.hear(request("OPTIONS", who="sipvicious")) == []
    assert place.hear(request("OPTIONS", who="iwarren"), OTHER) == [403]


def test_a_ban_ends() -> None:
    place = Place(GuardRules(ban_s=60.0))
    place.hear(request("OPTIONS", agent="sipvicious"))
    guard = place.agent.guard
    assert guard.banned(place.now_s) == {STRANGER.host: 60.0}
    place.now_s += 61.0
    assert guard.banned(place.now_s) == {}
    assert place.hear(request("OPTIONS", number=2)) == [403]
    place.hear(request("OPTIONS", agent="sipvicious", number=3))
    guard.pardon(STRANGER.host)
    assert place.hear(request("OPTIONS", number=4)) == [403]


def test_who_is_refused_again_and_again_is_banned() -> None:
    place = Place(GuardRules(strikes=5, strikes_s=60.0))
    assert [place.hear(request(number=number)) for number in range(7)] == [[403]] * 5 + [[]] * 2
    slow = Place(GuardRules(strikes=5, strikes_s=60.0))
    for number in range(20):
        slow.now_s += 20.0
        assert slow.hear(request(number=number)) == [403]


def test_guessing_passwords_gets_banned_and_logging_on_does_not() -> None:
    def challenge(request: object, source: Peer) -> Decision:
        return Challenge("us", {"alice": "secret"}.get)

    place = Place(GuardRules(strikes=4), accept=challenge)
    wrong = 'Authorization: Digest username="alice",realm="us",nonce="n",uri="sip:900@192.0.2.1",response="0"\r\n'
    assert [place.hear(request(number=number, more=wrong)) for number in range(6)] == [[401]] * 4 + [[]] * 2

    counters: Counter[str] = Counter()
    guard = Guard(GuardRules(strikes=3), lambda host: False, "s", counters)
    invite = parse_message(request())
    assert not isinstance(invite, Response)
    for _ in range(20):  # many phones behind one NAT: each is challenged once, then lets itself in
        guard.answered(invite, STRANGER, 401, 1.0)
        guard.answered(invite, STRANGER, 401, 1.0)
        guard.answered(invite, STRANGER, 200, 1.0)
    assert guard.banned(1.0) == {}


def test_a_trunk_cannot_be_locked_out() -> None:
    """UDP sources can be forged: whatever comes with a trunk's address, the trunk is heard."""
    place = Place(GuardRules(strikes=2, messages_per_s=1.0, requests_per_s=1.0))
    for number in range(50):
        place.hear(request(number=number, agent="friendly-scanner"), TRUNK)
        place.hear(b"rubbish\r\n\r\n", TRUNK)
    assert place.calls() == 50
    assert place.agent.guard.banned(place.now_s) == {}


def test_strangers_cannot_use_up_what_trunks_need() -> None:
    place = Place(GuardRules(strangers_per_s=2.0, burst_s=1.0, requests_per_s=100.0))
    for number in range(30):
        place.hear(request("OPTIONS", number=number), Peer("udp", f"203.0.113.{number}", 5060))
    assert place.agent.counters["guard_too_fast"] == 28
    assert place.hear(request(number=99), TRUNK) == [100]


def test_an_invite_flood_is_told_503_and_leaves_nothing_behind() -> None:
    """RFC 3261 8.2.7: no transaction, and the same To tag for a copy."""
    place = Place(GuardRules(invites_per_s=10.0))
    answers = [place.hear(request(number=number), TRUNK) for number in range(15)]
    assert answers == [[100]] * 10 + [[503]] * 5
    assert (place.agent.open_transactions, place.agent.open_calls) == (10, 10)
    place.agent.receive(request(number=14), TRUNK, place.now_s)
    place.agent.receive(request(number=14), TRUNK, place.now_s)
    copies = [data for data, _ in place.agent.take_datagrams()]
    assert copies[0] == copies[1]
    refused = parse_message(copies[0])
    assert refused.headers.first("Retry-After") == "5"
    place.now_s += 1.0
    assert place.hear(request(number=50), TRUNK) == [100]


def test_a_copy_of_an_admitted_request_is_always_heard() -> None:
    place = Place(GuardRules(invites_per_s=1.0))
    assert place.hear(request(number=1), TRUNK) == [100]
    assert place.hear(request(number=2), TRUNK) == [503]
    assert place.hear(request(number=1), TRUNK) == [100]
    assert place.hear(request("CANCEL", number=1).replace(b"z9hG4bKCANCEL1", b"z9hG4bKINVITE1"), TRUNK) == [200, 487]


def test_a_stranger_that_sends_too_fast_is_slowed_down() -> None:
    place = Place(GuardRules(requests_per_s=2.0, burst_s=1.0, errors_per_s=0.1))
    answers = [place.hear(request(number=number)) for number in range(6)]
    assert answers == [[403], [403], [503], [], [], []]  # one 503, then not even that
    assert place.agent.open_transactions == 2
    place = Place(GuardRules(messages_per_s=3.0, burst_s=1.0))
    for number in range(10):
        place.hear(request("OPTIONS", number=number))
    assert place.agent.counters["guard_too_many_messages"] == 7


def test_what_cannot_be_read_is_not_answered_for_ever() -> None:
    """Not even to a trunk: two servers would go on telling each other."""
    place = Place()
    broken = request().replace(b"Content-Length: 0", b"Content-Length: 9")
    for source in (TRUNK, OTHER):
        told = [status for _ in range(100) for status in place.hear(broken, source)]
        assert told == [400] * 5
    assert place.agent.guard.banned(place.now_s) == {OTHER.host: 600.0}
    place.now_s += 10.0
    assert place.hear(broken, TRUNK) == [400]


def test_what_is_remembered_has_an_end() -> None:
    guard = Guard(GuardRules(most_sources=100), lambda host: False, "s", Counter())
    for number in range(1000):
        source = Peer("udp", f"198.51.{number >> 8}.{number & 255}", 5060)
        assert guard.hears(source, 1.0)
        guard.may_complain(source, 1.0)
    assert max(len(guard._sources), len(guard._trust), len(guard._errors)) <= 100


def test_an_ipv6_host_is_its_network() -> None:
    """It may choose among 2^64 addresses."""
    assert network_of("2001:db8::1") == network_of("2001:db8::ffff:1") != network_of("2001:db8:0:1::1")
    assert network_of("::ffff:192.0.2.1") == "192.0.2.1"
    assert network_of("192.0.2.1") == "192.0.2.1"


def test_nobody_is_banned_unless_somebody_is_trusted() -> None:
    agent = SipAgent(CountingIds())
    agent.set_address("udp", "192.0.2.1", 5060)
    for number in range(100):
        agent.receive(request("OPTIONS", number=number, agent="sipvicious"), STRANGER, 1.0)
    assert len(agent.take_datagrams()) == 100
