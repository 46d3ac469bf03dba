"""Plays a transaction along a ladder diagram, in pure time.

    play(InviteServer(request, reliable=False), '''
        0.0  -- 486            our user sends
        0.0  -> 486            exactly this goes out, at this time
        0.5  -> 486
        0.7  <- ACK            the peer sends
        0.7  == CONFIRMED      the state is
        5.7  == TERMINATED
    ''')

Other signs: `^^ 180`, `^^ ACK`, `^^ TimedOut` is what the user is told; `-- INVITE` starts a client; `-- give up`
abandons; `!! reset` is a failure of the transport. Whatever goes out or up without a line that asks for it fails the
test. Notes after two spaces are for the reader.
"""

from __future__ import annotations

import re
from collections import deque

from kallglot_media.sip.companions import make_ack
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Message, Request, Response, make_response
from kallglot_media.sip.parser import parse_message
from kallglot_media.sip.transaction_client import InviteClient, NonInviteClient
from kallglot_media.sip.transaction_machine import AckReceived, ResponseReceived, Terminated, TransactionEvent
from kallglot_media.sip.transaction_server import InviteServer, NonInviteServer

AnyMachine = InviteClient | NonInviteClient | InviteServer | NonInviteServer
PEER = Peer("udp", "192.0.2.1", 5060)
_LINE = re.compile(r"\s*(?P<time>[0-9.]+)\s+(?P<sign>--|->|<-|==|\^\^|!!)\s+(?P<what>.*?)(\s{2,}.*)?$")


def make_request(method: str = "INVITE", *, branch: str = "z9hG4bK74bf9") -> Request:
    """A request fit for one transaction."""
    text = (
        f"{method} sip:bob@biloxi.example.com SIP/2.0\r\n"
        f"Via: SIP/2.0/UDP 192.0.2.1:5060;branch={branch}\r\n"
        "Max-Forwards: 70\r\n"
        "Route: <sip:p1.example.com;lr>\r\n"
        "To: Bob <sip:bob@biloxi.example.com>\r\n"
        "From: Alice <sip:alice@atlanta.example.com>;tag=88sja8x\r\n"
        "Call-ID: 987asjd97y7atg@192.0.2.1\r\n"
        f"CSeq: 986759 {method}\r\n"
        "Content-Length: 0\r\n"
        "\r\n"
    )
    request = parse_message(text.encode())
    assert isinstance(request, Request)
    return request


def name_of(message: Message) -> str:
    """What a ladder calls a message: its method or its status."""
    return message.method if isinstance(message, Request) else str(message.status)


def play(machine: AnyMachine, ladder: str) -> None:
    """Run `machine` along `ladder`; AssertionError says which line was not kept."""
    _Play(machine).run(ladder)


class _Play:
    def __init__(self, machine: AnyMachine) -> None:
        self.machine = machine
        is_invite = isinstance(machine, InviteClient | InviteServer)
        self.request = make_request("INVITE" if is_invite else "OPTIONS")
        self.sent: deque[tuple[float, str]] = deque()
        self.told: deque[tuple[float, str]] = deque()
        if isinstance(machine, InviteServer | NonInviteServer):
            machine.start(0.0)

    def run(self, ladder: str) -> None:
        for line in filter(None, map(str.strip, ladder.splitlines())):
            match = _LINE.match(line)
            assert match is not None, f"not a ladder line: {line!r}"
            time_s, sign, what = float(match["time"]), match["sign"], match["what"]
            self.advance(time_s)
            if sign == "->":
                assert self.sent, f"{line}: nothing went out"
                assert self.sent.popleft() == (time_s, what), line
            elif sign == "^^":
                assert self.told, f"{line}: the user was told nothing"
                assert self.told.popleft() == (time_s, what), line
            else:
                self.nothing_is_left(line)
                self.act(time_s, sign, what)
        self.nothing_is_left("the end")

    def act(self, time_s: float, sign: str, what: str) -> None:
        machine = self.machine
        if sign == "==":
            assert machine.state == what, f"at {time_s} the state is {machine.state}, expected {what}"
        elif sign == "!!":
            machine.transport_failed(time_s, what)
        elif what == "give up":
            machine.abandon(time_s)
        elif isinstance(machine, InviteServer | NonInviteServer):
            if sign == "--":
                machine.send(self.response(what), time_s)
            else:
                machine.receive(self.ack() if what == "ACK" else self.request, PEER, time_s)
        elif sign == "--":
            machine.start(time_s)
        else:
            machine.receive(self.response(what), time_s)
        self.collect(time_s)

    def advance(self, time_s: float) -> None:
        while (due_s := self.machine.next_time_s()) is not None and due_s <= time_s + 1e-9:
            self.machine.on_time(due_s)
            self.collect(due_s)

    def collect(self, now_s: float) -> None:
        time_s = round(now_s, 6)
        self.sent.extend((time_s, name_of(parse_message(data))) for data in self.machine.take_output())
        self.told.extend((time_s, _told(event)) for event in self.machine.take_events() if not _is_end(event))

    def nothing_is_left(self, before: str) -> None:
        assert not self.sent, f"before {before}: {list(self.sent)} went out, and no line asked for it"
        assert not self.told, f"before {before}: the user was told {list(self.told)}, and no line asked for it"

    def response(self, status: str) -> Response:
        return make_response(self.request, int(status), to_tag="314159")

    def ack(self) -> Request:
        return make_ack(self.request, self.response("486"))


def _is_end(event: TransactionEvent) -> bool:
    return isinstance(event, Terminated)


def _told(event: TransactionEvent) -> str:
    if isinstance(event, ResponseReceived):
        return str(event.response.status)
    return "ACK" if isinstance(event, AckReceived) else type(event).__name__
