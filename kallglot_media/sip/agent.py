"""The SIP agent: five verbs around transactions, dialogs and calls. RFC 3261 sections 8, 12.2 and 17.

    agent.receive(data, source, now_s)      what arrived; never raises for what the peer sent
    agent.invite(…), agent.answer(…), …     what the user wants
    agent.next_time_s(), agent.on_time()    when it wants to be woken, and waking it
    agent.take_datagrams()                  what has to go out
    agent.take_events()                     what happened

After every call of one of the first three the shell takes the last two.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence

from kallglot_media.ids import Ids
from kallglot_media.sip.admission import ALLOW, SDP, SUPPORTED_TEXT, Refusal, invite_objection, objection
from kallglot_media.sip.call import Incoming, State, sdp_of
from kallglot_media.sip.core import Core
from kallglot_media.sip.dialog import MAX_FORWARDS, Dialog
from kallglot_media.sip.doorman import Doorman
from kallglot_media.sip.errand import Errand
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import IncomingCall, Peer, SipEvent
from kallglot_media.sip.guard import Guard
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.indialog import Call, InDialog
from kallglot_media.sip.message import Request
from kallglot_media.sip.replaces import Replaces
from kallglot_media.sip.routing import Address
from kallglot_media.sip.session_timer import SessionTimer
from kallglot_media.sip.settings import AgentSettings, Credentials, Ignore, Target
from kallglot_media.sip.uac import OutgoingCall
from kallglot_media.sip.uas import IncomingInvite
from kallglot_media.sip.uri import NameAddr, Uri
from kallglot_media.sip.verbs import CallVerbs, HeaderFields

_RETRY_AFTER_S = "5"


class SipAgent(CallVerbs):
    """A user agent for many calls in both roles.

    draining   True: no new calls (503), and OPTIONS says so; calls that are there go on
    """

    def __init__(self, ids: Ids, settings: AgentSettings | None = None) -> None:
        self.settings = settings or AgentSettings()
        self.draining = False
        self._ids = ids
        super().__init__(Core(ids, self.settings, self))
        self._inside = InDialog(self._core)
        self._doorman = Doorman(ids, self.settings, self._core.counters)
        self._errands: dict[str, Errand] = {}

    # ── what the shell does ─────────────────────────────────────────────────────

    def set_address(self, transport: str, host: str, port: int, *, local: str = "", bound: str = "") -> None:
        """Where peers reach us over `transport`: what our Via and Contact say. Needed before the first message.

        local  the listener's name, where a transport has several; bound: its own address, when `host` is another
        """
        self._core.addresses.set(transport, host, port, local=local, bound=bound)

    def local_of(self, peer: Peer) -> str | None:
        """The listener that messages to `peer` leave from; None when we do not speak its transport."""
        address = self._core.addresses.towards(peer)
        return None if address is None else address.local

    def receive(self, data: bytes, source: Peer, now_s: float) -> None:
        """One datagram, or one message cut out of a stream."""
        self._core.receive(data, source, now_s)
        self._sweep()

    def next_time_s(self) -> float | None:
        """When on_time() is due; None: not before something else happens."""
        return self._core.next_time_s()

    def on_time(self, now_s: float) -> None:
        """Everything that is due by now."""
        wrong: Exception | None = None
        for name, timer in self._core.on_time(now_s):
            call = self._calls.get(name)
            try:
                if call is not None:
                    call.on_timer(timer, now_s)
            except Exception as error:  # ours: the other calls' timers are due all the same, and will not be again
                wrong = wrong or error
        self._sweep()
        if wrong is not None:
            raise wrong

    def take_datagrams(self) -> list[tuple[bytes, Peer]]:
        """What has to be sent, in order; for streams, one whole message each."""
        return self._core.take_datagrams()

    def take_events(self) -> list[SipEvent]:
        return self._core.take_events()

    def transport_failed(self, peer: Peer, now_s: float, why: str) -> None:
        """What was sent to `peer` did not arrive, and its connection is gone. RFC 3261 section 17.1.4."""
        self._core.transport_failed(peer, now_s, why)
        self._sweep()

    # ── what the user does ──────────────────────────────────────────────────────

    def invite(
        self,
        *,
        to: str,
        from_: str,
        destination: Peer,
        sdp: bytes | None,
        now_s: float,
        request_uri: str | None = None,
        headers: HeaderFields = (),
        credentials: Credentials | None = None,
        others: Sequence[Peer | Target] = (),
    ) -> str:
        """Call somebody. Returns the name of the call, which comes with every event about it.

        to, from_    name-addr or URI: `"Agent" <sip:agent@example.com>`
        destination  where the INVITE goes (resolve `request_uri` or `to` for it)
        sdp          the offer; None asks for one, which comes with CallAnswered (not supported by call/)
        others       where the INVITE goes next, in this order, when `destination` answers 503, cannot be reached,
                     or says nothing for settings.next_target_s; a Target with a URI of its own, another contact of
                     the same person, also when the one before refuses (but for 6xx). Only the last failure is told
        headers      more headers; Max-Forwards replaces ours, which a bridged call must have lowered
        Raises ValueError for addresses that are not SIP, or a transport without an address of ours.
        """
        remote = NameAddr.of(to)
        local = NameAddr.of(from_).with_tag(self._ids.tag())
        uri = Uri.parse(request_uri) if request_uri is not None else remote.uri
        fields = Headers(
            [
                ("Max-Forwards", MAX_FORWARDS),
                ("From", str(local)),
                ("To", str(remote)),
                ("Call-ID", self._ids.call_id()),
                ("CSeq", "1 INVITE"),
                ("Contact", self._core.contact(destination)),
                ("Allow", ALLOW),
                ("Supported", SUPPORTED_TEXT),
            ]
        )
        if sdp is not None:
            fields.add("Content-Type", SDP)
        for name, value in headers:
            if name.lower() == "max-forwards":
                fields.set(name, value)
            else:
                fields.add(name, value)
        name = self._ids.object_id("call")
        request = Request("INVITE", uri, fields, sdp or b"")
        targets = [other if isinstance(other, Target) else Target(other) for other in others]
        targets = [target for target in targets if self._core.addresses.towards(target.peer) is not None]
        self._calls[name] = OutgoingCall(name, self._core, request, destination, now_s, credentials, targets)
        return name

    def request(self, request: Request, destination: Peer, now_s: float) -> str:
        """Send a request that makes no dialog (OPTIONS, REGISTER); its name, which RequestAnswered will have.

        `request` has everything but Via and User-Agent. Raises ValueError for a transport without an address of ours.
        """
        name = self._ids.object_id("req")
        self._errands[name] = Errand(name, self._core, request, destination, now_s)
        return name

    def address_towards(self, peer: Peer) -> Address:
        """Where `peer` must send to reach us. Raises ValueError for a transport without an address of ours."""
        return self._core.address_towards(peer)

    @property
    def guard(self) -> Guard:
        """Who is banned, and pardons."""
        return self._core.guard

    @property
    def counters(self) -> Counter[str]:
        """A copy of all counters; docs/sip.md says what each means."""
        return self._core.all_counters()

    @property
    def open_calls(self) -> int:
        """Calls that are not over, in either direction; those that only wait for stray messages do not count."""
        return len(self._calls) - len(self._ended)

    @property
    def open_dialogs(self) -> int:
        return self._core.open_dialogs

    @property
    def open_transactions(self) -> int:
        return self._core.open_transactions

    # ── what the core hands up (core.Upstairs) ──────────────────────────────────

    def owner(self, name: str) -> Call | Errand | None:
        """The call or request of this name, for responses."""
        return self._calls.get(name) or self._errands.get(name)

    def on_request(self, incoming: Incoming, now_s: float) -> None:
        """A new request."""
        request = incoming.request
        if request.method == "CANCEL":
            self._cancel(incoming, now_s)
        elif request.to.tag is not None:
            self._in_dialog(incoming, now_s)
        elif request.method == "ACK":
            self._core.count("ack_without_dialog")
        else:
            self._out_of_dialog(incoming, now_s)

    def _out_of_dialog(self, incoming: Incoming, now_s: float) -> None:
        request = incoming.request
        try:
            wrong = self._doorman.decide(request, incoming.source, now_s)
        except Exception:  # the policy is ours: it may cost this request, not leave its transaction open
            self._reply(incoming, 500, now_s)
            raise
        if isinstance(wrong, Ignore):
            self._core.count("ignored")
            self._core.forget(incoming.key, now_s)
        elif wrong is None and request.method in self.settings.answerers:
            reply = self.settings.answerers[request.method](request, incoming.source, now_s)
            self._reply(incoming, reply.status, now_s, reply.headers, reason=reply.reason)
        elif (wrong := wrong or objection(request)) is not None:
            self._refuse(incoming, wrong, now_s)
        elif request.method == "INVITE":
            self._new_call(incoming, now_s)
        elif request.method == "OPTIONS":
            self._options(incoming, now_s)
        elif request.method == "MESSAGE":
            self._core.take_message(incoming, "", now_s)
        else:  # BYE, INFO, UPDATE belong in a dialog
            self._core.count("without_dialog")
            self._reply(incoming, 481, now_s)

    def _new_call(self, incoming: Incoming, now_s: float) -> None:
        request = incoming.request
        wrong = invite_objection(request) or self._session_timer().objection(request)
        if wrong is not None:
            self._refuse(incoming, wrong, now_s)
            return
        if self.draining or self.open_calls >= self.settings.max_calls:
            self._core.count("draining" if self.draining else "calls_over_limit")
            self._reply(incoming, 503, now_s, [("Retry-After", _RETRY_AFTER_S)])
            return
        replaced = self._replaced_by(request)
        if isinstance(replaced, Refusal):
            self._refuse(incoming, replaced, now_s)
            return
        name = self._ids.object_id("call")
        try:
            call = IncomingInvite(name, self._core, incoming, self._ids.tag(), now_s)
        except SipError as unreadable:  # a Record-Route
            self._core.count(f"malformed_{unreadable.kind}")
            self._reply(incoming, 400, now_s, reason=f"Bad Request ({unreadable})")
            return
        call.replaces = replaced
        self._calls[name] = call
        self._core.emit(IncomingCall(name, request, incoming.source, sdp_of(request), replaced))

    def _replaced_by(self, request: Request) -> str | Refusal | None:
        """The call that Replaces names, None without one. RFC 3891 section 3."""
        values = request.headers.values("Replaces")
        if not values:
            return None
        try:
            replaces = Replaces.parse(values[0])
        except SipError as wrong:
            return Refusal(400, reason=f"Bad Request ({wrong})")
        if len(values) > 1:
            return Refusal(400, reason="Bad Request (more than one Replaces)")
        name = self._core.call_bound_to(replaces.key)
        call = self._calls.get(name) if name is not None else None
        if name is None or call is None:
            return Refusal(481)
        if call.state is State.CONFIRMED:
            return Refusal(486) if replaces.early_only else name
        if call.state in (State.ENDING, State.ENDED, State.BYE_WAITING):
            return Refusal(603)
        # An early dialog can be replaced when it "was initiated by the user agent" that is asked.
        return name if isinstance(call, OutgoingCall) and call.state is State.PROCEEDING else Refusal(481)

    def _session_timer(self) -> SessionTimer:
        return SessionTimer(self.settings.session_expires_s, self.settings.min_session_s)

    def _options(self, incoming: Incoming, now_s: float) -> None:
        """RFC 3261 11.2: "The response code chosen MUST be the same that would have been chosen" for an INVITE."""
        if self.draining:
            self._reply(incoming, 503, now_s, [("Retry-After", _RETRY_AFTER_S)])
            return
        self._reply(
            incoming,
            200,
            now_s,
            [("Allow", ALLOW), ("Accept", SDP), ("Accept-Encoding", "identity"), ("Supported", SUPPORTED_TEXT)],
        )

    def _cancel(self, incoming: Incoming, now_s: float) -> None:
        """RFC 3261 9.2: 200 for the CANCEL when the transaction is known, whatever becomes of it."""
        if incoming.cancels is None:
            self._core.count("cancel_without_transaction")
            self._reply(incoming, 481, now_s)
            return
        call = self._calls.get(self._core.owner_of(incoming.cancels) or "")
        if isinstance(call, IncomingInvite) and call.key == incoming.cancels:
            # "the To tag of the response to the CANCEL and the To tag in the response to the
            #  original request SHOULD be the same"
            self._reply(incoming, 200, now_s, tag=call.tag)
            call.on_cancel(incoming.request, now_s)
            return
        self._reply(incoming, 200, now_s)
        if call is not None and call.mid.offers.key == incoming.cancels:
            call.mid.offers.refuse(487, now_s)

    def _in_dialog(self, incoming: Incoming, now_s: float) -> None:
        request = incoming.request
        call, dialog = self._dialog_of(request)
        if call is not None and dialog is not None:
            self._inside.on_request(call, dialog, incoming, now_s)
            return
        self._core.count(f"{'ack' if request.method == 'ACK' else 'request'}_without_dialog")
        if request.method != "ACK":
            self._reply(incoming, 481, now_s)

    def _refuse(self, incoming: Incoming, refusal: Refusal, now_s: float) -> None:
        self._core.count(f"refused_{refusal.status}")
        self._reply(incoming, refusal.status, now_s, refusal.headers, reason=refusal.reason)

    def _reply(
        self,
        incoming: Incoming,
        status: int,
        now_s: float,
        headers: HeaderFields = (),
        *,
        reason: str | None = None,
        tag: str | None = None,
    ) -> None:
        self._core.reply(incoming, status, now_s, headers, reason=reason, tag=tag)

    # ── finding ─────────────────────────────────────────────────────────────────

    def _dialog_of(self, request: Request) -> tuple[Call | None, Dialog | None]:
        remote_tag = request.from_.tag or ""
        name = self._core.call_bound_to((request.call_id, request.to.tag or "", remote_tag))
        call = self._calls.get(name) if name is not None else None
        return call, call.dialog_of(remote_tag) if call is not None else None

    def _sweep(self) -> None:
        """Forget calls of which nothing can come any more."""
        for name in self._core.take_touched():
            call = self._calls.get(name)
            if call is None:
                errand = self._errands.get(name)
                if errand is not None and errand.is_over:
                    del self._errands[name]
                continue
            if call.state is State.ENDED:
                self._ended.add(name)
            if call.is_over:
                del self._calls[name]
                self._ended.discard(name)
