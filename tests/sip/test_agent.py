"""The agent as a whole: who may come in, what is refused and why, what is counted. RFC 3261 sections 8.2, 11, 18."""

from __future__ import annotations

import pytest

from kallglot_media.sip.admission import ALLOW, SUPPORTED_TEXT
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.events import IncomingCall, Peer
from kallglot_media.sip.message import Request
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.settings import Accept, AgentSettings, Challenge, Credentials, Decision, Ignore, Reject
from tests.support.call_ladder import FAR, SDP, Ladder, play
from tests.support.counting_ids import CountingIds
from tests.support.pretend_network import PretendNetwork


def test_options_says_what_we_can() -> None:
    ladder = play("""
        0.0 <- OPTIONS
        0.0 -> 200/OPTIONS
        0.1 -- drain
        0.2 <- OPTIONS
        0.2 -> 503/OPTIONS
    """)
    ok = ladder.last("200/OPTIONS")
    assert ok.headers.first("Allow") == ALLOW
    assert ok.headers.first("Accept") == "application/sdp"
    assert ok.headers.first("Supported") == SUPPORTED_TEXT
    assert ok.headers.first("Server") == "kallglot"
    assert ladder.last("503/OPTIONS").headers.first("Retry-After") == "5"


def test_draining_takes_no_new_calls_and_keeps_old_ones() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE\n0.1 -- answer\n0.2 <- ACK\n0.3 -- drain\n1.0 <- INVITE call=other tag=other")
    assert ladder.trace[-1] == "1 -> 503"
    ladder.run("1.1 <- ACK failure call=other tag=other\n2.0 <- BYE to=tag1")
    assert ladder.trace[-1] == "2 == CallEnded remote 200"


def test_more_calls_than_allowed() -> None:
    ladder = Ladder(AgentSettings(max_calls=2))
    for number in range(3):
        ladder.run(f"0.0 <- INVITE call=c{number}")
    assert [line for line in ladder.trace if "==" in line] == ["0 == IncomingCall"] * 2
    assert ladder.trace[-1] == "0 -> 503"
    assert ladder.agent.counters["calls_over_limit"] == 1
    assert ladder.agent.open_calls == 2


@pytest.mark.parametrize(
    ("request_line", "answer", "header"),
    [
        ("PUBLISH new", "405/PUBLISH", ("Allow", ALLOW)),
        ("REGISTER new", "405/REGISTER", ("Allow", ALLOW)),
        ("INVITE Require:gruu,100rel,foo", "420", ("Unsupported", "gruu, foo")),
        ("INVITE Content-Encoding:gzip", "415", ("Accept", "application/sdp")),
        ("INVITE Contact:*", "400", ("Server", "kallglot")),
        ("INVITE Contact:<tel:+491234>", "400", ("Server", "kallglot")),
        ("BYE new", "481/BYE", ("Server", "kallglot")),
    ],
)
def test_what_is_refused_before_any_call_sees_it(request_line: str, answer: str, header: tuple[str, str]) -> None:
    ladder = play(f"0.0 <- {request_line}\n0.0 -> {answer}")
    assert ladder.last(answer).headers.first(header[0]) == header[1]


def test_max_forwards_zero_ends_here_because_we_send_calls_on() -> None:
    ladder = Ladder()
    data = ladder.far.make(["INVITE"]).replace(b"Max-Forwards: 70", b"Max-Forwards: 0")
    ladder.agent.receive(data, FAR, 0.0)
    ladder.collect(0.0)
    assert ladder.trace == ["0 -> 483"]


def test_an_unknown_scheme_is_416() -> None:
    ladder = Ladder()
    data = ladder.far.make(["INVITE"]).replace(b"INVITE sip:us@192.0.2.1", b"INVITE nobodyKnows:us")
    ladder.agent.receive(data, FAR, 0.0)
    ladder.collect(0.0)
    assert ladder.trace == ["0 -> 416"]


def test_a_body_that_may_be_ignored_is() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE Content-Disposition:session;handling=optional")
    assert ladder.trace[-1] == "0 == IncomingCall"


def test_one_request_over_two_paths_is_482() -> None:
    """RFC 3261 8.2.2.2."""
    ladder = Ladder()
    ladder.run("0.0 <- INVITE\n0.1 <- INVITE cseq=1 branch=z9hG4bK-other-path")
    assert ladder.trace[-1] == "0.1 -> 482"
    assert ladder.agent.counters["merged"] == 1
    assert ladder.agent.open_calls == 1


def policy(decision: Decision) -> AgentSettings:
    return AgentSettings(accept=lambda request, source: decision)


def test_the_policy_may_ignore_or_reject() -> None:
    ignored = play("0.0 <- INVITE\n0.0 <- OPTIONS", policy(Ignore()))
    assert ignored.agent.counters["ignored"] == 2
    assert ignored.agent.open_transactions == 0
    play("0.0 <- INVITE\n0.0 -> 403", policy(Reject(403, "Not You")))
    play("0.0 <- INVITE\n0.0 -> 100\n0.0 == IncomingCall", policy(Accept()))


def test_a_policy_that_raises_is_our_mistake_and_leaves_nothing_open() -> None:
    def broken(request: Request, source: Peer) -> Decision:
        raise KeyError("route")

    ladder = Ladder(AgentSettings(accept=broken))
    with pytest.raises(KeyError):
        ladder.run("0.0 <- OPTIONS")
    ladder.collect(0.0)
    assert ladder.trace == ["0 -> 500/OPTIONS"]
    ladder.advance(60.0)
    assert ladder.agent.open_transactions == 0


def test_calls_go_on_when_strangers_fill_the_transactions() -> None:
    ladder = Ladder(AgentSettings(max_transactions=2))
    ladder.run("0.0 <- INVITE\n0.1 -- answer\n0.2 <- ACK")
    for number in range(5):
        ladder.run(f"0.3 <- OPTIONS call=c{number}")
    ladder.run("0.4 <- BYE cseq=100 to=tag1")
    assert ladder.trace[-1] == "0.4 == CallEnded remote 200"
    assert ladder.agent.counters["transactions_over_limit"] == 4


def test_a_reason_phrase_cannot_start_a_header() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE")
    ladder.agent.reject(ladder.call, 486, 0.1, reason="Busy\r\nX-Evil: yes")
    ladder.collect(0.1)
    assert ladder.last("486").headers.first("X-Evil") is None


def test_malformed_requests_are_answered_and_counted() -> None:
    ladder = Ladder()
    data = ladder.far.make(["OPTIONS"]).replace(b"CSeq: 1 OPTIONS", b"CSeq: x OPTIONS")
    ladder.agent.receive(data, FAR, 0.0)
    ladder.collect(0.0)
    assert ladder.agent.counters["malformed_bad_cseq"] == 1


@pytest.mark.parametrize(
    "data", [b"", b"\r\n\r\n", b"\0" * 4, b"\x80\x00RTP", b"GET / HTTP/1.1\r\n\r\n", b"\xff" * 2000]
)
def test_what_is_not_sip_is_dropped(data: bytes) -> None:
    agent = SipAgent(CountingIds())
    agent.set_address("udp", "192.0.2.1", 5060)
    agent.receive(data, FAR, 0.0)
    assert agent.take_events() == []
    assert sum(agent.counters.values()) == 1


def test_responses_that_are_not_ours_are_dropped() -> None:
    """RFC 3261 8.1.3.3 and 18.1.2."""
    ladder = Ladder()
    ladder.run("0.0 -- invite")
    ok = ladder.far.make(["200"])
    ladder.agent.receive(ok.replace(b"SIP/2.0/UDP 192.0.2.1", b"SIP/2.0/UDP 192.0.2.77"), FAR, 0.1)
    ladder.agent.receive(ok.replace(b"Via:", b"Via: SIP/2.0/UDP 192.0.2.8;branch=z9hG4bKx\r\nVia:", 1), FAR, 0.1)
    ladder.agent.receive(ok.replace(b"z9hG4bK-", b"z9hG4bK-x"), FAR, 0.1)
    ladder.collect(0.1)
    assert ladder.trace == ["0 -> INVITE"]
    assert ladder.agent.counters["response_not_ours"] == 2


def test_more_transactions_than_allowed() -> None:
    ladder = Ladder(AgentSettings(max_transactions=3))
    for number in range(5):
        ladder.run(f"0.0 <- OPTIONS call=c{number}")
    assert len(ladder.sent) == 3
    assert ladder.agent.counters["transactions_over_limit"] == 2


def test_each_transport_has_its_own_via_and_contact() -> None:
    agent = SipAgent(CountingIds())
    agent.set_address("udp", "192.0.2.1", 5060)
    agent.set_address("tcp", "192.0.2.1", 5062)
    agent.set_address("udp", "2001:db8::1", 5064)
    wants = {
        Peer("udp", "192.0.2.9", 5060): ("SIP/2.0/UDP 192.0.2.1:5060;branch=", "<sip:kallglot@192.0.2.1:5060>"),
        Peer("tcp", "192.0.2.9", 5060): (
            "SIP/2.0/TCP 192.0.2.1:5062;branch=",
            "<sip:kallglot@192.0.2.1:5062;transport=tcp>",
        ),
        Peer("udp", "2001:db8::9", 5060): (
            "SIP/2.0/UDP [2001:db8::1]:5064;branch=",
            "<sip:kallglot@[2001:db8::1]:5064>",
        ),
    }
    for peer, (via, contact) in wants.items():
        agent.invite(to="sip:bob@example.com", from_="sip:us@example.com", destination=peer, sdp=SDP, now_s=0.0)
        [(data, target)] = agent.take_datagrams()
        invite = parse_message(data)
        assert target == peer
        assert (invite.headers.first("Via") or "").startswith(via)
        assert invite.headers.first("Contact") == contact
    with pytest.raises(ValueError, match="no address of ours for tls"):
        agent.invite(
            to="sip:bob@example.com",
            from_="sip:us@example.com",
            destination=Peer("tls", "192.0.2.9", 5061),
            sdp=SDP,
            now_s=0.0,
        )
    assert agent.open_calls == 3


def test_what_the_user_gives_to_invite() -> None:
    agent = SipAgent(CountingIds())
    agent.set_address("udp", "192.0.2.1", 5060)
    agent.invite(
        to='"Bob B." <sip:bob@example.com>',
        from_='"Us" <sip:us@example.com>',
        destination=FAR,
        sdp=None,
        now_s=0.0,
        request_uri="sip:bob@192.0.2.9:5070",
        headers=[("Max-Forwards", "42"), ("X-Session", "s1")],
    )
    invite = parse_message(agent.take_datagrams()[0][0])
    assert isinstance(invite, Request)
    assert str(invite.uri) == "sip:bob@192.0.2.9:5070"
    assert invite.headers.all("Max-Forwards") == ["42"]
    assert invite.headers.first("X-Session") == "s1"
    assert invite.to.display == "Bob B."
    assert invite.body == b""
    for wrong in ("bob", "<sip:bob", ""):
        with pytest.raises(ValueError, match=r".+"):
            agent.invite(to=wrong, from_="sip:us@example.com", destination=FAR, sdp=None, now_s=0.0)


def test_verbs_for_incoming_calls_on_a_call_of_ours_are_our_mistake() -> None:
    ladder = Ladder()
    ladder.run("0.0 -- invite")
    with pytest.raises(ValueError, match="are for incoming calls"):
        ladder.run("0.1 -- answer")


def test_the_source_and_the_offer_are_told() -> None:
    ladder = Ladder()
    ladder.run("0.0 <- INVITE")
    assert ladder.events == [IncomingCall("call_1", ladder.events[0].request, FAR, SDP)]  # type: ignore[union-attr]


@pytest.mark.parametrize("password", ["secret", "wrong"])
def test_a_challenge_lets_in_who_signs(password: str) -> None:
    """Two of us: one asks for a password, the other has one."""
    passwords = {"alice": "secret"}
    callee = SipAgent(CountingIds("b"), policy(Challenge("kallglot", passwords.get)))
    caller = SipAgent(CountingIds("a"))
    network = PretendNetwork()
    at_caller, at_callee = network.add(caller, FAR), network.add(callee, Peer("udp", "192.0.2.1", 5060))
    caller.invite(
        to="sip:b@192.0.2.1",
        from_="sip:alice@192.0.2.9",
        destination=at_callee.peer,
        sdp=SDP,
        now_s=0.0,
        credentials=Credentials("alice", password),
    )
    network.run(1.0)
    if password == "secret":
        assert [type(event).__name__ for event in at_callee.events] == ["IncomingCall"]
    else:
        assert at_callee.events == []
        assert [getattr(event, "status", 0) for event in at_caller.events] == [401]
        assert callee.counters["digest_wrong_password"] == 1
    assert callee.counters["digest_no_credentials"] == 1
