"""What a leg costs, without a clock: real sockets, tick after tick, only the media process's part counted.

For machines that do other things, too: processor time is the same however late it is given. How evenly ticks come, this
cannot say. Beside it what the simplest relay does with each packet: read, parse, decode, code, send; without even an
event loop. On a busy machine the ratio to that is what can be compared.
"""

from __future__ import annotations

import socket
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
from media_load import HOST, PAYLOAD_TYPES, SRTP_KEY, SRTP_SUITE, speech

from kallglot_media.audio import g711
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.messages import CloseSession, Listen, OpenLeg, OpenSession, Play, SetPlan, SetRemote, SrtpKeys
from kallglot_media.media.process import MediaProcess
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import BIDIRECTIONAL_TRANSLATION, BRIDGED, Party
from kallglot_media.rtp.packet import RtpPacket

TICK_S = 0.02
ROUNDS = 9
MADE_TICKS = 200
"""To each leg four seconds of made speech in eight."""


class Bench:
    """A media process of which this program turns the crank."""

    def __init__(
        self, legs: int, files: tuple[Path, Path], codecs: tuple[str, str], *, listen: bool, mix: bool, record: bool,
        srtp: bool, folder: Path,
    ) -> None:  # fmt: skip
        self.legs, self.mix = legs, mix
        ours, theirs = socket.socketpair()
        self.control = ours
        ours.setblocking(False)
        self.process = MediaProcess(theirs, MediaSettings(first_port=20_000, raise_priority=False))
        self.process._recorder.start()
        self.packets = [packets_of(path) for path in files]
        self.peers = [socket.socket(socket.AF_INET, socket.SOCK_DGRAM) for _ in range(legs)]
        keys = SrtpKeys(SRTP_SUITE, SRTP_KEY, SRTP_KEY) if srtp else None
        do = self.process._handle
        for n, peer in enumerate(self.peers):
            session, leg, kind = f"s{n // 2}", f"l{n}", PAYLOAD_TYPES[codecs[n % 2]]
            if n % 2 == 0:
                (folder / session).mkdir(parents=True)
                do(OpenSession(session, str(folder / session) if record else None))
                do(SetPlan(session, BIDIRECTIONAL_TRANSLATION if mix else BRIDGED))
            do(OpenLeg(session, leg, Party.AGENT if n % 2 else Party.CUSTOMER, HOST))
            peer.bind((HOST, 0))
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)  # nobody reads: what comes is thrown away
            do(SetRemote(leg, HOST, peer.getsockname()[1], codecs[n % 2], kind, kind, 101, 101, keys=keys))
            peer.connect((HOST, self.process._pairs[self.process._plane.slot_of(leg)].port))
            if listen:
                do(Listen(leg, SegmentRules()))
        self.made = speech()[8000:40_000].astype("<i2").tobytes()
        self.tick = 0

    def run(self, ticks: int) -> float:
        """Percent of a core for each leg, as if it had taken `ticks` · 20 ms."""
        used_s = 0.0
        for _ in range(ticks):
            self._speak()
            start_s = time.process_time()
            self.process._drain()
            self.process._send(self.process._plane.step(time.monotonic()))
            self.process._tell()
            self.process._recorder.hand_over()
            used_s += time.process_time() - start_s
            self._hear()
            self.tick += 1
        return 100 * used_s / (ticks * TICK_S) / self.legs

    def _speak(self) -> None:
        for n, peer in enumerate(self.peers):
            packets = self.packets[n % 2]
            peer.send(packets[self.tick + n * 997 % (len(packets) // 2)])
            if self.mix and (self.tick + n * 7) % (2 * MADE_TICKS) == 0:
                self.process._handle(Play(f"l{n}", f"p{self.tick}", self.made, 8000))

    def _hear(self) -> None:
        """What is said to control is thrown away."""
        try:
            while self.control.recv(1 << 20):
                pass
        except BlockingIOError:
            pass

    def close(self) -> None:
        """Give all back."""
        for n in range(self.legs // 2):
            self.process._handle(CloseSession(f"s{n}"))
        self.process._recorder.stop(20.0)
        for there in (*self.peers, self.control, self.process._control):
            there.close()


class Simplest:
    """Two legs joined, packet by packet."""

    def __init__(self, legs: int, packets: list[bytes]) -> None:
        self.legs, self.packets = legs, packets
        self.ours = [bound() for _ in range(legs)]
        self.peers = [bound() for _ in range(legs)]
        for ours, peer in zip(self.ours, self.peers, strict=True):
            peer.connect(ours.getsockname())
            peer.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, 4096)
        self.to = [peer.getsockname() for peer in self.peers]

    def run(self, ticks: int) -> float:
        """As Bench.run."""
        used_s = 0.0
        for tick in range(ticks):
            for n, peer in enumerate(self.peers):
                peer.send(self.packets[tick + n * 997 % (len(self.packets) // 2)])
            start_s = time.process_time()
            for n, ours in enumerate(self.ours):
                data, _source = ours.recvfrom(2048)
                packet = RtpPacket.parse(data)
                pcm = g711.ulaw_decode(np.frombuffer(packet.payload, np.uint8))
                out = packet._replace(payload=g711.ulaw_encode(pcm).tobytes()).serialize()
                self.ours[n ^ 1].sendto(out, self.to[n ^ 1])
            used_s += time.process_time() - start_s
        return 100 * used_s / (ticks * TICK_S) / self.legs

    def close(self) -> None:
        """Give all back."""
        for there in (*self.ours, *self.peers):
            there.close()


def bound() -> socket.socket:
    """A UDP socket with a port."""
    there = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    there.bind((HOST, 0))
    return there


def packets_of(path: Path) -> list[bytes]:
    """What `write_packets` wrote."""
    data, at, packets = path.read_bytes(), 0, []
    while at < len(data):
        size = int.from_bytes(data[at : at + 2])
        packets.append(data[at + 2 : at + 2 + size])
        at += 2 + size
    return packets


def cost_table(
    names: dict[str, str],
    make: Callable[[str, int, Path], Bench],
    plain: list[bytes],
    legs: list[int],
    say: Callable[[str], None],
) -> tuple[str, dict[str, list[float]]]:
    """Percent of a core for each leg: a line for each profile, a column for each number of legs; and as numbers."""
    costs: dict[str, list[float]] = {}
    lines = [
        "| % of a core per leg (× packet by packet) | " + " | ".join(f"{n} legs" for n in legs) + " |",
        "|---" * (len(legs) + 1) + "|",
    ]
    for profile, name in names.items():
        cells = []
        for n in legs:
            with tempfile.TemporaryDirectory(prefix="bench-cost-") as folder:
                bench = make(profile, n, Path(folder))
                simplest = Simplest(n, plain)
                bench.run(50)
                rounds = [(bench.run(20), simplest.run(20)) for _ in range(ROUNDS)]
                bench.close()
                simplest.close()
            cost, of_simplest = (float(np.median(column)) for column in zip(*rounds, strict=True))
            cells.append(f"{cost:.3f} ({cost / of_simplest:.2f})")
            costs.setdefault(name, []).append(cost)
            say(f"{name} {n}: {cells[-1]}")
        lines.append(f"| {name} | " + " | ".join(cells) + " |")
    return "\n".join(lines), costs


def plot_costs(legs: list[int], costs: dict[str, list[float]], path: Path) -> None:
    """Cost over the number of legs, one line for each profile."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7, 4.2), layout="constrained")
    axis = figure.subplots()
    for number, (name, of_name) in enumerate(costs.items()):
        axis.plot(legs[: len(of_name)], of_name, "o-", color=f"C{number}", label=name, markersize=3, linewidth=1.2)
    axis.axhline(0.10, color="#999", linestyle=":", linewidth=1)
    axis.set(xlabel="legs", ylabel="% of a core per leg", yscale="log", xscale="log")
    axis.set_xticks(legs, [str(n) for n in legs])
    ticks = (0.05, 0.1, 0.2, 0.5, 1.0)
    axis.set_yticks(ticks, [str(tick) for tick in ticks])
    axis.minorticks_off()
    axis.grid(color="#e5e9ee", linewidth=0.6)
    axis.spines[["top", "right"]].set_visible(False)
    axis.legend(fontsize=7, frameon=False, ncols=4, loc="lower center", bbox_to_anchor=(0.5, 1.0))
    figure.savefig(path, dpi=110)
