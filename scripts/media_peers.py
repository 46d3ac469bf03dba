"""What the media plane is compared with in the same run: a relay as one writes it with asyncio, rtpengine, Asterisk."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import socket
import sys
import tempfile
from collections.abc import Awaitable, Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from media_asterisk import asterisk, asterisk_is_missing
from media_load import HOST, PAYLOAD_TYPES, WARM_UP_S, Load, Packets, Result, above, used

# ── one callback for each packet ─────────────────────────────────────────────────

RELAY = """
import asyncio, sys
import numpy as np
from kallglot_media.audio import g711
from kallglot_media.rtp.packet import RtpPacket

class Leg(asyncio.DatagramProtocol):
    def connection_made(self, transport): self.transport, self.other, self.peer = transport, None, None
    def datagram_received(self, data, source):
        self.peer = source
        packet = RtpPacket.parse(data)
        pcm = g711.ulaw_decode(np.frombuffer(packet.payload, np.uint8))
        if self.other is not None and self.other.peer is not None:
            out = RtpPacket(0, packet.sequence, packet.timestamp, packet.ssrc, g711.ulaw_encode(pcm).tobytes())
            self.other.transport.sendto(out.serialize(), self.other.peer)

async def main(legs):
    loop, made = asyncio.get_running_loop(), []
    for _ in range(legs):
        made.append((await loop.create_datagram_endpoint(Leg, local_addr=("127.0.0.1", 0)))[1])
    for a, b in zip(made[::2], made[1::2]): a.other, b.other = b, a
    print(*(leg.transport.get_extra_info("sockname")[1] for leg in made), flush=True)
    await asyncio.Event().wait()

asyncio.run(main(int(sys.argv[1])))
"""


async def asyncio_relay(what: str, program: Path, legs: int, seconds: float, packets: Packets) -> Result:
    """Two legs joined, decoded and coded again, packet by packet, on asyncio's own loop."""
    child = await asyncio.create_subprocess_exec(
        *above(), sys.executable, "-c", RELAY, str(legs), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    try:
        assert child.stdout is not None
        ports = [int(port) for port in (await child.stdout.readline()).split()]
        async with Load(program, legs, seconds + 2 * WARM_UP_S, [packets["PCMU", False]]) as load:
            await load.ports()
            load.speak(ports)
            await asyncio.sleep(WARM_UP_S)
            used_s, period_s = await used(lambda: [child.pid], seconds)
            return Result(what, legs, period_s, used_s, await load.told())
    finally:
        child.kill()
        await child.wait()


# ── rtpengine ────────────────────────────────────────────────────────────────────


def bencode(value: Any) -> bytes:
    """What the ng protocol speaks."""
    if isinstance(value, str):
        return bencode(value.encode())
    if isinstance(value, bytes):
        return b"%d:%s" % (len(value), value)
    if isinstance(value, dict):
        return b"d" + b"".join(bencode(key) + bencode(value[key]) for key in sorted(value)) + b"e"
    return b"l" + b"".join(map(bencode, value)) + b"e"


class Rtpengine:
    """A userspace rtpengine of its own, spoken to over ng. Use it as a context."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._control = free_port()
        self._cookies = itertools.count(1)
        self._socket = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        self._socket.settimeout(5.0)

    async def __aenter__(self) -> Rtpengine:
        self.child = await asyncio.create_subprocess_exec(
            *above(), "rtpengine", "--config-file=none", "--foreground", "--log-stderr", "--log-level=1", "--table=-1",
            f"--interface={HOST}", f"--listen-ng={HOST}:{self._control}", "--port-min=30000", "--port-max=39999",
            f"--pidfile={self._folder / 'rtpengine.pid'}", "--no-fallback",
            stdout=asyncio.subprocess.DEVNULL, stderr=asyncio.subprocess.DEVNULL,
        )  # fmt: skip
        for _ in range(50):
            await asyncio.sleep(0.1)
            with contextlib.suppress(OSError, TimeoutError):
                self.ask(command="ping")
                return self
        await self.__aexit__()
        raise OSError("rtpengine does not answer")

    async def __aexit__(self, *_: object) -> None:
        with contextlib.suppress(ProcessLookupError):
            self.child.kill()
        await self.child.wait()
        self._socket.close()

    def ask(self, **question: Any) -> bytes:
        """One command; the answer as it came."""
        cookie = f"c{next(self._cookies)}".encode()
        self._socket.sendto(cookie + b" " + bencode(question), (HOST, self._control))
        while not (answer := self._socket.recv(65536)).startswith(cookie + b" "):
            pass
        return answer

    def call(self, name: str, ours: tuple[int, int], codec: str) -> tuple[int, int]:
        """Join a PCMU leg and one of `codec`; where each has to send to."""
        flags = {"flags": ["trust-address"], "ICE": "remove", "replace": ["origin", "session-connection"]}
        change = {} if codec == "PCMU" else {"codec": {"mask": ["PCMU"], "transcode": [codec]}}
        offer = self.ask(
            command="offer", **{"call-id": name, "from-tag": "a"}, sdp=sdp(ours[0], "PCMU"), **flags, **change
        )
        tags = {"call-id": name, "from-tag": "a", "to-tag": "b"}
        answer = self.ask(command="answer", **tags, sdp=sdp(ours[1], codec), **flags)
        port, payload_type = line_of(offer)
        if payload_type != PAYLOAD_TYPES[codec]:
            raise OSError(f"rtpengine calls {codec} {payload_type}, the load is {PAYLOAD_TYPES[codec]}")
        return line_of(answer)[0], port


def sdp(port: int, codec: str) -> str:
    """One stream."""
    name = {"PCMU": "PCMU/8000", "G722": "G722/8000", "opus": "opus/48000/2"}[codec]
    kind = PAYLOAD_TYPES[codec]
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio {port} RTP/AVP {kind}\r\n"
        f"a=rtpmap:{kind} {name}\r\n"
    )


def line_of(answer: bytes) -> tuple[int, int]:
    """Port and first payload type of the m= line."""
    words = answer.partition(b"m=audio ")[2].split()
    return int(words[0]), int(words[2])


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def rtpengine(what: str, codec: str, program: Path, legs: int, seconds: float, packets: Packets) -> Result:
    """rtpengine in user space forwards what it gets, or makes another codec of it."""
    files = [packets["PCMU", False], packets[codec, False]]
    with tempfile.TemporaryDirectory() as name:
        async with Rtpengine(Path(name)) as engine, Load(program, legs, seconds + 2 * WARM_UP_S, files) as load:
            ports = await load.ports()
            to: list[int] = []
            for n in range(0, legs, 2):
                to += engine.call(f"bench-{n}", (ports[n], ports[n + 1]), codec)
            load.speak(to)
            await asyncio.sleep(WARM_UP_S)
            used_s, period_s = await used(lambda: [engine.child.pid], seconds)
            return Result(what, legs, period_s, used_s, await load.told())


# ── all of them ──────────────────────────────────────────────────────────────────


@dataclass(frozen=True, slots=True)
class Peer:
    """beside: the profile of ours that it is compared with; missing: what to do to have it, None when it is there."""

    name: str
    beside: str
    missing: Callable[[], str | None]
    measure: Callable[[str, Path, int, float, Packets], Awaitable[Result]]


def _nothing() -> None:
    return None


def _rtpengine_is_missing() -> str | None:
    return None if shutil.which("rtpengine") else "scripts/install_peers.sh --all"


def _of_rtpengine(codec: str) -> Callable[[str, Path, int, float, Packets], Awaitable[Result]]:
    async def measure(what: str, program: Path, legs: int, seconds: float, packets: Packets) -> Result:
        return await rtpengine(what, codec, program, legs, seconds, packets)

    return measure


def _of_asterisk(extension: str, codec: str) -> Callable[[str, Path, int, float, Packets], Awaitable[Result]]:
    async def measure(what: str, program: Path, legs: int, seconds: float, packets: Packets) -> Result:
        return await asterisk(what, extension, codec, program, legs, seconds, packets)

    return measure


PEERS = (
    Peer("asyncio relay, packet by packet", "relay", _nothing, asyncio_relay),
    Peer("rtpengine (user space) relay", "relay", _rtpengine_is_missing, _of_rtpengine("PCMU")),
    Peer("rtpengine PCMU↔G.722", "g722-relay", _rtpengine_is_missing, _of_rtpengine("G722")),
    Peer("rtpengine PCMU↔Opus", "opus-relay", _rtpengine_is_missing, _of_rtpengine("opus")),
    Peer("Asterisk Dial bridge", "relay", asterisk_is_missing, _of_asterisk("bridge", "PCMU")),
    Peer("Asterisk bridge with MixMonitor", "record", asterisk_is_missing, _of_asterisk("record", "PCMU")),
    Peer("Asterisk PCMU↔G.722", "g722-relay", asterisk_is_missing, _of_asterisk("bridge", "G722")),
)
"""In the order of the table."""
