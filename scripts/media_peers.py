"""What the media plane is compared with in the same run: a relay as one writes it with asyncio, and rtpengine."""

from __future__ import annotations

import asyncio
import contextlib
import itertools
import shutil
import socket
import sys
import tempfile
from pathlib import Path
from typing import Any

from media_load import HOST, Load, Result, above, used

WARM_UP_S = 1.5


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


async def asyncio_relay(program: Path, legs: int, seconds: float, packets: Path) -> Result:
    """Two legs joined, decoded and coded again, packet by packet, on asyncio's own loop."""
    child = await asyncio.create_subprocess_exec(
        *above(), sys.executable, "-c", RELAY, str(legs), stdout=asyncio.subprocess.PIPE, cwd=Path(__file__).parents[1]
    )
    try:
        assert child.stdout is not None
        ports = [int(port) for port in (await child.stdout.readline()).split()]
        load = Load(program, legs, seconds + 2 * WARM_UP_S, [packets])
        await load.ports()
        load.speak(ports)
        await asyncio.sleep(WARM_UP_S)
        used_s, period_s = await used(lambda: [child.pid], seconds)
        return Result("asyncio, packet by packet (no ticks)", legs, period_s, used_s, await load.told())
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

    def call(self, name: str, ours: tuple[int, int]) -> tuple[int, int]:
        """Join two PCMU legs; where each has to send to."""
        flags = {"flags": ["trust-address"], "ICE": "remove", "replace": ["origin", "session-connection"]}
        offer = self.ask(command="offer", **{"call-id": name, "from-tag": "a"}, sdp=sdp(ours[0]), **flags)
        answer = self.ask(
            command="answer", **{"call-id": name, "from-tag": "a", "to-tag": "b"}, sdp=sdp(ours[1]), **flags
        )
        return port_in(answer), port_in(offer)


def sdp(port: int) -> str:
    """One PCMU stream."""
    return (
        f"v=0\r\no=- 1 1 IN IP4 {HOST}\r\ns=-\r\nc=IN IP4 {HOST}\r\nt=0 0\r\nm=audio {port} RTP/AVP 0\r\n"
        "a=rtpmap:0 PCMU/8000\r\n"
    )


def port_in(answer: bytes) -> int:
    """Of the m= line."""
    return int(answer.partition(b"m=audio ")[2].split()[0])


def free_port() -> int:
    """A UDP port that nobody has."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as probe:
        probe.bind((HOST, 0))
        port: int = probe.getsockname()[1]
        return port


async def rtpengine_relay(program: Path, legs: int, seconds: float, packets: Path) -> Result | None:
    """rtpengine in user space forwards what it gets; None where it is not installed."""
    if shutil.which("rtpengine") is None:
        return None
    with tempfile.TemporaryDirectory() as name:
        async with Rtpengine(Path(name)) as engine:
            load = Load(program, legs, seconds + 2 * WARM_UP_S, [packets])
            ports = await load.ports()
            to: list[int] = []
            for n in range(0, legs, 2):
                to += engine.call(f"bench-{n}", (ports[n], ports[n + 1]))
            load.speak(to)
            await asyncio.sleep(WARM_UP_S)
            used_s, period_s = await used(lambda: [engine.child.pid], seconds)
            return Result("rtpengine, user space (no ticks)", legs, period_s, used_s, await load.told())
