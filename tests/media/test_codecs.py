"""Codecs through the plane: what a peer says in one comes back in it, with losses, whatever its packets' length."""

from __future__ import annotations

import itertools
from collections.abc import Iterable
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest

import kallglot_media.phone
from kallglot_media.media.coders import CODINGS, encoder_of, packet_ms
from kallglot_media.media.g722 import (
    NARROW_TAIL,
    WIDE_TAIL,
    G722Decoder,
    G722Encoder,
    decode_all,
    encode_all,
    narrow,
    widen,
)
from kallglot_media.media.messages import LegStats, SendDtmf, SetRemote
from kallglot_media.media.opus import OpusVouchers
from kallglot_media.modes.plan import ECHO, SILENT, Party
from kallglot_media.rtp.dtmf import DtmfReceiver
from kallglot_media.rtp.packet import RtpPacket
from tests.support.studio import FRAME, Pcm16, Studio, tone
from tests.support.waves import read_mono

UTTERANCES = Path(kallglot_media.phone.__file__).parent / "utterances"
PEER = ("192.0.2.9", 4000)
TYPES = {"opus": 111, "G722": 9, "PCMU": 0, "PCMA": 8}
EVENTS = 101


def voice(frames: int) -> Pcm16:
    """Recorded speech at 8 kHz, from its first word on."""
    speech = read_mono(UTTERANCES / "2-agent-en.wav")
    return speech[1600 : 1600 + frames * FRAME]


class Caller:
    """One leg of an echo session, and its peer with an encoder of its own."""

    def __init__(self, codec: str, *, ptime_ms: int = 20, plan: object = ECHO, **remote: object) -> None:
        self.studio = Studio()
        self.studio.session(plan=plan)  # type: ignore[arg-type]
        self.studio.leg("c", Party.CUSTOMER)
        self.type = TYPES[codec]
        self.remote = SetRemote("c", *PEER, codec, self.type, self.type, EVENTS, EVENTS, ptime_ms, **remote)  # type: ignore[arg-type]
        self.studio.apply(self.remote)
        self.slot = self.studio.plane.slot_of("c")
        self.clock_factor = CODINGS[codec].clock_hz // 8000
        self.encoder = encoder_of(codec)
        self.sequence, self.timestamp = 65_530, 0xFFFF_F000
        self.heard: list[RtpPacket] = []

    def packets(self, sound: Pcm16, ptime_ms: int = 20) -> list[bytes]:
        """`sound` in packets of that length; their numbers wrap on the way."""
        size = 8 * ptime_ms
        made = []
        for start in range(0, len(sound) - size + 1, size):
            payload = self.encoder.encode(sound[start : start + size])
            made.append(RtpPacket(self.type, self.sequence, self.timestamp, 7, payload).serialize())
            self.sequence = (self.sequence + 1) & 0xFFFF
            self.timestamp = (self.timestamp + size * self.clock_factor) & 0xFFFFFFFF
        return made

    def step(self, datagrams: Iterable[bytes] = ()) -> None:
        """These come, and 20 ms go by."""
        plane = self.studio.plane
        for datagram in datagrams:
            plane.receive(self.slot, datagram, PEER, self.studio.now_s)
        self.studio.now_s += 0.02
        self.heard += [RtpPacket.parse(data) for _, data in plane.tick(self.studio.now_s)]

    def say(self, packets: list[bytes], ptime_ms: int = 20, *, lost: Iterable[int] = (), more_steps: int = 8) -> None:
        """Send packets at their pace, but for those whose index is in `lost`."""
        gone = set(lost)
        due = 0
        for tick in range(len(packets) * ptime_ms // 20 + more_steps):
            until = min(len(packets), (tick + 1) * 20 // ptime_ms)
            self.step([packets[index] for index in range(due, until) if index not in gone])
            due = max(due, until)

    def sound(self) -> Pcm16:
        """What was heard, at 8 kHz, by decoders that are not the plane's."""
        payloads = [packet.payload for packet in self.heard]
        name = {"opus": "libopus", "G722": "g722", "PCMU": "pcm_mulaw", "PCMA": "pcm_alaw"}
        codec = next(codec for codec, number in TYPES.items() if number == self.type)
        context: Any = av.CodecContext.create(name[codec], "r")
        context.sample_rate = {"opus": 48_000, "G722": 16_000}.get(codec, 8000)
        context.layout = "mono"
        down = av.AudioResampler(format="s16", layout="mono", rate=8000)
        frames = [frame for payload in payloads for frame in context.decode(av.Packet(payload))]
        parts = [part.to_ndarray().reshape(-1) for frame in frames for part in down.resample(frame)]
        return np.concatenate(parts).astype(np.int16)

    def counters(self) -> dict[str, int]:
        leg = self.studio.plane._roster.by_slot[self.slot]
        assert leg is not None
        stats = leg.stats()
        assert isinstance(stats, LegStats)
        return stats.counters


def likeness(said: Pcm16, heard: Pcm16, longest_lag: int = 1600) -> float:
    """The best correlation of `said` with any place of `heard`."""
    a = said.astype(np.float64)
    best = 0.0
    for lag in range(min(longest_lag, max(1, len(heard) - len(a)))):
        b = heard[lag : lag + len(a)].astype(np.float64)
        size = len(b)
        norm = np.linalg.norm(a[:size]) * np.linalg.norm(b)
        best = max(best, float(a[:size] @ b / norm) if norm else 0.0)
    return best


LIKE = {"opus": 0.85, "G722": 0.98, "PCMU": 0.999, "PCMA": 0.999}
"""Twice coded, and half a sample between two of the filters; libopus takes away what is under 100 Hz."""


@pytest.mark.parametrize("codec", list(CODINGS))
def test_what_is_said_comes_back(codec: str) -> None:
    caller = Caller(codec)
    said = voice(60)
    caller.say(caller.packets(said))
    assert likeness(said[: 50 * FRAME], caller.sound()) > LIKE[codec]
    assert caller.counters()["made_up"] == 5, "after the last packet only"


@pytest.mark.parametrize("codec", list(CODINGS))
@pytest.mark.parametrize("ptime_ms", [10, 30, 40, 60])
def test_packets_of_other_lengths(codec: str, ptime_ms: int) -> None:
    sent_ms = packet_ms(codec, ptime_ms)
    caller = Caller(codec, ptime_ms=ptime_ms)
    said = voice(60)
    caller.say(caller.packets(said, sent_ms), sent_ms)
    assert likeness(said[: 45 * FRAME], caller.sound()) > LIKE[codec] - 0.02
    steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(caller.heard)}
    assert steps == {sent_ms * 8 * caller.clock_factor}
    assert len({packet.sequence for packet in caller.heard}) == len(caller.heard)
    assert [packet.marker for packet in caller.heard] == [True] + [False] * (len(caller.heard) - 1)


def test_opus_makes_packets_no_longer_than_the_peer_wishes() -> None:
    assert [packet_ms("opus", wished) for wished in (5, 10, 20, 30, 50, 60, 120)] == [10, 10, 20, 20, 40, 60, 60]


@pytest.mark.parametrize("codec", ["opus", "G722"])
def test_a_lost_packet_is_made_up(codec: str) -> None:
    caller = Caller(codec)
    said = voice(60)
    caller.say(caller.packets(said), lost=[20, 33, 47], more_steps=1)
    counters = caller.counters()
    assert counters["lost"] == 3
    assert counters["made_up"] == 3
    assert likeness(said[: 50 * FRAME], caller.sound()) > LIKE[codec] - 0.06


def test_fec_says_what_a_lost_opus_packet_said() -> None:
    """The packet after the lost one tells of it, so that the frame is nearer to what was said than one made up."""
    sound = voice(80)
    caller = Caller("opus")
    packets = [RtpPacket.parse(data) for data in caller.packets(sound)]
    errors = []
    for use_fec in (True, False):
        vouchers = OpusVouchers()
        made, whole = [], OpusVouchers()
        for index, packet in enumerate(packets):
            entered = vouchers.voucher(packet)
            reference = whole.voucher(packet)
            assert entered is not None
            assert reference is not None
            if index % 8 == 7 and index + 1 < len(packets):
                following = vouchers.voucher(packets[index + 1])
                assert following is not None
                stand_in = vouchers.conceal((), following.payload if use_fec else None)
                made.append((stand_in, whole.decode(reference.payload)))
            else:
                vouchers.decode(entered.payload)
                whole.decode(reference.payload)
        errors.append(sum(float(np.square(a.astype(float) - b).sum()) for a, b in made))
    assert errors[0] < 0.7 * errors[1]


def test_the_newest_opus_packets_are_kept_and_no_more() -> None:
    """Of 300 packets that nobody took out, the last can be decoded; the first is gone, and its place is made up."""
    packets = ([RtpPacket.parse(data) for data in Caller("opus").packets(voice(100))] * 3)[:300]
    vouchers, reference = OpusVouchers(), OpusVouchers()
    entered = [vouchers.voucher(packet) for packet in packets]
    assert len(vouchers._packets) == 256
    assert vouchers._packets == {n + 1: packet.payload for n, packet in enumerate(packets) if n >= 300 - 256}
    oldest = entered[0]
    assert oldest is not None
    vouchers.decode(oldest.payload)  # gone: nothing raises
    last, alone = entered[-1], reference.voucher(packets[-1])
    assert last is not None
    assert alone is not None
    assert vouchers.decode(last.payload).shape == reference.decode(alone.payload).shape


def test_bytes_that_are_no_opus_are_counted() -> None:
    caller = Caller("opus")
    for number, payload in enumerate((b"", b"\xff", b"\xff\xff\xff", bytes(1300))):
        caller.step([RtpPacket(111, number, 960 * number, 7, payload).serialize()])
    for _ in range(10):
        caller.step()
    assert caller.counters()["malformed"] >= 2


@pytest.mark.parametrize("codec", ["opus", "G722"])
def test_any_bytes_are_survived(codec: str) -> None:
    caller = Caller(codec)
    dice = np.random.default_rng(7)
    for number in range(300):
        size = int(dice.integers(0, 200))
        payload = dice.integers(0, 256, size, np.uint8).tobytes()
        caller.step([RtpPacket(caller.type, number, 160 * caller.clock_factor * number, 7, payload).serialize()])


def test_another_codec_by_a_new_agreement() -> None:
    caller = Caller("opus")
    caller.say(caller.packets(voice(20)))
    caller.studio.apply(SetRemote("c", *PEER, "PCMA", 8, 8))
    caller.heard.clear()
    caller.type, caller.encoder, caller.clock_factor = 8, encoder_of("PCMA"), 1
    caller.timestamp = caller.timestamp // 6
    said = voice(40)
    caller.say(caller.packets(said))
    assert {packet.payload_type for packet in caller.heard} == {8}
    assert likeness(said[: 30 * FRAME], caller.sound()) > 0.99


def test_half_band_keeps_what_a_telephone_says() -> None:
    up, down = np.zeros((1, NARROW_TAIL), np.float32), np.zeros((1, WIDE_TAIL), np.float32)
    said = tone(20, 1000)
    parts = []
    for frame in said.reshape(-1, 1, FRAME):
        wide, up = widen(up, frame)
        heard, down = narrow(down, wide)
        parts.append(heard[0])
    assert likeness(said[:2400], np.concatenate(parts), 100) > 0.9999


def test_half_band_is_the_filter_it_is_said_to_be() -> None:
    """Against the convolution with all of its taps, in double precision: the last bit, where it is close to a half."""
    n = np.arange(47) - 23
    taps = np.sinc(n / 2) * np.kaiser(47, 6.0)
    taps /= taps.sum()
    said = np.concatenate([voice(20), np.random.default_rng(4).integers(-32768, 32768, 1600)]).astype(np.int16)
    wide, _ = widen(np.zeros((1, NARROW_TAIL), np.float32), said[None])
    stuffed = np.zeros(2 * len(said))
    stuffed[::2] = 2.0 * said
    expected = np.clip(np.rint(np.convolve(stuffed, taps)[: len(stuffed)]), -32768, 32767)
    assert np.abs(wide[0] - expected).max() <= 1
    assert np.mean(wide[0] != expected) < 0.003
    heard, _ = narrow(np.zeros((1, WIDE_TAIL), np.float32), wide)
    expected = np.clip(np.rint(np.convolve(wide[0], taps)[: wide.shape[1] : 2]), -32768, 32767)
    assert np.abs(heard[0] - expected).max() <= 1
    assert np.mean(heard[0] != expected) < 0.003


def loud_and_soft(seed: int, frames: int) -> Pcm16:
    """Speech, then noise over the whole range, then silence: int16[frames, 160]."""
    dice = np.random.default_rng(seed)
    noise = dice.integers(-32768, 32768, (frames // 4) * FRAME).astype(np.int16)
    speech = np.roll(voice(frames), 1000 * seed)[: frames // 2 * FRAME]
    return np.resize(np.concatenate([speech, noise, np.zeros(len(noise), np.int16)]), frames * FRAME).reshape(-1, FRAME)


def test_g722_is_what_ffmpeg_makes_of_it_to_the_bit() -> None:
    encoder = av.CodecContext.create("g722", "w")
    encoder.sample_rate, encoder.layout, encoder.format, encoder.time_base = 16_000, "mono", "s16", Fraction(1, 16_000)
    decoder: Any = av.CodecContext.create("g722", "r")
    decoder.sample_rate, decoder.layout = 16_000, "mono"
    ours, heard = G722Encoder(), G722Decoder()
    for wide in loud_and_soft(1, 200).reshape(-1, 2 * FRAME):
        frame = av.AudioFrame.from_ndarray(wide.reshape(1, -1), format="s16", layout="mono")
        frame.sample_rate = 16_000
        payload = b"".join(bytes(packet) for packet in encoder.encode(frame))
        assert ours.of_wide(wide) == payload
        theirs = np.concatenate([it.to_ndarray().reshape(-1) for it in decoder.decode(av.Packet(payload))])
        assert np.array_equal(np.frombuffer(heard.to_wide(payload), np.int16), theirs)


def test_g722_of_many_legs_is_that_of_each_to_the_bit() -> None:
    sound = np.stack([loud_and_soft(seed, 60) for seed in range(5)])
    encoders, decoders = [G722Encoder() for _ in sound], [G722Decoder() for _ in sound]
    alone = [(G722Encoder(), G722Decoder()) for _ in sound]
    for tick in range(60):
        some = [n for n in range(5) if (tick + n) % 4]  # of the others nothing came, and what they remember stays
        payloads = encode_all([encoders[n] for n in some], sound[some, tick])
        heard = decode_all([decoders[n] for n in some], payloads)
        for n, payload, pcm in zip(some, payloads, heard, strict=True):
            assert alone[n][0].encode(sound[n, tick]) == payload.tobytes()
            assert np.array_equal(alone[n][1].decode(payload.tobytes()), pcm)


# ── keys ─────────────────────────────────────────────────────────────────────────


@pytest.mark.parametrize("codec", ["PCMU", "G722", "opus"])
def test_keys_are_sent_in_place_of_sound(codec: str) -> None:
    caller = Caller(codec, plan=SILENT)
    for _ in range(3):
        caller.step()
    caller.studio.apply(SendDtmf("c", "4#", 100))
    for _ in range(40):
        caller.step()
    receiver = DtmfReceiver()
    pressed = []
    for packet in caller.heard:
        press = receiver.push(packet) if packet.payload_type == EVENTS else None
        pressed += [(press.digit, press.duration_ms)] if press else []
    assert pressed == [("4", 100), ("#", 100)]
    sequences = [packet.sequence for packet in caller.heard]
    assert sequences == [(sequences[0] + n) & 0xFFFF for n in range(len(sequences))]
    first = next(index for index, packet in enumerate(caller.heard) if packet.payload_type == EVENTS)
    assert caller.heard[first].marker
    step = (caller.heard[first].timestamp - caller.heard[first - 1].timestamp) & 0xFFFFFFFF
    assert step == FRAME * caller.clock_factor
    assert caller.heard[-1].payload_type == caller.type, "sound goes on after the last key"
    again = [packet.marker for packet in caller.heard[first:] if packet.payload_type == caller.type]
    assert again == [True] + [False] * (len(again) - 1), "a talk spurt begins after the keys"
    ticks = (caller.heard[-1].timestamp - caller.heard[0].timestamp) & 0xFFFFFFFF
    assert ticks == 42 * FRAME * caller.clock_factor, "time does not stand still for keys"


def test_keys_that_were_not_agreed_are_counted() -> None:
    caller = Caller("PCMU")
    caller.studio.apply(SetRemote("c", *PEER, "PCMU", 0, 0))
    caller.studio.apply(SendDtmf("c", "123"))
    caller.step()
    assert caller.counters()["dtmf_not_agreed"] == 3
    assert [packet.payload_type for packet in caller.heard] == [0]


# ── comfort noise ────────────────────────────────────────────────────────────────


def test_comfort_noise_sounds_at_its_level_and_is_no_loss() -> None:
    caller = Caller("PCMU")
    packets = caller.packets(voice(10))
    caller.say(packets, more_steps=0)
    caller.step([RtpPacket(13, caller.sequence, caller.timestamp, 7, bytes([40])).serialize()])
    for _ in range(30):
        caller.step()
    noise = caller.sound()[-20 * FRAME :].astype(np.float64)
    level_dbfs = 20 * np.log10(np.sqrt(np.mean(noise**2)) / 32767)
    assert level_dbfs == pytest.approx(-40, abs=2)
    counters = caller.counters()
    assert counters["comfort_noise"] == 1
    assert counters["lost"] == 0
