"""Sound through the stream for bench_api: each 20 ms of it carries its number, so that its way can be timed.

The sound is too soft to be taken for speech. A piece's delay is from its sending to the arrival of its first frame for
the other party, less what that frame waited for the rest of its batch of 100 ms. In it are, on purpose, 60 ms that the
media plane holds the first sound back, and the tick.
"""

from __future__ import annotations

import asyncio
import base64
import json
import time
from collections import defaultdict
from dataclasses import dataclass, field
from typing import cast
from urllib.parse import urlsplit

from bench_api_http import Http

FRAME = 160
CHUNKS_MS = (20, 100, 200)
_DIGITS = 5
_BASE = 8
_LOUDEST = 0xF6  # µ-law codes so near silence that frames too many are left out, as in the pauses of speech


def frame_of(number: int) -> bytes:
    """20 ms that say which they are."""
    digits = bytes(_LOUDEST + (number >> 3 * place) % _BASE for place in range(_DIGITS))
    return digits * (FRAME // _DIGITS)


def number_of(frame: bytes) -> int | None:
    """Which 20 ms these are; None for others."""
    if len(frame) < FRAME or any(not 0 <= code - _LOUDEST < _BASE for code in frame[:_DIGITS]):
        return None
    return sum((code - _LOUDEST) << 3 * place for place, code in enumerate(frame[:_DIGITS]))


@dataclass
class Delays:
    """By length of a piece; how late this process was itself; how long a pong takes amid the sound."""

    delays_ms: dict[int, list[float]] = field(default_factory=lambda: defaultdict(list))
    sending_late_ms: list[float] = field(default_factory=list)
    answers_ms: list[float] = field(default_factory=list)
    sent: int = 0


class Stream(asyncio.Protocol):
    """One session's client: a WebSocket of few lines, because this process must not be what is measured."""

    def __init__(self, host: str, path: str, chunk_ms: int, found: Delays) -> None:
        self._request = (
            f"GET {path} HTTP/1.1\r\nHost: {host}\r\nUpgrade: websocket\r\nConnection: Upgrade\r\n"
            "Sec-WebSocket-Key: dGhlIHNhbXBsZSBub25jZQ==\r\nSec-WebSocket-Version: 13\r\n\r\n"
        )
        self._chunk_ms = chunk_ms
        self._frames = chunk_ms // 20
        self._found = found
        self._loop = asyncio.get_running_loop()
        self._buffer = bytearray()
        self._upgraded = False
        self._number = 0
        self._sent_s: dict[int, float] = {}
        self._pinged_s: float | None = None
        self.measuring = False
        self.ready: asyncio.Future[None] = self._loop.create_future()

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        self._transport = cast(asyncio.Transport, transport)
        self._transport.write(self._request.encode())

    # ── out ──────────────────────────────────────────────────────────────────────

    def start(self, after_s: float) -> None:
        """Speak from then on, without end."""
        self._due_s = time.perf_counter() + after_s
        self._timer = self._loop.call_later(self._due_s - time.perf_counter(), self._speak)

    def _speak(self) -> None:
        now_s = time.perf_counter()
        if self.measuring:
            self._found.sending_late_ms.append(1000 * (now_s - self._due_s))
            self._found.sent += 1
            self._sent_s[self._number] = now_s
            if self._pinged_s is None:
                self._pinged_s = now_s
                self.write(b'{"type":"ping"}')
        sound = b"".join(frame_of(self._number + n) for n in range(self._frames))
        self._number += self._frames
        self.write(
            b'{"type":"audio.input","sequence":%d,"timestamp_ms":%d,"speaker":"customer","audio":{"encoding":"mulaw",'
            b'"sample_rate_hz":8000,"payload":"%b"}}' % (self._number, 20 * self._number, base64.b64encode(sound))
        )
        self._due_s += self._chunk_ms / 1000
        self._timer = self._loop.call_later(self._due_s - time.perf_counter(), self._speak)

    def write(self, text: bytes) -> None:
        """A text frame, masked with zeros. RFC 6455 section 5.2."""
        size = len(text)
        head = bytes((0x81, 0x80 | size)) if size < 126 else b"\x81\xfe" + size.to_bytes(2, "big")
        self._transport.write(head + b"\0\0\0\0" + text)

    def stop(self) -> None:
        """End the session."""
        self._timer.cancel()
        self.write(b'{"type":"session.end"}')

    # ── in ───────────────────────────────────────────────────────────────────────

    def data_received(self, data: bytes) -> None:
        now_s = time.perf_counter()
        self._buffer += data
        if not self._upgraded:
            head, found, rest = self._buffer.partition(b"\r\n\r\n")
            if not found:
                return
            if b" 101 " not in head.split(b"\r\n")[0]:
                raise SystemExit(f"no WebSocket: {bytes(head[:200])!r}")
            self._upgraded, self._buffer = True, bytearray(rest)
        while (text := self._frame()) is not None:
            self._hear(text, now_s)

    def _frame(self) -> bytes | None:
        buffer = self._buffer
        if len(buffer) < 4:
            return None
        size, start = buffer[1] & 0x7F, 2
        if size == 126:
            size, start = int.from_bytes(buffer[2:4], "big"), 4
        if len(buffer) < start + size:
            return None
        text, opcode = bytes(buffer[start : start + size]), buffer[0] & 0x0F
        del buffer[: start + size]
        if opcode == 9:  # a ping wants its pong
            self._transport.write(bytes((0x8A, 0x80 | size)) + b"\0\0\0\0" + text)
        return text if opcode == 1 else b""

    def _hear(self, text: bytes, now_s: float) -> None:
        if b'"audio.output"' in text:
            at = text.index(b'"payload":"') + 11
            sound = base64.b64decode(text[at : text.index(b'"', at)])
            frames = [sound[start : start + FRAME] for start in range(0, len(sound), FRAME)]
            for place, frame in enumerate(frames):
                number = number_of(frame)
                sent_s = None if number is None else self._sent_s.pop(number, None)
                if sent_s is not None:
                    waited_s = 0.020 * (len(frames) - 1 - place)
                    self._found.delays_ms[self._chunk_ms].append(1000 * (now_s - sent_s - waited_s))
        elif b'"pong"' in text and self._pinged_s is not None:
            self._found.answers_ms.append(1000 * (now_s - self._pinged_s))
            self._pinged_s = None
        elif b'"session.ready"' in text and not self.ready.done():
            self.ready.set_result(None)
        elif b'"session.error"' in text:
            raise SystemExit(json.loads(text)["message"])


async def stream_delays(url: str, key: str, new: object, count: int, seconds: float) -> Delays:
    """So many sessions, a third each with pieces of 20, 100 and 200 ms."""
    found, loop, streams = Delays(), asyncio.get_running_loop(), list[Stream]()
    parts = urlsplit(url)
    async with Http(url, key) as http:
        for number in range(count):
            made = (await http.call("POST", "/v1/sessions", new))["stream"]
            path = urlsplit(made["url"]).path + f"?token={made['token']}&after=0"
            chunk_ms = CHUNKS_MS[number % len(CHUNKS_MS)]
            _, stream = await loop.create_connection(
                lambda path=path, chunk_ms=chunk_ms: Stream(parts.netloc, path, chunk_ms, found),  # type: ignore[misc]
                parts.hostname or "", parts.port or 80,
            )  # fmt: skip
            streams.append(stream)
    await asyncio.gather(*(stream.ready for stream in streams))
    for number, stream in enumerate(streams):
        stream.start(0.2 * number / count)
    await asyncio.sleep(3.0)
    for stream in streams:
        stream.measuring = True
    await asyncio.sleep(seconds)
    for stream in streams:
        stream.measuring = False
    await asyncio.sleep(1.0)  # the end of 200 sessions at once is not what is measured
    for stream in streams:
        stream.stop()
    await asyncio.sleep(1.0)
    return found
