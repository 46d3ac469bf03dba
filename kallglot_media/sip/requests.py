"""Requests of ours inside a dialog, RFC 3261 section 12.2.1: sent, signed when challenged, and told what came of them.

BYE has its own way (farewell.py), ACK and CANCEL are nobody's transaction.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kallglot_media.sip.call import Wire
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.events import Peer
from kallglot_media.sip.message import Request, Response
from kallglot_media.sip.signing import Signer


@dataclass(frozen=True, slots=True)
class Outcome:
    """How a request ended. response: None when nobody answered (408) or nobody was reached (503)."""

    request: Request
    status: int
    reason: str
    response: Response | None

    @property
    def is_ok(self) -> bool:
        return 200 <= self.status < 300

    @property
    def ends_dialog(self) -> bool:
        """12.2.1.2: "If the response … is a 481 … or a 408 …, the UAC SHOULD terminate the dialog." """
        return self.status in (408, 481)


OnDone = Callable[[Outcome, float], None]


@dataclass(slots=True)
class _Sent:
    request: Request
    dialog: Dialog
    to: Peer
    done: OnDone
    answered: bool = False


class Requests:
    """What one call has asked inside its dialogs and waits for.

    transactions  the call's set of open keys, which this adds to
    flow          where this call's messages go: requests keep to it when they can
    """

    def __init__(
        self,
        call: str,
        wire: Wire,
        transactions: set[str],
        signer: Signer,
        flow: Callable[[], Peer],
        *,
        behind_nat: bool = False,
    ) -> None:
        self._call = call
        self._wire = wire
        self._transactions = transactions
        self._signer = signer
        self._flow = flow
        self._nat = behind_nat
        self._sent: dict[str, _Sent] = {}

    def send(
        self,
        dialog: Dialog,
        method: str,
        now_s: float,
        done: OnDone,
        *,
        headers: Sequence[tuple[str, str]] = (),
        body: bytes = b"",
        content_type: str | None = None,
    ) -> Request:
        """Send it; `done` is called with its final response, and again for each repeated 2xx of an INVITE."""
        typed = [("Content-Type", content_type)] if content_type else []
        request = dialog.request(method, headers=[*headers, *typed])
        request.body = body
        self._signer.begin()
        self._signer.sign(request)
        self._start(_Sent(request, dialog, self.peer(dialog), done), now_s)
        return request

    def acknowledge(self, dialog: Dialog, invite: Request, body: bytes = b"") -> tuple[bytes, Peer]:
        """ACK for a 2xx to our INVITE: its number, "the same credentials" (13.2.2.4). What was sent, and where to."""
        headers = [(name, value) for name, value in invite.headers if name.lower() in _CREDENTIALS]
        if body:
            headers.append(("Content-Type", "application/sdp"))
        ack = dialog.request("ACK", cseq=invite.cseq.number, headers=headers)
        ack.body = body
        to = self.peer(dialog)
        return self._wire.send_ack(ack, to), to

    def peer(self, dialog: Dialog) -> Peer:
        """Where requests in this dialog go."""
        return self._wire.way_to(dialog.next_hop, self._flow(), behind_nat=self._nat)

    def on_response(self, key: str, response: Response, now_s: float) -> bool:
        """False when it is not an answer to one of these."""
        sent = self._sent.get(key)
        if sent is None:
            return False
        if response.status < 200:
            return True
        if self._signer.can_answer(response):
            del self._sent[key]
            sent.dialog.local_cseq += 1
            sent.request = self._signer.again(sent.request, sent.dialog.local_cseq)
            self._start(sent, now_s)
            return True
        if sent.request.method != "INVITE" or response.status >= 300:
            del self._sent[key]
        sent.answered = True
        sent.done(Outcome(sent.request, response.status, response.reason, response), now_s)
        return True

    def on_timeout(self, key: str, now_s: float, status: int, why: str) -> bool:
        """No final response will come. False when it is not one of these."""
        sent = self._sent.pop(key, None)
        if sent is None:
            return False
        sent.done(Outcome(sent.request, status, why, None), now_s)
        return True

    def on_timer(self, name: str, now_s: float) -> bool:
        """Give up an INVITE that had a provisional response and nothing since: no timer of section 17 does, and
        inside a dialog nobody's phone rings. False when it is another timer."""
        if name != _UNANSWERED:
            return False
        for key in [key for key, sent in self._sent.items() if sent.request.method == "INVITE" and not sent.answered]:
            self._wire.count("re_invite_unanswered")
            self._wire.forget(key, now_s)
            self.on_timeout(key, now_s, 504, "no final response")
        return True

    def _start(self, sent: _Sent, now_s: float) -> None:
        for key in self._sent.keys() - self._transactions:  # INVITEs whose last 2xx has come
            del self._sent[key]
        key = self._wire.send_request(self._call, sent.request, sent.to, now_s)
        self._transactions.add(key)
        self._sent[key] = sent
        if sent.request.method == "INVITE":
            self._wire.set_timer(self._call, _UNANSWERED, now_s + 2 * self._wire.settings.timers.give_up_s)


_UNANSWERED = "unanswered"
_CREDENTIALS = ("authorization", "proxy-authorization")
