"""The text of a leg: whom it believes, what it counts, and how it goes through a real media process."""

from __future__ import annotations

import asyncio
import socket
from collections import Counter
from collections.abc import Iterator

import pytest

from kallglot_media.media.link import MediaSettings
from kallglot_media.media.messages import (
    CloseLeg,
    LegClosed,
    LegOpened,
    OpenLeg,
    OpenSession,
    SendText,
    SetText,
    SrtpKeys,
    TextShown,
)
from kallglot_media.media.srtp import Srtp
from kallglot_media.media.text_lines import TextLine
from kallglot_media.modes.plan import Party
from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.realtime_text import TextFormat, TextReceiver, TextScreen, TextSender
from kallglot_media.rtp.rtcp import (
    Description,
    Goodbye,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_compound,
    parse_compound,
)
from kallglot_media.sdp.crypto import SUITES
from tests.media.test_link import Desk
from tests.support.studio import CountingIds

PEER = ("192.0.2.9", 6000)
AGREED = SetText("leg", *PEER, 98, 100, 98, 100)
SUITE = "AES_CM_128_HMAC_SHA1_80"
KEYS = SrtpKeys(SUITE, bytes(range(SUITES[SUITE])), bytes(range(100, 100 + SUITES[SUITE])))


class Line:
    """A text line, and what it counts."""

    def __init__(self) -> None:
        self.counters: Counter[str] = Counter()

        def count(name: str) -> None:
            self.counters[name] += 1

        self.line = TextLine(MediaSettings(), CountingIds(), count)


@pytest.fixture
def line() -> Line:
    return Line()


def packet(sequence: int = 1, payload_type: int = 98) -> bytes:
    return RtpPacket(payload_type, sequence, 0, 7, b"x").serialize()


def test_nothing_goes_before_there_is_an_agreement_and_nothing_after_it_is_taken_back(line: Line) -> None:
    line.line.put("early")
    assert line.line.take(1.0) is None
    line.line.set(AGREED, 1.0)
    sent = line.line.take(1.0)
    assert sent is not None
    assert sent[1] == PEER
    assert b"early" not in sent[0]
    line.line.set(SetText("leg"), 2.0)
    line.line.put("late")
    assert line.line.take(3.0) is None
    assert line.counters == {"text_not_agreed": 2, "text_sent": 1}


def test_a_held_line_keeps_its_text_until_it_is_resumed(line: Line) -> None:
    line.line.set(SetText("leg", *PEER, 98, 100, 98, 100, send=False), 0.0)
    line.line.put("Hello")
    assert line.line.take(1.0) is None
    line.line.set(AGREED, 2.0)
    sent = line.line.take(2.0)
    assert sent is not None
    assert b"Hello" in sent[0]


def test_what_a_peer_sends_is_counted_by_name(line: Line) -> None:
    line.line.receive(packet(), PEER, 0.0)
    line.line.set(AGREED, 0.0)
    for datagram, source in (
        (packet(1), PEER),
        (packet(1), PEER),
        (packet(4), PEER),
        (packet(5, 0), PEER),
        (b"junk", PEER),
        (packet(6), ("198.51.100.1", 6000)),
    ):
        line.line.receive(datagram, source, 0.0)
    assert line.counters == {
        "text_not_agreed": 1,
        "text_received": 3,
        "text_late": 1,
        "text_lost": 2,
        "text_payload_type": 1,
        "text_malformed": 1,
        "text_source": 1,
    }


def test_a_stranger_does_not_get_the_text(line: Line) -> None:
    line.line.set(AGREED, 0.0)
    line.line.receive(packet(1), ("192.0.2.9", 7000), 0.0)  # another port of the same host: NAT
    for sequence in range(2, 20):
        line.line.receive(packet(sequence), ("198.51.100.1", 6000), 0.1)
    sent = line.line.take(1.0)
    assert sent is not None
    assert sent[1] == ("192.0.2.9", 7000)


def test_encrypted_text_is_read_by_the_peer_alone(line: Line) -> None:
    line.line.set(SetText("leg", *PEER, 98, 100, 98, 100, keys=KEYS), 0.0)
    line.line.put("secret")
    sent = line.line.take(0.0)
    assert sent is not None
    assert b"secret" not in sent[0]
    peer = Srtp(SrtpKeys(SUITE, KEYS.receive_key, KEYS.send_key))
    assert TextReceiver(TextFormat(98, 100)).push(RtpPacket.parse(peer.unprotect(sent[0]) or b"")) == "secret"
    line.line.receive(packet(), PEER, 0.0)
    line.line.receive(peer.protect(packet()), PEER, 0.0)
    assert (line.counters["text_srtp"], line.counters["text_received"]) == (1, 1)


def test_it_says_when_all_text_has_gone_with_its_redundancy(line: Line) -> None:
    line.line.set(AGREED, 0.0)
    line.line.put("Hello")
    line.line.put(" there")
    told = []
    for tick in range(200):
        line.line.take(tick * 0.02)
        told.append(line.line.shown())
    assert [count for count in told if count is not None] == [2], "said once, not before"
    at = next(index for index, count in enumerate(told) if count)
    assert line.counters["text_sent"] == 3, "new once, and twice as redundancy"
    assert 0.6 <= at * 0.02 <= 0.7


def test_text_that_nobody_can_be_shown_is_not_waited_for(line: Line) -> None:
    line.line.put("early")
    assert line.line.shown() == 1


def test_reports_go_to_the_port_behind_the_texts_and_say_what_came(line: Line) -> None:
    """RFC 3550 sections 6.4 and 6.6: an SR with our text's clock and a block about the peer's; BYE at the end."""
    line.line.set(AGREED, 0.0)
    line.line.put("Hello")
    assert line.line.report(0.0, wall_s=1000.0) is None
    line.line.take(0.0)
    for sequence in (1, 2, 5):
        line.line.receive(packet(sequence), PEER, 0.5)
    made = line.line.report(9.0, wall_s=1009.0)
    assert made is not None
    datagram, where = made
    assert where == ("192.0.2.9", 6001)
    report, name = parse_compound(datagram)
    assert isinstance(report, SenderReport)
    assert isinstance(name, Description)
    assert (report.packets, report.reports[0].ssrc, report.reports[0].cumulative_lost) == (1, 7, 2)
    bye = line.line.bye(10.0)
    assert bye is not None
    assert isinstance(parse_compound(bye[0])[-1], Goodbye)


def test_reports_of_others_are_not_read(line: Line) -> None:
    line.line.receive_rtcp(b"", PEER, 0.0, wall_s=0.0)
    line.line.set(AGREED, 0.0)
    line.line.receive_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x07", ("192.0.2.9", 6001), 0.0, wall_s=0.0)
    line.line.receive_rtcp(b"\x80\xc9\x00\x01\x00\x00\x00\x07", ("198.51.100.1", 6001), 0.0, wall_s=0.0)
    assert line.counters == {"text_rtcp_dropped": 2, "text_rtcp_in": 1}


@pytest.mark.parametrize(("lost", "counted"), [(3, 3), (-1, 0), (2**23 - 1, 100)])
def test_what_the_peer_misses_is_counted(line: Line, lost: int, counted: int) -> None:
    line.line.set(AGREED, 0.0)
    line.line.put("Hello")
    sent = line.line.take(0.0)
    assert sent is not None
    block = ReportBlock(RtpPacket.parse(sent[0]).ssrc, 0, lost, 1, 0, 0, 0)
    report = build_compound((ReceiverReport(7, (block,)), Description(7, "peer")))
    line.line.receive_rtcp(report, ("192.0.2.9", 6001), 1.0, wall_s=1.0)
    assert line.counters["text_peer_lost"] == counted


def test_reports_of_encrypted_text_are_encrypted(line: Line) -> None:
    line.line.set(SetText("leg", *PEER, 98, 100, 98, 100, keys=KEYS), 0.0)
    line.line.report(0.0, wall_s=0.0)
    made = line.line.report(9.0, wall_s=9.0)
    assert made is not None
    peer = Srtp(SrtpKeys(SUITE, KEYS.receive_key, KEYS.send_key))
    assert parse_compound(peer.unprotect_rtcp(made[0]) or b"")
    line.line.receive_rtcp(made[0], ("192.0.2.9", 6001), 9.0, wall_s=9.0)
    assert line.counters["text_rtcp_dropped"] == 1


# ── a real process ───────────────────────────────────────────────────────────────


@pytest.fixture
def peer() -> Iterator[socket.socket]:
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as peer:
        peer.bind(("127.0.0.1", 0))
        peer.setblocking(False)
        yield peer


@pytest.mark.loopback
@pytest.mark.real_time
async def test_text_goes_through_the_process_and_its_port_comes_back(peer: socket.socket) -> None:
    desk = Desk(MediaSettings(first_port=29_000, last_port=29_007, raise_priority=False))
    await desk.link.start()
    try:
        desk.link.send(OpenSession("s"))
        opened = await desk.link.open_leg(OpenLeg("s", "s/agent", Party.AGENT, "127.0.0.1", text=True))
        without = await desk.link.open_leg(OpenLeg("s", "s/customer", Party.CUSTOMER, "127.0.0.1"))
        assert opened.text_port % 2 == 0
        assert opened.text_port not in (0, opened.port)
        assert without.text_port == 0
        no_room = await desk.link.open_leg(OpenLeg("s", "s/agent.2", Party.AGENT, "127.0.0.1", text=True))
        assert (no_room.port > 0, no_room.text_port) == (True, 0), "a call does not depend on its text"
        host, port = peer.getsockname()
        desk.link.send(SetText("s/agent", host, port, 98, 100, 98, 100))
        desk.link.send(SendText("s/agent", "Guten Tag\u2028"))
        desk.link.send(SetText("s/customer", host, port))
        desk.link.send(SendText("s/nobody", "?"))
        await read_until(peer, "Guten Tag")
        assert await desk.wait(TextShown) == TextShown("s/agent", 1)
        typing = TextSender(TextFormat(98), ssrc=9, sequence=1, first_ticks=0)
        peer.sendto(typing.take(0.0) or b"", ("127.0.0.1", opened.text_port))
        desk.link.send(SendText("s/agent", "Danke\u2028"))
        await read_until(peer, "Danke")  # so that what was typed before has been read
        desk.link.send(CloseLeg("s/agent"))
        closed = await desk.wait(LegClosed)
        assert closed.stats.counters["text_sent"] >= 1
        assert closed.stats.counters["text_received"] == 1
        again = await desk.link.open_leg(OpenLeg("s", "s/agent.3", Party.AGENT, "127.0.0.1", text=True))
        assert isinstance(again, LegOpened)
        assert again.text_port, "the ports of the first one are free again"
    finally:
        await desk.link.stop()


async def read_until(peer: socket.socket, line: str) -> None:
    """Until the screen shows `line`; TimeoutError after 5 s."""
    receiver, screen = TextReceiver(TextFormat(98, 100)), TextScreen()
    async with asyncio.timeout(5.0):
        while line not in screen.lines:
            data = await asyncio.get_running_loop().sock_recv(peer, 2048)
            screen.show(receiver.push(RtpPacket.parse(data)))
