"""Calls that we make, RFC 3261 section 13.2: INVITE, forks, CANCEL, credentials."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.sip.call import (
    CALLER,
    Do,
    Incoming,
    On,
    State,
    Wire,
    reason_header,
    sdp_of,
)
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.early import EarlyDialogs
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import CallAnswered, CallEnded, CallFailed, CallProgress, EndedBy, Peer
from kallglot_media.sip.farewell import Farewell
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.midcall import MidCall
from kallglot_media.sip.reliable import ReliableReceiver
from kallglot_media.sip.requests import Outcome
from kallglot_media.sip.settings import Credentials, Target
from kallglot_media.sip.signing import Signer

_ELSEWHERE = 'SIP;cause=200;text="Call completed elsewhere"'
"""RFC 3326 section 3.1."""

_END_OF_RING = "ring"
_END_OF_CANCEL = "cancel"
_SILENCE = "silence"


class OutgoingCall:
    """One INVITE of ours and every dialog that it makes.

    flow    the peer that the INVITE went to; requests inside the dialog stay on it when they can
    others  where it goes when that peer answers 503, cannot be reached, or says nothing: RFC 3263 section 4.3;
            another contact also when the one before refuses: RFC 3261 section 16.7 calls that a sequential search
    """

    def __init__(
        self,
        name: str,
        wire: Wire,
        invite: Request,
        destination: Peer,
        now_s: float,
        credentials: Credentials | None = None,
        others: Sequence[Target] = (),
    ) -> None:
        self.name = name
        self.state = State.CALLING
        self.flow = destination
        self.dialog: Dialog | None = None
        self.transactions: set[str] = set()
        self._wire = wire
        self._invite = invite
        self._others = list(others)
        self._signer = Signer(credentials, wire.nonce)
        self.mid = MidCall(self, wire, self._signer, owns_call_id=True)
        self.media_agreed = False
        self._reliable = ReliableReceiver()
        self._farewell = Farewell(name, wire, self.transactions, self._signer)
        self._early = EarlyDialogs(name, wire)
        self._new_dialog: Dialog | None = None
        self._left: dict[str, bytes] = {}
        self._ack: tuple[bytes, Peer] | None = None
        self._why: tuple[EndedBy, int, str] = (EndedBy.ERROR, 500, "")
        self._hangup_headers: tuple[tuple[str, str], ...] = ()
        self._response: Response | None = None
        self._confirmed = False
        for field in self.mid.timer.request_headers():
            invite.headers.add(*field)
        self._invite_key = self._send_invite(now_s)
        wire.set_timer(name, _END_OF_RING, now_s + wire.settings.longest_ring_s)

    @property
    def is_over(self) -> bool:
        """True when nothing of this call can come any more."""
        return self.state is State.ENDED and not self.transactions and not self.mid.theirs.is_open

    @property
    def early_dialog(self) -> Dialog | None:
        """The one early dialog with an answer that was acknowledged: an UPDATE may go there."""
        return self._early.only_one() if self.state is State.PROCEEDING and self.media_agreed else None

    # ── what happens ────────────────────────────────────────────────────────────

    def hangup(self, now_s: float, reason: str | None = None) -> None:
        """CANCEL, BYE, or a note to do so as soon as it is allowed."""
        if self.state in (State.CALLING, State.PROCEEDING):
            self._why = (EndedBy.LOCAL, 487, reason or "cancelled")
        elif self.state is State.CONFIRMED:
            self._why = (EndedBy.LOCAL, 200, reason or "hung up")
        self._hangup_headers = reason_header(reason)
        self._fire(On.HANGUP, now_s)

    def on_response(self, key: str, response: Response, now_s: float) -> None:
        if key == self._invite_key:
            self._on_invite_response(response, now_s)
        elif not self.mid.on_response(key, response, now_s) and self._farewell.is_done(key, response, now_s):
            self._fire(On.BYE_DONE, now_s)

    def on_timeout(self, key: str, now_s: float, status: int, why: str) -> None:
        """A client transaction ended without a final response: 408 nobody answered, 503 nobody reached."""
        if key == self._invite_key:
            if self._has_next():
                self._fire(On.NEXT_TARGET, now_s)
                return
            if self.state in (State.CALLING, State.PROCEEDING):
                self._why = (EndedBy.TIMEOUT if status == 408 else EndedBy.ERROR, status, why)
            self._fire(On.NO_RESPONSE if status == 408 else On.UNREACHABLE, now_s)
        elif not self.mid.on_timeout(key, now_s, status, why) and self._farewell.has_failed(key, status, now_s):
            self._fire(On.BYE_DONE, now_s)

    def on_bye(self, incoming: Incoming, now_s: float, why: str) -> None:
        if self.state is State.CONFIRMED:
            self.mid.close(now_s)
            self._why = (EndedBy.REMOTE, 200, why)
        elif self.dialog is None and len(self._early) > 1:
            self._early.forget(incoming.request.from_.tag or "")
            return  # other forks still ring
        elif self.state is State.PROCEEDING:
            self._why = (EndedBy.REMOTE, 487, why)
        self._fire(On.BYE, now_s)

    def on_lost(self, now_s: float, why: str) -> None:
        self._why = (EndedBy.TIMEOUT, 408, why)
        self._fire(On.LOST, now_s)

    def on_prack(self, incoming: Incoming, now_s: float) -> bool:
        """We send no provisional responses in this role."""
        return False

    def on_no_ack(self, now_s: float) -> None:
        """Our 200 to a re-INVITE was never acknowledged: "it SHOULD generate a BYE". RFC 3261 14.2."""
        self._why = (EndedBy.TIMEOUT, 408, "no ACK for our answer to a re-INVITE")
        self._fire(On.NO_ACK, now_s)

    def on_ack(self, request: Request, now_s: float) -> None:
        self.mid.offers.on_ack(request, now_s)

    def on_timer(self, name: str, now_s: float) -> None:
        if name == _END_OF_RING:
            if self.state in (State.CALLING, State.PROCEEDING):
                self._why = (EndedBy.TIMEOUT, 408, f"not answered for {self._wire.settings.longest_ring_s:g} s")
            self._fire(On.TOO_LONG, now_s)
        elif name == _END_OF_CANCEL:
            self._fire(On.CANCEL_LOST, now_s)
        elif name == _SILENCE:
            if self.state is State.CALLING and self._has_next():
                self._fire(On.NEXT_TARGET, now_s)
        elif not self.mid.on_timer(name, now_s):
            self.on_no_ack(now_s)

    def dialog_of(self, remote_tag: str) -> Dialog | None:
        """The dialog, early ones included, with this tag."""
        if self.dialog is not None and (self.dialog.remote.tag or "") == remote_tag:
            return self.dialog
        return self._early.get(remote_tag)

    # ── responses to INVITE ─────────────────────────────────────────────────────

    def _on_invite_response(self, response: Response, now_s: float) -> None:
        try:
            kind = self._kind_of(response)
        except SipError:  # a Contact or Record-Route that no dialog can be made of
            self._wire.count("response_unreadable")
            if response.status < 200:
                kind = On.PROGRESS  # it rings all the same
            elif self.dialog is not None:
                return
            else:  # it cannot be acknowledged; the far end gives up after 64*T1
                self._why = (EndedBy.ERROR, 502, "the answer cannot be read")
                kind = On.REFUSED
        if kind is On.PROGRESS and not self._acknowledge_progress(response, now_s):
            return
        self._response = response
        self._fire(kind, now_s)

    def _kind_of(self, response: Response) -> On:
        """Which event this is; the dialog that an ACK would need is made here, where it may still fail."""
        if response.status == 100:
            return On.TRYING
        self.mid.learn(response)
        if response.status < 200:
            if self.dialog is None:
                self._early.remember(self._invite, response)
            return On.PROGRESS
        if response.status < 300:
            if self.dialog is not None and response.to.tag == self.dialog.remote.tag:
                return On.OK_AGAIN
            self._new_dialog = Dialog.as_client(self._invite, response)
            return On.OK if self.dialog is None else On.OK_ELSEWHERE
        if self._signer.can_answer(response):
            return On.CHALLENGED
        if self.state in (State.CALLING, State.PROCEEDING) and self.mid.timer.raised_by(response):
            return On.TOO_SHORT
        if self._has_next() and (response.status == 503 or (self._others[0].uri and response.status < 600)):
            return On.NEXT_TARGET
        if self.state in (State.CALLING, State.PROCEEDING):
            self._why = (EndedBy.REMOTE, response.status, response.reason)
        return On.REFUSED

    def _has_next(self) -> bool:
        return bool(self._others) and self.state in (State.CALLING, State.PROCEEDING)

    def _acknowledge_progress(self, response: Response, now_s: float) -> bool:
        """RFC 3262 section 4: PRACK for a reliable one. False for a copy, or one that came out of order."""
        rack = self._reliable.rack_for(response)
        tag = response.to.tag or ""
        dialog = self._early.get(tag)
        if rack is None or dialog is None:
            return True  # not reliable, or a fork beyond our limit, or the 2xx is here already
        if not self._reliable.is_next(tag, rack):
            self._wire.count("provisional_response_again")
            return False
        if sdp_of(response) is not None and self._invite.body:
            self.media_agreed = True
            self.mid.agreed(self._invite.body, sdp_of(response))
        self.mid.requests.send(dialog, "PRACK", now_s, self._prack_done, headers=[("RAck", str(rack))])
        return True

    def _prack_done(self, outcome: Outcome, now_s: float) -> None:
        """What a PRACK gets changes nothing: the INVITE has its own final response."""
        if not outcome.is_ok:
            self._wire.count("prack_refused")

    # ── the table ───────────────────────────────────────────────────────────────

    def _fire(self, event: On, now_s: float) -> None:
        step = CALLER.get((self.state, event))
        if step is None:
            return
        before, (self.state, actions) = self.state, step
        for action in actions:
            self._do(action, now_s)
        if self.state is not before and self.state not in (State.CALLING, State.CANCEL_WAITING, State.PROCEEDING):
            self._wire.set_timer(self.name, _END_OF_RING, None)
        if self._confirmed:
            self._confirmed = False
            self.mid.start_timer(now_s)
            self.mid.confirmed(now_s)
        if self.state is State.ENDED:
            self._close(now_s)

    def _do(self, action: Do, now_s: float) -> None:
        match action:
            case Do.ACKNOWLEDGE:
                self._acknowledge()
            case Do.ACKNOWLEDGE_AGAIN:
                if self._ack is not None:
                    self._wire.send_again(*self._ack)
            case Do.LEAVE_FORK:
                self._leave_fork(now_s)
            case Do.RETRY:
                self._retry(now_s)
            case Do.TRY_NEXT:
                self._try_next(now_s)
            case Do.ASK_LONGER:
                self._ask_longer(now_s)
            case Do.SEND_CANCEL:
                self._wire.send_cancel(self.name, self._invite_key, now_s, self._hangup_headers)
                give_up_s = now_s + self._wire.settings.timers.give_up_s
                self._wire.set_timer(self.name, _END_OF_CANCEL, give_up_s)
            case Do.SEND_BYE:
                self.mid.close(now_s)
                assert self.dialog is not None
                self._farewell.send(self.dialog, self.flow, now_s, headers=self._hangup_headers)
            case Do.GIVE_UP:
                self._wire.forget(self._invite_key, now_s)
            case _:
                self._tell(action)

    def _tell(self, action: Do) -> None:
        response, (by, status, reason) = self._response, self._why
        if action is Do.TELL_PROGRESS and response is not None:
            self._wire.emit(CallProgress(self.name, response, sdp_of(response)))
        elif action is Do.TELL_ANSWERED and response is not None:
            self._wire.emit(CallAnswered(self.name, response, sdp_of(response)))
            self.mid.timer.agreed(response)
            if sdp_of(response) is not None:
                self.mid.agreed(self._invite.body or None, sdp_of(response))
            self._confirmed = True
        elif action is Do.TELL_FAILED:
            final = response if response is not None and response.status >= 200 else None
            self._wire.emit(CallFailed(self.name, status, reason, final))
        elif action is Do.TELL_ENDED:
            self._wire.emit(CallEnded(self.name, by, status, reason))

    # ── what goes out ───────────────────────────────────────────────────────────

    def _send(self, request: Request, to: Peer, now_s: float) -> str:
        key = self._wire.send_request(self.name, request, to, now_s)
        self.transactions.add(key)
        return key

    def _send_invite(self, now_s: float) -> str:
        """To the target of the moment, which has to say something soon when there is another."""
        silence_s = self._wire.settings.next_target_s if self._others else None
        self._wire.set_timer(self.name, _SILENCE, now_s + silence_s if silence_s is not None else None)
        return self._send(self._invite, self.flow, now_s)

    def _try_next(self, now_s: float) -> None:
        self._wire.count("next_target")
        self._forget_early()
        ours = self._wire.contact(self.flow)
        target = self._others.pop(0)
        self.flow = target.peer
        self._invite = Request("INVITE", target.uri or self._invite.uri, self._invite.headers.copy(), self._invite.body)
        if target.uri is not None:
            self._invite.headers.remove("Route")
            for route in target.route:
                self._invite.headers.add("Route", route)
        if self._invite.headers.first("Contact") == ours:
            self._invite.headers.set("Contact", self._wire.contact(self.flow))
        self._invite_key = self._send_invite(now_s)

    def _forget_early(self) -> None:
        self._early.forget_all()
        self._reliable.forget()
        self.media_agreed = False

    def _acknowledge(self) -> None:
        """The 2xx makes the dialog, or confirms an early one (13.2.2.4)."""
        dialog = self._new_dialog
        assert dialog is not None
        self._early.confirmed_as(dialog)
        self._forget_early()
        self.dialog = dialog
        self._wire.bind(dialog.key, self.name)
        self._ack = self._send_ack(dialog)

    def _send_ack(self, dialog: Dialog) -> tuple[bytes, Peer]:
        """13.2.2.4: the ACK has the INVITE's number and "MUST contain the same credentials"."""
        signed = [
            (name, value)
            for name, value in self._invite.headers
            if name.lower() in ("authorization", "proxy-authorization")
        ]
        ack = dialog.request("ACK", cseq=self._invite.cseq.number, headers=signed)
        to = self._wire.way_to(dialog.next_hop, self.flow, behind_nat=False)
        return self._wire.send_ack(ack, to), to

    def _leave_fork(self, now_s: float) -> None:
        """13.2.2.4: each 2xx makes a dialog; those that are not wanted are acknowledged, then ended."""
        dialog = self._new_dialog
        assert dialog is not None
        tag = dialog.remote.tag or ""
        if tag in self._left:
            self._wire.send_again(self._left[tag], self._wire.way_to(dialog.next_hop, self.flow, behind_nat=False))
            return
        if len(self._left) >= self._wire.settings.max_forks:
            self._wire.count("forks_over_limit")
            return
        self._wire.count("forks_left")
        self._left[tag], to = self._send_ack(dialog)
        self._send(dialog.request("BYE", headers=reason_header(_ELSEWHERE)), to, now_s)

    def _retry(self, now_s: float) -> None:
        self._forget_early()
        self._invite = self._signer.again(self._invite, self._invite.cseq.number + 1)
        self._invite_key = self._send_invite(now_s)

    def _ask_longer(self, now_s: float) -> None:
        """RFC 4028 7.3: the same INVITE with the interval that the 422 wants, "incrementing the CSeq"."""
        self._forget_early()
        invite = Request("INVITE", self._invite.uri, self._invite.headers.copy(), self._invite.body)
        invite.headers.set("CSeq", f"{self._invite.cseq.number + 1} INVITE")
        for name, value in self.mid.timer.request_headers():
            invite.headers.set(name, value)
        self._signer.sign(invite)
        self._invite = invite
        self._invite_key = self._send_invite(now_s)

    def _close(self, now_s: float) -> None:
        self.mid.close(now_s)
        for timer in (_END_OF_RING, _END_OF_CANCEL, _SILENCE):
            self._wire.set_timer(self.name, timer, None)
        if self.dialog is not None:
            self._wire.unbind(self.dialog.key)
        self._forget_early()
