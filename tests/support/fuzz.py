"""Many valid dialogs at once, their messages damaged on the way: what a running agent must outlive. All from one seed.

`Far` plays phones on both sides of calls and writes what they would send next; `damaged` spoils it; `Fuzz` brings both
to an agent in pretend time, uses its verbs at random, and counts what is left when everybody has gone.
"""

from __future__ import annotations

import random
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path

from kallglot_media.sdp.answer import make_answer
from kallglot_media.sdp.types import MediaAbility, NotAcceptable, SdpError
from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import (
    CallAnswered,
    CallConfirmed,
    CallEnded,
    CallFailed,
    IncomingCall,
    MediaOffered,
    Peer,
    SipEvent,
    TransferAsked,
)
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.settings import AgentSettings, Credentials
from kallglot_media.sip.stream import Framer
from tests.support.counting_ids import CountingIds

US = "192.0.2.1"
OVER_S = 700.0
"""After this long without a message every timer has run: 64*T1, the longest ring, a session timer."""

_SDP = (
    "v=0\r\no=- {0} {0} IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio {1} RTP/AVP 0 8 101\r\n"
    "a=rtpmap:101 telephone-event/8000\r\na=fmtp:101 0-16\r\na={2}\r\n"
)
_REQUESTS = ("re-INVITE", "UPDATE", "INFO", "OPTIONS", "BYE", "ACK", "CANCEL", "PRACK", "REFER", "NOTIFY", "MESSAGE")
_STATUSES = (100, 180, 183, 200, 200, 200, 202, 302, 401, 407, 408, 422, 481, 486, 487, 491, 500, 503, 603)
_MORE = (
    "Require: 100rel",
    "Supported: timer, 100rel, replaces",
    "Session-Expires: 90;refresher=uac",
    "Session-Expires: 1",
    "Min-SE: 4000000000",
    "RSeq: 1",
    "RAck: 1 1 INVITE",
    "Record-Route: <sip:192.0.2.77;lr>, <sip:p.example.com;transport=tcp>",
    "Route: <sip:192.0.2.77;lr>",
    'WWW-Authenticate: Digest realm="r", nonce="n", qop="auth,auth-int", algorithm=SHA-256',
    'Proxy-Authenticate: Digest realm="r", nonce="n", stale=TRUE',
    "Replaces: c@x;to-tag=1;from-tag=2",
    "Refer-To: <sip:900@192.0.2.1?Replaces=c%40x>",
    "Reason: Q.850;cause=16",
    "Expires: 1",
    "Max-Forwards: 0",
    "Content-Encoding: gzip",
    "Contact: *",
    "Contact: <tel:+49>",
    "X: y",
)
_CONTACTS = (
    *("<sip:far@{0.host}:{0.port};transport={0.transport}>",) * 6,
    *("<sip:far@{0.host}>", "<sips:far@{0.host}>", "<sip:far@{0.host};transport=ws>", "<sip:far@far.example.com>"),
    *("<sip:far@[2001:db8::9]>", "<sip:far@10.0.0.1:1>", "<sip:far@{0.host};maddr=192.0.2.99>", "<tel:+49>"),
)
_JUNK = (
    *(b"\r\n", b"\r\n\r\n", b"\r\n ", b"\0", b"\xff\xfe", b"%", b"%00", b";", b",", b"<", b">", b'"', b":", b"@", b"="),
    *(b"99999999999999999999", b"-1", b"0", b"4294967296", b"sip:", b"sips:", b"tel:", b"[::1", b"SIP/2.0", b"z9hG4bK"),
    *(b"\xe2\x82\xac", b"\\", b"a" * 3000, b";;;;", b",,,,", b"<<>>", b"Content-Length: 5\r\n", b"l: 0\r\n"),
)


@dataclass
class Line:
    """One dialog as the far end sees it."""

    call_id: str
    ours: str
    peer: Peer
    is_caller: bool
    theirs: str = ""
    cseq: int = 1
    invite: Request | None = None
    their_cseq: str = "1 INVITE"
    branch: int = 0
    over: bool = False


class Far:
    """The other ends. It hears what the agent sends, as far as it can be read."""

    def __init__(self, chance: random.Random, lines: int) -> None:
        self._chance = chance
        self._most = lines
        self._count = 0
        self.lines: list[Line] = []
        self._heard: deque[tuple[Line, Request]] = deque(maxlen=50)
        self._by_call: dict[str, Line] = {}

    def hear(self, message: Request | Response, to: Peer) -> None:
        """A message of the agent."""
        line = self._by_call.get(message.call_id)
        if isinstance(message, Response):
            if line is not None and message.to.tag:
                line.theirs = message.to.tag
            return
        if line is None:
            line = self._add(Line(message.call_id, f"f{self._count}", to, is_caller=False))
        line.theirs = message.from_.tag or ""
        if message.method == "INVITE":
            line.invite = message
        self._heard.append((line, message))

    def next(self) -> tuple[bytes, Peer]:
        """What somebody sends now."""
        chance = self._chance
        if self._heard and chance.random() < 0.45:
            line, request = self._heard.popleft() if chance.random() < 0.7 else chance.choice(self._heard)
            return self._answer(line, request), line.peer
        callers = [line for line in self.lines if line.theirs and not line.over]
        if not callers or chance.random() < 0.15:
            return self._call()
        line = chance.choice(callers)
        return self._in_dialog(line, chance.choice(_REQUESTS)), line.peer

    def forget_some(self) -> None:
        """Make room for new calls."""
        while len(self.lines) >= self._most:
            gone = self.lines.pop(self._chance.randrange(len(self.lines)))
            self._by_call.pop(gone.call_id, None)

    def _add(self, line: Line) -> Line:
        self._count += 1
        self.forget_some()
        self.lines.append(line)
        self._by_call[line.call_id] = line
        return line

    def _call(self) -> tuple[bytes, Peer]:
        host = f"192.0.2.{self._chance.randint(9, 40)}"
        peer = Peer(self._chance.choice(("udp", "udp", "tcp")), host, self._chance.randint(5060, 5064))
        line = self._add(Line(f"c{self._count}@{host}", f"f{self._count}", peer, is_caller=True))
        return self._in_dialog(line, self._chance.choice(("INVITE",) * 8 + ("OPTIONS", "REGISTER", "SUBSCRIBE"))), peer

    def _in_dialog(self, line: Line, what: str) -> bytes:
        method = what.removeprefix("re-")
        if method not in ("ACK", "CANCEL"):
            line.cseq += 1
            line.branch += 1
        line.over = line.over or (method == "BYE" and self._chance.random() < 0.9)
        lines = [
            f"{method} sip:900@{US}:5060 SIP/2.0",
            f"Via: SIP/2.0/{line.peer.transport.upper()} {line.peer.host}:{line.peer.port};"
            f"branch=z9hG4bK{line.ours}-{line.branch}{'a' if method == 'ACK' else ''};rport",
            "Max-Forwards: 70",
            f"From: <sip:far@{line.peer.host}>;tag={line.ours}",
            f"To: <sip:900@{US}>" + (f";tag={line.theirs}" if line.theirs and what != "INVITE" else ""),
            f"Call-ID: {line.call_id}",
            f"CSeq: {line.cseq} {method}",
        ]
        return self._finish(lines, method in ("INVITE", "UPDATE"), line)

    def _answer(self, line: Line, request: Request) -> bytes:
        if request.method == "ACK":
            return self._in_dialog(line, "BYE")
        status = self._chance.choice(_STATUSES)
        to = str(request.to)
        if request.to.tag is None and status != 100:
            to += f";tag={self._chance.choice((line.ours, line.ours, line.ours, 'fork'))}"
        lines = [
            f"SIP/2.0 {status} Whatever",
            *(f"Via: {via}" for via in request.headers.all("Via")),
            f"From: {request.headers.first('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.headers.first('CSeq')}",
        ]
        return self._finish(lines, status in (180, 183, 200) and request.method in ("INVITE", "UPDATE"), line)

    def _finish(self, lines: list[str], with_contact: bool, line: Line) -> bytes:
        chance = self._chance
        if with_contact:
            lines.append(f"Contact: {chance.choice(_CONTACTS).format(line.peer)}")
        lines += chance.sample(_MORE, k=chance.choice((0, 0, 0, 1, 2)))
        body = ""
        if with_contact and chance.random() < 0.8:
            way = chance.choice(("sendrecv", "sendonly", "inactive", "recvonly"))
            body = _SDP.format(chance.randint(1, 9), chance.choice((0, 4000, 65535)), way)
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(body)}")
        return ("\r\n".join(lines) + "\r\n\r\n" + body).encode()


def damaged(data: bytes, other: bytes, chance: random.Random) -> bytes:
    """`data` with one to three mistakes in it; other: another message to splice with."""
    for _ in range(chance.choice((1, 1, 1, 2, 3))):
        at = chance.randrange(len(data) + 1)
        kind = chance.randrange(9)
        if kind == 0:
            data = data[:at] + bytes([chance.randrange(256)]) + data[at + 1 :]
        elif kind == 1:
            data = data[:at] + data[at + chance.randrange(20) :]
        elif kind == 2:
            data = data[:at] + chance.choice(_JUNK) + data[at:]
        elif kind == 3:
            data = data[:at]
        elif kind == 4:
            data = data[:at] + other[chance.randrange(len(other) + 1) :]
        else:
            data = _other_lines(data, kind, chance)
    return data[:60_000]


def _other_lines(data: bytes, kind: int, chance: random.Random) -> bytes:
    lines = data.split(b"\r\n")
    one, two = chance.randrange(len(lines)), chance.randrange(len(lines))
    if kind == 5:
        lines[one], lines[two] = lines[two], lines[one]
    elif kind == 6:
        lines.insert(one, lines[two])
    elif kind == 7:
        del lines[one]
    else:
        name, _, value = lines[one].partition(b":")
        parts = value.split(b";")
        chance.shuffle(parts)
        lines[one] = name + b":" + b";".join(parts) + chance.choice(_JUNK)
    return b"\r\n".join(lines)


@dataclass
class Left:
    """What is still there when everybody has gone: nothing, if all is well."""

    calls: int
    dialogs: int
    transactions: int
    ports: int
    next_time_s: float | None

    def is_nothing(self) -> bool:
        """Whether all is well."""
        return not (self.calls or self.dialogs or self.transactions or self.ports) and self.next_time_s is None


@dataclass
class Fuzz:
    """One agent and its weather.

    on_wrong   told of the last messages when something is raised, before it is raised further
    """

    seed: int
    lines: int = 40
    settings: AgentSettings = field(default_factory=lambda: AgentSettings(longest_ring_s=100, max_calls=200))
    on_wrong: Callable[[list[tuple[bytes, Peer]]], None] | None = None

    def __post_init__(self) -> None:
        self.chance = random.Random(self.seed)
        self.far = Far(self.chance, self.lines)
        self.agent = SipAgent(CountingIds(), self.settings)
        for transport in ("udp", "tcp"):
            self.agent.set_address(transport, US, 5060)
        self.now_s = 0.0
        self.messages = self.calls = 0
        self.ports: dict[str, int] = {}
        self._live: list[str] = []
        self._to_us: set[str] = set()
        self._late: deque[tuple[bytes, Peer]] = deque()
        self._last: deque[tuple[bytes, Peer]] = deque(maxlen=30)
        self._other = b"OPTIONS sip:x SIP/2.0\r\n\r\n"

    def run(self, messages: int) -> None:
        """Throw so many. Raises whatever the agent raises."""
        try:
            for _ in range(messages):
                self._step()
        except Exception:
            if self.on_wrong is not None:
                self.on_wrong(list(self._last))
            raise

    def end(self) -> Left:
        """Everybody goes; what is left."""
        for call in list(self._live):
            self.agent.hangup(call, self.now_s)
        self._drain()
        self._pass(OVER_S)
        self.far = Far(self.chance, self.lines)
        agent = self.agent
        return Left(agent.open_calls, agent.open_dialogs, agent.open_transactions, len(self.ports), agent.next_time_s())

    def _step(self) -> None:
        chance = self.chance
        self._pass(chance.choice((0.0, 0.001, 0.02, 0.02, 0.3)) if chance.random() < 0.995 else chance.uniform(1, 40))
        data, peer = self.far.next()
        if chance.random() < 0.5:
            data, self._other = damaged(data, self._other, chance), data
        fate = chance.random()
        if fate < 0.05:
            self._late.append((data, peer))
        if fate > 0.95 and self._late:
            self._receive(*self._late.popleft())
        self._receive(data, peer)
        if fate > 0.5 and fate < 0.55:
            self._receive(data, peer)
        if chance.random() < 0.15:
            self._use_a_verb()
        if chance.random() < 0.002:
            self.agent.transport_failed(peer, self.now_s, "gone")
        self._drain()

    def _receive(self, data: bytes, peer: Peer) -> None:
        self.messages += 1
        self._last.append((data, peer))
        if peer.transport == "udp":
            self.agent.receive(data, peer, self.now_s)
            return
        framer = Framer()
        try:
            for message in framer.feed(data):
                self.agent.receive(message, peer, self.now_s)
        except SipError:
            self.agent.transport_failed(peer, self.now_s, "bad framing")

    def _pass(self, seconds: float) -> None:
        until_s = self.now_s + seconds
        while (due_s := self.agent.next_time_s()) is not None and due_s <= until_s:
            self.now_s = max(self.now_s, due_s)
            self.agent.on_time(self.now_s)
            self._drain()
        self.now_s = until_s

    def _drain(self) -> None:
        busy = True
        while busy:
            busy = False
            for data, to in self.agent.take_datagrams():
                busy = True
                self._hear(data, to)
            for event in self.agent.take_events():
                busy = True
                self._on_event(event)

    def _hear(self, data: bytes, to: Peer) -> None:
        try:
            message = parse_message(data, stream=to.transport == "tcp")
        except SipError:
            assert data.startswith((b"SIP/2.0 4", b"SIP/2.0 5")), data  # it quotes what a damaged request said
            return
        self.far.hear(message, to)

    def _on_event(self, event: SipEvent) -> None:
        call, chance = event.call, self.chance
        if isinstance(event, CallEnded | CallFailed):
            self.ports.pop(call, None)
            self._to_us.discard(call)
            if call in self._live:
                self._live.remove(call)
        elif isinstance(event, IncomingCall):
            self.calls += 1
            self._live.append(call)
            self._to_us.add(call)
            self.ports[call] = 2 * len(self._live)
            if chance.random() < 0.6:
                self._answer(call, event.offer)
        elif isinstance(event, MediaOffered) and chance.random() < 0.8:
            if chance.random() < 0.8:
                self.agent.answer_offer(call, self._sdp(event.offer), self.now_s)
            else:
                self.agent.refuse_offer(call, 488, self.now_s)
        elif isinstance(event, TransferAsked):
            self._transfer(call)
        elif isinstance(event, CallAnswered | CallConfirmed):
            self._sdp(event.sdp)

    def _answer(self, call: str, offer: bytes | None) -> None:
        if self.chance.random() < 0.5:
            self.agent.ring(call, self.now_s, sdp=self._sdp(offer) if self.chance.random() < 0.3 else None)
        self.agent.answer(call, self._sdp(offer), self.now_s)

    def _transfer(self, call: str) -> None:
        """As a session would, or not at all."""
        chance, agent = self.chance, self.agent
        if chance.random() < 0.6:
            agent.accept_transfer(call, self.now_s)
            for status in chance.choice(((180, 200), (486,), (100,), ())):
                agent.tell_transfer(call, status, self.now_s)
        elif chance.random() < 0.5:
            agent.refuse_transfer(call, 603, self.now_s)

    def _sdp(self, theirs: bytes | None) -> bytes:
        ours = _SDP.format(1, 20000, "sendrecv").encode()
        if theirs is None:
            return ours
        try:
            return make_answer(theirs, MediaAbility(host=US, port=20000))[0]
        except (SdpError, NotAcceptable):
            return ours

    def _use_a_verb(self) -> None:
        chance, agent, now_s = self.chance, self.agent, self.now_s
        if len(self._live) < self.lines and chance.random() < 0.4:
            peers = [Peer(chance.choice(("udp", "tcp")), f"192.0.2.{chance.randint(9, 40)}", 5060) for _ in range(2)]
            call = agent.invite(
                to="sip:far@192.0.2.9",
                from_="sip:900@192.0.2.1",
                destination=peers[0],
                others=peers[1:],
                sdp=_SDP.format(1, 20000, "sendrecv").encode() * chance.choice((1, 1, 6)),
                now_s=now_s,
                credentials=Credentials("a", "b") if chance.random() < 0.5 else None,
            )
            self._live.append(call)
            self.ports[call] = 2 * len(self._live)
            return
        if not self._live:
            return
        call = chance.choice(self._live)
        verb = chance.randrange(10)
        if verb == 0:
            agent.hangup(call, now_s)
        elif verb == 1:
            agent.answer_offer(call, self._sdp(None), now_s)
        elif verb == 2:
            agent.refuse_offer(call, 488, now_s)
        elif verb == 3:
            agent.reoffer(call, self._sdp(None), now_s)
        elif verb == 6:
            agent.refer(call, "sip:carol@192.0.2.9", now_s, replaces_call=chance.choice((None, *self._live)))
        elif verb == 7:
            agent.message(call, "words", now_s)
        elif verb == 8:
            agent.press_key(call, "5", 160, now_s)
        elif call in self._to_us:
            if verb == 9:
                agent.ring(call, now_s, status=183, sdp=self._sdp(None))
            elif verb == 4:
                agent.reject(call, 486, now_s)
            else:
                agent.answer(call, self._sdp(None), now_s)


_MARK = b"\n=== "


def write_found(folder: Path, name: str, messages: list[tuple[bytes, Peer]]) -> Path:
    """Keep messages that broke the agent."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / f"{name}.sip"
    path.write_bytes(
        b"".join(
            _MARK + f"{peer.transport} {peer.host} {peer.port} {len(data)}\n".encode() + data for data, peer in messages
        )
    )
    return path


def read_found(path: Path) -> list[tuple[bytes, Peer]]:
    """What write_found kept."""
    rest, messages = path.read_bytes(), []
    while rest.startswith(_MARK):
        head, _, rest = rest.removeprefix(_MARK).partition(b"\n")
        transport, host, port, length = head.decode().split()
        messages.append((rest[: int(length)], Peer(transport, host, int(port))))
        rest = rest[int(length) :]
    return messages
