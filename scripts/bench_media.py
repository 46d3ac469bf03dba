"""How much of a core a leg costs, and how evenly the tick beats.

    python scripts/bench_media.py [--legs 50,200,400] [--seconds 20] [--no-record]

Starts a media process as the server does, opens two legs for each session, bridged, listened to and
recorded, and lets `rtp_load` (C, compiled here) speak recorded German and English sentences into all of
them. Prints a Markdown table.

CPU is user and system time of the media process over the measured seconds, all its threads. Lateness
is how much after start + n · 20 ms a tick began; gap is what phones see: how far the time between
two packets is from 20 ms, by the kernel's receive times.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import platform
import subprocess
import sys
import tempfile
import wave
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from kallglot_media.audio import g711
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.link import MediaLink, MediaSettings
from kallglot_media.media.messages import (
    CloseSession,
    FromMedia,
    Listen,
    OpenLeg,
    OpenSession,
    PlaneStats,
    RecordingGap,
    SessionClosed,
    SetPlan,
    SetRemote,
    Utterance,
)
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, Party

HERE = Path(__file__).resolve().parent
UTTERANCES = HERE.parent / "kallglot_media" / "phone" / "utterances"
WARM_UP_S = 3.0
HOST = "127.0.0.1"


@dataclass(frozen=True, slots=True)
class Result:
    """One row of the table. Times in ms; cpu_s over seconds for all legs."""

    legs: int
    seconds: float
    cpu_s: float
    p99_ms: float
    ticks: int
    late: dict[str, int]
    skipped: int
    load: dict[str, float]
    utterances: int
    gaps: int
    recorded: int

    @property
    def percent_per_leg(self) -> float:
        return 100 * self.cpu_s / self.seconds / self.legs


def compile_load(folder: Path) -> Path:
    """The load generator, built with the C compiler that is there."""
    program = folder / "rtp_load"
    subprocess.run(["cc", "-O2", "-o", str(program), str(HERE / "rtp_load.c")], check=True)
    return program


def speech(folder: Path) -> Path:
    """The demo's utterances as µ-law, with pauses in between, as people make them."""
    parts = []
    for path in sorted(UTTERANCES.glob("*.wav")):
        with wave.open(str(path)) as sound:
            pcm = np.frombuffer(sound.readframes(sound.getnframes()), np.int16)
            step = sound.getframerate() // 8000
            parts += [pcm[::step], np.zeros(12_000, np.int16)]
    if not parts:
        sys.exit(f"no *.wav in {UTTERANCES}")
    target = folder / "speech.ulaw"
    target.write_bytes(g711.ulaw_encode(np.ascontiguousarray(np.concatenate(parts))).tobytes())
    return target


class Run:
    """One media process with a number of legs."""

    def __init__(self, legs: int, seconds: float, folder: Path, *, record: bool) -> None:
        self.legs = legs
        self.seconds = seconds
        self.folder = folder
        self.record = record
        self.stats: list[PlaneStats] = []
        self.utterances = 0
        self.gaps = 0
        self.closed: list[SessionClosed] = []

    def on_event(self, event: FromMedia) -> None:
        if isinstance(event, PlaneStats):
            self.stats.append(event)
        elif isinstance(event, Utterance):
            self.utterances += 1
        elif isinstance(event, RecordingGap):
            self.gaps += 1
        elif isinstance(event, SessionClosed):
            self.closed.append(event)

    async def measure(self, program: Path, sound: Path) -> Result:
        link = MediaLink(MediaSettings(first_port=20_000), on_event=self.on_event, on_dead=sys.exit)
        await link.start()
        load = await asyncio.create_subprocess_exec(
            str(program), str(self.legs), str(self.seconds + 2 * WARM_UP_S), str(sound),
            stdin=asyncio.subprocess.PIPE, stdout=asyncio.subprocess.PIPE,
        )  # fmt: skip
        assert load.stdin is not None
        assert load.stdout is not None
        peers = [int(port) for port in (await load.stdout.readline()).split()]
        ports = [await self.open_leg(link, number, peer) for number, peer in enumerate(peers)]
        load.stdin.write(" ".join(map(str, ports)).encode() + b"\n")
        await asyncio.sleep(WARM_UP_S)
        before_s, first = cpu_s(link.pid), len(self.stats)
        start_s = asyncio.get_running_loop().time()
        await asyncio.sleep(self.seconds)
        used_s, period_s = cpu_s(link.pid) - before_s, asyncio.get_running_loop().time() - start_s
        measured = self.stats[first:]
        told = json.loads((await load.communicate())[0])
        for number in range(self.legs // 2):
            link.send(CloseSession(f"s{number}"))
        await link.stop()
        late = {kind: measured[-1].late_ticks[kind] - measured[0].late_ticks[kind] for kind in measured[0].late_ticks}
        return Result(
            self.legs, period_s, used_s, max(stats.lateness_p99_ms for stats in measured),
            measured[-1].ticks - measured[0].ticks, late, measured[-1].skipped - measured[0].skipped,
            told, self.utterances, self.gaps, sum(file.samples > 0 for closed in self.closed for file in closed.files),
        )  # fmt: skip

    async def open_leg(self, link: MediaLink, number: int, peer: int) -> int:
        """Two legs make a session; returns the leg's port."""
        session_id, leg_id = f"s{number // 2}", f"l{number}"
        if number % 2 == 0:
            folder = self.folder / session_id
            folder.mkdir()
            link.send(OpenSession(session_id, str(folder) if self.record else None))
            link.send(SetPlan(session_id, BIDIRECTIONAL_TRANSLATION))
        party = Party.AGENT if number % 2 else Party.CUSTOMER
        opened = await link.open_leg(OpenLeg(session_id, leg_id, party, HOST))
        link.send(SetRemote(leg_id, HOST, peer, "PCMU", 0, 0))
        link.send(Listen(leg_id, SegmentRules()))
        return opened.port


def cpu_s(pid: int | None) -> float:
    """User and system time of all threads of a process, to the nanosecond (utime and stime are sampled)."""
    return sum(int(task.read_text().split()[0]) for task in Path(f"/proc/{pid}/task").glob("*/schedstat")) / 1e9


def table(results: Sequence[Result]) -> str:
    lines = [
        "| legs | % of a core per leg | tick lateness p99 ms | late > 1 / 5 / 20 ms of ticks | skipped "
        "| gap p50 / p99 / max ms | lost | utterances | files recorded / gaps |",
        "|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        load = result.load
        lines.append(
            f"| {result.legs} | {result.percent_per_leg:.3f} | {result.p99_ms:.2f} "
            f"| {' / '.join(map(str, result.late.values()))} of {result.ticks} | {result.skipped} "
            f"| {load['gap_p50_ms']:.2f} / {load['gap_p99_ms']:.2f} / {load['gap_max_ms']:.2f} | {load['lost']} "
            f"| {result.utterances} | {result.recorded} / {result.gaps} |"
        )
    return "\n".join(lines)


async def run(arguments: argparse.Namespace) -> list[Result]:
    results = []
    with tempfile.TemporaryDirectory(prefix="bench-media-") as name:
        folder = Path(name)
        program, sound = compile_load(folder), speech(folder)
        for legs in map(int, arguments.legs.split(",")):
            recordings = folder / str(legs)
            recordings.mkdir()
            bench = Run(legs, arguments.seconds, recordings, record=arguments.record)
            results.append(await bench.measure(program, sound))
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", default="50,200,400", help="how many legs, one run for each number")
    parser.add_argument("--seconds", type=float, default=20.0, help="measured seconds of each run")
    parser.add_argument("--record", action=argparse.BooleanOptionalAction, default=True, help="record every session")
    arguments = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    busy = os.getloadavg()[0]  # what else runs takes caches and hyper-threads away, and doubles these numbers
    print(f"{machine}, Python {platform.python_version()}, load average before: {busy:.1f}\n")
    print(table(asyncio.run(run(arguments))))


if __name__ == "__main__":
    main()
