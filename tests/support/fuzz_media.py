"""Anything at all at RTP ports: datagrams made of real ones and of nonsense, and a plane that must not mind.

    Storm(seed=1).run(10_000)

Legs of every kind stand in one plane: G.711, G.722, Opus, SDES keys, DTLS. One pair of them talks undisturbed and has
to hear every frame to the byte, whatever hits the others.
"""

from __future__ import annotations

import random
import resource
from collections import Counter
from dataclasses import dataclass

import numpy as np
import pylibsrtp

from kallglot_media.audio import g711
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.coders import encoder_of
from kallglot_media.media.messages import (
    CloseSession,
    DtlsPeer,
    LegClosed,
    Listen,
    OpenLeg,
    OpenSession,
    SetPlan,
    SetRemote,
    SrtpKeys,
)
from kallglot_media.media.plane import MediaPlane
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import BRIDGED, Party
from kallglot_media.rtp.packet import RtpPacket
from kallglot_media.rtp.quality import BurstMetrics
from kallglot_media.rtp.rtcp import Description, Goodbye, ReceiverReport, ReportBlock, SenderReport, build_compound
from kallglot_media.rtp.xr import ExtendedReport, VoipMetrics
from tests.support.studio import CountingIds, MemorySink

FRAME = 160
HERE, PEER, STRANGER = "192.0.2.1", ("192.0.2.9", 4000), ("198.51.100.7", 9)
SUITE, KEY = "AES_CM_128_HMAC_SHA1_80", bytes(range(30))
PER_TICK = 40
"""Datagrams for each 20 ms: forty times what a call sends."""


@dataclass(frozen=True, slots=True)
class Kind:
    """A leg to be hit."""

    codec: str = "PCMU"
    payload_type: int = 0
    keys: bool = False
    dtls: bool = False
    mux: bool = False


KINDS = (
    Kind(),
    Kind("PCMA", 8, mux=True),
    Kind("G722", 9),
    Kind("opus", 111),
    Kind(keys=True, mux=True),
    Kind(dtls=True, mux=True),
)


class Storm:
    """See the module. run() asserts; it returns how often each thing was counted on the legs that were hit."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.plane = MediaPlane(MediaSettings(rtp_timeout_s=1e9), CountingIds(), MemorySink())
        self.now_s = 100.0
        self.sequence = 0
        self._open_calm_call()
        self.hit = [self._open_hit_leg(n, kind) for n, kind in enumerate(KINDS)]
        self.seeds = self._seeds()

    # ── legs ─────────────────────────────────────────────────────────────────────

    def _open_calm_call(self) -> None:
        self.plane.apply(OpenSession("calm"), self.now_s)
        self.plane.apply(SetPlan("calm", BRIDGED), self.now_s)
        self.calm = []
        for leg, party in (("calm/c", Party.CUSTOMER), ("calm/a", Party.AGENT)):
            self.plane.apply(OpenLeg("calm", leg, party, HERE), self.now_s)
            self.plane.apply(SetRemote(leg, *PEER, "PCMU", 0, 0), self.now_s)
            self.calm.append(self.plane.slot_of(leg))
        self.said: list[bytes] = []
        self.heard: list[bytes] = []

    def _open_hit_leg(self, number: int, kind: Kind) -> int:
        session, leg = f"s{number}", f"s{number}/c"
        self.plane.apply(OpenSession(session), self.now_s)
        self.plane.apply(SetPlan(session, BRIDGED), self.now_s)
        self.plane.apply(OpenLeg(session, leg, Party.CUSTOMER, HERE), self.now_s)
        keys = SrtpKeys(SUITE, KEY, KEY) if kind.keys else None
        dtls = DtlsPeer("sha-256", ":".join(["AB"] * 32), we_begin=False) if kind.dtls else None
        remote = SetRemote(
            leg,
            *PEER,
            kind.codec,
            kind.payload_type,
            kind.payload_type,
            101,
            101,
            keys=keys,
            dtls=dtls,
            rtcp_mux=kind.mux,
        )
        self.plane.apply(remote, self.now_s)
        self.plane.apply(Listen(leg, SegmentRules()), self.now_s)
        return self.plane.slot_of(leg)

    # ── datagrams ────────────────────────────────────────────────────────────────

    def _seeds(self) -> list[bytes]:
        """One of each kind that the world sends."""
        voice = np.asarray(np.sin(np.arange(FRAME) / 3) * 8000, np.int16)
        law = g711.ulaw_encode(voice).tobytes()
        policy = pylibsrtp.Policy(key=KEY, ssrc_type=pylibsrtp.Policy.SSRC_ANY_OUTBOUND)
        srtp = pylibsrtp.Session(policy)
        metrics = VoipMetrics(7, 0.1, 0.1, BurstMetrics(0.1, 0.1, 80, 900), 80, 60, 80, 4.0, 3.9, 40, 60, 200)
        reports = build_compound(
            (SenderReport(7, 1 << 40, 160, 1, 160, (ReportBlock(0x1001, 3, 4, 5, 6, 7, 8),)), Description(7, "p"),
             ExtendedReport(7, (metrics,)), Goodbye((7,), "bye"))
        )  # fmt: skip
        rtp = [
            RtpPacket(0, 1, 160, 7, law), RtpPacket(8, 1, 160, 7, law), RtpPacket(9, 1, 160, 7, law),
            RtpPacket(111, 1, 960, 7, encoder_of("opus").encode(voice)),
            RtpPacket(101, 1, 160, 7, bytes((5, 0x8A, 3, 32))),
            RtpPacket(13, 1, 160, 7, b"\x40"), RtpPacket(0, 1, 160, 7, b""), RtpPacket(0, 1, 160, 7, law * 8),
        ]  # fmt: skip
        packets = [packet.serialize() for packet in rtp]
        extended = (
            bytes([0x9F]) + packets[0][1:12] + bytes(60) + b"\xbe\xde\x00\x01" + bytes(4) + law
        )  # CSRCs, extension
        padded = bytes([0xA0]) + packets[0][1:] + bytes(3) + b"\x04"
        lying = bytes([0xA0]) + packets[0][1:] + b"\xff"
        stun = bytes.fromhex("000100002112a442") + bytes(12)
        hello = bytes.fromhex("16feff0000000000000000002c010000200000000000000020fefd") + bytes(40)
        sealed = [srtp.protect(packet) for packet in packets[:1]]
        receiver = build_compound((ReceiverReport(7), Description(7, "p")))
        return [*packets, extended, padded, lying, stun, hello, *sealed, reports, receiver, b"", b"\x80", bytes(1400)]

    def datagram(self) -> bytes:
        """The next one: true to life, or damaged, or cut, or made up."""
        chance = self.chance
        data = bytearray(chance.choice(self.seeds))
        self.sequence += chance.choice((0, 1, 1, 1, 1, 2, -3, 700, 40_000))
        if len(data) >= 12 and chance.random() < 0.7:
            data[2:4] = (self.sequence & 0xFFFF).to_bytes(2)
            data[4:8] = (self.sequence * FRAME & 0xFFFFFFFF).to_bytes(4)
        way = chance.random()
        if way < 0.3:
            for _ in range(chance.randint(1, 6)):
                if data:
                    data[chance.randrange(len(data))] = chance.randrange(256)
        elif way < 0.4:
            del data[chance.randint(0, len(data)) :]
        elif way < 0.5:
            data += chance.randbytes(chance.randint(1, 1400))
        elif way < 0.6:
            data = bytearray(chance.randbytes(chance.randint(0, 200)))
        return bytes(data)

    # ── the storm ────────────────────────────────────────────────────────────────

    def run(self, datagrams: int) -> Counter[str]:
        """Hit the legs so often, tick by tick; then close all."""
        for count in range(datagrams):
            slot = self.chance.choice(self.hit)
            source = PEER if self.chance.random() < 0.9 else STRANGER
            take = self.plane.receive if self.chance.random() < 0.85 else self.plane.receive_rtcp
            take(slot, self.datagram(), source, self.now_s)
            if count % PER_TICK == PER_TICK - 1:
                self._tick(count // PER_TICK)
        self._check_calm_call()
        return self._close()

    def _tick(self, number: int) -> None:
        payload = bytes((number * 7 + n) % 120 for n in range(FRAME))
        self.said.append(payload)
        packet = RtpPacket(0, number & 0xFFFF, number * FRAME & 0xFFFFFFFF, 9, payload).serialize()
        self.plane.receive(self.calm[0], packet, PEER, self.now_s)
        for slot, data in self.plane.tick(self.now_s):
            if slot == self.calm[1]:
                self.heard.append(data[12:])
        self.plane.take_events()
        self.plane.take_rtcp()
        self.now_s += 0.02

    def _check_calm_call(self) -> None:
        assert len(self.heard) == len(self.said), "not one packet was left out"
        begin = next((n for n, data in enumerate(self.heard) if data == self.said[0]), 0)
        assert begin <= 3
        assert self.heard[begin:] == self.said[: len(self.said) - begin], "the others' storm is heard here"

    def _close(self) -> Counter[str]:
        counted: Counter[str] = Counter()
        for number in range(len(KINDS)):
            self.plane.apply(CloseSession(f"s{number}"), self.now_s)
        for event in self.plane.take_events():
            if isinstance(event, LegClosed):
                counted.update(event.stats.counters)
        return counted


def memory_mb() -> float:
    """The most that this process has had."""
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
