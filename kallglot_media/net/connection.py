"""One connection that carries SIP messages, from either side: TCP, TLS, WebSocket. Decides nothing."""

from __future__ import annotations

import asyncio
from collections import Counter
from dataclasses import dataclass
from typing import Protocol

from kallglot_media.sip.errors import SipError
from kallglot_media.sip.events import Peer
from kallglot_media.sip.stream import PING, Framer


@dataclass(frozen=True, slots=True)
class TcpLimits:
    """What one listener puts up with.

    connect_s      for a connection of ours to be made, its TLS handshake included
    message_s      for a message that has begun to be complete, and for a WebSocket to be opened
    idle_s         without a byte in either direction
    ping_s         a connection of ours that was silent for so long gets a CRLF CRLF, which keeps NATs open (RFC 5626)
    unread_s       for a peer that does not read to take what waits for it; meanwhile it is not read from either
    most_connections  in both directions; a new one beyond is closed at once
    most_from_one_host  connections that one address may have open towards us
    most_waiting_bytes  written but not yet taken by the peer; more ends the connection
    """

    connect_s: float = 5.0
    message_s: float = 32.0
    idle_s: float = 900.0
    ping_s: float = 95.0
    unread_s: float = 32.0
    most_connections: int = 2_000
    most_from_one_host: int = 500
    most_waiting_bytes: int = 262_144


class Cutter(Protocol):
    """Makes messages of a byte stream, and a byte stream of messages."""

    def feed(self, data: bytes) -> list[bytes]:
        """The messages that are whole with `data`. Raises SipError when nothing after it can be trusted."""
        ...

    def take_replies(self) -> list[bytes]:
        """What has to be written back by itself: pongs, handshakes."""
        ...

    def wrap(self, message: bytes) -> bytes:
        """What to write for one message; b"" when nothing can be written any more."""
        ...

    @property
    def has_partial(self) -> bool: ...

    @property
    def wants_close(self) -> bool: ...


class StreamCutter(Framer):
    """TCP and TLS: messages follow each other without a frame."""

    __slots__ = ()

    def wrap(self, message: bytes) -> bytes:
        """The message itself."""
        return message

    @property
    def wants_close(self) -> bool:
        return False


class Listener(Protocol):
    """What a connection reports to."""

    counters: Counter[str]
    limits: TcpLimits
    transport: str
    local: str

    def opened(self, connection: Connection, peer: Peer) -> bool:
        """False when there is no room for it."""
        ...

    def received(self, message: bytes, peer: Peer) -> None: ...

    def gone(self, connection: Connection, peer: Peer, why: str) -> None: ...


class Connection(asyncio.Protocol):
    """peer: given for a connection of ours, learnt for theirs."""

    def __init__(self, listener: Listener, cutter: Cutter, peer: Peer | None = None) -> None:
        self._loop = asyncio.get_running_loop()
        self.closed: asyncio.Future[None] = self._loop.create_future()
        self.peer = peer or Peer(listener.transport, "", 0)
        self.is_ours = peer is not None
        self._listener = listener
        self._cutter = cutter
        self._transport: asyncio.Transport | None = None
        self._last_s = self._loop.time()
        self._began_s: float | None = None
        self._unread_s: float | None = None
        self._watch: asyncio.TimerHandle | None = None

    def send(self, message: bytes) -> None:
        """One whole message."""
        self._write(self._cutter.wrap(message))

    def close(self) -> None:
        """At once; what was not sent is lost."""
        if self._transport is not None:
            self._transport.abort()

    # ── asyncio's side ──────────────────────────────────────────────────────────

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = transport  # type: ignore[assignment]  # uvloop's is no asyncio.Transport
        listener = self._listener
        if not self.is_ours:
            host, port = transport.get_extra_info("peername")[:2]
            self.peer = Peer(listener.transport, host, port, local=listener.local)
            listener.counters["accepted"] += 1
        if not listener.opened(self, self.peer):
            self.close()
            return
        self._note_partial(began=True)
        self._set_watch()

    def data_received(self, data: bytes) -> None:
        self._last_s = self._loop.time()
        cutter = self._cutter
        try:
            messages = cutter.feed(data)
        except SipError as wrong:
            self._end("bad_framing", str(wrong))
            return
        for message in messages:
            if self._transport is None or self._transport.is_closing():
                return  # the answer to the message before was one too many
            self._listener.received(message, self.peer)
        for reply in cutter.take_replies():
            self._write(reply)
        if cutter.wants_close:
            self._finish()
        self._note_partial(began=bool(messages))

    def pause_writing(self) -> None:
        """The peer does not read: until it does, nothing more is taken from it that would have to be answered."""
        self._unread_s = self._loop.time()
        if self._transport is not None:
            self._transport.pause_reading()
        self._listener.counters["paused"] += 1

    def resume_writing(self) -> None:
        self._unread_s = None
        if self._transport is not None and not self._transport.is_closing():
            self._transport.resume_reading()

    def connection_lost(self, exc: Exception | None) -> None:
        if self._watch is not None:
            self._watch.cancel()
        if not self.closed.done():
            self.closed.set_result(None)
        self._listener.gone(self, self.peer, str(exc) if exc else "the peer closed the connection")

    # ── inside ──────────────────────────────────────────────────────────────────

    def _write(self, data: bytes) -> None:
        transport = self._transport
        if transport is None or transport.is_closing() or not data:
            return
        if transport.get_write_buffer_size() + len(data) > self._listener.limits.most_waiting_bytes:
            self._end("slow_peer", "the peer does not read what we send")
            return
        self._last_s = self._loop.time()
        transport.write(data)

    def _note_partial(self, *, began: bool) -> None:
        """Remember since when half a message is waited for."""
        if not self._cutter.has_partial:
            self._began_s = None
        elif self._began_s is None or began:
            self._began_s = self._last_s

    def _set_watch(self) -> None:
        limits = self._listener.limits
        now_s = self._loop.time()
        due_s = [self._last_s + limits.idle_s, now_s + limits.message_s, now_s + limits.unread_s]
        if self.is_ours:
            due_s.append(self._last_s + limits.ping_s)
        self._watch = self._loop.call_at(max(now_s + 0.001, min(due_s)), self._on_watch)

    def _on_watch(self) -> None:
        now_s, limits = self._loop.time(), self._listener.limits
        if self._began_s is not None and now_s >= self._began_s + limits.message_s:
            self._end("half_message", f"half a message for {limits.message_s:g} s")
        elif self._unread_s is not None and now_s >= self._unread_s + limits.unread_s:
            self._end("slow_peer", f"the peer has read nothing for {limits.unread_s:g} s")
        elif now_s >= self._last_s + limits.idle_s:
            self._end("idle", f"nothing for {limits.idle_s:g} s")
        else:
            if self.is_ours and now_s >= self._last_s + limits.ping_s:
                self._write(PING)
            self._set_watch()

    def _end(self, counter: str, why: str) -> None:
        self._listener.counters[counter] += 1
        self._listener.gone(self, self.peer, why)
        self.close()

    def _finish(self) -> None:
        """Close after what is written has gone out."""
        self._listener.gone(self, self.peer, "the peer closed the connection")
        if self._transport is not None and not self._transport.is_closing():
            self._transport.close()
