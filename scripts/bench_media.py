"""How much of a core a leg costs, how evenly the tick beats, and what a bad network does to what is heard.

    python scripts/bench_media.py [--legs 50,100,200,400,800] [--seconds 6] [--profiles relay,vad,…] [--plot FILE]
    python scripts/bench_media.py --cost               what a leg costs, without a clock: for busy machines
    python scripts/bench_media.py --network            PESQ and delay with losses and jitter, in simulated time

Starts a media process as the server does, opens two legs for each session, bridged, and lets `rtp_load` (C, compiled
here, a process of its own) speak recorded German and English sentences into all of them. Beside it, in the same run, a
relay that treats packet by packet with asyncio, and rtpengine where it is installed. Prints Markdown tables.

Each profile is the one before with more: `relay`, `vad` (+ voice detection and cutting), `mix` (+ made speech over the
original, turned down), `record` (+ both recordings), then all of it with SRTP, with G.722, and with Opus on one leg and
PCMU on the other.

CPU is user and system time of the media process over the measured seconds, all its threads. Lateness is how much after
start + n · 20 ms a tick began; gap is what phones see: how far the time between two packets is from 20 ms, by the
kernel's receive times; jitter is that of RFC 3550 as the phones would report it.
"""

from __future__ import annotations

import argparse
import asyncio
import dataclasses
import json
import os
import platform
import sys
import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

os.environ.setdefault("OPENBLAS_NUM_THREADS", "1")  # as media processes have it

from media_cost import Bench, cost_table, packets_of, plot_costs
from media_load import (
    HOST,
    PAYLOAD_TYPES,
    SRTP_KEY,
    SRTP_SUITE,
    Load,
    Result,
    compile_load,
    speech,
    used,
    write_packets,
)
from media_network import network_tables
from media_peers import WARM_UP_S, asyncio_relay, rtpengine_relay
from media_sending import sending_table

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

    async def measure(self, program: Path, packets: Mapping[tuple[str, bool], Path]) -> Result:
        link = MediaLink(MediaSettings(first_port=20_000), on_event=self.on_event, on_dead=sys.exit)
        await link.start()
        files = [packets[codec, self.profile.srtp] for codec in self.profile.codecs]
        load = Load(program, self.legs, self.seconds + 2 * WARM_UP_S, files)
        peers = await load.ports()
        try:
            load.speak([await self.open_leg(link, number, peer) for number, peer in enumerate(peers)])
        except MediaError:
            load.give_up()
            await link.stop()
            raise
        talking = asyncio.create_task(self.make_speech(link)) if self.profile.mix else None
        await asyncio.sleep(WARM_UP_S)
        first = len(self.stats)
        used_s, period_s = await used(lambda: [link.pid], self.seconds)
        measured = self.stats[first + 1 :] or self.stats[-1:]
        told = await load.told()
        if talking is not None:
            talking.cancel()
        for number in range(self.legs // 2):
            link.send(CloseSession(f"s{number}"))
        await link.stop()
        return Result(
            NAMES[self.name], self.legs, period_s, used_s, told,
            p99_ms=max(stats.lateness_p99_ms for stats in measured),
            max_ms=max(stats.lateness_max_ms for stats in measured),
            skipped=measured[-1].skipped - self.stats[first].skipped,
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


def table(results: Sequence[Result], reference: Mapping[int, float]) -> str:
    """reference: percent per leg of what each line is compared with, by number of legs."""
    lines = [
        "| what | legs | % of a core per leg | × asyncio relay | tick lateness p99 / max ms | skipped "
        "| gap p50 / p99 / max ms | jitter ms | lost of sent | |",
        "|---|---|---|---|---|---|---|---|---|---|",
    ]
    for result in results:
        load = result.load
        ratio = f"{result.percent_per_leg / reference[result.legs]:.2f}" if result.legs in reference else "–"
        late = "–" if result.p99_ms is None else f"{result.p99_ms:.2f} / {result.max_ms:.1f}"
        lost = max(0, load["sent"] - load["received"]) if result.p99_ms is None else load["lost"]
        lines.append(
            f"| {result.what} | {result.legs} | {result.percent_per_leg:.3f} | {ratio} | {late} | {result.skipped} "
            f"| {load['gap_p50_ms']:.2f} / {load['gap_p99_ms']:.2f} / {load['gap_max_ms']:.1f} "
            f"| {load['jitter_ms']:.2f} | {lost:.0f} of {load['sent']:.0f} | {result.notes} |"
        )
    return "\n".join(lines)


def plot(results: Sequence[Result], path: Path) -> None:
    """Cost and lateness over the number of legs, one line for each profile."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    thin: dict[str, Any] = {"markersize": 3, "linewidth": 1.2}
    figure = Figure(figsize=(10, 4.2), layout="constrained")
    cost, late = figure.subplots(1, 2)
    for number, what in enumerate(dict.fromkeys(result.what for result in results)):
        mine = sorted((result for result in results if result.what == what), key=lambda result: result.legs)
        legs = [result.legs for result in mine]
        cost.plot(legs, [result.percent_per_leg for result in mine], "o-", color=f"C{number}", label=what, **thin)
        if mine[0].p99_ms is not None:
            late.plot(legs, [result.p99_ms or 0 for result in mine], "o-", color=f"C{number}", label=what, **thin)
    cost.axhline(0.10, color="#999", linestyle=":", linewidth=1)
    late.axhline(3.0, color="#999", linestyle=":", linewidth=1)
    cost.set(xlabel="legs", ylabel="% of a core per leg", ylim=(0, None))
    late.set(xlabel="legs", ylabel="tick lateness p99, ms", yscale="log")
    for axis in (cost, late):
        axis.grid(color="#e5e9ee", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    cost.legend(fontsize=7, frameon=False, ncols=2)
    figure.savefig(path, dpi=110)


def keep(result: Result, path: Path | None) -> None:
    """A line of JSON for each run, so that several invocations make one table (`--show`)."""
    print(f"{result.what} {result.legs}: {result.percent_per_leg:.3f} %", file=sys.stderr, flush=True)
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(result)) + "\n")


def kept(path: Path) -> list[Result]:
    """What `keep` wrote."""
    return [Result(**json.loads(line)) for line in path.read_text().splitlines()]


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


async def run(arguments: argparse.Namespace) -> list[Result]:
    results: list[Result] = []
    with tempfile.TemporaryDirectory(prefix="bench-media-") as name:
        folder = Path(name)
        program = compile_load(folder)
        packets = {
            (codec, srtp): write_packets(folder / f"{codec}-{srtp}.rtp", codec, srtp=srtp) for codec, srtp in KINDS
        }
        for legs in map(int, arguments.legs.split(",")):
            for relay in (asyncio_relay, rtpengine_relay):
                beside = await relay(program, legs, arguments.seconds, packets["PCMU", False])
                if beside is not None:
                    results.append(beside)
                    keep(beside, arguments.keep)
            for profile in arguments.profiles.split(","):
                bench = Run(profile, legs, arguments.seconds, folder / f"{profile}-{legs}")
                try:
                    results.append(await bench.measure(program, packets))
                except MediaError as error:
                    print(
                        f"{NAMES[profile]} {legs}: more than one process carries: {error}", file=sys.stderr, flush=True
                    )
                    continue
                keep(results[-1], arguments.keep)
    return results


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--legs", default="50,100,200,400,800", help="how many legs, one run for each number")
    parser.add_argument("--seconds", type=float, default=6.0, help="measured seconds of each run")
    parser.add_argument("--profiles", default=",".join(PROFILES), help=f"of {', '.join(PROFILES)}")
    parser.add_argument("--keep", type=Path, help="append the results to this file")
    parser.add_argument("--show", type=Path, help="measure nothing; the table of what was kept there")
    parser.add_argument("--plot", type=Path, help="draw cost and lateness into this PNG")
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
    results = kept(arguments.show) if arguments.show else asyncio.run(run(arguments))
    reference = {it.legs: it.percent_per_leg for it in results if it.what.startswith("asyncio")}
    print(table(results, reference), "\n")
    print(sending_table())
    if arguments.plot:
        plot(results, arguments.plot)


if __name__ == "__main__":
    main()
