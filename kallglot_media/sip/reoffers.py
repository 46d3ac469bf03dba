"""Offers of our own inside a call: re-INVITE (RFC 3261 section 14.1) and UPDATE (RFC 3311), one at a time.

An UPDATE without a body is a refresh of the session (RFC 4028). What cannot be sent now waits:
for the peer's own offer to be over, for the ACK of the call, for the glare of a 491 to pass.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kallglot_media.sip.admission import ALLOW, SDP, SUPPORTED_TEXT
from kallglot_media.sip.call import Wire, sdp_of
from kallglot_media.sip.dialog import Dialog
from kallglot_media.sip.events import OfferAnswered, OfferFailed, Peer
from kallglot_media.sip.message import Response
from kallglot_media.sip.requests import Outcome, Requests
from kallglot_media.sip.session_timer import SessionTimer

_GLARE = "glare"
_MOST_TRIES = 10
_LONGEST_RETRY_AFTER_S = 10


@dataclass(frozen=True, slots=True)
class Reoffer:
    """One wish.

    sdp    the offer; None: nothing but a sign of life
    quiet  a refresh with what holds already: told only when the answer brings news
    """

    method: str
    sdp: bytes | None
    quiet: bool = False


class Reoffers:
    """See the module.

    owns_call_id  whether we made the Call-ID: "If the UAC is the owner of the Call-ID …, T has a randomly chosen
                  value between 2.1 and 4 seconds in units of 10 ms", else "between 0 and 2 seconds"
    may_send      the dialog to send a method in, None while it may not be sent
    lost          called when the peer no longer knows the dialog, or is gone
    done          called after each 2xx, when the session timer starts anew
    """

    def __init__(
        self,
        call: str,
        wire: Wire,
        requests: Requests,
        timer: SessionTimer,
        *,
        owns_call_id: bool,
        may_send: Callable[[str], Dialog | None],
        lost: Callable[[float, str], None],
        done: Callable[[float], None],
    ) -> None:
        self.last_sdp: bytes | None = None
        self.last_answer: bytes | None = None
        self._call = call
        self._wire = wire
        self._requests = requests
        self._timer = timer
        self._owns_call_id = owns_call_id
        self._may_send = may_send
        self._lost = lost
        self._done = done
        self._waiting: Reoffer | None = None
        self._open: Reoffer | None = None
        self._dialog: Dialog | None = None
        self._tries = 0
        self._backing_off = False
        self._ack: tuple[int, bytes, Peer] | None = None
        self._closed = False

    @property
    def is_open(self) -> bool:
        """Whether an offer of ours waits for its answer: what the peer offers meanwhile crosses it."""
        return self._open is not None and (self._open.sdp is not None or self._open.method == "INVITE")

    def wish(self, reoffer: Reoffer, now_s: float) -> None:
        """Send it, now or as soon as it may be sent. A newer wish replaces one that waits; a refresh replaces none."""
        if reoffer.quiet and (self._open or self._waiting):
            return
        self._waiting = reoffer
        self._tries = 0
        self.kick(now_s)

    def kick(self, now_s: float) -> None:
        """Something that stood in the way is gone."""
        dialog = self._may_send(self._waiting.method) if self._waiting is not None else None
        if dialog is None or self._waiting is None or self._open or self._backing_off or self._closed:
            return
        self._open, self._waiting, self._dialog = self._waiting, None, dialog
        self._tries += 1
        self._requests.send(
            dialog,
            self._open.method,
            now_s,
            self._on_done,
            headers=[("Allow", ALLOW), ("Supported", SUPPORTED_TEXT), *self._timer.request_headers()],
            body=self._open.sdp or b"",
            content_type=SDP if self._open.sdp else None,
        )

    def on_timer(self, name: str, now_s: float) -> bool:
        """False when it is not one of these timers."""
        if name != _GLARE:
            return False
        self._backing_off = False
        self.kick(now_s)
        return True

    def close(self) -> None:
        """The call ends: a 2xx that still comes is acknowledged, nothing else happens."""
        self._closed = True
        self._waiting = None
        self._wire.set_timer(self._call, _GLARE, None)

    def _on_done(self, outcome: Outcome, now_s: float) -> None:
        response, sent = outcome.response, self._open
        is_invite = outcome.request.method == "INVITE"
        if is_invite and outcome.is_ok and response is not None and not self._acknowledge(outcome, response):
            return  # that was a copy
        if sent is None:
            return
        self._open = None
        if self._closed:
            return
        if outcome.is_ok and response is not None:
            self._taken(sent, response, now_s)
        elif outcome.ends_dialog:
            self._lost(now_s, f"{outcome.request.method}: {outcome.status} {outcome.reason}")
            return
        elif not self._again(sent, outcome, now_s) and not sent.quiet:
            self._wire.emit(OfferFailed(self._call, outcome.status, outcome.reason))
        self.kick(now_s)

    def _acknowledge(self, outcome: Outcome, response: Response) -> bool:
        number = outcome.request.cseq.number
        if self._ack is not None and self._ack[0] == number:
            self._wire.send_again(self._ack[1], self._ack[2])
            return False
        assert self._dialog is not None
        self._dialog.refresh_target(response)
        self._ack = (number, *self._requests.acknowledge(self._dialog, outcome.request))
        return True

    def _taken(self, sent: Reoffer, response: Response, now_s: float) -> None:
        if sent.method == "UPDATE" and self._dialog is not None:
            self._dialog.refresh_target(response)
        self._timer.agreed(response)
        self._done(now_s)
        answer = sdp_of(response)
        is_news = not sent.quiet or (answer is not None and answer != self.last_answer)
        if sent.sdp is not None:
            self.last_sdp = sent.sdp
            self.last_answer = answer
        if is_news:
            self._wire.emit(OfferAnswered(self._call, response, answer))

    def _again(self, sent: Reoffer, outcome: Outcome, now_s: float) -> bool:
        """Whether it is going to be sent once more: after glare, after "later", with a longer interval."""
        response = outcome.response
        if response is None or self._tries >= _MOST_TRIES:
            return False
        if response.status == 422 and self._timer.raised_by(response):
            after_s = 0.0
        elif response.status == 491:
            self._wire.count("glare_of_ours")
            after_s = 2.1 + self._wire.up_to(190) / 100 if self._owns_call_id else self._wire.up_to(200) / 100
        elif response.status == 500 and (wait_s := _retry_after_s(response)) is not None:
            after_s = wait_s
        else:
            return False
        if self._waiting is None:
            self._waiting = sent
        self._backing_off = True
        self._wire.set_timer(self._call, _GLARE, now_s + after_s)
        return True


def _retry_after_s(response: Response) -> float | None:
    """A Retry-After that says "in a moment"; None when there is none, or a long one. RFC 3261 14.2, 20.33."""
    digits = (response.headers.first("Retry-After") or "").split(";")[0].split("(")[0].strip()
    if not (digits.isascii() and digits.isdigit()) or len(digits) > 3 or int(digits) > _LONGEST_RETRY_AFTER_S:
        return None
    return float(digits)
