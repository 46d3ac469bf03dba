"""One request outside dialogs that makes none: OPTIONS, REGISTER. RFC 3261 section 8.1."""

from __future__ import annotations

from kallglot_media.sip.call import Wire
from kallglot_media.sip.events import Peer, RequestAnswered
from kallglot_media.sip.message import Request, Response


class Errand:
    """Sent on construction; tells RequestAnswered once. Who made the request answers challenges and tries again."""

    def __init__(self, name: str, wire: Wire, request: Request, destination: Peer, now_s: float) -> None:
        self.name = name
        self.is_over = False
        self.transactions: set[str] = set()
        self._wire = wire
        self.transactions.add(wire.send_request(name, request, destination, now_s))

    def on_response(self, key: str, response: Response, now_s: float) -> None:
        """A final response ends it; provisional ones say nothing about requests like these."""
        if response.status >= 200:
            self._tell(response.status, response.reason, response)

    def on_timeout(self, key: str, now_s: float, status: int, why: str) -> None:
        """408 nobody answered, 503 nobody reached."""
        self._tell(status, why, None)

    def _tell(self, status: int, reason: str, response: Response | None) -> None:
        if not self.is_over:
            self.is_over = True
            self._wire.emit(RequestAnswered(self.name, status, reason, response))
