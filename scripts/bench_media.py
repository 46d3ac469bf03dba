"""How much of a core a leg costs, how evenly the tick beats, and what a bad network does to what is heard.

    python scripts/bench_media.py [--legs 50,200,400] [--seconds 5] [--profiles relay,vad,…] [--peers no] [--plot FILE]
    python scripts/bench_media.py --cost               what a leg costs, without a clock: for busy machines
    python scripts/bench_media.py --network            PESQ and delay with losses and jitter, in simulated time

Starts a media process as the server does, opens two legs for each session, bridged, and lets `rtp_load` (C, compiled
here, a process of its own) speak recorded German and English sentences into all of them. Beside it, in the same run, a
relay that treats packet by packet with asyncio, and rtpengine and Asterisk, where they are installed. Prints Markdown
tables; `--docs` puts them and the drawing into docs/benchmarks.md.

Each profile is the one before with more: `relay`, `vad` (+ voice detection and cutting), `mix` (+ made speech over the
original, turned down), `record` (+ both recordings), then all of it with SRTP, with G.722, and with Opus on one leg and
PCMU on the other. `g722-relay` and `opus-relay` do nothing but make one codec of the other, as the peers do.

CPU is user and system time of the media process over the measured seconds, all its threads. Lateness is how much after
start + n · 20 ms a tick began; gap is what phones see: how far the time between two packets is from 20 ms, by the
kernel's receive times; jitter is that of RFC 3550 as the phones would report it.
"""

from __future__ import annotations

import argparse
import asyncio
import os
import platform
import sys
import tempfile
import time
from collections.abc import Awaitable, Mapping
from dataclasses import dataclass
from datetime import date
from pathlib import Path

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as media processes have it

from media_cost import Bench, cost_table, packets_of, plot_costs
from media_load import (
    HOST,
    PAYLOAD_TYPES,
    SRTP_KEY,
    SRTP_SUITE,
    WARM_UP_S,
    Load,
    Missing,
    Packets,
    Result,
    compile_load,
    speech,
    used,
    write_packets,
)
from media_network import network_tables
from media_peers import PEERS
from media_sending import sending_table
from media_tables import keep, kept, peers_table, plot, put_into, table

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.link import MediaError, MediaLink, MediaSettings
from kallglot_media.media.messages import (
    CloseSession,
    FromMedia,
    Listen,
    OpenLeg,
    OpenSession,
    PlaneStats,
    Play,
    RecordingGap,
    SetPlan,
    SetRemote,
    SrtpKeys,
    Utterance,
)
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, BRIDGED, Party

DOCS = Path(__file__).resolve().parents[1] / "docs"
MADE_SPEECH_S, MADE_EVERY_S = 4, 8
"""Of made speech, half of the time: more than an interpreted call has."""


@dataclass(frozen=True, slots=True)
class Profile:
    """What the legs of one run have. codecs: of the customer's leg and of the agent's."""

    listen: bool = True
    mix: bool = True
    record: bool = True
    srtp: bool = False
    codecs: tuple[str, str] = ("PCMU", "PCMU")


PROFILES: Mapping[str, Profile] = {
    "relay": Profile(listen=False, mix=False, record=False),
    "vad": Profile(mix=False, record=False),
    "mix": Profile(record=False),
    "record": Profile(),
    "srtp": Profile(srtp=True),
    "g722": Profile(codecs=("G722", "G722")),
    "opus": Profile(codecs=("opus", "PCMU")),
    "g722-relay": Profile(listen=False, mix=False, record=False, codecs=("PCMU", "G722")),
    "opus-relay": Profile(listen=False, mix=False, record=False, codecs=("PCMU", "opus")),
}

KINDS = [("PCMU", False), ("PCMU", True), ("G722", False), ("opus", False)]
"""Codec and whether encrypted, of the packets that phones send."""

NAMES = {
    "relay": "G.711 relay",
    "vad": "+ VAD",
    "mix": "+ mix with made speech",
    "record": "+ recording",
    "srtp": "the same, SRTP",
    "g722": "the same, G.722",
    "opus": "the same, Opus↔PCMU",
    "g722-relay": "relay PCMU↔G.722",
    "opus-relay": "relay PCMU↔Opus",
}


class Run:
    """One media process with a number of legs."""

    def __init__(self, name: str, legs: int, seconds: float, folder: Path) -> None:
        self.name = name
        self.profile = PROFILES[name]
        self.legs = legs
        self.seconds = seconds
        self.folder = folder
        self.stats: list[PlaneStats] = []
        self.utterances = 0
        self.gaps = 0

    def on_event(self, event: FromMedia) -> None:
        if isinstance(event, PlaneStats):
            self.stats.append(event)
        elif isinstance(event, Utterance):
            self.utterances += 1
        elif isinstance(event, RecordingGap):
            self.gaps += 1

    async def measure(self, program: Path, packets: Packets) -> Result:
        link = MediaLink(MediaSettings(first_port=20_000), on_event=self.on_event, on_dead=sys.exit)
        await link.start()
        files = [packets[codec, self.profile.srtp] for codec in self.profile.codecs]
        try:
            async with Load(program, self.legs, self.seconds + 2 * WARM_UP_S, files) as load:
                return await self._measure(link, load)
        finally:
            await link.stop()

    async def _measure(self, link: MediaLink, load: Load) -> Result:
        peers = await load.ports()
        load.speak([await self.open_leg(link, number, peer) for number, peer in enumerate(peers)])
        talking = asyncio.create_task(self.make_speech(link)) if self.profile.mix else None
        await asyncio.sleep(WARM_UP_S)
        warm = len(self.stats)
        used_s, period_s = await used(lambda: [link.pid], self.seconds)
        base = max(0, min(warm, len(self.stats) - 2))  # the first of the period was begun before it
        before, measured = self.stats[base], self.stats[base + 1 :] or self.stats[-1:]
        told = await load.told()
        if talking is not None:
            talking.cancel()
        for number in range(self.legs // 2):
            link.send(CloseSession(f"s{number}"))
        return Result(
            NAMES[self.name], self.legs, period_s, used_s, told,
            p99_ms=max(stats.lateness_p99_ms for stats in measured),
            max_ms=max(stats.lateness_max_ms for stats in measured),
            skipped=measured[-1].skipped - before.skipped,
            late={kind: count - before.late_ticks.get(kind, 0) for kind, count in measured[-1].late_ticks.items()},
            notes=f"{self.utterances} utterances" + (f", {self.gaps} gaps" if self.gaps else ""),
        )  # fmt: skip

    async def open_leg(self, link: MediaLink, number: int, peer: int) -> int:
        """Two legs make a session; returns the leg's port."""
        profile, session_id, leg_id = self.profile, f"s{number // 2}", f"l{number}"
        if number % 2 == 0:
            folder = self.folder / session_id
            folder.mkdir(parents=True)
            link.send(OpenSession(session_id, str(folder) if profile.record else None))
            link.send(SetPlan(session_id, BIDIRECTIONAL_TRANSLATION if profile.mix else BRIDGED))
        party = Party.AGENT if number % 2 else Party.CUSTOMER
        opened = await link.open_leg(OpenLeg(session_id, leg_id, party, HOST))
        codec = profile.codecs[number % 2]
        kind = PAYLOAD_TYPES[codec]
        keys = SrtpKeys(SRTP_SUITE, SRTP_KEY, SRTP_KEY) if profile.srtp else None
        link.send(SetRemote(leg_id, HOST, peer, codec, kind, kind, 101, 101, keys=keys))
        if profile.listen:
            link.send(Listen(leg_id, SegmentRules()))
        return opened.port

    async def make_speech(self, link: MediaLink) -> None:
        """To every leg, spread over the period, as turns come."""
        pcm = speech()[8000 : 8000 * (1 + MADE_SPEECH_S)].astype("<i2").tobytes()
        turn = 0
        while True:
            for number in range(self.legs):
                link.send(Play(f"l{number}", f"p{turn}", pcm, 8000))
                await asyncio.sleep(MADE_EVERY_S / self.legs)
            turn += 1


def costs(legs: list[int], plot_to: Path | None) -> str:
    """What a leg costs in each profile, without a clock."""
    with tempfile.TemporaryDirectory(prefix="bench-media-") as name:
        folder = Path(name)
        files = {
            (codec, srtp): write_packets(folder / f"{codec}-{srtp}.rtp", codec, srtp=srtp) for codec, srtp in KINDS
        }

        def make(profile: str, count: int, recordings: Path) -> Bench:
            it = PROFILES[profile]
            first, second = (files[codec, it.srtp] for codec in it.codecs)
            return Bench(
                count, (first, second), it.codecs, listen=it.listen, mix=it.mix, record=it.record, srtp=it.srtp,
                folder=recordings,
            )  # fmt: skip

        table, numbers = cost_table(
            dict(NAMES),
            make,
            packets_of(files["PCMU", False]),
            legs,
            lambda line: print(line, file=sys.stderr, flush=True),
        )
    if plot_to is not None:
        plot_costs(legs, numbers, plot_to)
    return table


async def run(arguments: argparse.Namespace) -> list[Result | Missing]:
    """Every line of the tables, each in its turn: nothing is measured beside anything else."""
    lines: list[Result | Missing] = []

    async def add(what: str, legs: int, measuring: Awaitable[Result]) -> None:
        try:
            line: Result | Missing = await measuring
        except (MediaError, OSError) as error:
            line = Missing(what, legs, str(error) or type(error).__name__)
        lines.append(line)
        keep(line, arguments.keep)

    with tempfile.TemporaryDirectory(prefix="bench-media-") as name:
        folder = Path(name)
        program = compile_load(folder)
        packets = {
            (codec, srtp): write_packets(folder / f"{codec}-{srtp}.rtp", codec, srtp=srtp) for codec, srtp in KINDS
        }
        for legs in map(int, arguments.legs.split(",")):
            for profile in arguments.profiles.split(","):
                bench = Run(profile, legs, arguments.seconds, folder / f"{profile}-{legs}")
                await add(NAMES[profile], legs, bench.measure(program, packets))
            for peer in PEERS if arguments.peers == "yes" else ():
                missing = peer.missing()
                if missing is not None:
                    lines.append(Missing(peer.name, legs, f"not installed ({missing})"))
                else:
                    await add(peer.name, legs, peer.measure(peer.name, program, legs, arguments.seconds, packets))
    return lines


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", default="50,200,400", help="how many legs, one run for each number")
    parser.add_argument("--seconds", type=float, default=5.0, help="measured seconds of each run")
    parser.add_argument("--profiles", default=",".join(PROFILES), help=f"of {', '.join(PROFILES)}")
    parser.add_argument("--peers", choices=("yes", "no"), default="yes", help="the others, too")
    parser.add_argument("--keep", type=Path, help="append the results to this file")
    parser.add_argument("--show", type=Path, help="measure nothing; the table of what was kept there")
    parser.add_argument("--plot", type=Path, help="draw cost and lateness into this PNG")
    parser.add_argument("--docs", action="store_true", help="put tables and drawing into docs/benchmarks.md")
    parser.add_argument("--network", action="store_true", help="only what a bad network does; needs no quiet machine")
    parser.add_argument("--cost", action="store_true", help="only processor time, without a clock")
    arguments = parser.parse_args()
    machine = f"{os.cpu_count()} cores, {platform.machine()}, Linux {platform.release()}"
    busy = os.getloadavg()[0]  # what else runs takes caches and hyper-threads away, and doubles these numbers
    print(f"{machine}, Python {platform.python_version()}, load average before: {busy:.1f}\n", flush=True)
    if arguments.cost:
        print(costs(list(map(int, arguments.legs.split(","))), arguments.plot))
        return
    if arguments.network:
        print(network_tables())
        return
    start_s = time.monotonic()
    lines = kept(arguments.show) if arguments.show else asyncio.run(run(arguments))
    ours = table(lines, [peer.name for peer in PEERS])
    theirs = peers_table(lines, {peer.name: NAMES[peer.beside] for peer in PEERS})
    print(ours, theirs, sending_table(), sep="\n\n")
    print(f"\n{time.monotonic() - start_s:.0f} s; load average after: {os.getloadavg()[0]:.1f}")
    if arguments.plot or arguments.docs:
        plot(lines, arguments.plot or DOCS / "media-bench.png")
    if arguments.docs:
        when = f"{machine}, {date.today()}; load average {busy:.1f} before, {os.getloadavg()[0]:.1f} after."
        put_into(DOCS / "benchmarks.md", "bench-media", f"{when}\n\n{ours}\n\n{theirs}")


if __name__ == "__main__":
    main()
