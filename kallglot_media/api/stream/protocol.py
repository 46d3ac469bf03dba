"""uvicorn's WebSocket protocol with little room between our line in front of a client and the client.

Left alone, the transport and the kernel take hundreds of kilobytes for a client that does not read: minutes of
sound that nobody wants any more when it is read at last. With small buffers it waits in the client's Mailbox, which
knows what can be missed.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket

from uvicorn.protocols.websockets.websockets_sansio_impl import WebSocketsSansIOProtocol

MOST_UNSENT_BYTES = 16 * 1024
"""In the transport, and the same once more in the kernel: together some 3 s of one party's µ-law."""

MOST_UNREAD = 32
"""So many messages of a client may wait for us before its connection is not read any more."""

LINGER_S = 10.0
"""A connection that is over and whose client does not read the end of it is cut off after so long."""


class StreamProtocol(WebSocketsSansIOProtocol):
    """See the module."""

    lingering: asyncio.TimerHandle | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """The connection has been upgraded."""
        super().connection_made(transport)
        self.transport.set_write_buffer_limits(high=MOST_UNSENT_BYTES)
        connected = transport.get_extra_info("socket")
        with contextlib.suppress(OSError, AttributeError):  # not Linux
            connected.setsockopt(socket.IPPROTO_TCP, socket.TCP_NOTSENT_LOWAT, MOST_UNSENT_BYTES)

    def send_receive_event_to_app(self) -> None:
        """A whole message came. Reading stops when many wait, not after each one, which costs two system calls."""
        paused, self.read_paused = self.read_paused, True
        super().send_receive_event_to_app()
        self.read_paused = paused
        if not paused and self.queue.qsize() >= MOST_UNREAD:
            self.read_paused = True
            self.transport.pause_reading()

    def on_task_complete(self, task: asyncio.Task[None]) -> None:
        """We are done with this client."""
        super().on_task_complete(task)
        if not self.disconnected:
            self.lingering = self.loop.call_later(LINGER_S, self.transport.abort)

    def connection_lost(self, exc: Exception | None) -> None:
        """The client is gone."""
        super().connection_lost(exc)
        if self.lingering is not None:
            self.lingering.cancel()
