"""Calls that we get, RFC 3261 section 13.3: ring, answer, refuse, and the 200 that is sent until the ACK."""

from __future__ import annotations

from kallglot_media.sip.admission import ALLOW, SUPPORTED_TEXT, expires_s
from kallglot_media.sip.call import (
    CALLEE,
    Do,
    Incoming,
    OkUntilAck,
    On,
    State,
    Wire,
    reason_header,
    sdp_of,
)
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.events import CallConfirmed, CallEnded, EndedBy, ProgressConfirmed
from kallglot_media.sip.farewell import Farewell
from kallglot_media.sip.message import Request, Response, make_response
from kallglot_media.sip.midcall import MidCall
from kallglot_media.sip.offers import Stage, refuse, with_headers
from kallglot_media.sip.reliable import ReliableSender
from kallglot_media.sip.routing import is_behind_nat
from kallglot_media.sip.signing import Signer

_END_OF_RING = "ring"
_STILL_RINGING = "still"
_STILL_RINGING_S = 60.0
_OK = "ok"


class IncomingInvite:
    """One INVITE that we got, and its dialog. Raises SipError when no dialog can be made of it."""

    def __init__(self, name: str, wire: Wire, incoming: Incoming, tag: str, now_s: float) -> None:
        self.name = name
        self.state = State.ALERTING
        self.flow = incoming.source
        self.replaces: str | None = None
        self.transactions: set[str] = set()
        self.dialog = Dialog.as_server(incoming.request, tag)
        self._wire = wire
        self._incoming = incoming
        self.tag = tag
        self._nat = is_behind_nat(incoming.request, incoming.source)
        self.mid = MidCall(self, wire, Signer(None, wire.nonce), owns_call_id=False, behind_nat=self._nat)
        self.mid.learn(incoming.request)
        self._reliable = ReliableSender(name, wire, incoming.request, self._respond)
        self._held_back: Response | None = None
        self._ok: OkUntilAck | None = None
        self._farewell = Farewell(name, wire, self.transactions)
        self._last_1xx: Response | None = None
        self._response: Response | None = None
        self._ack: Request | None = None
        self._hangup_headers: tuple[tuple[str, str], ...] = ()
        self._why: tuple[EndedBy, int, str] = (EndedBy.ERROR, 500, "")
        wire.own(incoming.key, name)
        wire.bind(self.dialog.key, name)
        self._expires_s = expires_s(incoming.request)
        wire.set_timer(name, _END_OF_RING, now_s + min(wire.settings.longest_ring_s, self._expires_s))
        self._respond(make_response(incoming.request, 100), now_s)

    @property
    def is_over(self) -> bool:
        return self.state is State.ENDED and not self.transactions and not self.mid.theirs.is_open

    @property
    def key(self) -> str:
        """The server transaction of the INVITE."""
        return self._incoming.key

    @property
    def media_agreed(self) -> bool:
        """Whether offer and answer are both known, and known to be known."""
        return self._reliable.sdp_acknowledged

    @property
    def early_dialog(self) -> Dialog | None:
        return self.dialog if self.state is State.ALERTING and self.media_agreed else None

    # ── verbs ───────────────────────────────────────────────────────────────────

    def ring(self, now_s: float, status: int, sdp: bytes | None, headers: tuple[tuple[str, str], ...]) -> None:
        self._response = self._make(status, None, sdp, headers)
        self._fire(On.RING, now_s)

    def answer(self, sdp: bytes, now_s: float, headers: tuple[tuple[str, str], ...]) -> None:
        """200. RFC 3262 section 3: not before the PRACK for a 18x with media, and without them when those are known."""
        if self.state is not State.ALERTING:
            return
        if self._reliable.sdp_sent:
            self._held_back = self._make(200, None, None, headers)
        else:
            self._held_back = self._make(200, None, sdp, headers)
            self.mid.agreed(sdp, sdp_of(self._incoming.request))
        self._answer_if_free(now_s)

    def reject(self, status: int, now_s: float, reason: str | None, headers: tuple[tuple[str, str], ...]) -> None:
        self._refuse(On.REJECT, (EndedBy.LOCAL, status, reason or "refused"), now_s, reason, headers)

    def hangup(self, now_s: float, reason: str | None = None) -> None:
        """480 before the answer, BYE after it, and after the ACK only."""
        self._hangup_headers = reason_header(reason)
        if self.state is State.ALERTING:
            self._refuse(On.HANGUP, (EndedBy.LOCAL, 480, reason or "hung up"), now_s, None, self._hangup_headers)
            return
        if self.state in (State.ANSWERED, State.CONFIRMED):
            self._why = (EndedBy.LOCAL, 200, reason or "hung up")
        self._fire(On.HANGUP, now_s)

    # ── what happens ────────────────────────────────────────────────────────────

    def on_cancel(self, request: Request, now_s: float) -> None:
        why = request.headers.first("Reason") or "cancelled"
        self._refuse(On.CANCEL, (EndedBy.REMOTE, 487, why), now_s, None, ())

    def on_ack(self, request: Request, now_s: float) -> None:
        if self._ok is not None and request.cseq.number == self._ok.cseq:
            self._ack = request
            self._fire(On.ACK, now_s)
        else:
            self.mid.offers.on_ack(request, now_s)

    def on_overtaken(self, now_s: float) -> None:
        """A later request of the caller came before its ACK: our 200 has arrived all the same."""
        if self._ok is not None and sdp_of(self._incoming.request) is not None:
            self._ack = None
            self._fire(On.ACK, now_s)

    def on_prack(self, incoming: Incoming, now_s: float) -> bool:
        """False for one that is about no response of ours: 481. RFC 3262 section 3."""
        prack = incoming.request
        offered_by_us = sdp_of(self._incoming.request) is None and not self.media_agreed
        if not self._reliable.acknowledged_by(prack, now_s):
            return False
        theirs = sdp_of(prack)
        if theirs is not None and not offered_by_us and self.mid.offers.stage is Stage.IDLE:
            self.mid.offers.open(incoming, now_s)
        else:
            refuse(self._wire, incoming, 200, now_s)
            self._wire.emit(ProgressConfirmed(self.name, theirs if offered_by_us else None))
        self._answer_if_free(now_s)
        return True

    def on_lost(self, now_s: float, why: str) -> None:
        self._why = (EndedBy.TIMEOUT, 408, why)
        self._fire(On.LOST, now_s)

    def on_bye(self, incoming: Incoming, now_s: float, why: str) -> None:
        self.mid.close(now_s)
        if self.state is State.ALERTING:
            self._refuse(On.BYE, (EndedBy.REMOTE, 487, why), now_s, None, ())
            return
        if self.state in (State.ANSWERED, State.CONFIRMED):
            self._why = (EndedBy.REMOTE, 200, why)
        self._fire(On.BYE, now_s)

    def on_response(self, key: str, response: Response, now_s: float) -> None:
        if not self.mid.on_response(key, response, now_s) and self._farewell.is_done(key, response, now_s):
            self._fire(On.BYE_DONE, now_s)

    def on_timeout(self, key: str, now_s: float, status: int, why: str) -> None:
        if key == self._incoming.key:
            if self.state is State.ALERTING:
                self._why = (EndedBy.ERROR, status, why)
            self._fire(On.UNREACHABLE, now_s)
        elif not self.mid.on_timeout(key, now_s, status, why) and self._farewell.has_failed(key, status, now_s):
            self._fire(On.BYE_DONE, now_s)

    def on_no_ack(self, now_s: float) -> None:
        if self.state in (State.ANSWERED, State.CONFIRMED):
            self._why = (EndedBy.TIMEOUT, 408, "no ACK for our answer")
        self._fire(On.NO_ACK, now_s)

    def on_timer(self, name: str, now_s: float) -> None:
        if name == _OK and self._ok is not None:
            if not self._ok.on_time(now_s):
                self.on_no_ack(now_s)
        elif name == _END_OF_RING:
            longest_s = self._wire.settings.longest_ring_s
            # 13.3.1: "If the request is an INVITE that contains an Expires header field, … once the
            #  invitation expires … a 487 (Request Terminated) response SHOULD be generated."
            status = 487 if self._expires_s < longest_s else 480
            why = f"not answered for {min(longest_s, self._expires_s):g} s"
            self._refuse(On.TOO_LONG, (EndedBy.TIMEOUT, status, why), now_s, None, ())
        elif name == _STILL_RINGING:
            # 13.3.1.1: "the UAS … MUST send a non-100 provisional response at every minute"
            if self._last_1xx is not None:
                self._response = self._make(self._last_1xx.status, None, sdp_of(self._last_1xx), ())
            self._fire(On.RING, now_s)
        elif (in_time := self._reliable.on_timer(name, now_s)) is not None:
            if not in_time:
                self._refuse(On.NO_PRACK, (EndedBy.TIMEOUT, 504, "no PRACK for our 18x"), now_s, None, ())
        elif not self.mid.on_timer(name, now_s):
            self.on_no_ack(now_s)

    def dialog_of(self, remote_tag: str) -> Dialog | None:
        return self.dialog if (self.dialog.remote.tag or "") == remote_tag else None

    # ── the table ───────────────────────────────────────────────────────────────

    def _refuse(
        self,
        event: On,
        why: tuple[EndedBy, int, str],
        now_s: float,
        phrase: str | None,
        headers: tuple[tuple[str, str], ...],
    ) -> None:
        if (self.state, event) in CALLEE and self.state is State.ALERTING:
            self._why = why
            self._response = self._make(why[1], phrase, None, headers)
        self._fire(event, now_s)

    def _fire(self, event: On, now_s: float) -> None:
        step = CALLEE.get((self.state, event))
        if step is None:
            return
        self.state, actions = step
        for action in actions:
            self._do(action, now_s)
        if self.state is not State.ALERTING:
            for timer in (_END_OF_RING, _STILL_RINGING):
                self._wire.set_timer(self.name, timer, None)
            self._reliable.stop()
        if self.state is State.CONFIRMED and event is On.ACK:
            self.mid.confirmed(now_s)
        if self.state is State.ENDED:
            self.mid.close(now_s)
            self._wire.unbind(self.dialog.key)

    def _do(self, action: Do, now_s: float) -> None:
        by, status, reason = self._why
        match action:
            case Do.SEND_PROVISIONAL if self._response is not None:
                self._last_1xx = self._response
                if self._reliable.takes(self._response):
                    self.mid.agreed(sdp_of(self._response), sdp_of(self._incoming.request))
                    self._reliable.send(self._response, now_s)
                else:
                    self._respond(self._response, now_s)
                self._wire.set_timer(self.name, _STILL_RINGING, now_s + _STILL_RINGING_S)
            case Do.SEND_FINAL if self._response is not None:
                self._respond(self._response, now_s)
            case Do.SEND_OK if self._response is not None:
                self.dialog.is_early = False
                self._ok = OkUntilAck(self._wire, self.name, self._incoming, self._response, now_s)
                self.mid.start_timer(now_s)
            case Do.GIVE_UP:
                self._wire.forget(self._incoming.key, now_s)
            case Do.STOP_OK if self._ok is not None:
                self._ok.stop()
                self._ok = None
            case Do.SEND_BYE:
                self.mid.close(now_s)
                self._farewell.send(self.dialog, self.flow, now_s, behind_nat=self._nat, headers=self._hangup_headers)
            case Do.TELL_CONFIRMED:
                self._wire.emit(CallConfirmed(self.name, sdp_of(self._ack) if self._ack is not None else None))
            case Do.TELL_ENDED:
                self._wire.emit(CallEnded(self.name, by, status, reason))

    def _answer_if_free(self, now_s: float) -> None:
        if self._held_back is not None and not self._reliable.holds_back_the_answer:
            self._response, self._held_back = self._held_back, None
            self._fire(On.ANSWER, now_s)

    # ── what goes out ───────────────────────────────────────────────────────────

    def _make(
        self, status: int, reason: str | None, sdp: bytes | None, headers: tuple[tuple[str, str], ...]
    ) -> Response:
        response = make_response(
            self._incoming.request,
            status,
            reason,
            to_tag=self.tag,
            body=sdp or b"",
            content_type="application/sdp" if sdp else None,
        )
        fields = [("Contact", self._wire.contact(self._incoming.source))] if status < 300 else []
        if status == 200:
            # 13.3.1.4: "SHOULD contain Allow" and Supported
            fields += [("Allow", ALLOW), ("Supported", SUPPORTED_TEXT)]
            fields += self.mid.timer.answer_headers(self._incoming.request)
        return with_headers(response, fields, headers)

    def _respond(self, response: Response, now_s: float) -> None:
        self._wire.respond(self._incoming, response, now_s)
