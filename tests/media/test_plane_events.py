"""What the plane tells control: speech, keys, losses, statistics; and whom it believes."""

from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.media.messages import (
    CloseLeg,
    Dtmf,
    LegClosed,
    LegStats,
    Listen,
    RtpLost,
    SpeechGrew,
    SpeechStarted,
    Utterance,
)
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import BRIDGED, Party
from kallglot_media.rtp.dtmf import DtmfSender
from kallglot_media.rtp.quality import BurstMetrics
from kallglot_media.rtp.rtcp import (
    Description,
    ReceiverReport,
    ReportBlock,
    SenderReport,
    build_compound,
    middle_of_ntp,
    parse_compound,
)
from kallglot_media.rtp.xr import ExtendedReport, VoipMetrics
from tests.support.studio import DTMF_TYPE, FRAME, SILENCE, Pcm16, Peer, Studio, exact, tone

C, A = Party.CUSTOMER, Party.AGENT


def one_leg(settings: MediaSettings | None = None, listen: SegmentRules | None = None) -> tuple[Studio, Peer]:
    studio = Studio(settings)
    studio.session(plan=BRIDGED)
    return studio, studio.leg("c", C, listen=listen)


def counters(studio: Studio, leg_id: str = "c") -> dict[str, int]:
    """What the leg counted up to now; it is closed."""
    studio.apply(CloseLeg(leg_id))
    del studio.peers[leg_id]
    closed = [event for event in studio.plane.take_events() if isinstance(event, LegClosed)]
    return closed[0].stats.counters


def vowel(frames: int) -> Pcm16:
    """Something a voice detector takes for speech: a buzz at 120 Hz through two formants."""
    at = np.arange(frames * FRAME)
    sound = sum(np.sin(2 * np.pi * 120 * k * at / 8000) / (1 + abs(k - 5)) for k in range(1, 28))
    return np.asarray(sound * 3000, np.float64).astype(np.int16)


# ── speech ───────────────────────────────────────────────────────────────────────


def test_speech_is_told_while_it_goes_on() -> None:
    studio, _ = one_leg(listen=SegmentRules(partial_ms=300))
    studio.say({"c": np.concatenate([vowel(60), np.zeros(40 * FRAME, np.int16)])})
    pieces = [event for event in studio.take(SpeechGrew) if isinstance(event, SpeechGrew)]
    (whole,) = (event for event in studio.take(Utterance) if isinstance(event, Utterance))
    assert len(pieces) >= 4
    assert pieces[0].first_sample == whole.first_sample
    assert whole.pcm.startswith(b"".join(piece.pcm for piece in pieces)[: len(whole.pcm)])
    assert [piece.paused for piece in pieces].count(True) == 1


def test_an_utterance_has_lead_tail_and_its_place_on_the_clock() -> None:
    rules = SegmentRules(start_ms=60, stop_ms=500, lead_ms=240, tail_ms=200)
    studio, _ = one_leg(listen=rules)
    sound = np.concatenate([np.zeros(50 * FRAME, np.int16), vowel(40), np.zeros(50 * FRAME, np.int16)])
    studio.say({"c": sound})
    [started] = studio.take(SpeechStarted)
    [said] = studio.take(Utterance)
    assert isinstance(started, SpeechStarted)
    assert isinstance(said, Utterance)
    begin = 51 * FRAME  # one frame of reserve
    assert abs(started.at_sample - begin) <= 2 * FRAME
    assert said.first_sample == started.at_sample - 240 * 8
    assert begin + 40 * FRAME <= said.speech_end_sample <= begin + 50 * FRAME, "the detector hangs over"
    assert said.rate_hz == 8000
    assert said.ended_by == "silence"
    pcm = np.frombuffer(said.pcm, "<i2")
    assert said.first_sample + len(pcm) == said.speech_end_sample + 200 * 8
    onset = said.first_sample + int(np.flatnonzero(np.abs(pcm) > 500)[0])
    assert abs(onset - begin) < 80


def test_the_lead_in_is_what_was_really_heard_after_a_long_silence() -> None:
    """While all is quiet nothing is looked at; the quiet "p" before a word is in the utterance all the same."""
    studio, _ = one_leg(listen=SegmentRules(lead_ms=240))
    quiet = np.concatenate([np.full(FRAME, exact(8 + n), np.int16) for n in range(40)])  # under −50 dBFS
    sound = np.concatenate([np.zeros(100 * FRAME, np.int16), quiet, vowel(30), np.zeros(40 * FRAME, np.int16)])
    studio.say({"c": np.concatenate([sound, sound])})
    first, second = (np.frombuffer(said.pcm, "<i2") for said in studio.take(Utterance) if isinstance(said, Utterance))
    wanted = quiet[-12 * FRAME :]
    assert first[: len(wanted)].tolist() == wanted.tolist()
    assert second[: len(wanted)].tolist() == wanted.tolist()


def test_closing_flushes_the_utterance_before_leg_closed() -> None:
    studio, _ = one_leg(listen=SegmentRules())
    studio.say({"c": np.concatenate([np.zeros(20 * FRAME, np.int16), vowel(30)])})
    studio.apply(CloseLeg("c"))
    said, closed = studio.plane.take_events()
    assert isinstance(said, Utterance)
    assert said.ended_by == "close"
    assert isinstance(closed, LegClosed)


def test_who_is_not_listened_to_makes_no_utterances() -> None:
    studio, _ = one_leg(listen=SegmentRules())
    studio.apply(Listen("c", None))
    studio.say({"c": np.concatenate([vowel(30), np.zeros(40 * FRAME, np.int16)])})
    assert studio.events == []


# ── keys ─────────────────────────────────────────────────────────────────────────


def press(studio: Studio, peer: Peer, digit: str, *, drop: frozenset[int] = frozenset()) -> None:
    """A key for 100 ms, in step with the ticks; `drop` are packets lost on the way."""
    packets = DtmfSender(DTMF_TYPE).packets(
        digit, 100, sequence=peer.sequence, timestamp=peer.timestamp, ssrc=peer.ssrc
    )
    for n, packet in enumerate(packets):
        if n not in drop:
            studio.send(peer, packet.serialize())
        studio.step()
        peer.skip()


def test_a_key_is_told_once_even_when_packets_are_lost() -> None:
    studio, peer = one_leg()
    studio.say({"c": tone(10)})
    press(studio, peer, "5")
    press(studio, peer, "#", drop=frozenset({0, 4, 5}))
    studio.say({"c": tone(10)})
    keys = studio.take(Dtmf)
    assert [(key.digit, key.duration_ms) for key in keys if isinstance(key, Dtmf)] == [("5", 100), ("#", 100)]
    assert counters(studio)["lost"] == 3, "keys are no lost sound, lost keys are lost packets"


def test_a_key_whose_end_is_lost_is_told_after_a_while() -> None:
    studio, peer = one_leg()
    studio.say({"c": tone(5)})
    press(studio, peer, "9", drop=frozenset({4, 5, 6}))
    studio.say({"c": tone(10)})
    [key] = studio.take(Dtmf)
    assert isinstance(key, Dtmf)
    assert (key.digit, key.duration_ms) == ("9", 80)


# ── losses and statistics ────────────────────────────────────────────────────────


def test_rtp_that_never_came_or_goes_away_is_told_once_each_time() -> None:
    studio, _ = one_leg(MediaSettings(rtp_timeout_s=3.0))
    for _ in range(250):
        studio.step()
    studio.say({"c": tone(60)})
    for _ in range(250):
        studio.step()
    first, second = studio.take(RtpLost)
    assert isinstance(first, RtpLost)
    assert isinstance(second, RtpLost)
    assert 3000 <= first.silent_ms <= 4000
    assert 3000 <= second.silent_ms <= 4000


def test_a_held_leg_may_be_silent() -> None:
    studio, peer = one_leg(MediaSettings(rtp_timeout_s=1.0))
    studio.apply(studio.remote(peer, receive=False))
    for _ in range(200):
        studio.step()
    assert studio.take(RtpLost) == []
    studio.apply(studio.remote(peer))
    for _ in range(200):
        studio.step()
    assert len(studio.take(RtpLost)) == 1


def test_statistics_come_every_five_seconds() -> None:
    studio, _ = one_leg()
    studio.say({"c": tone(500)})
    stats = studio.take(LegStats)
    assert len(stats) == 2
    last = stats[-1]
    assert isinstance(last, LegStats)
    assert last.counters["played"] > 250
    assert last.jitter_ms < 1
    assert last.loss_ratio == 0


def test_reports_go_out_and_are_read() -> None:
    studio, peer = one_leg()
    compounds = []
    for n in range(600):
        studio.step({"c": SILENCE})
        for slot, datagram, remote, _ in studio.plane.take_rtcp():
            assert (slot, remote) == (peer.slot, (peer.address[0], peer.address[1] + 1))
            compounds.append((n, parse_compound(datagram)))
    times = [n for n, _ in compounds]
    assert 1 <= len(times) <= 5
    sent_at, (report, name, extended) = compounds[-1]
    assert isinstance(extended, ExtendedReport)
    [metrics] = extended.voip
    assert (metrics.ssrc, metrics.loss_ratio, metrics.r_factor) == (peer.ssrc, 0.0, 91)
    assert isinstance(report, SenderReport)
    assert isinstance(name, Description)
    assert report.ssrc == peer.received[0].ssrc
    assert report.packets == sent_at + 1
    assert report.octets == FRAME * report.packets
    assert report.ntp >> 32 == 2_208_988_800 + 1_800_000_000 + 100 + sent_at // 50
    [block] = report.reports
    assert (block.ssrc, block.cumulative_lost, block.jitter_ticks) == (peer.ssrc, 0, 0)
    answer = ReportBlock(report.ssrc, 0, 3, 0, 160, middle_of_ntp(report.ntp), 0)
    data = build_compound((ReceiverReport(peer.ssrc, (answer,)), Description(peer.ssrc, "peer")))
    sent_s = studio.now_s - 0.02 * (600 - sent_at)
    studio.plane.receive_rtcp(peer.slot, data, peer.address, sent_s + 0.040)
    studio.plane.receive_rtcp(peer.slot, b"\x80", peer.address, studio.now_s)
    studio.plane.receive_rtcp(peer.slot, data, ("203.0.113.66", 5005), studio.now_s)
    told = counters(studio)
    assert (told["peer_lost"], told["peer_jitter_ms"], told["round_trip_ms"]) == (3, 20, 40)
    assert (told["rtcp_in"], told["rtcp_malformed"], told["rtcp_source"]) == (1, 1, 1)


def test_a_leg_says_how_it_sounds_to_both_its_ends() -> None:
    studio, peer = one_leg()
    studio.say({"c": tone(500)})
    clean = studio.take(LegStats)[-1]
    assert isinstance(clean, LegStats)
    assert clean.mos == pytest.approx(4.37, abs=0.02)
    assert clean.peer_mos is None, "it has not said anything yet"
    for n in range(500):
        studio.step({"c": SILENCE} if n % 10 else None)
        if n % 10 == 0:
            peer.skip()
    ssrc = peer.received[0].ssrc
    losses = ReceiverReport(peer.ssrc, (ReportBlock(ssrc, 0, 50, 0, 0),))
    studio.plane.receive_rtcp(peer.slot, build_compound((losses, Description(peer.ssrc, "p"))), peer.address, 0.0)
    for _ in range(260):
        studio.step({"c": SILENCE})
    lossy = studio.take(LegStats)[-1]
    assert isinstance(lossy, LegStats)
    assert lossy.mos is not None
    assert lossy.peer_mos is not None
    assert lossy.mos < 4.1
    assert lossy.peer_mos < 4.2
    told = VoipMetrics(ssrc, 0, 0, BurstMetrics(0, 0, 0, 0), 0, 0, 80, 3.3, 3.0, 20, 40, 200)
    data = build_compound((losses, Description(peer.ssrc, "p"), ExtendedReport(peer.ssrc, (told,))))
    studio.plane.receive_rtcp(peer.slot, data, peer.address, 0.0)
    studio.apply(CloseLeg("c"))
    [closed] = [event for event in studio.plane.take_events() if isinstance(event, LegClosed)]
    assert closed.stats.peer_mos == 3.3, "the peer's own word goes before what we make of its losses"


def test_what_was_lost_is_told_with_its_place() -> None:
    studio, peer = one_leg()
    for n in range(300):
        if n in (100, 101, 150):
            peer.skip()
            studio.step()
        else:
            studio.step({"c": SILENCE})
    studio.apply(CloseLeg("c"))
    closed = [event.stats for event in studio.plane.take_events() if isinstance(event, LegClosed)]
    told = [*studio.take(LegStats), *closed]
    lost = [number for stats in told if isinstance(stats, LegStats) for number in stats.lost]
    assert lost == [101 * FRAME, 2 * FRAME, 151 * FRAME, FRAME]


# ── whom to believe ──────────────────────────────────────────────────────────────

ELSEWHERE = ("203.0.113.66", 6666)


def test_foreign_rtp_neither_speaks_nor_listens() -> None:
    """RTPbleed: packets from elsewhere are dropped, and what we send stays with the peer."""
    studio, peer = one_leg()
    studio.leg("a", A)
    studio.say({"c": SILENCE})
    attacker = Peer("c", peer.slot, ELSEWHERE, "PCMU", ssrc=99)
    for _ in range(50):
        studio.send(attacker, attacker.packet(tone(1)))
        studio.step({"c": SILENCE})
    assert not studio.peers["a"].heard().any()
    assert studio.plane.remote_of(peer.slot) == peer.address
    assert counters(studio)["source"] == 50


def test_another_port_of_the_same_host_is_followed_once() -> None:
    studio, peer = one_leg(MediaSettings(allow_latch=False))
    behind_nat = (peer.address[0], 50_001)
    studio.send(peer, peer.packet(tone(1)), behind_nat)
    assert studio.plane.remote_of(peer.slot) == behind_nat
    studio.send(peer, peer.packet(tone(1)), (peer.address[0], 50_002))
    studio.send(peer, peer.packet(tone(1)), peer.address)
    assert studio.plane.remote_of(peer.slot) == behind_nat
    studio.apply(studio.remote(peer, codec="PCMA", receive_payload_type=8))
    assert studio.plane.remote_of(peer.slot) == behind_nat, "a re-INVITE with the same address keeps it"
    told = counters(studio)
    assert (told["latched"], told["source"]) == (1, 2)


def test_another_host_is_followed_after_a_few_packets_in_a_row_when_allowed() -> None:
    studio, peer = one_leg(MediaSettings(allow_latch=True))
    for n in range(4):
        assert studio.plane.remote_of(peer.slot) == peer.address, n
        studio.send(peer, peer.packet(tone(1)), ELSEWHERE)
    assert studio.plane.remote_of(peer.slot) == ELSEWHERE
    studio.send(peer, peer.packet(tone(1)), peer.address)
    assert counters(studio)["source"] == 4


@pytest.mark.parametrize("allow", [True, False])
def test_another_host_is_not_followed_later_or_by_scattered_shots_or_when_forbidden(allow: bool) -> None:
    studio, peer = one_leg(MediaSettings(allow_latch=allow))
    attacker = Peer("c", peer.slot, ELSEWHERE, "PCMU", ssrc=99)
    for _ in range(20):
        studio.send(attacker, attacker.packet(tone(1)))
        attacker.sequence += 0 if not allow else 7
    for _ in range(6 * 50):
        studio.step()
    for _ in range(20):
        studio.send(attacker, attacker.packet(tone(1)))
    assert studio.plane.remote_of(peer.slot) == peer.address
    assert counters(studio)["source"] == 40


def test_what_is_no_rtp_is_counted_by_name() -> None:
    studio, peer = one_leg()
    report = build_compound((ReceiverReport(7), Description(7, "peer")))
    for data in (b"\x00\x01\x00\x00" + bytes(16), b"\x16\xfe\xfd" + bytes(20), b"", b"\xff" * 40, report):
        studio.send(peer, data)
    studio.send(peer, peer.packet(SILENCE, payload_type=96))
    studio.send(peer, peer.packet(SILENCE, payload_type=13))
    told = counters(studio)
    names = ("stun", "dtls", "malformed", "rtcp_on_rtp_port", "payload_type", "comfort_noise")
    assert [told[name] for name in names] == [1, 1, 2, 1, 1, 1]


def test_comfort_noise_is_silence_and_no_loss() -> None:
    studio, peer = one_leg(MediaSettings(rtp_timeout_s=1.0))
    studio.leg("a", A)
    studio.say({"c": tone(10, 200)})
    for _ in range(150):
        studio.send(peer, peer.packet(SILENCE[:1], payload_type=13))
        studio.step()
    assert not studio.peers["a"].heard()[12 * FRAME :].any()
    assert [event.leg_id for event in studio.take(RtpLost) if isinstance(event, RtpLost)] == ["a"]
    assert counters(studio)["lost"] == 0


# ── keys as tones ────────────────────────────────────────────────────────────────


def key_tone(low_hz: int, high_hz: int, frames: int = 6) -> Pcm16:
    return np.asarray(tone(frames, low_hz, 4000) + tone(frames, high_hz, 4000), np.int16)


def test_keys_are_heard_as_tones_where_no_events_are_agreed() -> None:
    studio, peer = one_leg()
    studio.apply(studio.remote(peer, dtmf_send_payload_type=None, dtmf_receive_payload_type=None))
    for pair in ((770, 1336), (941, 1477)):
        studio.say({"c": key_tone(*pair)}, more_steps=10)
    keys = [key for key in studio.take(Dtmf) if isinstance(key, Dtmf)]
    assert [(key.leg_id, key.digit) for key in keys] == [("c", "5"), ("c", "#")]
    assert all(100 <= key.duration_ms <= 140 for key in keys)
    assert counters(studio)["dtmf_heard"] == 2


def test_where_events_are_agreed_tones_are_sound_and_no_keys() -> None:
    """A phone that sends both would have each key count twice."""
    studio, _ = one_leg()
    studio.say({"c": key_tone(770, 1336)}, more_steps=10)
    assert studio.take(Dtmf) == []


def test_a_key_that_is_down_when_events_are_agreed_is_forgotten() -> None:
    studio, peer = one_leg()
    studio.apply(studio.remote(peer, dtmf_send_payload_type=None, dtmf_receive_payload_type=None))
    studio.say({"c": key_tone(770, 1336)})
    studio.apply(studio.remote(peer))
    studio.say({"c": tone(10, 400)}, more_steps=5)
    assert studio.take(Dtmf) == []
