"""What the user may do with a call that is there. `agent.py` has the verb that makes one."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.sip.core import Core
from kallglot_media.sip.indialog import Call
from kallglot_media.sip.uas import IncomingInvite

HeaderFields = Sequence[tuple[str, str]]


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
