"""What stands between calls and transactions: outgoing messages get their Via, events find
their call, and everything that waits to be sent or told is in one place. RFC 3261 sections 8.1.1, 18."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from typing import Protocol

from kallglot_media.ids import Ids
from kallglot_media.sip.call import Incoming
from kallglot_media.sip.companions import make_cancel
from kallglot_media.sip.deadlines import Deadlines
from kallglot_media.sip.detour import Detour
from kallglot_media.sip.dialog import DialogKey
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import MessageReceived, Peer, SipEvent
from kallglot_media.sip.guard import Guard, Verdict
from kallglot_media.sip.letterhead import Letterhead
from kallglot_media.sip.message import Request, Response, error_response, make_response, mark_received
from kallglot_media.sip.parser import is_keepalive, parse_message
from kallglot_media.sip.routing import STREAMS, Address, Addresses, in_dialog_peer
from kallglot_media.sip.settings import AgentSettings
from kallglot_media.sip.transaction import (
    AckReceived,
    NoAck,
    RequestReceived,
    ResponseReceived,
    Terminated,
    TimedOut,
    TransactionLayer,
    TransportFailed,
    response_peer,
)
from kallglot_media.sip.uri import Uri


class Owner(Protocol):
    """A call, as far as its transactions are concerned."""

    transactions: set[str]

    def on_response(self, key: str, response: Response, now_s: float) -> None: ...

    def on_timeout(self, key: str, now_s: float, status: int, why: str) -> None: ...


class Upstairs(Protocol):
    """The agent."""

    def on_request(self, incoming: Incoming, now_s: float) -> None: ...

    def owner(self, name: str) -> Owner | None: ...


class Core:
    """Implements `call.Wire`."""

    def __init__(self, ids: Ids, settings: AgentSettings, upstairs: Upstairs) -> None:
        self.settings = settings
        self.addresses = Addresses()
        self.counters: Counter[str] = Counter()
        self.guard = Guard(settings.guard, settings.trusted, ids.nonce(), self.counters)
        self._letterhead = Letterhead(ids, settings, self.addresses)
        self._detour = Detour(self.addresses, settings.largest_udp_bytes, self.count)
        self._ids = ids
        self._upstairs = upstairs
        self._layer = TransactionLayer(settings.timers)
        self._owners: dict[str, str] = {}
        self._invites: dict[str, tuple[Request, Peer]] = {}
        self._dialogs: dict[DialogKey, str] = {}
        self._deadlines: Deadlines[tuple[str, str]] = Deadlines()
        self._datagrams: list[tuple[bytes, Peer]] = []
        self._events: list[SipEvent] = []
        self._touched: set[str] = set()

    # ── in ──────────────────────────────────────────────────────────────────────

    def receive(self, data: bytes, source: Peer, now_s: float) -> None:
        """Parse, check, and hand to the transaction it belongs to."""
        if not self.guard.hears(source, now_s):
            return
        if is_keepalive(data):
            self.count("keepalive")
            return
        try:
            message = parse_message(data, stream=source.transport in STREAMS)
        except SipError as wrong:
            self._unreadable(wrong, source, now_s)
            return
        if isinstance(message, Response):
            # 8.1.3.3: "If more than one Via header field value is present … the UAC SHOULD discard the message"
            if len(message.vias) != 1 or not self.addresses.has(message.top_via):
                self.count("response_not_ours")
                return
        else:
            mark_received(message, source.host, source.port)
            if not self._is_admitted(message, source, now_s):
                return
        self._layer.receive(message, source, now_s)
        self._pump(now_s)

    def on_time(self, now_s: float) -> list[tuple[str, str]]:
        """Run the transactions' timers; returns the calls' (name, timer) that are due."""
        self._layer.on_time(now_s)
        self._pump(now_s)
        due: list[tuple[str, str]] = []
        while (key := self._deadlines.pop_due(now_s)) is not None:
            due.append(key)
        return due

    def next_time_s(self) -> float | None:
        ours, theirs = self._deadlines.next_s(), self._layer.next_time_s()
        if ours is None or theirs is None:
            return theirs if ours is None else ours
        return min(ours, theirs)

    def transport_failed(self, peer: Peer, now_s: float, why: str) -> None:
        self.count("transport_failed")
        self._layer.transport_failed(peer, now_s, why)
        self._pump(now_s)

    # ── out ─────────────────────────────────────────────────────────────────────

    def take_datagrams(self) -> list[tuple[bytes, Peer]]:
        taken, self._datagrams = self._datagrams, []
        return taken

    def take_events(self) -> list[SipEvent]:
        taken, self._events = self._events, []
        return taken

    def take_touched(self) -> set[str]:
        """Calls that may be over."""
        taken, self._touched = self._touched, set()
        return taken

    # ── what a call may do (call.Wire) ──────────────────────────────────────────

    def send_request(self, call: str, request: Request, to: Peer, now_s: float) -> str:
        meant, to = to, self._detour.peer_for(request, to, now_s)
        self._letterhead.put_on(request, to)
        key = self._layer.request(request, to, now_s)
        if to is not meant:
            self._detour.began(key, request, meant)
        self._owners[key] = call
        if request.method == "INVITE":
            self._invites[key] = (request, to)
        self._pump(now_s)
        return key

    def send_cancel(self, call: str, invite_key: str, now_s: float, headers: Sequence[tuple[str, str]]) -> None:
        found = self._invites.get(invite_key)
        if found is None:
            return
        invite, to = found
        cancel = make_cancel(invite)
        for name, value in headers:
            cancel.headers.add(name, value)
        self._owners[self._layer.request(cancel, to, now_s)] = call
        self._pump(now_s)

    def way_to(self, uri: Uri, flow: Peer, *, behind_nat: bool) -> Peer:
        """in_dialog_peer(); where its messages came from, when a Contact or Record-Route names a transport that we do
        not have: "sips:" over UDP is seen from phones, and would be nobody's if we took it by its word."""
        to = in_dialog_peer(uri, flow, behind_nat=behind_nat)
        if to is flow or self.speaks(to):
            return to
        self.count("no_transport_to_contact")
        return flow

    def speaks(self, peer: Peer) -> bool:
        return self.addresses.towards(peer) is not None

    def send_ack(self, request: Request, to: Peer) -> bytes:
        self._letterhead.put_on(request, to)
        data = request.serialize()
        self.send_again(data, to)
        return data

    def send_again(self, data: bytes, to: Peer) -> None:
        if len(self._datagrams) >= self.settings.max_datagrams:
            self.count("datagrams_over_limit")
            return
        self._datagrams.append((data, to))

    def respond(self, incoming: Incoming, response: Response, now_s: float) -> None:
        self._letterhead.put_on_response(response)
        if not response.reason.isprintable():
            response.reason = " ".join(response.reason.split())  # a line end would start a header
        if response.status >= 200 and incoming.request.to.tag is None:
            self.guard.answered(incoming.request, incoming.source, response.status, now_s)
        self._layer.respond(incoming.key, response, now_s)
        self._pump_output()

    def reply(
        self,
        incoming: Incoming,
        status: int,
        now_s: float,
        headers: Sequence[tuple[str, str]] = (),
        *,
        reason: str | None = None,
        tag: str | None = None,
    ) -> None:
        """A final response that no call is needed for."""
        response = make_response(incoming.request, status, reason, to_tag=tag or self._ids.tag(), headers=headers)
        self.respond(incoming, response, now_s)

    def take_message(self, incoming: Incoming, call: str, now_s: float) -> None:
        """A MESSAGE: 200 and told, or 415 for what nobody could read. RFC 3428 section 7."""
        request = incoming.request
        content_type = request.content_type or "text/plain"
        if not content_type.startswith("text/"):
            self.reply(incoming, 415, now_s, [("Accept", "text/plain, text/html")])
            return
        self.reply(incoming, 200, now_s)
        self.emit(MessageReceived(call, request, incoming.source, content_type, request.body))

    def forget(self, key: str, now_s: float) -> None:
        self._layer.abandon(key, now_s)
        self._pump(now_s)

    def own(self, key: str, call: str) -> None:
        self._owners[key] = call

    def set_timer(self, call: str, name: str, at_s: float | None) -> None:
        self._touched.add(call)
        self._deadlines.set((call, name), at_s)

    def bind(self, key: DialogKey, call: str) -> None:
        self._dialogs[key] = call

    def unbind(self, key: DialogKey) -> None:
        self._dialogs.pop(key, None)

    def emit(self, event: SipEvent) -> None:
        self._touched.add(event.call)
        self._events.append(event)

    def count(self, name: str) -> None:
        self.counters[name] += 1

    def contact(self, to: Peer) -> str:
        return self._letterhead.contact(to)

    def nonce(self) -> str:
        return self._ids.nonce()

    def up_to(self, most: int) -> int:
        """A number from 0 to `most`, drawn from the source of identifiers."""
        return self._ids.rtp_sequence() % (most + 1)

    def all_counters(self) -> Counter[str]:
        return self.counters + self._layer.counters

    # ── what the agent asks ─────────────────────────────────────────────────────

    @property
    def open_transactions(self) -> int:
        return self._layer.open_transactions

    @property
    def open_dialogs(self) -> int:
        return len(self._dialogs)

    def call_bound_to(self, key: DialogKey) -> str | None:
        return self._dialogs.get(key)

    def owner_of(self, key: str) -> str | None:
        """The call whose transaction this is."""
        return self._owners.get(key)

    def address_towards(self, to: Peer) -> Address:
        """What our Via and Contact say to this peer. Raises ValueError when we do not speak its transport."""
        return self._letterhead.address_towards(to)

    # ── inside ──────────────────────────────────────────────────────────────────

    def _is_admitted(self, request: Request, source: Peer, now_s: float) -> bool:
        """Whether a request may have a transaction. Those in calls that we have, and copies, always may."""
        if request.method == "ACK" or self._dialog_key(request) in self._dialogs:
            return True
        verdict = self.guard.admits(request, source, now_s)
        if verdict is Verdict.ADMIT or self._layer.knows(request):
            return True
        if verdict is Verdict.BUSY:
            response = self.guard.busy_response(request)
            self.send_again(response.serialize(), response_peer(request.top_via, source))
        return False

    def _unreadable(self, wrong: SipError, source: Peer, now_s: float) -> None:
        self.count(f"malformed_{wrong.kind}")
        if not self.guard.may_complain(source, now_s):
            return
        response = error_response(wrong, to_tag=self._ids.tag())
        if response is None:
            return
        try:
            to = response_peer(response.top_via, source)
        except SipError:
            return  # nobody could match the answer to anything
        self.send_again(response.serialize(), to)

    def _pump_output(self) -> None:
        for data, to in self._layer.take_output():
            self.send_again(data, to)

    def _pump(self, now_s: float) -> None:
        """Move what the transactions made to where it belongs."""
        self._pump_output()
        for event in self._layer.take_events():
            match event:
                case RequestReceived():
                    self._on_request(event, now_s)
                case AckReceived():
                    self._upstairs.on_request(Incoming("", event.request, event.source), now_s)
                case ResponseReceived():
                    self._detour.ended(event.transaction)
                    owner = self._owner_of(event.transaction)
                    if owner is not None:
                        owner.on_response(event.transaction, event.response, now_s)
                case TimedOut():
                    self._ended_badly(event.transaction, now_s, 408, "no response")
                case TransportFailed():
                    if not self._came_back(event.transaction, now_s):
                        self._ended_badly(event.transaction, now_s, 503, event.why)
                case NoAck():
                    self.count("failure_not_acknowledged")
                case Terminated():
                    self._on_terminated(event.transaction)
        self._pump_output()

    def _on_request(self, event: RequestReceived, now_s: float) -> None:
        incoming = Incoming(event.transaction, event.request, event.source, event.cancels)
        if self._layer.open_transactions > self.settings.max_transactions and not self._belongs(event):
            self.count("transactions_over_limit")
            self._layer.abandon(event.transaction, now_s)
            return
        if event.merged:
            self.count("merged")
            self.reply(incoming, 482, now_s)
            return
        self._upstairs.on_request(incoming, now_s)

    def _belongs(self, event: RequestReceived) -> bool:
        """Whether it is about a call that we have: those go on however many strangers knock."""
        request = event.request
        return event.cancels is not None or self._dialog_key(request) in self._dialogs

    def _dialog_key(self, request: Request) -> DialogKey:
        return (request.call_id, request.to.tag or "", request.from_.tag or "")

    def _owner_of(self, key: str) -> Owner | None:
        name = self._owners.get(key)
        return self._upstairs.owner(name) if name is not None else None

    def _ended_badly(self, key: str, now_s: float, status: int, why: str) -> None:
        owner = self._owner_of(key)
        if owner is not None:
            owner.on_timeout(key, now_s, status, why)

    def _came_back(self, key: str, now_s: float) -> bool:
        """Send a large request over UDP after all, as the same transaction to whoever waits for it."""
        found = self._detour.way_back(key, now_s)
        if found is None:
            return False
        tried, to = found
        request = self._letterhead.copy_for(tried, to)
        self._layer.request(request, to, now_s)
        if request.method == "INVITE":
            self._invites[key] = (request, to)
        return True

    def _on_terminated(self, key: str) -> None:
        if self._detour.goes_on_after(key):
            return
        self._detour.ended(key)
        owner = self._owner_of(key)
        if owner is not None:
            owner.transactions.discard(key)
        name = self._owners.pop(key, None)
        if name is not None:
            self._touched.add(name)
        self._invites.pop(key, None)
