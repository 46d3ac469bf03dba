"""Offers inside a call: re-INVITE (RFC 3261 section 14.2), UPDATE (RFC 3311) and PRACK, as the one who answers."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from enum import StrEnum

from kallglot_media.sip.admission import ALLOW, SUPPORTED_TEXT
from kallglot_media.sip.call import Incoming, OkUntilAck, Wire, sdp_of
from kallglot_media.sip.events import CallConfirmed, MediaOffered
from kallglot_media.sip.message import Request, Response, make_response
from kallglot_media.sip.session_timer import SessionTimer

_OK = "re-ok"
_END_OF_OFFER = "offer"


class Stage(StrEnum):
    """IDLE → ASKED (the user has to answer) → AWAIT_ACK (re-INVITE only) → IDLE."""

    IDLE = "idle"
    ASKED = "asked"
    AWAIT_ACK = "await ack"


class Offers:
    """At most one offer of the peer at a time; a second one is sent away.

    over  called when one is done with: (now_s, our SDP, theirs), both None when it was refused
    """

    def __init__(
        self,
        call: str,
        wire: Wire,
        timer: SessionTimer,
        over: Callable[[float, bytes | None, bytes | None], None],
    ) -> None:
        self.stage = Stage.IDLE
        self._call = call
        self._wire = wire
        self._timer = timer
        self._over = over
        self._ours: bytes | None = None
        self._incoming: Incoming | None = None
        self._ok: OkUntilAck | None = None

    @property
    def key(self) -> str | None:
        """The server transaction that waits for the user, for a CANCEL to find."""
        return self._incoming.key if self._incoming is not None and self.stage is Stage.ASKED else None

    def open(self, incoming: Incoming, now_s: float) -> None:
        """A re-INVITE or UPDATE came. Told to the user, or answered at once while another one is open."""
        if self.stage is Stage.ASKED:
            # "MUST return a 500 … and MUST include a Retry-After header field with a
            #  randomly chosen value of between 0 and 10 seconds."
            self._wire.count("offer_while_one_is_open")
            refuse(self._wire, incoming, 500, now_s, headers=[("Retry-After", str(self._wire.up_to(10)))])
            return
        if self.stage is Stage.AWAIT_ACK and self._awaits_answer():
            # Our own offer is in the 200 whose ACK is still missing: two offers cannot be open. RFC 5407 3.1.4.
            self._wire.count("offer_while_ours_is_open")
            refuse(self._wire, incoming, 491, now_s)
            return
        self._stop_ok()
        wrong = self._timer.objection(incoming.request)
        if wrong is not None:
            self._wire.count(f"refused_{wrong.status}")
            refuse(self._wire, incoming, wrong.status, now_s, headers=wrong.headers)
            return
        self.stage = Stage.ASKED
        self._incoming = incoming
        if incoming.request.method == "INVITE":
            self._wire.own(incoming.key, self._call)
            self._wire.respond(incoming, make_response(incoming.request, 100), now_s)
        self._wire.set_timer(self._call, _END_OF_OFFER, now_s + self._wire.settings.longest_offer_s)
        self._wire.emit(MediaOffered(self._call, incoming.request, sdp_of(incoming.request)))

    def answer(self, sdp: bytes, now_s: float, headers: Iterable[tuple[str, str]] = ()) -> bool:
        """200 with `sdp`; False when there is nothing to answer any more."""
        incoming = self._take()
        if incoming is None:
            return False
        request = incoming.request
        response = make_response(request, 200, body=sdp, content_type="application/sdp")
        ours = []
        if request.method != "PRACK":
            ours = [("Contact", self._wire.contact(incoming.source)), ("Allow", ALLOW), ("Supported", SUPPORTED_TEXT)]
            ours += self._timer.answer_headers(request)
        with_headers(response, ours, headers)
        if request.method == "INVITE":
            self.stage = Stage.AWAIT_ACK
            self._incoming = incoming
            self._ours = sdp
            self._ok = OkUntilAck(self._wire, self._call, incoming, response, now_s, timer=_OK)
        else:
            self._wire.respond(incoming, response, now_s)
            self._over(now_s, sdp, sdp_of(request))
        return True

    def refresh(self, incoming: Incoming, now_s: float) -> None:
        """An UPDATE without a body: nothing but a sign of life, and perhaps a new Contact. RFC 4028."""
        wrong = self._timer.objection(incoming.request)
        if wrong is not None:
            self._wire.count(f"refused_{wrong.status}")
            refuse(self._wire, incoming, wrong.status, now_s, headers=wrong.headers)
            return
        headers = [("Contact", self._wire.contact(incoming.source)), ("Allow", ALLOW), ("Supported", SUPPORTED_TEXT)]
        headers += self._timer.answer_headers(incoming.request)
        refuse(self._wire, incoming, 200, now_s, headers=headers)
        self._over(now_s, b"", None)

    def refuse(
        self, status: int, now_s: float, reason: str | None = None, headers: Iterable[tuple[str, str]] = ()
    ) -> bool:
        """A final response of 300–699; the call goes on as it was. False when nothing is open."""
        incoming = self._take()
        if incoming is None:
            return False
        refuse(self._wire, incoming, status, now_s, reason=reason, headers=headers)
        self._over(now_s, None, None)
        return True

    def on_ack(self, request: Request, now_s: float) -> None:
        if self._ok is None or request.cseq.number != self._ok.cseq:
            return  # the ACK of a 200 that was acknowledged before
        ours, theirs = self._ours, sdp_of(self._ok.incoming.request)
        told = sdp_of(request) if self._awaits_answer() else None
        self._stop_ok()
        self._wire.emit(CallConfirmed(self._call, told))
        self._over(now_s, ours, theirs or told)

    def on_timer(self, name: str, now_s: float) -> bool:
        """False when a 200 of ours was never acknowledged: the call has to end."""
        if name == _END_OF_OFFER:
            self._wire.count("offer_not_answered_by_us")
            self.refuse(500, now_s)
        elif name == _OK and self._ok is not None and not self._ok.on_time(now_s):
            self._stop_ok()
            return False
        return True

    def close(self, now_s: float) -> None:
        """The call ends: "the UAS MUST still respond to any pending requests … a 487". RFC 3261 15.1.2."""
        self.refuse(487, now_s)
        self._stop_ok()

    def _awaits_answer(self) -> bool:
        return self._incoming is not None and sdp_of(self._incoming.request) is None

    def _take(self) -> Incoming | None:
        if self.stage is not Stage.ASKED:
            return None
        incoming, self._incoming = self._incoming, None
        self.stage = Stage.IDLE
        self._wire.set_timer(self._call, _END_OF_OFFER, None)
        return incoming

    def _stop_ok(self) -> None:
        if self._ok is not None:
            self._ok.stop()
            self._ok = None
            self._incoming = None
            self.stage = Stage.IDLE


def refuse(
    wire: Wire,
    incoming: Incoming,
    status: int,
    now_s: float,
    *,
    reason: str | None = None,
    headers: Iterable[tuple[str, str]] = (),
) -> None:
    """Answer a request inside a dialog with a final response that has no body."""
    wire.respond(incoming, with_headers(make_response(incoming.request, status, reason), [], headers), now_s)


def with_headers(response: Response, ours: Iterable[tuple[str, str]], users: Iterable[tuple[str, str]]) -> Response:
    """The same response with our headers and then the user's."""
    for name, value in (*ours, *users):
        response.headers.add(name, value)
    return response
