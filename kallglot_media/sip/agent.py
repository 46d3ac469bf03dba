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
from kallglot_media.sip.admission import ALLOW, SDP, Refusal, dtmf_of, invite_objection, objection
from kallglot_media.sip.call import Incoming, State, end_of, sdp_of
from kallglot_media.sip.core import Core
from kallglot_media.sip.dialog import MAX_FORWARDS, Dialog
from kallglot_media.sip.doorman import Doorman
from kallglot_media.sip.errand import Errand
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import IncomingCall, Peer, SipEvent
from kallglot_media.sip.headers import Headers
from kallglot_media.sip.message import Request
from kallglot_media.sip.routing import Address
from kallglot_media.sip.settings import AgentSettings, Credentials, Ignore
from kallglot_media.sip.uac import OutgoingCall
from kallglot_media.sip.uas import IncomingInvite
from kallglot_media.sip.uri import NameAddr, Uri

Call = OutgoingCall | IncomingInvite
HeaderFields = Sequence[tuple[str, str]]
_RETRY_AFTER_S = "5"


class SipAgent:
    """A user agent for many calls in both roles.

    draining   True: no new calls (503), and OPTIONS says so; calls that are there go on
    """

    def __init__(self, ids: Ids, settings: AgentSettings | None = None) -> None:
        self.settings = settings or AgentSettings()
        self.draining = False
        self._ids = ids
        self._core = Core(ids, self.settings, self)
        self._doorman = Doorman(ids, self.settings, self._core.counters)
        self._calls: dict[str, Call] = {}
        self._errands: dict[str, Errand] = {}
        self._ended: set[str] = set()

    # ── what the shell does ─────────────────────────────────────────────────────

    def set_address(self, transport: str, host: str, port: int) -> None:
        """Where peers reach us over `transport`: what our Via and Contact say. Needed before the first message."""
        self._core.addresses.set(transport, host, port)

    def receive(self, data: bytes, source: Peer, now_s: float) -> None:
        """One datagram, or one message cut out of a stream."""
        self._core.receive(data, source, now_s)
        self._sweep()

    def next_time_s(self) -> float | None:
        """When on_time() is due; None: not before something else happens."""
        return self._core.next_time_s()

    def on_time(self, now_s: float) -> None:
        """Everything that is due by now."""
        for name, timer in self._core.on_time(now_s):
            call = self._calls.get(name)
            if call is not None:
                call.on_timer(timer, now_s)
        self._sweep()

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
        others: Sequence[Peer] = (),
    ) -> str:
        """Call somebody. Returns the name of the call, which comes with every event about it.

        to, from_    name-addr or URI: `"Agent" <sip:agent@example.com>`
        destination  where the INVITE goes (resolve `request_uri` or `to` for it)
        sdp          the offer; None asks for one, which comes with CallAnswered (not supported by call/)
        others       where the INVITE goes next, in this order, when `destination` answers 503, cannot be reached,
                     or says nothing for settings.next_target_s; only the last failure is told
        headers      more headers; Max-Forwards replaces ours, which a bridged call must have lowered
        Raises ValueError for addresses that are not SIP, or a transport without an address of ours.
        """
        remote = NameAddr.parse(to)
        local = NameAddr.parse(from_).with_tag(self._ids.tag())
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
        others = [other for other in others if self._core.addresses.towards(other) is not None]
        self._calls[name] = OutgoingCall(name, self._core, request, destination, now_s, credentials, others)
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

    def ring(
        self, call: str, now_s: float, *, status: int = 180, sdp: bytes | None = None, headers: HeaderFields = ()
    ) -> None:
        """A provisional response (101–199) to an incoming call; sdp: early media, the answer to its offer."""
        found = self._incoming(call)
        if found is not None:
            found.ring(now_s, status, sdp, tuple(headers))

    def answer(self, call: str, sdp: bytes, now_s: float, *, headers: HeaderFields = ()) -> None:
        """200 to an incoming call. sdp: the answer, or our offer when the INVITE had none."""
        found = self._incoming(call)
        if found is not None:
            found.answer(sdp, now_s, tuple(headers))

    def reject(
        self, call: str, status: int, now_s: float, *, reason: str | None = None, headers: HeaderFields = ()
    ) -> None:
        """Refuse an incoming call with a final response of 300–699."""
        found = self._incoming(call)
        if found is not None:
            found.reject(status, now_s, reason, tuple(headers))
            self._sweep()

    def hangup(self, call: str, now_s: float, *, reason: str | None = None) -> None:
        """End a call whatever its state: CANCEL, 480 or BYE. Ending it twice does nothing."""
        found = self._find(call)
        if found is not None:
            found.hangup(now_s, reason)
            self._sweep()

    def answer_offer(self, call: str, sdp: bytes, now_s: float, *, headers: HeaderFields = ()) -> None:
        """200 to a re-INVITE or UPDATE that MediaOffered told of."""
        found = self._find(call)
        if found is not None and not found.offers.answer(sdp, now_s, headers):
            self._core.count("verb_too_late")

    def refuse_offer(
        self, call: str, status: int, now_s: float, *, reason: str | None = None, headers: HeaderFields = ()
    ) -> None:
        """Refuse what MediaOffered told of; the media stay as they were."""
        found = self._find(call)
        if found is not None and not found.offers.refuse(status, now_s, reason, headers):
            self._core.count("verb_too_late")

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
        else:  # BYE, INFO, UPDATE belong in a dialog
            self._core.count("without_dialog")
            self._reply(incoming, 481, now_s)

    def _new_call(self, incoming: Incoming, now_s: float) -> None:
        request = incoming.request
        wrong = invite_objection(request)
        if wrong is not None:
            self._refuse(incoming, wrong, now_s)
            return
        if self.draining or self.open_calls >= self.settings.max_calls:
            self._core.count("draining" if self.draining else "calls_over_limit")
            self._reply(incoming, 503, now_s, [("Retry-After", _RETRY_AFTER_S)])
            return
        name = self._ids.object_id("call")
        try:
            self._calls[name] = IncomingInvite(name, self._core, incoming, self._ids.tag(), now_s)
        except SipError as unreadable:  # a Record-Route
            self._core.count(f"malformed_{unreadable.kind}")
            self._reply(incoming, 400, now_s, reason=f"Bad Request ({unreadable})")
            return
        self._core.emit(IncomingCall(name, request, incoming.source, sdp_of(request)))

    def _options(self, incoming: Incoming, now_s: float) -> None:
        """RFC 3261 11.2: "The response code chosen MUST be the same that would have been chosen" for an INVITE."""
        if self.draining:
            self._reply(incoming, 503, now_s, [("Retry-After", _RETRY_AFTER_S)])
            return
        self._reply(
            incoming,
            200,
            now_s,
            [("Allow", ALLOW), ("Accept", SDP), ("Accept-Encoding", "identity"), ("Supported", "")],
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
        if call is not None and call.offers.key == incoming.cancels:
            call.offers.refuse(487, now_s)

    def _in_dialog(self, incoming: Incoming, now_s: float) -> None:
        """RFC 3261 12.2.2."""
        request = incoming.request
        call, dialog = self._dialog_of(request)
        if call is None or dialog is None:
            self._core.count(f"{'ack' if request.method == 'ACK' else 'request'}_without_dialog")
            if request.method != "ACK":
                self._reply(incoming, 481, now_s)
            return
        if request.method == "ACK":
            call.on_ack(request, now_s)
            return
        if not dialog.takes_in_order(request):
            self._core.count("out_of_order")
            self._reply(incoming, 500, now_s, reason="Server Internal Error (CSeq out of order)")
            return
        wrong = objection(request)
        if wrong is not None:
            self._refuse(incoming, wrong, now_s)
        elif request.method == "BYE":
            self._reply(incoming, 200, now_s)
            call.on_bye(incoming, now_s, end_of(request))
        elif request.method in ("INVITE", "UPDATE"):
            self._offer(call, dialog, incoming, now_s)
        else:  # INFO, OPTIONS
            if request.method == "INFO":
                self._core.count("info_dtmf" if dtmf_of(request) else "info")
            self._reply(
                incoming, 200, now_s, [("Allow", ALLOW), ("Accept", SDP)] if request.method == "OPTIONS" else ()
            )

    def _offer(self, call: Call, dialog: Dialog, incoming: Incoming, now_s: float) -> None:
        """Re-INVITE, or UPDATE: a new offer, a new target, or both."""
        request = incoming.request
        if isinstance(call, IncomingInvite):
            call.on_overtaken(now_s)
        dialog.refresh_target(request)
        if request.method == "UPDATE" and sdp_of(request) is None:
            self._reply(incoming, 200, now_s, [("Contact", self._core.contact(incoming.source))])
        elif call.state is State.CONFIRMED:
            call.offers.open(incoming, now_s)
        elif call.state in (State.CALLING, State.PROCEEDING, State.CANCELLING, State.ANSWERED):
            # 14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on
            #  that dialog is in progress MUST return a 491 (Request Pending)"
            self._core.count("glare")
            self._reply(incoming, 491, now_s)
        elif call.state is State.ALERTING:
            self._reply(incoming, 500, now_s, [("Retry-After", str(self._core.up_to(10)))])
        else:
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

    def _find(self, name: str) -> Call | None:
        call = self._calls.get(name)
        if call is None:  # it ended while the user made up their mind
            self._core.count("verb_too_late")
        return call

    def _incoming(self, name: str) -> IncomingInvite | None:
        call = self._find(name)
        if call is None or isinstance(call, IncomingInvite):
            return call
        raise ValueError(f"call {name} is one that we made; ring(), answer() and reject() are for incoming calls")

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
