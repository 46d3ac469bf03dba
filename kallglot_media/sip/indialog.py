"""What the peer asks inside a dialog, RFC 3261 section 12.2.2: judged, and brought to the call that it is about."""

from __future__ import annotations

from kallglot_media.sip.admission import ALLOW, SDP, SUPPORTED_TEXT, Refusal, objection
from kallglot_media.sip.call import Incoming, State, end_of, sdp_of
from kallglot_media.sip.core import Core
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.events import KeyPressed
from kallglot_media.sip.keypress import key_of
from kallglot_media.sip.uac import OutgoingCall
from kallglot_media.sip.uas import IncomingInvite

Call = OutgoingCall | IncomingInvite

_BEFORE_THE_ANSWER = (State.CALLING, State.PROCEEDING, State.ALERTING)
_OUR_INVITE_IS_OPEN = (State.CALLING, State.PROCEEDING, State.CANCELLING, State.ANSWERED)
_OVER = (State.CANCEL_WAITING, State.CANCELLING, State.BYE_WAITING, State.ENDING, State.ENDED)
"""The user has been told that this call is over, and is told nothing more."""


class InDialog:
    """Stateless: everything that lasts is the call's."""

    def __init__(self, core: Core) -> None:
        self._core = core

    def on_request(self, call: Call, dialog: Dialog, incoming: Incoming, now_s: float) -> None:
        """A new request other than CANCEL, in `dialog` of `call`."""
        request = incoming.request
        if request.method == "ACK":
            call.on_ack(request, now_s)
            return
        if not dialog.takes_in_order(request):
            self._core.count("out_of_order")
            self._core.reply(incoming, 500, now_s, reason="Server Internal Error (CSeq out of order)")
            return
        wrong = objection(request)
        if wrong is not None:
            self._refuse(incoming, wrong, now_s)
        elif request.method == "BYE":
            self._core.reply(incoming, 200, now_s)
            call.on_bye(incoming, now_s, end_of(request))
        elif request.method in ("INVITE", "UPDATE"):
            self._offer(call, dialog, incoming, now_s)
        elif request.method == "PRACK":
            if not call.on_prack(incoming, now_s):
                self._core.count("prack_for_nothing")
                self._core.reply(incoming, 481, now_s)
        else:
            self._other(call, dialog, incoming, now_s)

    def _other(self, call: Call, dialog: Dialog, incoming: Incoming, now_s: float) -> None:
        """What changes nothing in the call itself."""
        request = incoming.request
        if request.method == "NOTIFY":
            self._core.reply(incoming, call.mid.ours.on_notify(request, now_s), now_s)
            return
        if request.method == "REFER":
            if call.state is State.CONFIRMED:
                call.mid.theirs.ask(incoming, dialog, now_s)
            else:
                self._core.reply(incoming, 491 if call.state in _OUR_INVITE_IS_OPEN else 481, now_s)
            return
        if request.method == "MESSAGE":
            if call.state in _OVER:
                self._core.reply(incoming, 481, now_s)
            else:
                self._core.take_message(incoming, call.name, now_s)
            return
        if request.method == "OPTIONS":
            self._core.reply(incoming, 200, now_s, [("Allow", ALLOW), ("Accept", SDP), ("Supported", SUPPORTED_TEXT)])
            return
        key = key_of(request)
        self._core.count("info" if key is None else "info_dtmf")
        self._core.reply(incoming, 200, now_s)
        if key is not None and call.state is State.CONFIRMED:
            self._core.emit(KeyPressed(call.name, key.key, key.duration_ms))

    def _offer(self, call: Call, dialog: Dialog, incoming: Incoming, now_s: float) -> None:
        """Re-INVITE, or UPDATE: a new offer, a new target, a sign of life, or all three."""
        request = incoming.request
        if isinstance(call, IncomingInvite):
            call.on_overtaken(now_s)
        dialog.refresh_target(request)
        call.mid.learn(request)
        if request.method == "UPDATE" and sdp_of(request) is None:
            call.mid.offers.refresh(incoming, now_s)
        elif _takes_an_offer(call, request.method):
            call.mid.offers.open(incoming, now_s)
        elif call.state in _OUR_INVITE_IS_OPEN or call.state is State.CONFIRMED:
            # 14.2: "A UAS that receives an INVITE on a dialog while an INVITE it had sent on
            #  that dialog is in progress MUST return a 491 (Request Pending)"
            self._core.count("glare")
            self._core.reply(incoming, 491, now_s)
        elif call.state is State.ALERTING:
            self._core.reply(incoming, 500, now_s, [("Retry-After", str(self._core.up_to(10)))])
        else:
            self._core.reply(incoming, 481, now_s)

    def _refuse(self, incoming: Incoming, refusal: Refusal, now_s: float) -> None:
        self._core.count(f"refused_{refusal.status}")
        self._core.reply(incoming, refusal.status, now_s, refusal.headers, reason=refusal.reason)


def _takes_an_offer(call: Call, method: str) -> bool:
    """Not while one of ours is open; before the 200 by UPDATE only, and after the first answer (RFC 3311 5.2)."""
    if call.mid.reoffers.is_open:
        return False
    if call.state is State.CONFIRMED:
        return True
    return method == "UPDATE" and call.state in _BEFORE_THE_ANSWER and call.media_agreed
