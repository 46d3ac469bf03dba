"""Provisional responses that arrive for certain: 100rel and PRACK, RFC 3262, in both roles."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from kallglot_media.sip.call import Wire, sdp_of
from kallglot_media.sip.message import Request, Response

TAG = "100rel"
_TIMER = "1xx"
_MOST_WAITING = 8


@dataclass(frozen=True, slots=True)
class RAck:
    """RFC 3262 section 7.2: which response a PRACK is about."""

    rseq: int
    cseq: int
    method: str

    @classmethod
    def of(cls, prack: Request) -> RAck | None:
        """The RAck of a request; None when there is none that makes sense."""
        parts = (prack.headers.first("RAck") or "").split()
        if len(parts) != 3 or not all(part.isascii() and part.isdigit() and len(part) <= 10 for part in parts[:2]):
            return None
        return cls(int(parts[0]), int(parts[1]), parts[2])

    def __str__(self) -> str:
        return f"{self.rseq} {self.cseq} {self.method}"


class ReliableSender:
    """Section 3: each response is sent again until its PRACK; the next one waits for that.

    required   the INVITE has Require: 100rel: every provisional response but 100 goes this way
    supported  it has Supported: 100rel: those with media do, if the settings say so
    """

    def __init__(self, call: str, wire: Wire, invite: Request, send: Callable[[Response, float], None]) -> None:
        self.required = _has_tag(invite, "Require")
        self.supported = self.required or _has_tag(invite, "Supported")
        self._call = call
        self._wire = wire
        self._send = send
        self._cseq = invite.cseq.number
        self._rseq = 0
        self._unacknowledged: Response | None = None
        self._waiting: list[Response] = []
        self._interval_s = 0.0
        self._give_up_s = 0.0
        self._open = True
        self.sdp_sent = False
        self.sdp_acknowledged = False

    @property
    def holds_back_the_answer(self) -> bool:
        """A 2xx must wait while one of these with a session description is not acknowledged."""
        if self._unacknowledged is None:
            return False
        return bool(sdp_of(self._unacknowledged)) or any(sdp_of(response) for response in self._waiting)

    def takes(self, response: Response) -> bool:
        """Whether this response has to go, or is better sent, reliably."""
        if response.status == 100 or not self.supported:
            return False
        return self.required or (self._wire.settings.reliable_media and sdp_of(response) is not None)

    def send(self, response: Response, now_s: float) -> None:
        """Send it, or keep it until those before it are acknowledged."""
        if self.sdp_sent and response.body:
            # The offer or answer is out for good; a copy of it in a later response would be a new one.
            response.body = b""
            response.headers.remove("Content-Type")
        self.sdp_sent = self.sdp_sent or sdp_of(response) is not None
        if self._unacknowledged is None:
            self._start(response, now_s)
        elif len(self._waiting) < _MOST_WAITING:
            self._waiting.append(response)
        else:
            self._wire.count("provisional_responses_over_limit")

    def acknowledged_by(self, prack: Request, now_s: float) -> bool:
        """A PRACK: True when it is about the response that waits for one; the next one is sent with it."""
        rack, response = RAck.of(prack), self._unacknowledged
        if rack is None or response is None or rack != RAck(self._rseq, self._cseq, "INVITE"):
            return False
        self.sdp_acknowledged = self.sdp_acknowledged or sdp_of(response) is not None
        self._unacknowledged = None
        self._wire.set_timer(self._call, _TIMER, None)
        if self._waiting and self._open:
            self._start(self._waiting.pop(0), now_s)
        return True

    def on_timer(self, name: str, now_s: float) -> bool | None:
        """None: not its timer. False: no PRACK for 64*T1, "the UAS SHOULD reject the original request with a 5xx"."""
        if name != _TIMER:
            return None
        if self._unacknowledged is None or not self._open:
            return True
        if now_s >= self._give_up_s:
            return False
        self._interval_s *= 2
        self._transmit(now_s)
        return True

    def stop(self) -> None:
        """A final response is out: "The UAS MUST NOT continue to retransmit" these, but a PRACK may still come."""
        self._open = False
        self._waiting.clear()
        self._wire.set_timer(self._call, _TIMER, None)

    def _start(self, response: Response, now_s: float) -> None:
        # 3: "The value of the header field for the first reliable provisional response … is chosen uniformly
        #  between 1 and 2**31 - 1", and one more for each.
        self._rseq = self._rseq + 1 if self._rseq else self._wire.up_to(65_000) + 1
        response.headers.add("Require", TAG)
        response.headers.add("RSeq", str(self._rseq))
        self._unacknowledged = response
        self._interval_s = self._wire.settings.timers.t1_s
        self._give_up_s = now_s + self._wire.settings.timers.give_up_s
        self._transmit(now_s)

    def _transmit(self, now_s: float) -> None:
        assert self._unacknowledged is not None
        self._send(self._unacknowledged, now_s)
        self._wire.set_timer(self._call, _TIMER, min(now_s + self._interval_s, self._give_up_s))


class ReliableReceiver:
    """Section 4, for all forks of one INVITE: which of the responses are new and in order."""

    def __init__(self) -> None:
        self._last: dict[str, int] = {}

    def rack_for(self, response: Response) -> RAck | None:
        """What to acknowledge; None when it is not a reliable one."""
        rseq = (response.headers.first("RSeq") or "").strip()
        if not _has_tag(response, "Require") or response.status == 100 or not response.to.tag:
            return None
        if not (rseq.isascii() and rseq.isdigit()) or len(rseq) > 10:
            return None
        return RAck(int(rseq), response.cseq.number, response.cseq.method)

    def is_next(self, tag: str, rack: RAck) -> bool:
        """ "If the UAC receives another reliable provisional response to the same request, and its RSeq value is not
        one higher than the value of the sequence number, that response MUST NOT be acknowledged … and MUST NOT be
        processed further": copies, and those that overtook another."""
        last = self._last.get(tag)
        if last is not None and rack.rseq != last + 1:
            return False
        self._last[tag] = rack.rseq
        return True

    def forget(self) -> None:
        """The INVITE was sent anew: its responses count anew."""
        self._last.clear()


def _has_tag(message: Request | Response, header: str) -> bool:
    return any(tag.strip().lower() == TAG for tag in message.headers.values(header))
