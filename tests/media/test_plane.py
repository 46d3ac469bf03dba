"""The plane by hand: what goes in as numbers comes out as numbers, at the right sample."""

from __future__ import annotations

import itertools
from collections.abc import Callable

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as some

from kallglot_media.audio import g711
from kallglot_media.media.messages import (
    Clear,
    CloseLeg,
    CloseSession,
    Gains,
    LegClosed,
    OpenLeg,
    OpenSession,
    PlayLoop,
    PlayoutFinished,
    PlayoutStarted,
    PlayTone,
    SessionClosed,
    SetPlan,
    SetRemote,
    SrtpKeys,
    StopTone,
)
from kallglot_media.media.roster import PlaneError
from kallglot_media.media.settings import MediaSettings
from kallglot_media.modes.plan import (
    ASSISTIVE_TRANSLATION,
    BIDIRECTIONAL_TRANSLATION,
    BRIDGED,
    ECHO,
    INTERPRETER,
    SILENT,
    Party,
    Plan,
    Words,
)
from kallglot_media.rtp.jitter import JitterRules
from kallglot_media.rtp.rtcp import Goodbye, parse_compound
from tests.support.studio import FRAME, SILENCE, Pcm16, Studio, exact, tone

C, A, AI = Party.CUSTOMER, Party.AGENT, Party.AI
DELAY = FRAME
"""One frame of reserve with the default rules, counted from the tick that follows the arrival."""


def bridge(plan: Plan = BRIDGED, **more: object) -> Studio:
    """Customer (µ-law) and agent (A-law) in session "s"."""
    studio = Studio()
    studio.session(plan=plan, **more)  # type: ignore[arg-type]
    studio.leg("c", C)
    studio.leg("a", A, codec="PCMA")
    return studio


def test_assistive_the_agent_hears_the_customer_untouched_and_no_later_than_one_jitter_buffer() -> None:
    """The agent: the customer's own samples at 0 dB whatever is made. The customer: what is made, and no more."""
    studio = bridge(ASSISTIVE_TRANSLATION, gains=Gains(original_level_db=None, original_idle_db=None))
    said = tone(20)
    studio.play("c", "made", tone(5, hz=900.0))
    studio.say({"c": said, "a": tone(20, hz=300.0)}, more_steps=3)
    heard = studio.peers["a"].heard()
    want = g711.DECODERS["PCMA"](g711.ENCODERS["PCMA"](g711.DECODERS["PCMU"](g711.ENCODERS["PCMU"](said))))
    assert np.array_equal(heard[DELAY : DELAY + len(said)], want)
    assert np.abs(studio.peers["c"].heard()[5 * FRAME :]).max() == 0


def rms(pcm: Pcm16) -> float:
    return float(np.sqrt(np.mean(pcm.astype(np.float64) ** 2)))


def db(got: Pcm16, reference: Pcm16) -> float:
    return 20 * float(np.log10(rms(got) / rms(reference)))


# ── live voices ──────────────────────────────────────────────────────────────────


def test_an_impulse_arrives_one_frame_later_to_the_sample() -> None:
    studio = bridge()
    impulse = SILENCE.copy()
    impulse[37] = exact(8000)
    studio.say({"c": np.concatenate([np.tile(SILENCE, 4), impulse]), "a": np.zeros(5 * FRAME, np.int16)}, more_steps=4)
    heard = studio.peers["a"].heard()
    assert np.flatnonzero(np.abs(heard) > 8).tolist() == [4 * FRAME + 37 + DELAY]
    assert heard.max() == exact(exact(8000), "PCMA")


def test_each_hears_the_other_and_not_themselves() -> None:
    studio = bridge()
    low, high = tone(20, 300), tone(20, 1100)
    studio.say({"c": low, "a": high}, more_steps=2)
    to_agent, to_customer = (studio.peers[leg].heard()[DELAY : DELAY + len(low)] for leg in "ac")
    assert db((to_agent - low).astype(np.int16), low) < -30
    assert db((to_customer - high).astype(np.int16), high) < -30


def test_echo_comes_back_and_interpreting_oneself_does_not() -> None:
    for plan, loud in ((ECHO, True), (INTERPRETER, False)):
        studio = Studio()
        studio.session(plan=plan)
        studio.leg("c", C)
        studio.say({"c": tone(10)}, more_steps=2)
        assert (rms(studio.peers["c"].heard()) > 1000) == loud


def test_two_talkers_at_full_scale_saturate_and_do_not_wrap() -> None:
    studio = Studio()
    studio.session(plan=Plan(Words.NONE, live={C: (C, A)}))
    studio.leg("c", C)
    studio.leg("a", A)
    loud = np.full(10 * FRAME, 30_000, np.int16)
    studio.say({"c": loud, "a": loud}, more_steps=1)
    assert studio.peers["c"].heard()[2 * FRAME : 9 * FRAME].min() == exact(32_767)


def test_rtp_is_steady_from_set_remote_on() -> None:
    studio = bridge(SILENT)
    for _ in range(30):
        studio.step()
    packets = studio.peers["c"].received
    assert [packet.sequence for packet in packets] == [(packets[0].sequence + n) & 0xFFFF for n in range(30)]
    steps = {(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)}
    assert steps == {FRAME}
    assert packets[0].timestamp > packets[-1].timestamp, "the clock of this test wraps on the way"
    assert [packet.marker for packet in packets] == [True] + [False] * 29
    assert len({packet.ssrc for packet in packets}) == 1
    assert not studio.peers["c"].heard().any()


def test_whoever_is_heard_it_is_one_stream() -> None:
    """Live voice, made speech, a tone, barge-in, another plan, a talker who restarts: numbers and timestamps run on by
    one and by 160, with one SSRC, and no marker after the first packet: there is no silence in the sending."""
    studio = bridge(BRIDGED)
    listener, talker = studio.peers["a"], studio.peers["c"]
    changes: list[Callable[[], object]] = [
        lambda: None,
        lambda: studio.play("a", "made", tone(30, hz=900.0)),
        lambda: studio.apply(Clear("a")),
        lambda: studio.apply(PlayTone("a", "ringback")),
        lambda: studio.apply(StopTone("a")),
        lambda: studio.apply(SetPlan("s", BIDIRECTIONAL_TRANSLATION)),
        lambda: setattr(talker, "ssrc", 99),
        lambda: setattr(talker, "sequence", talker.sequence + 20_000),
        lambda: studio.apply(SetPlan("s", BRIDGED)),
        lambda: studio.apply(studio.remote(listener)),
    ]
    for change in changes:
        change()
        studio.say({"c": tone(10)})
    packets = listener.received
    assert len(packets) == 100
    first = packets[0]
    assert [packet.sequence for packet in packets] == [(first.sequence + n) & 0xFFFF for n in range(100)]
    assert [packet.timestamp for packet in packets] == [(first.timestamp + n * FRAME) & 0xFFFFFFFF for n in range(100)]
    assert {packet.ssrc for packet in packets} == {first.ssrc}
    again = 90  # the same agreement again: a receiver may have been set up anew
    assert [n for n, packet in enumerate(packets) if packet.marker] in ([0], [0, again])


@pytest.mark.parametrize("change", ["ssrc", "sequence", "timestamp"])
def test_a_talker_who_restarts_the_stream_is_heard_on_within_three_frames(change: str) -> None:
    """A transfer at the other side, or a phone that comes back from hold."""
    studio = bridge()
    talker = studio.peers["c"]
    studio.say({"c": tone(20)})
    jump = {"ssrc": 1, "sequence": 20_000, "timestamp": 1_000_000}[change]
    setattr(talker, change, getattr(talker, change) + jump)
    before = len(studio.peers["a"].heard())
    studio.say({"c": tone(30)}, more_steps=0)
    levels = [rms(frame) for frame in studio.peers["a"].heard()[before:].reshape(-1, FRAME)]
    quiet = [n for n, level in enumerate(levels) if level < 2000]
    assert len(quiet) <= 3, levels
    assert max(quiet, default=0) < 6
    stats = studio.plane._roster.legs["c"].stats().counters
    assert stats["resyncs"] == 1
    assert stats["lost"] == 0


def test_silence_is_suppressed_by_choice() -> None:
    """RFC 3551 section 4.1: numbers go on without a gap, timestamps with time, and voice begins with the marker."""
    studio = Studio(MediaSettings(suppress_silence=True))
    studio.session(plan=BRIDGED)
    studio.leg("c", C)
    listener = studio.leg("a", A)
    studio.say({"c": tone(20)})
    for _ in range(300):
        studio.step({"c": SILENCE})
    studio.say({"c": tone(20)}, more_steps=2)
    packets = listener.received
    assert 45 < len(packets) < 60
    first = packets[0]
    assert [packet.sequence for packet in packets] == [(first.sequence + n) & 0xFFFF for n in range(len(packets))]
    gaps = [(b.timestamp - a.timestamp) & 0xFFFFFFFF for a, b in itertools.pairwise(packets)]
    assert sum(gaps) == (packets[-1].timestamp - first.timestamp) & 0xFFFFFFFF
    assert sum(gaps) >= 330 * FRAME
    pauses = [n for n, gap in enumerate(gaps, 1) if gap > FRAME]
    assert len(pauses) == 2, "one sign of life after five seconds, then the voice"
    assert [n for n, packet in enumerate(packets) if packet.marker] == [0, pauses[-1]]


def test_a_peer_that_takes_it_is_told_to_make_comfort_noise_of_silence() -> None:
    """RFC 3389 section 3: one packet as silence begins and one every five seconds, numbered like sound; voice after it
    begins with the marker. A peer that has not agreed to it gets what it got before."""
    studio = Studio(MediaSettings(suppress_silence=True, comfort_noise_dbov=-62))
    studio.session(plan=BRIDGED)
    listener, plain = studio.leg("c", C), studio.leg("a", A)
    studio.apply(studio.remote(listener, comfort_noise=True))
    studio.say({"a": tone(20), "c": tone(20)})
    for _ in range(300):
        studio.step({"a": SILENCE, "c": SILENCE})
    studio.say({"a": tone(20), "c": tone(20)}, more_steps=2)
    packets = listener.received
    noise = [n for n, packet in enumerate(packets) if packet.payload_type == 13]
    assert [packets[n].payload for n in noise] == [bytes([62])] * 2
    assert [packet.payload_type for packet in plain.received if packet.payload_type != 0] == []
    first = packets[0]
    assert [packet.sequence for packet in packets] == [(first.sequence + n) & 0xFFFF for n in range(len(packets))]
    stamps = [(packet.timestamp - first.timestamp) & 0xFFFFFFFF for packet in packets]
    assert stamps == sorted(set(stamps))
    assert {packet.ssrc for packet in packets} == {first.ssrc}
    assert (stamps[noise[1]] - stamps[noise[0]]) == (250 - 11) * FRAME
    assert stamps[noise[0]] - stamps[noise[0] - 1] == FRAME, "as soon as nothing else goes out"
    assert noise[1] == noise[0] + 1, "and nothing between the two"
    marked = [n for n, packet in enumerate(packets) if packet.marker]
    assert noise[1] + 1 in marked
    assert not set(marked) & set(noise)


def test_silence_to_a_g722_leg_is_sent_whatever_is_chosen_for_g711() -> None:
    """Its coder goes on from frame to frame at both ends: what is left out would be heard as a crack."""
    studio = Studio(MediaSettings(suppress_silence=True, comfort_noise_dbov=-62))
    studio.session(plan=BRIDGED)
    narrow, wide = studio.leg("c", C), studio.leg("a", A)
    studio.apply(studio.remote(wide, codec="G722", send_payload_type=9, comfort_noise=True))
    for _ in range(100):
        studio.step({"c": SILENCE})
    assert {packet.payload_type for packet in wide.received} == {9}
    first = wide.received[0]
    assert [(packet.timestamp - first.timestamp) & 0xFFFFFFFF for packet in wide.received] == [
        n * FRAME for n in range(100)
    ]
    assert len(narrow.received) < 15


def test_comfort_noise_goes_encrypted_where_sound_does() -> None:
    keys = SrtpKeys("AES_CM_128_HMAC_SHA1_80", bytes(30), bytes(30))
    studio = Studio(MediaSettings(suppress_silence=True, comfort_noise_dbov=-62))
    studio.session(plan=SILENT)
    listener = studio.leg("c", C)
    studio.apply(studio.remote(listener, comfort_noise=True, keys=keys))
    sent = [data for _ in range(30) for _, data in studio.plane.tick(studio.now_s)]
    noise = [data for data in sent if data[1] & 0x7F == 13]
    assert [len(data) for data in noise] == [12 + 1 + 10], "header, level, and the tag of ten bytes"
    assert noise[0][12] != 62


def test_nothing_goes_out_before_the_remote_is_known_or_while_it_is_held() -> None:
    studio = Studio()
    studio.session()
    studio.apply(OpenLeg("s", "c", C, "192.0.2.1"))
    assert studio.plane.tick(0.0) == []
    peer = studio.leg("a", A)
    studio.step()
    studio.apply(studio.remote(peer, send=False, receive=False))
    studio.say({"a": tone(3)})
    studio.apply(studio.remote(peer))
    studio.step()
    before, after = peer.received
    assert (after.sequence - before.sequence) & 0xFFFF == 1
    assert (after.timestamp - before.timestamp) & 0xFFFFFFFF == 4 * FRAME
    assert after.marker
    studio.apply(CloseLeg("a"))
    [closed] = studio.plane.take_events()
    assert isinstance(closed, LegClosed)
    assert closed.stats.counters["held"] == 3


# ── made speech ──────────────────────────────────────────────────────────────────


def test_made_speech_starts_with_the_next_tick_and_says_where() -> None:
    studio = bridge(BIDIRECTIONAL_TRANSLATION)
    for _ in range(5):
        studio.step()
    speech = np.full(250, exact(5000, "PCMA"), np.int16)
    studio.play("a", "p1", speech)
    studio.play("a", "p2", speech[:50])
    for _ in range(4):
        studio.step()
    heard = studio.peers["a"].heard()
    loud = np.flatnonzero(np.abs(heard) > 8)
    assert (loud[0], loud[-1], len(loud)) == (5 * FRAME, 5 * FRAME + 299, 300)
    assert studio.take(PlayoutStarted) == [
        PlayoutStarted("a", "p1", 5 * FRAME),
        PlayoutStarted("a", "p2", 5 * FRAME + 250),
    ]
    assert studio.take(PlayoutFinished) == [
        PlayoutFinished("a", "p1", 5 * FRAME + 250, 250, 250),
        PlayoutFinished("a", "p2", 5 * FRAME + 300, 50, 50),
    ]


def test_clear_ends_it_within_a_tick() -> None:
    studio = bridge(BIDIRECTIONAL_TRANSLATION)
    studio.play("a", "p1", np.full(10 * FRAME, 5000, np.int16))
    studio.play("a", "p2", np.full(FRAME, 5000, np.int16))
    for _ in range(3):
        studio.step()
    studio.apply(Clear("a"))
    for _ in range(3):
        studio.step()
    heard = studio.peers["a"].heard()
    fade = heard[3 * FRAME : 3 * FRAME + 40]
    assert 0 < rms(fade) < 5000
    assert not np.abs(heard[3 * FRAME + 40 :]).max() > 8
    assert studio.take(PlayoutFinished) == [
        PlayoutFinished("a", "p1", 3 * FRAME, 3 * FRAME, 10 * FRAME),
        PlayoutFinished("a", "p2", 3 * FRAME, 0, FRAME),
    ]


def test_speech_at_another_rate_is_resampled() -> None:
    studio = bridge(BIDIRECTIONAL_TRANSLATION)
    at = np.arange(22_050)
    studio.play("a", "p1", (8000 * np.sin(2 * np.pi * 440 * at / 22_050)).astype(np.int16), 22_050)
    for _ in range(52):
        studio.step()
    [finished] = studio.take(PlayoutFinished)
    assert isinstance(finished, PlayoutFinished)
    assert abs(finished.total_samples - 8000) <= 1
    wanted = (8000 * np.sin(2 * np.pi * 440 * np.arange(8000) / 8000)).astype(np.int16)
    got = studio.peers["a"].heard()[:8000]
    assert db((got - wanted)[200:-200].astype(np.int16), wanted) < -30


def test_a_full_line_refuses_the_play_and_says_so() -> None:
    studio = bridge(BIDIRECTIONAL_TRANSLATION)
    studio.play("a", "p1", np.ones(61 * 8000, np.int16))
    studio.step()
    assert studio.take(PlayoutFinished) == [PlayoutFinished("a", "p1", 0, 0, 61 * 8000)]


def test_the_original_is_ducked_under_made_speech_and_comes_back() -> None:
    """−6 dB while idle, −18 dB under speech; down within 20 ms, up again within 100 ms."""
    gains = Gains(original_level_db=-18.0, original_idle_db=-6.0, attack_ms=20, release_ms=100)
    studio = bridge(BIDIRECTIONAL_TRANSLATION, gains=gains)
    voice = tone(60, 500, 16_000)
    studio.say({"c": voice[: 20 * FRAME]})
    studio.play("a", "p1", np.zeros(20 * FRAME, np.int16))  # silent speech: only the original is heard
    studio.say({"c": voice[20 * FRAME :]})
    heard = studio.peers["a"].heard()

    def level(first: int, last: int) -> float:
        part = slice(first * FRAME, last * FRAME)
        return db(heard[part], voice[part])

    assert level(10, 20) == pytest.approx(-6, abs=0.2)
    assert -18 < level(20, 21) < -6
    assert level(21, 40) == pytest.approx(-18, abs=0.2)
    assert -18 < level(41, 43) < -6
    assert level(45, 60) == pytest.approx(-6, abs=0.2)
    steps = np.abs(np.diff(heard.astype(np.int32)))
    assert steps[19 * FRAME : 46 * FRAME].max() < 16_000 * 0.5 * 2 * np.pi * 500 / 8000 * 1.15, "nothing clicks"


def test_original_off_and_let_through() -> None:
    off = Gains(original_level_db=None, original_idle_db=None)
    studio = bridge(BIDIRECTIONAL_TRANSLATION, gains=off)
    studio.say({"c": tone(10)})
    assert np.abs(studio.peers["a"].heard()).max() == exact(0, "PCMA")
    studio.apply(SetPlan("s", BIDIRECTIONAL_TRANSLATION, off, through=(C,)))
    studio.say({"c": tone(10), "a": tone(10)}, more_steps=1)
    assert db(studio.peers["a"].heard()[11 * FRAME : 20 * FRAME], tone(9)) == pytest.approx(0, abs=0.3)
    assert not studio.peers["c"].heard().any(), "the agent was not let through"


def test_music_of_ones_own_loops_at_any_rate() -> None:
    studio = bridge(SILENT)
    studio.apply(PlayLoop("c", b"", 8000))
    music = tone(25)  # half a second
    studio.apply(PlayLoop("c", np.repeat(music, 2).tobytes(), 16_000))
    for _ in range(60):
        studio.step()
    heard = studio.peers["c"].heard()
    assert rms(heard[30 * FRAME : 50 * FRAME]) == pytest.approx(rms(music), rel=0.1)
    studio.apply(StopTone("c"))
    for _ in range(3):
        studio.step()
    assert not studio.peers["c"].heard()[61 * FRAME :].any()


def test_a_tone_loops_until_stopped_and_gives_way_to_speech() -> None:
    studio = bridge(SILENT)
    studio.apply(PlayTone("c", "busy"))
    for _ in range(48 + 10):  # 480 ms on, 480 ms off, and again
        studio.step()
    heard = studio.peers["c"].heard()
    assert rms(heard[: 24 * FRAME]) > 1000
    assert not heard[24 * FRAME : 48 * FRAME].any()
    assert rms(heard[48 * FRAME :]) > 1000
    studio.play("c", "p1", np.zeros(2 * FRAME, np.int16))
    for _ in range(4):
        studio.step()
    assert not studio.peers["c"].heard()[58 * FRAME :].any(), "speech ends the tone"
    studio.apply(PlayTone("c", "ringback"))
    studio.apply(StopTone("c"))
    studio.step()
    assert not studio.peers["c"].heard()[-FRAME:].any()


# ── loss ─────────────────────────────────────────────────────────────────────────


def test_a_lost_packet_is_made_up_and_the_next_joins() -> None:
    studio = bridge()
    voice = tone(30, 200)
    for n in range(30):
        if n == 20:
            studio.peers["c"].skip()
            studio.step()
        else:
            studio.step({"c": voice[n * FRAME : (n + 1) * FRAME]})
    heard = studio.peers["a"].heard()[20 * FRAME + DELAY : 21 * FRAME + DELAY]
    wanted = voice[20 * FRAME : 21 * FRAME]
    assert db((heard - wanted).astype(np.int16), wanted) < -12, "a steady tone goes on as it was"
    studio.apply(CloseLeg("c"))
    [closed] = studio.plane.take_events()
    assert isinstance(closed, LegClosed)
    assert closed.stats.counters["made_up"] == 1
    assert closed.stats.counters["lost"] == 1
    assert closed.stats.loss_ratio == pytest.approx(1 / 29, rel=0.1)


def test_a_peer_that_stops_fades_into_silence() -> None:
    studio = bridge()
    studio.say({"c": tone(20, 200)})
    for _ in range(20):
        studio.step()
    heard = studio.peers["a"].heard()
    assert rms(heard[21 * FRAME : 22 * FRAME]) > 1000
    assert not np.abs(heard[27 * FRAME :]).max() > 8


def test_packets_of_other_lengths_are_cut_into_frames() -> None:
    for size in (80, 240, 320, 480):
        studio = bridge()
        peer = studio.peers["c"]
        voice = tone(48, 333)
        sent = 0
        for n in range(48):
            while sent < len(voice) and sent <= n * FRAME:
                studio.send(peer, peer.packet(voice[sent : sent + size]))
                peer.timestamp += size - FRAME
                sent += size
            studio.step()
        heard = studio.peers["a"].heard()
        loud = int(np.flatnonzero(np.abs(heard) > 100)[0]) // FRAME * FRAME
        got, wanted = heard[loud : loud + 30 * FRAME], voice[: 30 * FRAME]
        assert db((got - wanted).astype(np.int16), wanted) < -30, size


# ── recording ────────────────────────────────────────────────────────────────────


def test_four_tracks_on_one_clock() -> None:
    studio = bridge(BIDIRECTIONAL_TRANSLATION)
    low, high = tone(30, 300), tone(30, 1100)
    studio.say({"c": low[: 10 * FRAME], "a": high[: 10 * FRAME]})
    studio.play("a", "p1", np.full(100, 5000, np.int16))  # the customer's words, for the agent
    studio.play("c", "p2", np.full(200, -5000, np.int16))
    studio.say({"c": low[10 * FRAME :], "a": high[10 * FRAME :]})
    studio.apply(CloseSession("s"))
    tape = studio.sink.tapes["s"]
    assert tape.samples == 30 * FRAME
    customer, agent = tape.file(C), tape.file(A)
    assert customer.shape == agent.shape == (30 * FRAME, 2)
    for file, voice in ((customer, low), (agent, high)):
        wanted = voice[:-DELAY]
        assert db((file[DELAY:, 0] - wanted).astype(np.int16), wanted) < -30
    assert np.flatnonzero(customer[:, 1]).tolist() == list(range(10 * FRAME, 10 * FRAME + 100))
    assert set(customer[10 * FRAME : 10 * FRAME + 100, 1]) == {5000}
    assert np.flatnonzero(agent[:, 1]).tolist() == list(range(10 * FRAME, 10 * FRAME + 200))


def test_files_are_equal_when_a_leg_comes_late_and_one_leaves_early() -> None:
    studio = Studio()
    studio.session(plan=BRIDGED)
    studio.leg("c", C)
    studio.say({"c": tone(33)})
    studio.leg("a", A)
    studio.say({"c": tone(10), "a": tone(10, 1100)})
    studio.apply(CloseLeg("c"))
    del studio.peers["c"]
    studio.say({"a": tone(41, 1100)})
    studio.apply(CloseSession("s"))
    tape = studio.sink.tapes["s"]
    customer, agent = tape.file(C), tape.file(A)
    assert customer.shape == agent.shape == (84 * FRAME, 2)
    assert tape.samples == 84 * FRAME
    assert not agent[: 33 * FRAME].any()
    assert not customer[43 * FRAME :].any()
    assert customer[42 * FRAME : 43 * FRAME, 0].any()
    assert agent[83 * FRAME :, 0].any()


@pytest.mark.parametrize(
    ("plan", "listener", "file"),
    [
        (BRIDGED, "c", A),  # an announcement: nobody's words, so the other party's file
        (BRIDGED, "a", C),
        (INTERPRETER, "c", C),  # the customer's own words, made over
        (Plan(Words.ANSWER, made={C: AI}), "c", A),  # the AI has no file and stands in the agent's
        (BIDIRECTIONAL_TRANSLATION, "c", A),
    ],
)
def test_made_speech_stands_in_the_file_of_whose_words_it_is(plan: Plan, listener: str, file: Party) -> None:
    studio = bridge(plan)
    studio.play(listener, "p", np.full(FRAME, 1234, np.int16))
    studio.step()
    studio.apply(CloseSession("s"))
    tape = studio.sink.tapes["s"]
    other = A if file is C else C
    assert set(tape.file(file)[:, 1]) == {1234}
    assert not tape.file(other)[:, 1].any()


def test_two_listeners_of_the_same_words_are_both_in_the_track() -> None:
    studio = bridge(Plan(Words.TRANSLATE, made={C: C, A: C}))
    studio.play("c", "p", np.full(FRAME, 1000, np.int16))
    studio.play("a", "p", np.full(FRAME, 200, np.int16))
    studio.step()
    studio.apply(CloseSession("s"))
    assert set(studio.sink.tapes["s"].file(C)[:, 1]) == {1200}


def test_a_leg_that_says_nothing_is_recorded_as_true_silence() -> None:
    studio = Studio()
    studio.session()
    studio.leg("a", A, codec="PCMA")
    held = studio.leg("c", C, codec="PCMA")
    studio.apply(studio.remote(held, receive=False))
    studio.step()
    studio.apply(CloseSession("s"))
    assert not studio.sink.tapes["s"].file(A).any()
    assert not studio.sink.tapes["s"].file(C).any()


def test_frames_given_up_leave_a_hole_and_the_clock_right() -> None:
    studio = bridge()
    studio.say({"c": tone(10)})
    studio.plane.skip(7)
    studio.say({"c": tone(10)})
    studio.apply(CloseSession("s"))
    tape = studio.sink.tapes["s"]
    assert tape.samples == 27 * FRAME
    assert not tape.file(C)[10 * FRAME : 17 * FRAME].any()
    timestamps = [packet.timestamp for packet in studio.peers["a"].received]
    assert (timestamps[10] - timestamps[9]) & 0xFFFFFFFF == 8 * FRAME


# ── opening and closing ──────────────────────────────────────────────────────────


def test_many_sessions_do_not_hear_each_other_and_rows_are_used_again() -> None:
    studio = Studio()
    for n in range(40):
        studio.session(f"s{n}")
        studio.leg(f"c{n}", C, f"s{n}")
        studio.leg(f"a{n}", A, f"s{n}", codec="PCMA")
    levels = {f"c{n}": np.full(5 * FRAME, 300 * (n + 1), np.int16) for n in range(40)}
    studio.say(levels, more_steps=1)
    for n in range(40):
        wanted = exact(exact(300 * (n + 1)), "PCMA")
        assert set(studio.peers[f"a{n}"].heard()[2 * FRAME : 5 * FRAME]) == {wanted}
    for n in range(40):
        studio.apply(CloseSession(f"s{n}"))
    assert sorted(studio.plane.take_freed()) == sorted(peer.slot for peer in studio.peers.values())
    assert (studio.plane.leg_count, studio.plane.session_count) == (0, 0)
    studio.peers.clear()
    studio.step()
    studio.session("again")
    assert studio.leg("c", C, "again").slot == 1
    studio.step()
    assert not studio.peers["c"].heard().any()


def test_a_partys_newest_leg_is_its_voice() -> None:
    studio = bridge()
    studio.leg("a2", A)
    studio.say({"c": tone(5), "a": np.full(5 * FRAME, 900, np.int16), "a2": np.full(5 * FRAME, -900, np.int16)})
    assert set(studio.peers["c"].heard()[2 * FRAME :]) == {exact(-900)}
    assert rms(studio.peers["a2"].heard()) > 1000
    assert np.abs(studio.peers["a"].heard()).max() == exact(0, "PCMA")
    studio.apply(CloseLeg("a2"))
    del studio.peers["a2"]
    studio.step({"a": np.full(FRAME, 900, np.int16)})
    assert exact(exact(900, "PCMA")) in studio.peers["c"].heard()[-FRAME:]


def test_closing_says_goodbye_on_the_port_above() -> None:
    studio = bridge()
    studio.step()
    studio.apply(CloseLeg("c"))
    [(slot, datagram, remote, _)] = studio.plane.take_rtcp()
    peer = studio.peers["c"]
    assert (slot, remote) == (peer.slot, (peer.address[0], peer.address[1] + 1))
    assert isinstance(parse_compound(datagram)[-1], Goodbye)


def test_a_peer_on_the_highest_port_gets_no_rtcp() -> None:
    """There is no port above 65535, and an SDP that names it must not end the process that holds all calls."""
    studio = bridge()
    studio.apply(SetRemote("c", "127.0.0.1", 65_535, "PCMU", send_payload_type=0, receive_payload_type=0))
    studio.step()
    studio.apply(CloseLeg("c"))
    assert studio.plane.take_rtcp() == []


@pytest.mark.parametrize("nowhere", ["0.0.0.0", "::"])
def test_a_leg_held_by_address_gets_no_rtcp(nowhere: str) -> None:
    """The kernel takes 0.0.0.0 for this machine, so a report "to the peer" would go to a port of our own."""
    studio = bridge()
    remote = SetRemote("c", nowhere, 4000, "PCMU", send_payload_type=0, receive_payload_type=0, send=False)
    studio.apply(remote)
    studio.step()
    studio.apply(CloseLeg("c"))
    assert studio.plane.take_rtcp() == []


def test_a_session_without_recording_says_its_length_itself() -> None:
    studio = Studio()
    studio.apply(OpenSession("s"))
    studio.leg("c", C)
    for _ in range(3):
        studio.step()
    studio.apply(CloseSession("s"))
    assert studio.plane.take_events()[-1] == SessionClosed("s", 3 * FRAME)


def test_closing_gives_back_what_was_not_played() -> None:
    studio = bridge()
    studio.play("a", "p1", np.ones(FRAME * 4, np.int16))
    studio.step()
    studio.apply(CloseLeg("a"))
    finished, closed = studio.plane.take_events()
    assert finished == PlayoutFinished("a", "p1", FRAME, FRAME, 4 * FRAME)
    assert isinstance(closed, LegClosed)


@pytest.mark.parametrize(
    ("message", "why"),
    [
        (OpenLeg("nowhere", "x", C, "192.0.2.1"), "session nowhere is not open; send OpenSession first"),
        (OpenLeg("s", "c", C, "192.0.2.1"), "leg c is open already"),
        (OpenLeg("s", "x", AI, "192.0.2.1"), "the AI speaks by Play and needs no leg"),
        (OpenSession("s"), "session s is open already"),
        (OpenSession("t", None, 16_000), "a session at 16000 Hz; G.711 legs run at 8000"),
    ],
)
def test_what_cannot_be_opened_is_said(message: OpenLeg | OpenSession, why: str) -> None:
    with pytest.raises(PlaneError, match=why):
        bridge().apply(message)


def test_messages_for_what_has_gone_are_no_mistake() -> None:
    studio = bridge()
    for message in (Clear("gone"), StopTone("gone"), CloseLeg("gone"), CloseSession("gone"), SetPlan("gone", ECHO)):
        studio.apply(message)
    slot = studio.peers.pop("c").slot
    studio.apply(CloseLeg("c"))
    studio.plane.receive(slot, b"", ("192.0.2.9", 1), 0.0)
    studio.plane.receive_rtcp(slot, b"", ("192.0.2.9", 1), 0.0)
    studio.step()


@settings(max_examples=60, deadline=None)
@given(some.lists(some.tuples(some.booleans(), some.binary(max_size=220)), max_size=30))
def test_no_datagram_stops_the_tick(datagrams: list[tuple[bool, bytes]]) -> None:
    studio = Studio(MediaSettings(jitter=JitterRules()))
    studio.session()
    peer = studio.leg("c", C)
    studio.leg("a", A)
    for looks_right, data in datagrams:
        studio.send(peer, b"\x80\x00" + data if looks_right else data)
        studio.plane.receive_rtcp(peer.slot, b"\x80\xc8" + data if looks_right else data, peer.address, studio.now_s)
        studio.step({"a": SILENCE})
    assert len(peer.received) == len(datagrams)
