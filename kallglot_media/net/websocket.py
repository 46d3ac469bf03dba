"""SIP over WebSocket, RFC 7118, as the server: HTTP and frames in, SIP messages out, and the way back. No socket."""

from __future__ import annotations

import logging
from collections.abc import Sequence
from urllib.parse import urlsplit

from websockets.datastructures import Headers
from websockets.exceptions import InvalidMessage, InvalidOrigin
from websockets.frames import Frame, Opcode
from websockets.http11 import Request
from websockets.protocol import State
from websockets.server import ServerProtocol
from websockets.typing import Subprotocol

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.parser import MAX_MESSAGE_BYTES
from kallglot_media.sip.stream import PING, PONG

_quiet = logging.getLogger("websockets.of.phones")
_quiet.setLevel(logging.CRITICAL)
"""What peers do wrong is counted, not told to whoever reads the log."""
_DATA = (Opcode.TEXT, Opcode.BINARY, Opcode.CONT)


class WebSocketCutter:
    """One connection of a browser. net/connection.py says what the methods are for.

    origins  web sites whose pages may connect ("https://phone.example.com"); a page from the host that it connects to
             may always, and so may programs, which send no Origin. Without this check any page that a user of this
             network looks at could make calls with the user's address.
    """

    def __init__(self, origins: Sequence[str] = ()) -> None:
        self._origins = frozenset(origins)
        # RFC 7118 section 4: the client "MUST include the value "sip" in the list of protocols": others get 400.
        self._protocol = ServerProtocol(subprotocols=[Subprotocol("sip")], max_size=MAX_MESSAGE_BYTES, logger=_quiet)
        self._parts: list[bytes] = []
        self._pongs = 0

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with `data`. Raises SipError when this is no WebSocket, or no SIP one."""
        protocol = self._protocol
        protocol.receive_data(data)
        messages: list[bytes] = []
        for event in protocol.events_received():
            if isinstance(event, Request):
                self._open(event)
            elif isinstance(event, Frame) and event.opcode in _DATA:
                self._take(event, messages)
        if isinstance(protocol.handshake_exc, InvalidMessage):
            raise SipError("not_sip", "what came is no HTTP request")
        return messages

    def take_replies(self) -> list[bytes]:
        """The handshake's response, pongs, and the other half of a close."""
        if self._pongs and self._protocol.state is State.OPEN:
            self._protocol.send_text(PONG)
        self._pongs = 0
        return [data for data in self._protocol.data_to_send() if data]

    def wrap(self, message: bytes) -> bytes:
        """One message as one frame; b"" when the connection is closing. RFC 7118 section 5: text or binary."""
        if self._protocol.state is not State.OPEN:
            return b""
        try:
            message.decode()
        except UnicodeDecodeError:
            self._protocol.send_binary(message)
        else:
            self._protocol.send_text(message)
        return b"".join(self._protocol.data_to_send())

    @property
    def has_partial(self) -> bool:
        """True while the handshake is under way, and inside a message of many frames."""
        return self._protocol.state is State.CONNECTING or bool(self._parts)

    @property
    def wants_close(self) -> bool:
        """True when all that was to be said has been said."""
        return self._protocol.handshake_exc is not None or self._protocol.state in (State.CLOSING, State.CLOSED)

    def _open(self, request: Request) -> None:
        response = self._protocol.accept(request)
        if self._protocol.handshake_exc is None and not self._is_welcome(request.headers):
            self._protocol.handshake_exc = InvalidOrigin(request.headers.get("Origin") or "")
            response = self._protocol.reject(403, "This origin may not connect.\n")
        self._protocol.send_response(response)

    def _is_welcome(self, headers: Headers) -> bool:
        origin = (headers.get_all("Origin") or [""])[0]
        if not origin or origin in self._origins:
            return True
        return urlsplit(origin).hostname == urlsplit(f"//{headers.get('Host', '')}").hostname

    def _take(self, frame: Frame, messages: list[bytes]) -> None:
        self._parts.append(bytes(frame.data))
        if not frame.fin:
            return
        message, self._parts = b"".join(self._parts), []
        if message == PING:
            self._pongs += 1
        elif message != PONG:
            messages.append(message)
