"""All transactions of one agent: matching (RFC 3261 sections 17.1.3, 17.2.3), one heap of deadlines, strays counted."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace

from kallglot_media.sip.deadlines import Deadlines
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Message, Request, Response
from kallglot_media.sip.timers import Timers
from kallglot_media.sip.transaction_client import InviteClient, NonInviteClient
from kallglot_media.sip.transaction_keys import client_key, is_2543, merge_key, server_key
from kallglot_media.sip.transaction_machine import (
    AckReceived,
    RequestReceived,
    State,
    TransactionEvent,
)
from kallglot_media.sip.transaction_server import InviteServer, NonInviteServer
from kallglot_media.sip.via import Via

Server = InviteServer | NonInviteServer
Client = InviteClient | NonInviteClient


class _Entry:
    """One transaction and what the layer knows about it."""

    __slots__ = ("machine", "merge_key", "peer", "tags_2543")

    def __init__(self, machine: Server | Client, peer: Peer) -> None:
        self.machine = machine
        self.peer = peer
        self.merge_key: str | None = None
        self.tags_2543: set[str | None] | None = None
        """To tags that an RFC 2543 peer may use: its own and those of our responses. None: the branch is enough."""


class TransactionLayer:
    """Messages in, datagrams and events out; the four machines do the work.

    counters  "stray_response", "stray_response_2xx" (no transaction waits for them), "early_ack" (an ACK for
              an INVITE that has no final response yet), "late_response" (our user's, after its transaction)
    """

    def __init__(self, timers: Timers | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self._timers = timers or Timers()
        self._entries: dict[str, _Entry] = {}
        self._by_peer: dict[Peer, set[str]] = {}
        self._merge: dict[str, str] = {}
        self._deadlines: Deadlines[str] = Deadlines()
        self._output: list[tuple[bytes, Peer]] = []
        self._events: list[TransactionEvent] = []

    # -- from the network --

    def receive(self, message: Message, source: Peer, now_s: float) -> None:
        """A parsed message. A request's top Via should have been through message.mark_received."""
        if isinstance(message, Response):
            self._receive_response(message, now_s)
        else:
            self._receive_request(message, source, now_s)

    def transport_failed(self, peer: Peer, now_s: float, why: str) -> None:
        """Nothing can be sent to `peer`: tell its transactions."""
        for key in list(self._by_peer.get(peer, ())):
            entry = self._entries[key]
            entry.machine.transport_failed(now_s, why)
            self._settle(key, entry)

    def knows(self, request: Request) -> bool:
        """Whether it is a copy of a request that has a transaction, or a CANCEL for one."""
        return server_key(request, "INVITE" if request.method == "CANCEL" else None) in self._entries

    # -- from the user --

    def request(self, request: Request, destination: Peer, now_s: float) -> str:
        """Start a client transaction; its key comes back with every event. Not for the ACK of a 2xx, which has none.

        The top Via must have a branch no other transaction has. Raises ValueError when it does not.
        """
        key = client_key(request)
        if request.method == "ACK" or key in self._entries or request.top_via.unique_branch is None:
            raise ValueError(f"a {request.method} with this branch cannot start a transaction")
        machine_type = InviteClient if request.method == "INVITE" else NonInviteClient
        machine = machine_type(request, reliable=_is_reliable(destination), timers=self._timers, key=key)
        entry = self._add(key, machine, destination)
        machine.start(now_s)
        self._settle(key, entry)
        return key

    def respond(self, key: str, response: Response, now_s: float) -> bool:
        """Send a response in a server transaction; False when it is gone, or has had its final one."""
        entry = self._entries.get(key)
        if entry is None or isinstance(entry.machine, InviteClient | NonInviteClient):
            self.counters["late_response"] += 1
            return False
        if entry.tags_2543 is not None:
            entry.tags_2543.add(response.to.tag)
        taken = entry.machine.send(response, now_s)
        self._settle(key, entry)
        if not taken:
            self.counters["late_response"] += 1
        return taken

    def abandon(self, key: str, now_s: float) -> None:
        """Forget a transaction that waits for a response, from the peer or from us; nothing is sent."""
        entry = self._entries.get(key)
        if entry is not None:
            entry.machine.abandon(now_s)
            self._settle(key, entry)

    # -- time --

    def next_time_s(self) -> float | None:
        """When on_time() wants to be called; None when nothing is pending."""
        return self._deadlines.next_s()

    def on_time(self, now_s: float) -> None:
        """Run all timers that are due."""
        while (key := self._deadlines.pop_due(now_s)) is not None:
            entry = self._entries[key]
            entry.machine.on_time(now_s)
            self._settle(key, entry)

    # -- out --

    def take_output(self) -> list[tuple[bytes, Peer]]:
        """What to send since the last call, in order."""
        output, self._output = self._output, []
        return output

    def take_events(self) -> list[TransactionEvent]:
        """What the user has to know since the last call, in order."""
        events, self._events = self._events, []
        return events

    @property
    def open_transactions(self) -> int:
        """Transactions that are not terminated, in both roles."""
        return len(self._entries)

    def state_of(self, key: str) -> State:
        """The state of a transaction; TERMINATED for one that is gone."""
        entry = self._entries.get(key)
        return State.TERMINATED if entry is None else entry.machine.state

    # -- inside --

    def _receive_response(self, response: Response, now_s: float) -> None:
        key = client_key(response)
        entry = self._entries.get(key)
        # "If there are any client transactions in existence [...] the response matches. If not, [...] MUST be
        # silently discarded" (18.1.2 with RFC 6026 section 8.9: not even a 2xx is passed to the user).
        if entry is None or isinstance(entry.machine, InviteServer | NonInviteServer):
            self.counters["stray_response_2xx" if 200 <= response.status < 300 else "stray_response"] += 1
            return
        entry.machine.receive(response, now_s)
        self._settle(key, entry)

    def _receive_request(self, request: Request, source: Peer, now_s: float) -> None:
        key = server_key(request)
        entry = self._entries.get(key)
        if entry is not None and entry.tags_2543 is not None and request.to.tag not in entry.tags_2543:
            key += f"|{request.to.tag}"  # the same numbers in another dialog
            entry = self._entries.get(key)
        if request.method == "ACK":
            self._receive_ack(request, key, entry, source, now_s)
        elif entry is not None:
            assert isinstance(entry.machine, InviteServer | NonInviteServer)  # client keys begin otherwise
            entry.machine.receive(request, source, now_s)
            self._settle(key, entry)
        else:
            self._open_server(request, key, source, now_s)

    def _receive_ack(self, request: Request, key: str, entry: _Entry | None, source: Peer, now_s: float) -> None:
        if entry is None:  # for a 2xx, with a branch of its own, or for nothing: the dialogs know
            self._events.append(AckReceived(None, request, source))
            return
        assert isinstance(entry.machine, InviteServer)  # an ACK's key says INVITE
        if not entry.machine.receive(request, source, now_s):
            self.counters["early_ack"] += 1
        self._settle(key, entry)

    def _open_server(self, request: Request, key: str, source: Peer, now_s: float) -> None:
        reliable = _is_reliable(source)
        machine: Server
        if request.method == "INVITE":
            machine = InviteServer(request, reliable=reliable, timers=self._timers, key=key)
        else:
            machine = NonInviteServer(reliable=reliable, timers=self._timers, key=key)
        entry = self._add(key, machine, response_peer(request.top_via, source))
        if is_2543(key):
            entry.tags_2543 = {request.to.tag}
        cancels: str | None = None
        merged = False
        if request.method == "CANCEL":  # 9.2
            cancels = server_key(request, "INVITE")
            if cancels not in self._entries:
                cancels = None
        elif (merging := merge_key(request)) is not None:
            merged = merging in self._merge
            if not merged:
                self._merge[merging] = key
                entry.merge_key = merging
        machine.start(now_s)
        self._events.append(RequestReceived(key, request, source, cancels, merged))
        self._settle(key, entry)

    def _add(self, key: str, machine: Server | Client, peer: Peer) -> _Entry:
        entry = self._entries[key] = _Entry(machine, peer)
        self._by_peer.setdefault(peer, set()).add(key)
        return entry

    def _settle(self, key: str, entry: _Entry) -> None:
        """After every touch of a machine: take what it made, and see to its next deadline or its end."""
        machine = entry.machine
        self._output.extend([(data, entry.peer) for data in machine.take_output()])
        self._events.extend(machine.take_events())
        if machine.state is State.TERMINATED:
            self._remove(key, entry)
            return
        self._deadlines.set(key, machine.next_time_s())

    def _remove(self, key: str, entry: _Entry) -> None:
        del self._entries[key]
        self._deadlines.set(key, None)
        keys = self._by_peer[entry.peer]
        keys.discard(key)
        if not keys:
            del self._by_peer[entry.peer]
        if entry.merge_key is not None:
            del self._merge[entry.merge_key]


def response_peer(via: Via, source: Peer) -> Peer:
    """Where responses go, RFC 3261 section 18.2.2 and RFC 3581 section 4, given a Via that mark_received has seen.

    On a stream: back over the connection. On UDP: to the address the request came from, and to its port when the
    client asked for that (rport), else to the port of its Via. maddr is not followed: it would let any sender have
    our responses delivered to a third party.
    """
    if _is_reliable(source) or via.wants_rport:
        return source
    return replace(source, port=via.port or 5060)


def _is_reliable(peer: Peer) -> bool:
    return peer.transport != "udp"
