"""Messages on their way to control, over a socket that must never hold up a tick."""

from __future__ import annotations

import socket

from kallglot_media.media import wire
from kallglot_media.media.messages import FromMedia, LegStats, PlaneStats, SpeechStarted, StreamAudioOut, Utterance

_LONGEST_LINE_BYTES = 32 * 1024 * 1024
_MAY_BE_LEFT_OUT = (StreamAudioOut, Utterance, SpeechStarted, LegStats, PlaneStats)
"""What a call survives without. The rest is small and kept: who misses a SessionClosed waits for ever."""


class Outbox:
    """A bounded line of bytes in front of a non-blocking stream socket.

    left_out  messages that found the line full because control does not read
    """

    def __init__(self, control: socket.socket) -> None:
        self._control = control
        self._line = bytearray()
        self.left_out = 0

    def put(self, message: FromMedia) -> None:
        """Queue a message; when the line is full only what a call cannot do without."""
        if len(self._line) > _LONGEST_LINE_BYTES and isinstance(message, _MAY_BE_LEFT_OUT):
            self.left_out += 1
            return
        self._line += wire.encode(message)

    def flush(self) -> None:
        """Send what the socket takes now. Raises OSError when control has gone."""
        while self._line:
            try:
                sent = self._control.send(self._line)
            except BlockingIOError:
                return
            del self._line[:sent]

    def flush_all(self, deadline_s: float) -> None:
        """Send everything, waiting up to `deadline_s` at a time; for the end of the process."""
        self._control.settimeout(deadline_s)
        if self._line:
            self._control.sendall(self._line)
            self._line.clear()
