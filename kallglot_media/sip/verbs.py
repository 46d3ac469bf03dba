"""What the user may do with a call that is there. `agent.py` has the verb that makes one."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.sip.call import State
from kallglot_media.sip.core import Core
from kallglot_media.sip.events import TransferProgress
from kallglot_media.sip.indialog import Call
from kallglot_media.sip.keypress import RELAY, body_of
from kallglot_media.sip.refer import ReferTo
from kallglot_media.sip.replaces import replacing
from kallglot_media.sip.requests import Outcome
from kallglot_media.sip.uas import IncomingInvite

HeaderFields = Sequence[tuple[str, str]]
_REPLACED = 'SIP;cause=200;text="replaced by another call"'


class CallVerbs:
    """Each takes the name of a call. One that is over already is no mistake: it is counted as `verb_too_late`."""

    def __init__(self, core: Core) -> None:
        self._core = core
        self._calls: dict[str, Call] = {}
        self._ended: set[str] = set()

    def ring(
        self, call: str, now_s: float, *, status: int = 180, sdp: bytes | None = None, headers: HeaderFields = ()
    ) -> None:
        """A provisional response (101–199) to an incoming call; sdp: early media, the answer to its offer.

        Sent until it is acknowledged when the caller requires that, or has media in it and the caller knows
        how (RFC 3262); ProgressConfirmed says so.
        """
        found = self._incoming(call)
        if found is not None:
            found.ring(now_s, status, sdp, tuple(headers))

    def answer(self, call: str, sdp: bytes, now_s: float, *, headers: HeaderFields = ()) -> None:
        """200 to an incoming call. sdp: the answer, or our offer when the INVITE had none."""
        found = self._incoming(call)
        if found is None:
            return
        found.answer(sdp, now_s, tuple(headers))
        replaced = self._calls.get(found.replaces) if found.replaces is not None else None
        if replaced is not None and found.state is not State.ENDED:
            # RFC 3891 section 3: "sends a BYE to shut down the call being replaced"
            replaced.hangup(now_s, _REPLACED)
            self._sweep()

    def reject(
        self, call: str, status: int, now_s: float, *, reason: str | None = None, headers: HeaderFields = ()
    ) -> None:
        """Refuse an incoming call with a final response of 300–699."""
        found = self._incoming(call)
        if found is not None:
            found.reject(status, now_s, reason, tuple(headers))
            self._sweep()

    def hangup(self, call: str, now_s: float, *, reason: str | None = None) -> None:
        """End a call whatever its state: CANCEL, 480 or BYE. Ending it twice does nothing.

        reason  plain words, or the value of a Reason header: "Q.850;cause=16" (RFC 3326)
        """
        found = self._find(call)
        if found is not None:
            found.hangup(now_s, reason)
            self._sweep()

    def answer_offer(self, call: str, sdp: bytes, now_s: float, *, headers: HeaderFields = ()) -> None:
        """200 to the re-INVITE, UPDATE or PRACK that MediaOffered told of."""
        found = self._find(call)
        if found is not None and not found.mid.offers.answer(sdp, now_s, headers):
            self._core.count("verb_too_late")

    def refuse_offer(
        self, call: str, status: int, now_s: float, *, reason: str | None = None, headers: HeaderFields = ()
    ) -> None:
        """Refuse what MediaOffered told of; the media stay as they were."""
        found = self._find(call)
        if found is not None and not found.mid.offers.refuse(status, now_s, reason, headers):
            self._core.count("verb_too_late")

    def reoffer(self, call: str, sdp: bytes, now_s: float) -> None:
        """Offer new media inside a call: hold, resume, another address. OfferAnswered or OfferFailed follows.

        It waits while the call is not confirmed or an offer of the peer is open, and tries again after
        glare (491, RFC 3261 section 14.1). A newer one replaces one that still waits.
        """
        found = self._find(call)
        if found is not None:
            found.mid.reoffer(sdp, now_s)
            self._sweep()

    # ── transfers, RFC 3515 ─────────────────────────────────────────────────────

    def refer(
        self, call: str, to: str, now_s: float, *, replaces_call: str | None = None, headers: HeaderFields = ()
    ) -> None:
        """Ask the peer of a confirmed call to call `to` (a URI) instead. TransferProgress says what comes of it.

        replaces_call  another call of ours, with `to`: its far end is to take the peer in its place (attended)
        headers        for example Referred-By
        """
        found = self._find(call)
        other = self._find(replaces_call) if replaces_call is not None else None
        if found is None or found.state is not State.CONFIRMED or found.dialog is None:
            self._core.count("verb_too_late")
            return
        if replaces_call is not None and (other is None or other.dialog is None):
            self._core.emit(TransferProgress(call, 481, "the call to be replaced is over", True))
            return
        replaces = str(replacing(other.dialog.key)) if other is not None and other.dialog is not None else None
        contact = self._core.contact(found.flow)
        found.mid.ours.send(found.dialog, ReferTo(to, replaces), headers, contact, now_s)
        self._sweep()

    def accept_transfer(self, call: str, now_s: float) -> None:
        """202 to the REFER that TransferAsked told of."""
        found = self._find(call)
        if found is not None and not found.mid.theirs.accept(now_s):
            self._core.count("verb_too_late")

    def refuse_transfer(self, call: str, status: int, now_s: float) -> None:
        """Refuse it; the call stays as it is."""
        found = self._find(call)
        if found is not None and not found.mid.theirs.refuse(status, now_s):
            self._core.count("verb_too_late")

    def tell_transfer(self, call: str, status: int, now_s: float, *, reason: str | None = None) -> None:
        """How the call that was asked for is doing: 100–199 while it rings, then a final status, once.

        Works after the call itself has ended, too: who transfers blindly hangs up at once.
        """
        found = self._calls.get(call)
        if found is not None:
            found.mid.theirs.tell(status, reason, now_s)
            self._sweep()

    # ── words and keys ──────────────────────────────────────────────────────────

    def message(self, call: str, text: str, now_s: float, *, content_type: str = "text/plain;charset=UTF-8") -> None:
        """MESSAGE inside a confirmed call, RFC 3428. Outside of calls: request()."""
        self._send_inside(call, "MESSAGE", text.encode(), content_type, now_s)

    def press_key(self, call: str, key: str, duration_ms: int, now_s: float) -> None:
        """A key as INFO, for peers that do not take telephone-events. key: one of 0–9 * # A–D."""
        self._send_inside(call, "INFO", body_of(key, duration_ms), RELAY, now_s)

    def _send_inside(self, call: str, method: str, body: bytes, content_type: str, now_s: float) -> None:
        found = self._find(call)
        if found is None or found.state is not State.CONFIRMED or found.dialog is None:
            self._core.count("verb_too_late")
            return
        found.mid.requests.send(found.dialog, method, now_s, self._sent_inside, body=body, content_type=content_type)

    def _sent_inside(self, outcome: Outcome, now_s: float) -> None:
        if not outcome.is_ok:
            self._core.count(f"not_taken_{outcome.request.method.lower()}")

    # ── finding ─────────────────────────────────────────────────────────────────

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
        raise NotImplementedError
