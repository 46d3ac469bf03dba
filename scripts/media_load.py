"""What the media benches share: packets to send, the load generator, processor time, a result."""

from __future__ import annotations

import asyncio
import json
import shutil
import subprocess
import sys
import wave
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Self

import numpy as np
import numpy.typing as npt
import pylibsrtp

from kallglot_media.audio import g711
from kallglot_media.media.coders import encoder_of
from kallglot_media.rtp.packet import RtpPacket

HERE = Path(__file__).resolve().parent
UTTERANCES = HERE.parent / "kallglot_media" / "phone" / "utterances"
HOST = "127.0.0.1"
FRAME = 160
SPEECH_S = 120
SRTP_SUITE = "AES_CM_128_HMAC_SHA1_80"
SRTP_KEY = bytes(range(30))
WARM_UP_S = 1.5

Packets = Mapping[tuple[str, bool], Path]
"""Files of packets by codec and whether they are encrypted."""

PAYLOAD_TYPES = {"PCMU": 0, "G722": 9, "opus": 96}


@dataclass(frozen=True, slots=True)
class Result:
    """One line of a table.

    cpu_s          over `seconds`, for all legs
    p99_ms, max_ms lateness of ticks, if it has some
    late           ticks that were late, by kind
    skipped        frames that were given up
    """

    what: str
    legs: int
    seconds: float
    cpu_s: float
    load: dict[str, float]
    p99_ms: float | None = None
    max_ms: float | None = None
    skipped: int = 0
    late: dict[str, int] = field(default_factory=dict)
    notes: str = ""

    @property
    def percent_per_leg(self) -> float:
        """Of one core."""
        return 100 * self.cpu_s / self.seconds / self.legs

    @property
    def ms_per_call_second(self) -> float:
        """CPU milliseconds for each second of a call of two legs."""
        return 1000 * self.cpu_s / self.seconds / (self.legs / 2)

    @property
    def lost(self) -> int:
        """Packets that were sent and did not come out at the other side; who renumbers hides them from the numbers."""
        return max(
            int(self.load["lost"]), 0 if self.p99_ms is not None else int(self.load["sent"] - self.load["received"])
        )


@dataclass(frozen=True, slots=True)
class Missing:
    """A line of the table that could not be measured, and why."""

    what: str
    legs: int
    why: str


def compile_load(folder: Path) -> Path:
    """The load generator, built with the C compiler that is there."""
    program = folder / "rtp_load"
    subprocess.run(["cc", "-O2", "-o", str(program), str(HERE / "rtp_load.c")], check=True)
    return program


def speech() -> npt.NDArray[np.int16]:
    """The demo's utterances at 8 kHz, with pauses in between, as people make them; two minutes."""
    parts = []
    for path in sorted(UTTERANCES.glob("*.wav")):
        with wave.open(str(path)) as sound:
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
            step = sound.getframerate() // 8000
            parts += [pcm[::step], np.zeros(12_000, np.int16)]
    if not parts:
        sys.exit(f"no *.wav in {UTTERANCES}")
    return np.resize(np.concatenate(parts), SPEECH_S * 8000)


def write_packets(path: Path, codec: str, *, srtp: bool = False) -> Path:
    """The speech as RTP packets of 20 ms, as `rtp_load` wants them."""
    frames = speech().reshape(-1, FRAME)
    if codec == "PCMU":
        payloads: Iterable[bytes] = (frame.tobytes() for frame in g711.ulaw_encode(frames))
    else:
        encoder = encoder_of(codec)
        payloads = [encoder.encode(frame) for frame in frames]
    step = 960 if codec == "opus" else FRAME
    session = _srtp() if srtp else None
    with path.open("wb") as file:
        for n, payload in enumerate(payloads):
            packet = RtpPacket(PAYLOAD_TYPES[codec], n & 0xFFFF, n * step, 4711, payload, marker=n == 0).serialize()
            packet = session.protect(packet) if session is not None else packet
            file.write(len(packet).to_bytes(2) + packet)
    return path


def _srtp() -> pylibsrtp.Session:
    policy = pylibsrtp.Policy(
        key=SRTP_KEY,
        ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND,
        srtp_profile=pylibsrtp.Policy.SRTP_PROFILE_AES128_CM_SHA1_80,
    )
    return pylibsrtp.Session(policy)


def above() -> list[str]:
    """What to put before a command so that it runs above what else this machine does, where that is allowed.

    The media process asks for it by itself; the generator and what is compared with it must not be worse off.
    """
    wanted = ["chrt", "-r", "9"]
    allowed = (
        shutil.which("chrt") and subprocess.run([*wanted, "true"], check=False, capture_output=True).returncode == 0
    )
    return wanted if allowed else []


class Load:
    """The generator's process: `ports()`, then `speak(to)`, then `told()`; as a context it leaves nothing behind."""

    def __init__(self, program: Path, legs: int, seconds: float, files: list[Path]) -> None:
        self._child: asyncio.subprocess.Process | None = None
        self._command = [*above(), str(program), str(legs), str(seconds), *map(str, files)]

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(self, *_: object) -> None:
        if self._child is not None and self._child.returncode is None:
            self._child.kill()
            await self._child.wait()

    async def ports(self) -> list[int]:
        """Start it; where its legs listen."""
        self._child = await asyncio.create_subprocess_exec(
            *self._command, stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE
        )
        assert self._child.stdout is not None
        return [int(port) for port in (await self._child.stdout.readline()).split()]

    def speak(self, to: list[int]) -> None:
        """Begin, each leg to its port."""
        assert self._child is not None
        assert self._child.stdin is not None
        self._child.stdin.write(" ".join(map(str, to)).encode() + b"\n")

    async def told(self) -> dict[str, float]:
        """Wait for its end; what it counted."""
        assert self._child is not None
        found: dict[str, float] = json.loads((await self._child.communicate())[0])
        return found


def cpu_s(pid: int | None) -> float:
    """User and system time of all threads of a process, to the nanosecond (utime and stime are sampled)."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


async def used(pids: Callable[[], list[int | None]], seconds: float) -> tuple[float, float]:
    """(processor seconds of these processes, real seconds) while `seconds` go by."""
    before_s, start_s = sum(map(cpu_s, pids())), asyncio.get_running_loop().time()
    await asyncio.sleep(seconds)
    return sum(map(cpu_s, pids())) - before_s, asyncio.get_running_loop().time() - start_s
