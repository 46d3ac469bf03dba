"""Calls as ladder diagrams: an agent on the right, a far end that the test plays on the left.

    0.0 <- INVITE            the far end sends
    0.0 -> 100               exactly this goes out
    0.0 == IncomingCall      exactly this is told to the user
    0.0 -- ring              the user acts

Everything that goes out or is told must stand in the script, at its time and in its order.
A response is written with its status, and its method unless that is INVITE: `200/BYE`.
Options follow on the line: `tag=b`, `cseq=9`, `branch=x`, `nosdp`, `again` (the same bytes
as the last of that kind), and `Name:value` for header lines (_ is a space).
"""

from __future__ import annotations

from dataclasses import dataclass, field

from kallglot_media.sip.agent import SipAgent
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import (
    CallEnded,
    CallFailed,
    KeyPressed,
    OfferFailed,
    Peer,
    SipEvent,
    TransferProgress,
)
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.settings import AgentSettings, Credentials
from tests.support.counting_ids import CountingIds

US = Peer("udp", "192.0.2.1", 5060)
FAR = Peer("udp", "192.0.2.9", 5060)
SPARE = Peer("udp", "192.0.2.10", 5060)
SDP = b"v=0\r\no=- 1 1 IN IP4 192.0.2.9\r\ns=-\r\nc=IN IP4 192.0.2.9\r\nt=0 0\r\nm=audio 4000 RTP/AVP 0\r\n"
NEW_SDP = SDP.replace(b"o=- 1 1", b"o=- 1 2").replace(b"audio 4000", b"audio 5000")


def play(script: str, settings: AgentSettings | None = None) -> Ladder:
    """Play the script and compare; returns what there is to look at afterwards."""
    ladder = Ladder(settings)
    want = ladder.run(script)
    assert ladder.trace == want, "\n" + "\n".join(ladder.trace)
    return ladder


@dataclass
class Ladder:
    settings: AgentSettings | None = None
    trace: list[str] = field(default_factory=list)
    sent: list[Request | Response] = field(default_factory=list)
    targets: list[Peer] = field(default_factory=list)
    events: list[SipEvent] = field(default_factory=list)

    def __post_init__(self) -> None:
        self.agent = SipAgent(CountingIds(), self.settings)
        self.agent.set_address("udp", US.host, US.port)
        self.far = FarEnd(self)
        self.call = ""
        self.now_s = 0.0
        self.source = FAR

    def run(self, script: str) -> list[str]:
        want: list[str] = []
        last_s = 0.0
        for line in (line.split("#")[0].split() for line in script.splitlines()):
            if not line:
                continue
            at_s, arrow, what = float(line[0]), line[1], line[2:]
            self.advance(at_s)
            last_s = at_s
            if arrow == "<-":
                self.agent.receive(self.far.make(what), self.source, at_s)
            elif arrow == "--":
                self.act(what, at_s)
            else:
                want.append(f"{at_s:g} {arrow} {' '.join(what)}")
            self.collect(at_s)
        self.advance(last_s)
        return want

    def advance(self, until_s: float) -> None:
        while (due_s := self.agent.next_time_s()) is not None and due_s <= until_s:
            self.agent.on_time(due_s)
            self.collect(due_s)

    def collect(self, now_s: float) -> None:
        self.now_s = now_s
        for data, target in self.agent.take_datagrams():
            try:
                message = parse_message(data)
            except SipError:  # it quotes what a damaged request said
                assert data.startswith((b"SIP/2.0 4", b"SIP/2.0 5"))
                continue
            self.sent.append(message)
            self.targets.append(target)
            self.far.hear(message)
            self.trace.append(f"{round(now_s, 3):g} -> {label(message)}")
        for event in self.agent.take_events():
            self.events.append(event)
            self.call = event.call
            self.trace.append(f"{round(now_s, 3):g} == {told(event)}")

    def act(self, words: list[str], now_s: float) -> None:
        agent, verb, rest = self.agent, words[0], words[1:]
        if verb == "invite":
            credentials = Credentials("alice", "secret") if "credentials" in rest else None
            self.call = agent.invite(
                to="sip:bob@192.0.2.9",
                from_='"Us" <sip:us@192.0.2.1>',
                destination=FAR,
                sdp=SDP,
                now_s=now_s,
                credentials=credentials,
                others=[SPARE] * rest.count("spare"),
            )
        elif verb == "ring":
            agent.ring(self.call, now_s, status=int(rest[0]) if rest else 180, sdp=SDP if "sdp" in rest else None)
        elif verb == "answer":
            agent.answer(self.call, SDP, now_s)
        elif verb == "reject":
            agent.reject(self.call, int(rest[0]), now_s)
        elif verb == "hangup":
            agent.hangup(self.call, now_s)
        elif verb == "answer_offer":
            agent.answer_offer(self.call, SDP, now_s)
        elif verb == "refuse_offer":
            agent.refuse_offer(self.call, int(rest[0]), now_s)
        elif verb == "reoffer":
            agent.reoffer(self.call, NEW_SDP, now_s)
        elif verb == "refer":
            other = next((word for word in rest if word.startswith("call_")), None)
            agent.refer(self.call, "sip:carol@192.0.2.7", now_s, replaces_call=other)
        elif verb == "accept_transfer":
            agent.accept_transfer(self.call, now_s)
        elif verb == "refuse_transfer":
            agent.refuse_transfer(self.call, int(rest[0]), now_s)
        elif verb == "tell_transfer":
            agent.tell_transfer(self.call, int(rest[0]), now_s)
        elif verb == "message":
            agent.message(self.call, "Grüß Gott", now_s)
        elif verb == "press_key":
            agent.press_key(self.call, rest[0], 160, now_s)
        elif verb == "transport_failed":
            agent.transport_failed(FAR, now_s, "connection refused")
        elif verb == "drain":
            agent.draining = True
        else:
            raise ValueError(f"no such verb: {verb}")

    def last(self, what: str) -> Request | Response:
        """The last message of ours with this label."""
        return next(message for message in reversed(self.sent) if label(message) == what)


def label(message: Request | Response) -> str:
    if isinstance(message, Request):
        return message.method
    method = message.cseq.method
    return str(message.status) if method == "INVITE" else f"{message.status}/{method}"


def told(event: SipEvent) -> str:
    name = type(event).__name__
    if isinstance(event, CallEnded):
        return f"{name} {event.by} {event.status}"
    if isinstance(event, CallFailed | OfferFailed):
        return f"{name} {event.status}"
    if isinstance(event, TransferProgress):
        return f"{name} {event.status}{' over' if event.over else ''}"
    if isinstance(event, KeyPressed):
        return f"{name} {event.key} {event.duration_ms}"
    return name


def closed(ladder: Ladder, at_s: float = 10_000.0) -> None:
    """Nothing is left of any call when every timer has run out."""
    ladder.advance(at_s)
    agent = ladder.agent
    assert (agent.open_calls, agent.open_dialogs, agent.open_transactions) == (0, 0, 0)
    assert agent.next_time_s() is None
    assert agent._calls == {}


class FarEnd:
    """Writes the other side's messages, remembering tags and numbers as a phone would.

    `body=text` puts a body in, where _ is a space and | a line end.
    """

    def __init__(self, ladder: Ladder) -> None:
        self._ladder = ladder
        self._heard: dict[str, Request | Response] = {}
        self._made: dict[str, bytes] = {}
        self._cseq = 0
        self._branch = 0
        self._invite_branch = ""
        self._our_tag = ""
        self._is_caller = True

    def hear(self, message: Request | Response) -> None:
        if isinstance(message, Request):
            self._heard[message.method] = message
            if message.method == "INVITE" and message.to.tag is None:
                self._is_caller = False
        elif message.to.tag:
            self._our_tag = message.to.tag

    def make(self, words: list[str]) -> bytes:
        what, options = words[0], words[1:]
        if "again" in options:
            return self._made[what]
        data = self._response(what, options) if what[0].isdigit() else self._request(what, options)
        self._made[what] = data
        return data

    def _request(self, what: str, options: list[str]) -> bytes:
        named = dict(option.split("=", 1) for option in options if "=" in option and ":" not in option)
        method = what.removeprefix("re-")
        in_dialog = what not in ("INVITE", "OPTIONS", "CANCEL") and "new" not in options
        if method not in ("ACK", "CANCEL") or (self._cseq == 0 and "cseq" not in named):
            self._cseq += 1
            self._branch += 1
        number = named.get("cseq", str(self._cseq))
        branch = named.get("branch", f"z9hG4bK-far{self._branch}")
        if method == "INVITE":
            self._invite_branch = branch
        elif method == "CANCEL" or (method == "ACK" and "failure" in options):
            branch = named.get("branch", self._invite_branch)
        elif method == "ACK":
            branch = f"{branch}-ack"
        if self._is_caller:
            call_id, local, remote = named.get("call", "far-call@test"), "far-tag", self._our_tag
            uri = "sip:us@192.0.2.1"
        else:
            ours = self._heard["INVITE"]
            call_id, local, remote = ours.call_id, "b", ours.from_.tag or ""
            uri = "sip:kallglot@192.0.2.1:5060"
        tag = named.get("tag", local)
        remote = named.get("to", remote if in_dialog or method == "ACK" else "")
        lines = [
            f"{method} {uri} SIP/2.0",
            f"Via: SIP/2.0/UDP 192.0.2.9:5060;branch={branch}",
            "Max-Forwards: 70",
            f"From: <sip:far@192.0.2.9>;tag={tag}",
            "To: <sip:us@192.0.2.1>" + (f";tag={remote}" if remote else ""),
            f"Call-ID: {call_id}",
            f"CSeq: {number} {method}",
        ]
        wants_body = (method in ("INVITE", "UPDATE") and "nosdp" not in options) or "sdp" in options
        return self._finish(lines, options, wants_body, method in ("INVITE", "UPDATE"))

    def _response(self, what: str, options: list[str]) -> bytes:
        status, _, method = what.partition("/")
        request = self._heard[method or "INVITE"]
        named = dict(option.split("=", 1) for option in options if "=" in option and ":" not in option)
        to = str(request.to)
        if request.to.tag is None and status != "100":
            to += f";tag={named.get('tag', 'b')}"
        lines = [
            f"SIP/2.0 {status} Whatever",
            *(f"Via: {via}" for via in request.headers.all("Via")),
            f"From: {request.headers.first('From')}",
            f"To: {to}",
            f"Call-ID: {request.call_id}",
            f"CSeq: {request.headers.first('CSeq')}",
        ]
        is_ok = status.startswith("2") and method in ("", "INVITE")
        return self._finish(
            lines, options, (is_ok and "nosdp" not in options) or "sdp" in options, is_ok or status in ("180", "183")
        )

    def _finish(self, lines: list[str], options: list[str], body: bool, contact: bool) -> bytes:
        if contact and not any(option.lower().startswith("contact:") for option in options):
            lines.append("Contact: <sip:far@192.0.2.9:5060>")
        headers = [option for option in options if ":" in option and not option.startswith("body=")]
        lines += [option.replace(":", ": ", 1).replace("_", " ") for option in headers]
        words = next((option[5:] for option in options if option.startswith("body=")), None)
        payload = SDP if body else b""
        if words is not None:
            payload = words.replace("_", " ").replace("|", "\r\n").encode()
        elif body:
            lines.append("Content-Type: application/sdp")
        lines.append(f"Content-Length: {len(payload)}")
        return ("\r\n".join(lines) + "\r\n\r\n").encode() + payload
