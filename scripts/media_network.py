"""What a bad network does to what is heard: the plane driven by hand, in simulated time, with losses, jitter and skew.

PESQ is that of ITU-T P.862 (narrow band), each sentence against what the other side heard of it; beside it the score of
the same losses with nothing done about them: no concealment, no jitter buffer. Delay is how far what is heard lies
behind what was said, found by correlation second by second.
"""

from __future__ import annotations

import heapq
import resource
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt
from media_load import FRAME, PAYLOAD_TYPES, speech

from kallglot_media.audio import g711
from kallglot_media.media.coders import encoder_of
from kallglot_media.media.messages import CloseLeg, LegClosed, OpenLeg, OpenSession, SetPlan, SetRemote
from kallglot_media.media.plane import MediaPlane
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import BRIDGED, Party
from kallglot_media.random_ids import RandomIds
from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.reserve import JitterRules

Pcm16 = npt.NDArray[np.int16]
Lateness = Callable[[float, np.random.Generator], float]
"""Seconds by which a packet that was sent at so many seconds is late."""

SENTENCE_S = 8
SENTENCES = 6
PEER = ("192.0.2.9", 4000)


@dataclass(frozen=True, slots=True)
class Network:
    """loss: share of packets; jitter_ms: each is late by 0 to this, evenly; ppm: how fast the sender's clock is."""

    loss: float = 0.0
    jitter_ms: float = 0.0
    ppm: float = 0.0

    def __str__(self) -> str:
        parts = [f"{100 * self.loss:.0f} % lost"] if self.loss else []
        parts += [f"{self.jitter_ms:.0f} ms jitter"] if self.jitter_ms else []
        return ", ".join(parts) or "clean"


def even(most_s: float) -> Lateness:
    """As likely late by nothing as by the most."""
    return lambda _at_s, chance: float(chance.uniform(0, most_s)) if most_s else 0.0


class NoRecorder:
    """Nothing is recorded."""

    def open(self, session_id: str, folder: str, rate_hz: int) -> None: ...

    def write(self, session_id: str, first_sample: int, pcm: Pcm16) -> None: ...

    def close(self, session_id: str, samples: int) -> None: ...


class Call:
    """A customer who speaks `codec` over `network`, and an agent on a perfect line with PCMU."""

    def __init__(
        self,
        network: Network,
        codec: str = "PCMU",
        seed: int = 1,
        phase_s: float = 0.010,
        *,
        late: Lateness | None = None,
        jitter: JitterRules | None = None,
    ) -> None:
        """late: how late a packet is, in place of the network's jitter; jitter: rules of the customer's buffer."""
        self.network = network
        self.chance = np.random.default_rng(seed)
        self.late = late or even(network.jitter_ms / 1000)
        settings = MediaSettings(rtp_timeout_s=1e9, jitter=jitter or JitterRules())
        self.plane = MediaPlane(settings, RandomIds(), NoRecorder())
        self.phase_s = phase_s
        self.codec = codec
        self.encoder = encoder_of(codec)
        plane = self.plane
        plane.apply(OpenSession("s"), 0.0)
        plane.apply(SetPlan("s", BRIDGED), 0.0)
        for leg, party, kind in (("c", Party.CUSTOMER, codec), ("a", Party.AGENT, "PCMU")):
            plane.apply(OpenLeg("s", leg, party, "192.0.2.1"), 0.0)
            payload_type = PAYLOAD_TYPES[kind]
            plane.apply(SetRemote(leg, *PEER, kind, payload_type, payload_type), 0.0)
        self.slots = {leg: plane.slot_of(leg) for leg in "ca"}
        self.lost: list[bool] = []
        self.late_s: list[float] = []

    def arrivals(self, sound: Pcm16) -> Iterator[tuple[float, bytes]]:
        """When each packet comes, in the order of sending."""
        step = 960 if self.codec == "opus" else FRAME
        for n, frame in enumerate(sound.reshape(-1, FRAME)):
            packet = RtpPacket(
                PAYLOAD_TYPES[self.codec], n & 0xFFFF, n * step & 0xFFFFFFFF, 7, self.encoder.encode(frame)
            )
            late_s = self.late(0.02 * n, self.chance)
            gone = bool(self.chance.random() < self.network.loss)
            self.lost.append(gone)
            self.late_s.append(late_s)
            if not gone:
                yield self.phase_s + 0.02 * n / (1 + self.network.ppm * 1e-6) + late_s, packet.serialize()

    def hear(self, sound: Pcm16) -> Pcm16:
        """What the agent hears while the customer says `sound`."""
        return np.concatenate(list(self.frames(sound)))

    def frames(self, sound: Pcm16) -> Iterator[Pcm16]:
        """The same, tick by tick."""
        coming = self.arrivals(sound)
        waiting: list[tuple[float, bytes]] = []
        ahead = next(coming, None)
        for tick in range(len(sound) // FRAME + 20):
            now_s = 0.02 * tick
            while ahead is not None and ahead[0] <= now_s + 0.5:
                heapq.heappush(waiting, ahead)
                ahead = next(coming, None)
            while waiting and waiting[0][0] <= now_s:
                at_s, data = heapq.heappop(waiting)
                self.plane.receive(self.slots["c"], data, PEER, at_s)
            sent = dict(self.plane.tick(now_s))
            self.plane.take_events()
            self.plane.take_rtcp()
            yield g711.ulaw_decode(np.frombuffer(sent[self.slots["a"]][12:], np.uint8))

    def counters(self) -> dict[str, int]:
        """What the customer's leg counted; it is closed."""
        self.plane.apply(CloseLeg("c"), 0.0)
        return next(it for it in self.plane.take_events() if isinstance(it, LegClosed)).stats.counters


def untreated(sound: Pcm16, call: Call) -> Pcm16:
    """The same losses with nothing done: silence for what is lost or more than a packet late."""
    gone = np.array(call.lost) | (np.array(call.late_s) > 0.02)
    heard = g711.ulaw_decode(g711.ulaw_encode(sound)).reshape(-1, FRAME).copy()
    heard[gone[: len(heard)]] = 0
    return heard.reshape(-1)


def sentences(count: int = SENTENCES) -> list[Pcm16]:
    """Pieces of the demo's speech, at −20 dBFS while somebody speaks."""
    whole = speech()[: count * SENTENCE_S * 8000].astype(np.float64)
    whole *= 3276.8 / np.sqrt(np.mean(whole[np.abs(whole) > 300] ** 2))
    return [np.asarray(np.clip(part, -32768, 32767), np.int16) for part in whole.reshape(count, -1)]


def lags_ms(said: Pcm16, heard: Pcm16) -> list[float]:
    """How far `heard` lies behind `said`, for each second in which there is something to hear."""
    found = []
    for start in range(0, len(said) - 8000, 8000):
        piece = said[start : start + 8000].astype(np.float64)
        there = heard[start : start + 8000 + 4000].astype(np.float64)
        if np.std(piece) < 300 or len(there) < 12_000:
            continue
        spectrum = np.conj(np.fft.rfft(piece, 32_768)) * np.fft.rfft(there, 32_768)
        found.append(float(np.fft.irfft(spectrum)[:4000].argmax()) / 8)
    return found


def quality_table(codec: str, networks: list[Network]) -> str:
    """PESQ and delay, one line for each network."""
    from pesq import pesq

    lines = [
        f"| {codec} | PESQ | nothing done | delay ms, median (all) | made up / late |", "|---|---|---|---|---|",
    ]  # fmt: skip
    for network in networks:
        scores, bare, lags, made_up, late = [], [], [], 0, 0
        for seed, sound in enumerate(sentences()):
            call = Call(network, codec, seed)
            heard = call.hear(sound)
            scores.append(pesq(8000, sound, heard, "nb"))
            bare.append(pesq(8000, sound, untreated(sound, call), "nb"))
            lags += lags_ms(sound, heard)
            counters = call.counters()
            made_up, late = made_up + counters.get("made_up", 0), late + counters["late"]
        spread = f"{min(lags):.0f}–{max(lags):.0f}"
        untold = f"{np.mean(bare):.2f}" if codec != "opus" else "–"
        lines.append(
            f"| {network} | {np.mean(scores):.2f} | {untold} | {np.median(lags):.0f} ({spread}) | {made_up} / {late} |"
        )
    return "\n".join(lines)


def delay_table() -> str:
    """An impulse in, an impulse out, at every phase between the sender's packets and our tick."""
    delays = []
    for phase_ms in range(1, 20):
        call = Call(Network(), phase_s=phase_ms / 1000)
        sound = np.zeros(100 * FRAME, np.int16)
        sound[60 * FRAME] = 20_000
        heard = call.hear(sound)
        sent_s = phase_ms / 1000 + 60 * 0.02  # the packet that holds it arrives
        delays.append(1000 * (float(np.abs(heard.astype(int)).argmax()) / 8000 - sent_s))
    return (
        "| added delay, clean network | ms |\n|---|---|\n"
        f"| median over all phases | {np.median(delays):.0f} |\n| least, most | {min(delays):.0f}, {max(delays):.0f} |"
    )


def skew_table(seconds: int = 3600) -> str:
    """An hour of a talker whose clock is off by 200 ppm: the delay, and the memory."""
    lines = [
        "| one hour, sender's clock | delay ms, first minute | last minute | least–most | stretched / shrunk | lost "
        "| MB more |", "|---|---|---|---|---|---|---|",
    ]  # fmt: skip
    minute = np.concatenate(sentences())[: 40 * 8000]
    for ppm in (-200.0, 200.0):
        call = Call(Network(ppm=ppm))
        sound = np.resize(minute, seconds * 8000)
        before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
        lags: list[list[float]] = []
        heard: list[Pcm16] = []
        drift = 1 + ppm * 1e-6
        for tick, frame in enumerate(call.frames(sound)):
            heard.append(frame)
            if len(heard) == 50 * 60:
                start = (tick + 1) * FRAME - 60 * 8000
                # what was said by now, on our clock: the sender is ahead by so many samples
                ahead = start * (drift - 1)
                said = sound[int(start * drift) : int(start * drift) + 59 * 8000]
                shift = (int(start * drift) - start - ahead) / 8
                lags.append([lag - shift for lag in lags_ms(said, np.concatenate(heard))])
                heard = []
        counters = call.counters()
        medians = [float(np.median(minute_lags)) for minute_lags in lags if minute_lags]
        more = (resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before) / 1024
        lines.append(
            f"| {ppm:+.0f} ppm | {medians[0]:.0f} | {medians[-1]:.0f} | {min(medians):.0f}–{max(medians):.0f} "
            f"| {counters['stretched_frames']} / {counters['shrunk_frames']} | {counters['lost']} | {more:.1f} |"
        )
    return "\n".join(lines)


def network_tables() -> str:
    """All of it, as Markdown."""
    losses = [Network(), *(Network(loss=part) for part in (0.05, 0.10, 0.20))]
    jitters = [Network(jitter_ms=ms) for ms in (40.0, 80.0)]
    both = [Network(loss=0.05, jitter_ms=40.0), Network(loss=0.10, jitter_ms=80.0)]
    parts = [quality_table("PCMU", losses + jitters + both), quality_table("opus", losses), delay_table(), skew_table()]
    return "\n\n".join(parts)
