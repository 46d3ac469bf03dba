"""Cutting messages out of a TCP or TLS stream. RFC 3261 sections 7.5 and 18.3; keep-alives: RFC 5626 section 3.5.1."""

from __future__ import annotations

import re

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.parser import MAX_MESSAGE_BYTES

PING = b"\r\n\r\n"
PONG = b"\r\n"

_fold = re.compile(rb"\r\n[ \t]+")
_content_length = re.compile(rb"\r\n(?:Content-Length|l)[ \t]*+:[ \t]*+([^\r]*+)", re.IGNORECASE)
_TOKEN_BYTES = frozenset(b"abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ0123456789-.!%*_+`'~")


class Framer:
    """Bytes in, whole messages out, for one connection. Holds at most one message of MAX_MESSAGE_BYTES.

    Once the frame is lost nothing after it can be trusted: feed() raises SipError, and goes on raising it. The
    connection has to be closed. Messages that were whole before are returned first.
    """

    __slots__ = ("_buffer", "_failure", "_line_ends", "_need_bytes", "_pongs", "_searched")

    def __init__(self) -> None:
        self._buffer = bytearray()
        self._searched = 0
        self._need_bytes = 0
        self._line_ends = 0
        self._pongs = 0
        self._failure: SipError | None = None

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with `data`, each as parse_message(…, stream=True) takes it. Raises SipError."""
        if self._failure is not None:
            raise self._failure
        self._buffer += data
        messages: list[bytes] = []
        try:
            while (message := self._cut()) is not None:
                messages.append(message)
        except SipError as failure:
            self._failure = failure
            self._buffer.clear()
            if not messages:
                raise
        return messages

    def take_replies(self) -> list[bytes]:
        """Pongs to send back. At most one per call: a client waits for one before it pings again."""
        pongs, self._pongs = self._pongs, 0
        return [PONG] if pongs else []

    @property
    def has_partial(self) -> bool:
        """True while a message has begun and is not whole, and after a failure."""
        return bool(self._buffer) or self._failure is not None

    def _cut(self) -> bytes | None:
        """The next message, or None when more bytes are needed."""
        if not self._need_bytes:
            self._skip_line_ends()
            self._need_bytes = self._measure()
        if not self._need_bytes or len(self._buffer) < self._need_bytes:
            return None
        message = bytes(self._buffer[: self._need_bytes])
        del self._buffer[: self._need_bytes]
        self._need_bytes = self._searched = self._line_ends = 0
        return message

    def _skip_line_ends(self) -> None:
        """Between messages, CRLF CRLF is a ping and a single CRLF is a pong or nothing."""
        end = 0
        while self._buffer.startswith(b"\r\n", end):
            end += 2
        if end:
            self._line_ends += end // 2
            self._pongs += self._line_ends // 2
            self._line_ends %= 2
            del self._buffer[:end]

    def _measure(self) -> int:
        """The length of the message in the buffer; 0 while its headers are not all here."""
        buffer = self._buffer
        if buffer and buffer[0] not in _TOKEN_BYTES and buffer != b"\r":
            raise SipError("not_sip", "what follows is not the start of a message (TLS or HTTP on a SIP port?)")
        end = buffer.find(b"\r\n\r\n", self._searched)
        if end < 0:
            # Where the search went on to: together with find() this looks at each byte once.
            self._searched = max(0, len(buffer) - 3)
            if len(buffer) > MAX_MESSAGE_BYTES:
                raise SipError("too_large", f"headers are longer than {MAX_MESSAGE_BYTES} bytes", status=513)
            return 0
        whole = end + 4 + _body_bytes(bytes(buffer[:end]))
        if whole > MAX_MESSAGE_BYTES:
            raise SipError("too_large", f"{whole} bytes, the limit is {MAX_MESSAGE_BYTES}", status=513)
        return whole


def _body_bytes(head: bytes) -> int:
    """Read as parse_message reads it, so that both agree where a message ends."""
    if b"\r\n " in head or b"\r\n\t" in head:
        head = _fold.sub(b" ", head)
    found = _content_length.findall(head)
    # Section 18.3: "The Content-Length header field MUST be used with stream oriented transports."
    if len(found) != 1:
        raise SipError("no_content_length", f"{len(found)} Content-Length headers on a stream, expected 1")
    text = found[0].strip(b" \t")
    if not text.isdigit() or len(text) > 10:
        raise SipError("bad_content_length", "Content-Length is not a number")
    return int(text)
