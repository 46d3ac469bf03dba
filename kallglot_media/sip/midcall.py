"""What both roles of a call do inside its dialog, besides INVITE and BYE: offers of both ends, session timers,
and whatever else is asked. One of these belongs to each call; `indialog.py` brings it the peer's requests."""

from __future__ import annotations

from typing import Protocol

from kallglot_media.sip.call import State, Wire
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.offers import Offers, Stage
from kallglot_media.sip.referrals import OurReferral, TheirReferral
from kallglot_media.sip.reoffers import Reoffer, Reoffers
from kallglot_media.sip.requests import Requests
from kallglot_media.sip.session_timer import SessionTimer
from kallglot_media.sip.signing import Signer

_REFRESH = "refresh"
_EXPIRE = "expire"


class Host(Protocol):
    """The call, as seen from here."""

    name: str
    flow: Peer
    state: State
    transactions: set[str]

    @property
    def dialog(self) -> Dialog | None: ...

    @property
    def early_dialog(self) -> Dialog | None:
        """Where an UPDATE may go before the 2xx: offer and answer are both known, and only one fork is left."""
        ...

    def on_lost(self, now_s: float, why: str) -> None:
        """The peer no longer knows the dialog, or gave no sign of life: end the call."""
        ...


class MidCall:
    """See the module.

    owns_call_id  True for calls that we made
    """

    def __init__(self, host: Host, wire: Wire, signer: Signer, *, owns_call_id: bool, behind_nat: bool = False) -> None:
        self._host = host
        self._wire = wire
        self._allows: frozenset[str] = frozenset()
        settings = wire.settings
        self.timer = SessionTimer(settings.session_expires_s, settings.min_session_s)
        self.requests = Requests(host.name, wire, host.transactions, signer, lambda: host.flow, behind_nat=behind_nat)
        self.reoffers = Reoffers(
            host.name,
            wire,
            self.requests,
            self.timer,
            owns_call_id=owns_call_id,
            may_send=self._may_send,
            lost=self._lost,
            done=self.start_timer,
        )
        self.theirs = TheirReferral(host.name, wire, self.requests)
        self.ours = OurReferral(host.name, wire, self.requests)
        self.offers = Offers(host.name, wire, self.timer, self._offer_over)

    # ── what is known of the peer ───────────────────────────────────────────────

    def learn(self, message: Request | Response) -> None:
        """What the peer lets us send. RFC 3261 section 20.5: no Allow says nothing."""
        methods = [value.upper() for value in message.headers.values("Allow") if value]
        if methods:
            self._allows = frozenset(methods)

    def takes(self, method: str) -> bool:
        """Whether the peer has said that it knows this method."""
        return method in self._allows

    # ── verbs ───────────────────────────────────────────────────────────────────

    def reoffer(self, sdp: bytes, now_s: float) -> None:
        """Offer new media: by re-INVITE; before the call is confirmed, by UPDATE if the peer takes it."""
        early = self._host.state is not State.CONFIRMED and self.takes("UPDATE")
        method = "UPDATE" if early and self._host.early_dialog is not None else "INVITE"
        self.reoffers.wish(Reoffer(method, sdp), now_s)

    # ── what happens ────────────────────────────────────────────────────────────

    def confirmed(self, now_s: float) -> None:
        """2xx and ACK have met."""
        self.reoffers.kick(now_s)

    def start_timer(self, now_s: float) -> None:
        """The session has given a sign of life, in either direction."""
        if self._host.state not in (State.CONFIRMED, State.ANSWERED):
            return
        for name, after_s in ((_REFRESH, self.timer.refresh_after_s), (_EXPIRE, self.timer.end_after_s)):
            self._wire.set_timer(self._host.name, name, None if after_s is None else now_s + after_s)

    def on_response(self, key: str, response: Response, now_s: float) -> bool:
        return self.requests.on_response(key, response, now_s)

    def on_timeout(self, key: str, now_s: float, status: int, why: str) -> bool:
        return self.requests.on_timeout(key, now_s, status, why)

    def on_timer(self, name: str, now_s: float) -> bool:
        """False when our 200 to a re-INVITE was never acknowledged: the call has to end."""
        if name == _REFRESH:
            self._refresh(now_s)
        elif name == _EXPIRE:
            self._wire.count("session_expired")
            self._lost(now_s, "the session timer ran out")
        elif not any(part.on_timer(name, now_s) for part in (self.reoffers, self.requests, self.theirs)):
            return self.ours.on_timer(name) or self.offers.on_timer(name, now_s)
        return True

    def close(self, now_s: float) -> None:
        """The call ends, or its BYE goes out."""
        self.reoffers.close()
        self.offers.close(now_s)
        self.theirs.close(now_s)
        self.ours.close()
        for name in (_REFRESH, _EXPIRE):
            self._wire.set_timer(self._host.name, name, None)

    def agreed(self, sdp: bytes | None, theirs: bytes | None = None) -> None:
        """Ours and theirs of the offer and answer that hold: what a refresh by re-INVITE repeats."""
        if sdp is not None:
            self.reoffers.last_sdp = sdp
        if theirs is not None:
            self.reoffers.last_answer = theirs

    # ── inside ──────────────────────────────────────────────────────────────────

    def _refresh(self, now_s: float) -> None:
        """RFC 4028 7.4: an UPDATE without a body where the peer takes it, else a re-INVITE with what holds."""
        self._wire.count("session_refreshed")
        if self.takes("UPDATE"):
            self.reoffers.wish(Reoffer("UPDATE", None, quiet=True), now_s)
        else:
            self.reoffers.wish(Reoffer("INVITE", self.reoffers.last_sdp, quiet=True), now_s)
        # Tried again until the session ends, should this one be refused for another reason than its interval.
        interval_s = self.timer.interval_s or 0
        self._wire.set_timer(self._host.name, _REFRESH, now_s + max(interval_s / 10, 5.0))

    def _may_send(self, method: str) -> Dialog | None:
        """The dialog for an offer of ours; None while one of theirs, or the INVITE itself, is open."""
        if self.offers.stage is not Stage.IDLE:
            return None
        if self._host.state is State.CONFIRMED:
            return self._host.dialog
        return self._host.early_dialog if method == "UPDATE" and self.takes("UPDATE") else None

    def _offer_over(self, now_s: float, ours: bytes | None, theirs: bytes | None) -> None:
        """An offer of theirs was answered, or refused."""
        if ours is not None:
            self.agreed(ours or None, theirs)
            self.start_timer(now_s)
        self.reoffers.kick(now_s)

    def _lost(self, now_s: float, why: str) -> None:
        self._host.on_lost(now_s, why)
