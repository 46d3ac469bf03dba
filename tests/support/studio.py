"""A media plane driven by hand: frames in, frames out, twenty milliseconds a step, no time passes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import numpy as np
import numpy.typing as npt

from kallglot_media.audio import g711
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.messages import (
    FromMedia,
    Gains,
    Listen,
    OpenLeg,
    OpenSession,
    Play,
    SetPlan,
    SetRemote,
    ToMedia,
)
from kallglot_media.media.plane import MediaPlane
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import BRIDGED, Party, Plan
from kallglot_media.rtp.packet import RtpPacket

Pcm16 = npt.NDArray[np.int16]

FRAME = 160
DTMF_TYPE = 101
SILENCE: Pcm16 = np.zeros(FRAME, np.int16)


class CountingIds:
    """Ids that tests can foresee: 1, 2, 3 …"""

    def __init__(self) -> None:
        self._last = 0

    def _next(self) -> int:
        self._last += 1
        return self._last

    def tag(self) -> str:
        return f"tag{self._next()}"

    def branch(self) -> str:
        return f"z9hG4bK{self._next()}"

    def call_id(self) -> str:
        return f"call{self._next()}"

    def nonce(self) -> str:
        return f"nonce{self._next()}"

    def ssrc(self) -> int:
        return 0x1000 + self._next()

    def rtp_sequence(self) -> int:
        return 65_530 + self._next() % 5

    def rtp_timestamp(self) -> int:
        return 0xFFFF_FF00 + self._next()

    def object_id(self, prefix: str) -> str:
        return f"{prefix}_{self._next()}"


@dataclass
class Tape:
    """A recording in memory."""

    chunks: list[tuple[int, Pcm16]] = field(default_factory=list)
    samples: int | None = None

    def file(self, party: Party) -> Pcm16:
        """int16[n, 2]: left and right of the party's file, holes as silence."""
        index = 0 if party is Party.CUSTOMER else 1
        length = max((first + chunk.shape[1] for first, chunk in self.chunks), default=0)
        sound = np.zeros((length, 2), np.int16)
        for first, chunk in self.chunks:
            sound[first : first + chunk.shape[1]] = chunk[index]
        return sound


class MemorySink:
    """Takes recordings as the recorder would."""

    def __init__(self) -> None:
        self.tapes: dict[str, Tape] = {}

    def open(self, session_id: str, folder: str, rate_hz: int) -> None:
        self.tapes[session_id] = Tape()

    def write(self, session_id: str, first_sample: int, pcm: Pcm16) -> None:
        self.tapes[session_id].chunks.append((first_sample, pcm))

    def close(self, session_id: str, samples: int) -> None:
        self.tapes[session_id].samples = samples


@dataclass
class Peer:
    """The other end of a leg: its address, and where its stream stands."""

    leg_id: str
    slot: int
    address: tuple[str, int]
    codec: str
    sequence: int = 65_500
    timestamp: int = 0xFFFF_F000
    ssrc: int = 7
    received: list[RtpPacket] = field(default_factory=list)

    def packet(self, pcm: Pcm16, *, payload_type: int | None = None) -> bytes:
        """The next packet of the stream."""
        payload = g711.ENCODERS[self.codec](np.ascontiguousarray(pcm)).tobytes()
        static_type = 0 if self.codec == "PCMU" else 8
        kind = static_type if payload_type is None else payload_type
        data = RtpPacket(kind, self.sequence & 0xFFFF, self.timestamp & 0xFFFFFFFF, self.ssrc, payload).serialize()
        self.skip()
        return data

    def skip(self) -> None:
        """The next packet is lost on the way."""
        self.sequence += 1
        self.timestamp += FRAME

    def heard(self) -> Pcm16:
        """All that came back, as one array."""
        parts = [g711.DECODERS[self.codec](np.frombuffer(packet.payload, np.uint8)) for packet in self.received]
        return np.concatenate(parts) if parts else np.zeros(0, np.int16)


class Studio:
    """Opens sessions and steps the plane."""

    def __init__(self, settings: MediaSettings | None = None) -> None:
        self.sink = MemorySink()
        self.plane = MediaPlane(settings or MediaSettings(), CountingIds(), self.sink, epoch_s=1_800_000_000.0)
        self.now_s = 100.0
        self.peers: dict[str, Peer] = {}
        self.events: list[FromMedia] = []

    def apply(self, message: ToMedia) -> None:
        """A message of control, now."""
        self.plane.apply(message, self.now_s)

    def session(
        self,
        session_id: str = "s",
        plan: Plan = BRIDGED,
        *,
        gains: Gains | None = None,
        through: tuple[Party, ...] = (),
    ) -> None:
        self.apply(OpenSession(session_id, f"/recordings/{session_id}"))
        self.apply(SetPlan(session_id, plan, gains or Gains(), through))

    def leg(
        self,
        leg_id: str,
        party: Party,
        session_id: str = "s",
        *,
        codec: str = "PCMU",
        listen: SegmentRules | None = None,
    ) -> Peer:
        self.apply(OpenLeg(session_id, leg_id, party, "192.0.2.1"))
        slot = self.plane.slot_of(leg_id)
        peer = Peer(leg_id, slot, ("192.0.2.9", 4000 + 2 * slot), codec)
        self.peers[leg_id] = peer
        self.apply(self.remote(peer))
        if listen is not None:
            self.apply(Listen(leg_id, listen))
        return peer

    def remote(self, peer: Peer, **changes: object) -> SetRemote:
        kind = 0 if peer.codec == "PCMU" else 8
        values: dict[str, object] = {
            "leg_id": peer.leg_id, "host": peer.address[0], "port": peer.address[1], "codec": peer.codec,
            "send_payload_type": kind, "receive_payload_type": kind,
            "dtmf_send_payload_type": DTMF_TYPE, "dtmf_receive_payload_type": DTMF_TYPE,
        }  # fmt: skip
        return SetRemote(**{**values, **changes})  # type: ignore[arg-type]

    def send(self, peer: Peer, datagram: bytes, source: tuple[str, int] | None = None) -> None:
        self.plane.receive(peer.slot, datagram, source or peer.address, self.now_s)

    def step(self, say: Mapping[str, Pcm16] | None = None) -> None:
        """The peers in `say` send one frame each, then the plane ticks."""
        for leg_id, pcm in (say or {}).items():
            self.send(self.peers[leg_id], self.peers[leg_id].packet(pcm))
        by_slot = {peer.slot: peer for peer in self.peers.values()}
        for slot, data in self.plane.tick(self.now_s):
            by_slot[slot].received.append(RtpPacket.parse(data))
        self.events += self.plane.take_events()
        self.now_s = round(self.now_s + 0.02, 3)

    def say(self, sounds: Mapping[str, Pcm16], *, more_steps: int = 0) -> None:
        """Whole sounds, frame by frame, then silence for `more_steps`."""
        steps = max(len(sound) for sound in sounds.values()) // FRAME
        for n in range(steps):
            self.step({leg: sound[n * FRAME : (n + 1) * FRAME] for leg, sound in sounds.items()})
        for _ in range(more_steps):
            self.step(dict.fromkeys(sounds, SILENCE))

    def play(self, leg_id: str, play_id: str, pcm: Pcm16, rate_hz: int = 8000) -> None:
        self.apply(Play(leg_id, play_id, pcm.astype("<i2").tobytes(), rate_hz))

    def take(self, kind: type[FromMedia]) -> list[FromMedia]:
        """The events of one kind so far."""
        return [event for event in self.events if isinstance(event, kind)]


def tone(frames: int, hz: float = 400.0, level: int = 8000) -> Pcm16:
    """A sine, whole frames long."""
    at = np.arange(frames * FRAME)
    return (level * np.sin(2 * np.pi * hz * at / 8000)).astype(np.int16)


def exact(level: int, codec: str = "PCMU") -> int:
    """The value nearest to `level` that survives the codec."""
    pcm = np.array([level], np.int16)
    return int(g711.DECODERS[codec](g711.ENCODERS[codec](pcm))[0])
