"""Transfers inside one call: REFER and the NOTIFYs that follow it, RFC 3515, in both roles. One at a time each way."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.sip.call import Incoming, Wire
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import TransferAsked, TransferProgress
from kallglot_media.sip.message import Request, Response, make_response
from kallglot_media.sip.offers import refuse, with_headers
from kallglot_media.sip.refer import EVENT, SIPFRAG, ReferTo, make_sipfrag, read_sipfrag, wants_no_news
from kallglot_media.sip.requests import Outcome, Requests

EXPIRES_S = 180
"""How long news of a transfer are sent or waited for."""

_ASKED = "refer asked"
_THEIRS = "refer theirs"
_OURS = "refer ours"
_Header = tuple[str, str]


class TheirReferral:
    """The peer has asked us to call somebody. The subscription that its REFER makes outlives the call (RFC 5057)."""

    def __init__(self, call: str, wire: Wire, requests: Requests) -> None:
        self._call = call
        self._wire = wire
        self._requests = requests
        self._asked: Incoming | None = None
        self._dialog: Dialog | None = None
        self._event = EVENT
        self._any_before = False
        self._told: bytes = b""
        self._waiting: tuple[str, bytes] | None = None
        self._in_flight = False
        self._is_last = False

    @property
    def is_open(self) -> bool:
        """Whether news are still to be sent, or on their way."""
        return self._dialog is not None or self._in_flight

    def ask(self, incoming: Incoming, dialog: Dialog, now_s: float) -> None:
        """A REFER came: the user has to accept or refuse it."""
        request = incoming.request
        try:
            refer_to = ReferTo.of(request)
        except SipError as wrong:
            self._wire.count(f"malformed_{wrong.kind}")
            refuse(self._wire, incoming, 400, now_s, reason=f"Bad Request ({wrong})")
            return
        if self._asked is not None or self.is_open:
            self._wire.count("refer_while_one_is_open")
            refuse(self._wire, incoming, 491, now_s)
            return
        self._asked = incoming
        self._dialog = dialog
        self._is_last = False
        # 2.4.6: "If more than one REFER is issued in the same dialog, … the id parameter" tells them apart.
        self._event = f"{EVENT};id={request.cseq.number}" if self._any_before else EVENT
        self._any_before = True
        self._wire.set_timer(self._call, _ASKED, now_s + self._wire.settings.longest_offer_s)
        by = request.headers.first("Referred-By")
        self._wire.emit(TransferAsked(self._call, request, refer_to.to, refer_to.replaces, by))

    def accept(self, now_s: float) -> bool:
        """202, and the first news: "100 Trying". False when nothing was asked."""
        incoming = self._take()
        if incoming is None:
            return False
        if wants_no_news(incoming.request):
            self._answer(incoming, 200, now_s, [("Refer-Sub", "false")])
            self._dialog = None
            return True
        self._answer(incoming, 202, now_s)
        self._wire.set_timer(self._call, _THEIRS, now_s + EXPIRES_S)
        self.tell(100, None, now_s)
        return True

    def refuse(self, status: int, now_s: float) -> bool:
        """A final response of 300–699. False when nothing was asked."""
        incoming = self._take()
        if incoming is None:
            return False
        self._dialog = None
        refuse(self._wire, incoming, status, now_s)
        return True

    def tell(self, status: int, reason: str | None, now_s: float) -> None:
        """How the call that was asked for is doing; a final status ends the news. Nothing when nobody waits for it."""
        if self._asked is not None or self._dialog is None or self._is_last:
            return
        self._told = make_sipfrag(status, reason)
        if status < 200:
            self._queue(f"active;expires={EXPIRES_S}", now_s)
        else:
            self._is_last = True
            self._queue("terminated;reason=noresource", now_s)

    def on_timer(self, name: str, now_s: float) -> bool:
        """False when it is not one of these timers."""
        if name == _ASKED:
            self._wire.count("refer_not_answered_by_us")
            self.refuse(500, now_s)
        elif name == _THEIRS:
            self._is_last = True
            self._queue("terminated;reason=timeout", now_s)
        else:
            return False
        return True

    def close(self, now_s: float) -> None:
        """The call is over: what was not accepted never will be."""
        self.refuse(487, now_s)

    def _take(self) -> Incoming | None:
        incoming, self._asked = self._asked, None
        self._wire.set_timer(self._call, _ASKED, None)
        return incoming

    def _answer(self, incoming: Incoming, status: int, now_s: float, headers: Sequence[_Header] = ()) -> None:
        response = make_response(incoming.request, status)
        with_headers(response, [("Contact", self._wire.contact(incoming.source))], headers)
        self._wire.respond(incoming, response, now_s)

    def _queue(self, state: str, now_s: float) -> None:
        """One NOTIFY after the other: two at once may overtake each other. The last of those waiting counts."""
        self._waiting = (state, self._told)
        if not self._in_flight:
            self._notify(now_s)

    def _notify(self, now_s: float) -> None:
        if self._dialog is None or self._waiting is None:
            return
        (state, body), self._waiting = self._waiting, None
        headers = [("Event", self._event), ("Subscription-State", state)]
        self._in_flight = True
        self._requests.send(
            self._dialog, "NOTIFY", now_s, self._notified, headers=headers, body=body, content_type=SIPFRAG
        )

    def _notified(self, outcome: Outcome, now_s: float) -> None:
        """RFC 6665 4.2.2: a 481, or no answer at all, "MUST remove" the subscription."""
        self._in_flight = False
        if outcome.status in (405, 408, 481, 489, 501) or (self._is_last and self._waiting is None):
            self._end()
        self._notify(now_s)
        self._wire.set_timer(self._call, _ASKED, None)  # so that the agent looks whether the call is over

    def _end(self) -> None:
        self._dialog = self._waiting = None
        self._wire.set_timer(self._call, _THEIRS, None)


class OurReferral:
    """We have asked the peer to call somebody. Ends with the call."""

    def __init__(self, call: str, wire: Wire, requests: Requests) -> None:
        self._call = call
        self._wire = wire
        self._requests = requests
        self._is_open = False
        self._last: tuple[int, str] = (100, "Trying")

    def send(self, dialog: Dialog, refer_to: ReferTo, headers: Sequence[_Header], contact: str, now_s: float) -> None:
        """REFER; TransferProgress says what comes of it. One that is under way is told as failed (491)."""
        if self._is_open:
            self._wire.emit(TransferProgress(self._call, 491, "another transfer is under way", False))
            return
        self._is_open = True
        self._last = (100, "Trying")
        fields = [("Refer-To", str(refer_to)), ("Contact", contact), *headers]
        self._requests.send(dialog, "REFER", now_s, self._answered, headers=fields)

    def on_notify(self, request: Request, now_s: float) -> int:
        """A NOTIFY came; returns the status to answer it with. RFC 6665 4.1.3."""
        if (request.headers.first("Event") or "").split(";")[0].strip().lower() != EVENT:
            return 489
        if not self._is_open:
            return 481
        state = (request.headers.first("Subscription-State") or "active").split(";")[0].strip().lower()
        self._last = read_sipfrag(request.body) or self._last
        over = state == "terminated" or self._last[0] >= 200
        self._tell(over)
        if not over:
            self._wire.set_timer(self._call, _OURS, now_s + EXPIRES_S)
        return 200

    def on_timer(self, name: str) -> bool:
        """False when it is not one of these timers."""
        if name != _OURS:
            return False
        self._last = (408, "no news of the transfer")
        self._tell(True)
        return True

    def close(self) -> None:
        """The call is over, and with it our interest."""
        self._is_open = False
        self._wire.set_timer(self._call, _OURS, None)

    def _answered(self, outcome: Outcome, now_s: float) -> None:
        if not self._is_open:
            return
        response = outcome.response
        if not outcome.is_ok or response is None or _says_no_news(response):
            self._last = (outcome.status, outcome.reason)
            self._tell(True)
        else:
            self._wire.set_timer(self._call, _OURS, now_s + self._wire.settings.timers.give_up_s)

    def _tell(self, over: bool) -> None:
        if over:
            self.close()
        self._wire.emit(TransferProgress(self._call, *self._last, over))


def _says_no_news(response: Response) -> bool:
    return (response.headers.first("Refer-Sub") or "").split(";")[0].strip().lower() == "false"
