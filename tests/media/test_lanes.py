"""Packets that come as they should go a way of their own; what is heard, said, counted and told is the same on both."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.ids import Ids
from kallglot_media.media.lanes import NAME_BYTES, Arrivals, beginnings_of, name_of
from kallglot_media.media.messages import Listen, OpenLeg, OpenSession, Play, SetPlan, SetRemote, SrtpKeys
from kallglot_media.media.plane import MediaPlane
from kallglot_media.media.settings import MediaSettings
from kallglot_media.media.srtp import Srtp
from kallglot_media.modes.plan import BRIDGED, Party
from kallglot_media.rtp.packet import RtpPacket
from tests.support.studio import CountingIds, MemorySink

Datagram = tuple[int, bytes, tuple[str, int], float]
"""Slot, what comes, where from, when."""

PEERS = [("192.0.2.1", 4000), ("192.0.2.2", 4000), ("2001:db8::1", 4000), ("192.0.2.4", 4000)]
CODECS = ["PCMU", "PCMA", "G722", "PCMU"]
TYPES = {"PCMU": 0, "PCMA": 8, "G722": 9}
SILENCE = {"PCMU": b"\xff", "PCMA": b"\xd5", "G722": b"\xfa"}
TICKS = 400
_KEYS = ("AES_CM_128_HMAC_SHA1_80", bytes(range(30))), ("AEAD_AES_256_GCM", bytes(range(44)))
KEYS = [None, SrtpKeys(*_KEYS[0], _KEYS[0][1]), SrtpKeys(*_KEYS[1], _KEYS[1][1]), None]
"""Of each peer, when some are encrypted; the same both ways, as no peer would have them."""


def arrivals_of(batch: list[Datagram]) -> Arrivals:
    """As the sockets make them."""
    names = b"".join(name_of(source) or bytes(NAME_BYTES) for _, _, source, _ in batch)
    return Arrivals(
        np.array([slot for slot, *_ in batch], np.intp),
        beginnings_of([data for _, data, *_ in batch]),
        np.array([len(data) for _, data, *_ in batch]),
        np.frombuffer(names, np.uint8).reshape(-1, NAME_BYTES),
        np.array([at_s for *_, at_s in batch]),
        lambda n: batch[n][1],
        lambda n: batch[n][2],
    )


class House:
    """Two sessions of two legs, each with another law, address family or length of packets."""

    def __init__(self, *, lanes: bool, encrypted: bool = False) -> None:
        ids: Ids = CountingIds()
        self.plane = MediaPlane(MediaSettings(), ids, MemorySink())
        if not lanes:
            self.plane._lanes.settle = lambda: None  # type: ignore[method-assign]
        for n, (host, port) in enumerate(PEERS):
            session, leg = f"s{n // 2}", f"l{n}"
            if n % 2 == 0:
                self.plane.apply(OpenSession(session, None), 1000.0)
                self.plane.apply(SetPlan(session, BRIDGED), 1000.0)
            self.plane.apply(OpenLeg(session, leg, Party.AGENT if n % 2 else Party.CUSTOMER, host), 1000.0)
            kind = TYPES[CODECS[n]]
            remote = SetRemote(leg, host, port, CODECS[n], kind, kind, 101, 101, keys=KEYS[n] if encrypted else None)
            self.plane.apply(remote, 1000.0)
            self.plane.apply(Listen(leg, SegmentRules()), 1000.0)
        self.slots = [self.plane.slot_of(f"l{n}") for n in range(len(PEERS))]

    def tick(self, number: int, come: list[Datagram], *, batched: bool) -> tuple[Any, ...]:
        """What comes, then the tick: what is sent, told and reported."""
        if batched:
            while come:  # of each leg one at a time, as sockets are read
                first: dict[int, Datagram] = {}
                rest: list[Datagram] = []
                for datagram in come:
                    if datagram[0] in first:
                        rest.append(datagram)
                    else:
                        first[datagram[0]] = datagram
                self.plane.arrive(arrivals_of(list(first.values())))
                come = rest
        else:
            for slot, data, source, at_s in come:
                self.plane.receive(slot, data, source, at_s)
        if number % 97 == 60:
            self.plane.apply(Play(f"l{number % 4}", f"p{number}", bytes(16_000), 8000), 1000.0)
        if number % 150 == 149:
            self.plane.skip(7)
        sent = self.plane.tick(1000.02 + 0.02 * number)
        return sent, self.plane.take_events(), self.plane.take_rtcp()


def stream(
    rng: np.random.Generator, slot: int, n: int, *, loss: float, jitter_ms: float, odd: float, encrypted: bool
) -> list[tuple[float, Datagram]]:
    """One peer's packets and when they come: lost, late, twice, overtaken, with markers, pauses, keys and strangers.

    Every other second it is silent, and where it is odd, nothing comes for 350 ms of every three seconds and then all.
    """
    silence, kind = SILENCE[CODECS[n]], TYPES[CODECS[n]]
    sequence, stamp, ssrc = 65_400 + 40 * n, 0xFFFF_0000, 77 + n
    keys = KEYS[n] if encrypted else None
    lock = None if keys is None else Srtp(keys)
    out: list[tuple[float, Datagram]] = []
    for packet in range(TICKS + 40):
        if rng.random() < odd / 4:
            stamp += 160 * int(rng.integers(1, 30))  # a pause
        if rng.random() < odd / 8:
            ssrc, sequence = ssrc + 1, int(rng.integers(0, 65_536))
        if rng.random() < odd / 20:
            stamp += 100_000
        payload = silence * 160 if packet // 50 % 2 else rng.integers(0, 256, 160, dtype=np.uint8).tobytes()
        if rng.random() < odd / 8:
            ssrc += 1  # and nothing else
        if rng.random() < odd / 4:
            payload = payload[: int(rng.choice([0, 80, 159]))] * int(rng.choice([1, 2, 4]))
        marker = bool(rng.random() < odd / 2)
        what = kind if rng.random() > odd / 4 else int(rng.choice([13, 101, 96]))
        data = RtpPacket(
            what, sequence & 0xFFFF, stamp & 0xFFFFFFFF, ssrc, payload[: 4 if what == 101 else None], marker
        )
        source = PEERS[n] if rng.random() > odd / 8 else ("192.0.2.99", 9)
        at_s = 1000.0 + 0.02 * packet + 0.0007 + float(rng.random()) * jitter_ms / 1000
        if odd and at_s % 3 < 0.35:
            at_s += 0.35 - at_s % 3
        sequence += 1
        stamp += 160
        if rng.random() < loss:
            continue
        raw = data.serialize()
        if lock is not None and rng.random() > odd / 8:
            raw = lock.protect(raw)
            if rng.random() < odd / 4:
                raw = raw[:-1] + bytes([raw[-1] ^ 1])
        if len(raw) == 172 and rng.random() < odd / 4:
            raw = bytes([int(rng.choice([0x81, 0x90, 0xA0, 0x40]))]) + raw[1:]  # CSRC, extension, padding, version
        if rng.random() < odd / 8:
            raw = rng.integers(0, 256, 50, dtype=np.uint8).tobytes()
        out += [(at_s, (slot, raw, source, at_s))] * (2 if rng.random() < odd / 8 else 1)
    return out


@pytest.mark.parametrize(
    ("loss", "jitter_ms", "odd"),
    [(0.0, 2.0, 0.0), (0.0, 35.0, 0.0), (0.05, 5.0, 0.02), (0.02, 60.0, 0.05), (0.2, 10.0, 0.3)],
    ids=["calm", "jitter", "losses", "all of it", "chaos"],
)
@pytest.mark.parametrize("encrypted", [False, True], ids=["", "encrypted"])
def test_the_lane_and_the_leg_come_to_the_same(loss: float, jitter_ms: float, odd: float, encrypted: bool) -> None:
    fast, slow = House(lanes=True, encrypted=encrypted), House(lanes=False, encrypted=encrypted)
    assert fast.slots == slow.slots
    rng = np.random.default_rng(int(1000 * (loss + odd)) + int(jitter_ms))
    packets = [
        it
        for n, slot in enumerate(fast.slots)
        for it in stream(rng, slot, n, loss=loss, jitter_ms=jitter_ms, odd=odd, encrypted=encrypted)
    ]
    packets.sort(key=lambda it: it[0])
    at = lane_ticks = 0
    for number in range(TICKS):
        come = []
        while at < len(packets) and packets[at][0] < 1000.02 + 0.02 * number:
            come.append(packets[at][1])
            at += 1
        got = fast.tick(number, come, batched=True)
        want = slow.tick(number, come, batched=False)
        assert got == want, f"tick {number}"
        lane_ticks += fast.plane._lanes.count
    if not odd:
        assert lane_ticks > TICKS * len(PEERS) * (0.9 if jitter_ms < 20 else 0.3), "the lanes were hardly used"
    for leg_id in ("l0", "l1", "l2", "l3"):
        fast.plane._lanes.leave_all()
        assert fast.plane._roster.legs[leg_id].stats() == slow.plane._roster.legs[leg_id].stats()
    assert bool(fast.plane._roster.legs["l1"].counters["srtp_refused"]) == (encrypted and odd > 0)


def test_what_is_not_encrypted_has_no_lane_where_it_should_be() -> None:
    house = House(lanes=True, encrypted=True)
    assert KEYS[1] is not None
    peer = Srtp(KEYS[1])
    packets = [RtpPacket(8, n, 160 * n, 5, bytes(160)).serialize() for n in range(40)]
    for n in range(30):
        house.tick(n, [(house.slots[1], peer.protect(packets[n]), PEERS[1], 1000.0 + n / 50)], batched=True)
    assert house.plane._lanes.count == 1
    leg = house.plane._roster.legs["l1"]
    for n in range(30, 40):
        house.tick(n, [(house.slots[1], packets[n], PEERS[1], 1000.0 + n / 50)], batched=True)
    house.plane._lanes.leave_all()
    assert (leg.counters["srtp_refused"], leg.jitter.stats.received) == (10, 30)


def test_a_sender_that_is_ahead_overflows_in_its_lane_as_elsewhere() -> None:
    """Thirty packets in one tick, with nothing missing before: more than the jitter buffer may hold."""
    fast, slow = House(lanes=True), House(lanes=False)
    number = 0
    for tick in range(60):
        come = []
        for _ in range(30 if tick == 30 else 1):
            data = RtpPacket(0, number, 160 * number, 5, bytes([number % 256]) * 160).serialize()
            come.append((fast.slots[0], data, PEERS[0], 1000.0 + tick / 50))
            number += 1
        assert fast.tick(tick, come, batched=True) == slow.tick(tick, come, batched=False), tick
        assert tick != 29 or fast.plane._lanes.count == 1
    fast.plane._lanes.leave_all()
    assert fast.plane._roster.legs["l0"].stats() == slow.plane._roster.legs["l0"].stats()
    assert slow.plane._roster.legs["l0"].jitter.stats.overflow > 0


def test_only_the_right_source_has_a_lane() -> None:
    """Another host with the peer's numbers, and the peer's host from another port, are dropped as ever."""
    house = House(lanes=True)
    slot = house.slots[0]
    for n in range(20):
        house.tick(
            n, [(slot, RtpPacket(0, n, 160 * n, 5, bytes(160)).serialize(), PEERS[0], 1000.0 + n / 50)], batched=True
        )
    assert house.plane._lanes.count == 1
    for source in (("192.0.2.99", 4000), ("192.0.2.1", 4002)):
        house.tick(20, [(slot, RtpPacket(0, 20, 3200, 5, bytes(160)).serialize(), source, 1000.4)], batched=True)
    assert house.plane._roster.legs["l0"].counters["source"] == 2


@pytest.mark.parametrize("address", [("host.example", 5), ("192.0.2.1", 70_000), ("fe80::1%eth0", 5), ("", 1)])
def test_what_is_no_numeric_address_has_no_name(address: tuple[str, int]) -> None:
    assert name_of(address) is None
