"""Ladders in ticks: what arrives before each tick, and which frame the tick takes out."""

from __future__ import annotations

from collections.abc import Iterable

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.jitter import JitterBuffer, JitterRules
from kallglot_media.rtp.packet import RtpPacket

FIXED = JitterRules(40, 40, 40)
BASE_SEQUENCE, BASE_TIMESTAMP = 65_500, 2**32 - 4_000  # both wrap soon


def sound(number: int, *, ptime_ms: int = 20, ssrc: int = 1, pause_ms: int = 0) -> RtpPacket:
    """Packet `number` of a stream; every 20 ms of its payload is filled with the frame's number."""
    first_ms = number * ptime_ms + pause_ms
    payload = b"".join(bytes([ms // 20 & 0xFF]) * 8 for ms in range(first_ms, first_ms + ptime_ms))
    return RtpPacket(0, (BASE_SEQUENCE + number) & 0xFFFF, (BASE_TIMESTAMP + first_ms * 8) & 0xFFFFFFFF, ssrc, payload)


def play(buffer: JitterBuffer, arrivals: Iterable[Iterable[RtpPacket]], *, quiet: bool = False) -> list[int | None]:
    """One tick per item of arrivals. Returns the frame numbers that came out."""
    out: list[int | None] = []
    for packets in arrivals:
        for packet in packets:
            buffer.insert(packet)
        frame = buffer.pop(quiet)
        assert frame is None or (len(frame) == 160 and len(set(frame)) == 1)
        out.append(None if frame is None else frame[0])
    return out


def conserved(buffer: JitterBuffer) -> bool:
    s = buffer.stats
    return s.received == s.played + s.late + s.duplicate + s.overflow + s.discarded + buffer.waiting


def test_a_steady_stream_waits_for_the_target_and_then_flows() -> None:
    buffer = JitterBuffer(FIXED)
    assert play(buffer, [[sound(n)] for n in range(60)]) == [None, *range(59)]
    assert buffer.stats.lost == 0
    assert conserved(buffer)


@pytest.mark.parametrize("ptime_ms", [10, 20, 30, 40, 60])
def test_any_packet_length_comes_out_as_20_ms_frames(ptime_ms: int) -> None:
    buffer = JitterBuffer(FIXED)
    arrivals = [
        [sound(n, ptime_ms=ptime_ms) for n in range(200) if t * 20 <= n * ptime_ms < t * 20 + 20] for t in range(60)
    ]
    out = play(buffer, arrivals)
    assert out[:1] == [None]
    assert out[1:] == list(range(59))
    assert buffer.stats.concealed_frames == buffer.stats.empty_frames == 0
    assert conserved(buffer)


def test_a_lost_packet_is_one_concealed_frame() -> None:
    buffer = JitterBuffer(FIXED)
    out = play(buffer, [[sound(n)] if n != 5 else [] for n in range(12)])
    assert out == [None, 0, 1, 2, 3, 4, None, 6, 7, 8, 9, 10]
    assert buffer.stats.lost == 1


def test_counters_go_on_in_the_buffer_that_follows() -> None:
    """Another codec in mid-call: a loss before it, then a loss, a late packet and a copy after it."""
    first = JitterBuffer(FIXED)
    play(first, [[sound(n)] if n != 5 else [] for n in range(12)])
    second = JitterBuffer(FIXED, stats=first.stats)
    play(second, [[sound(n)] if n != 5 else [] for n in range(11)] + [[sound(11), sound(5), sound(10)]])
    assert second.stats is first.stats
    assert (second.stats.lost, second.stats.late, second.stats.duplicate) == (2, 1, 1)
    assert second.stats.received == 11 + 13


def test_reordering_within_the_reserve_is_not_heard() -> None:
    buffer = JitterBuffer(FIXED)
    out = play(buffer, [[sound(0)], [sound(1)], [], [sound(3), sound(2)], [sound(4)]])
    assert out == [None, 0, 1, 2, 3]
    assert (buffer.stats.reordered, buffer.stats.lost, buffer.stats.late) == (1, 0, 0)


def test_what_comes_after_its_turn_is_late_and_not_played() -> None:
    buffer = JitterBuffer(FIXED)
    out = play(buffer, [[sound(0)], [sound(1)], [sound(3)], [sound(4)], [sound(2), sound(5)], [sound(6)]])
    assert out == [None, 0, 1, None, 3, 4]
    assert (buffer.stats.late, buffer.stats.lost) == (1, 1)
    assert conserved(buffer)


def test_duplicates_are_counted_whether_waiting_or_played() -> None:
    buffer = JitterBuffer(FIXED)
    out = play(buffer, [[sound(0)], [sound(1), sound(1)], [sound(2), sound(0)], [sound(3)]])
    assert out == [None, 0, 1, 2]
    assert (buffer.stats.duplicate, buffer.stats.late) == (2, 0)


@pytest.mark.parametrize("order", [[20, 8, 9], [8, 9, 20], [20, 8, 9, 11], [3, 4, 5, 6, 7, 8, 9, 20]])
def test_repeats_of_long_ago_are_no_new_stream_to_go_back_to(order: list[int]) -> None:
    """A path that repeats or holds back a run of packets: none of them is heard a second time."""
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(n)] if n != 10 else [] for n in range(20)])
    assert play(buffer, [[sound(n) for n in order], *([sound(n)] for n in range(21, 30))]) == list(range(19, 29))
    assert (buffer.stats.duplicate, buffer.stats.late) == (len(order) - 1, 0)
    assert (buffer.stats.lost, buffer.stats.resyncs, buffer.stats.discarded) == (1, 0, 0)
    assert conserved(buffer)


def test_a_lost_packet_that_comes_long_after_its_turn_is_late_and_a_repeat_of_it_a_duplicate() -> None:
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(n)] if n != 10 else [] for n in range(30)])
    assert play(buffer, [[sound(10), sound(10), sound(30)], [sound(31)]]) == [29, 30]
    assert (buffer.stats.lost, buffer.stats.late, buffer.stats.duplicate) == (1, 1, 1)
    assert conserved(buffer)


def test_a_burst_of_packets_is_no_burst_of_speech() -> None:
    buffer = JitterBuffer(JitterRules(40, 40, 200))
    out = play(buffer, [[sound(n) for n in range(30)], *([[]] * 20)])
    assert out[:10] == list(range(20, 30))  # the newest 200 ms
    assert out[10:] == [None] * 11
    assert buffer.stats.overflow == 20
    assert conserved(buffer)


def test_a_first_packet_that_was_overtaken_is_still_played() -> None:
    buffer = JitterBuffer(FIXED)
    assert play(buffer, [[sound(1), sound(0)], [sound(2)], [sound(3)]]) == [0, 1, 2]
    assert buffer.stats.late == 0


def test_late_sound_raises_the_delay_once_and_goes_on() -> None:
    """The network's delay grows by 60 ms for good: three ticks without sound, then no more."""
    buffer = JitterBuffer(JitterRules(40, 40, 200))
    arrivals = [[sound(n)] for n in range(10)] + [[]] * 3 + [[sound(n)] for n in range(10, 60)]
    out = play(buffer, arrivals)
    assert out[:13] == [None, *range(10), None, None]
    assert out[13:] == list(range(10, 60))
    assert buffer.stats.lost == 0


def test_a_pause_is_no_loss_and_adds_no_delay() -> None:
    """The sender is silent for a second: sequence numbers go on, timestamps jump (RFC 3551 section 4.1)."""
    buffer = JitterBuffer(FIXED)
    after = [[sound(n, pause_ms=1000)] for n in range(10, 20)]
    out = play(buffer, [[sound(n)] for n in range(10)] + [[]] * 50 + after)
    assert out[:11] == [None, *range(10)]
    assert out[11:60] == [None] * 49
    assert out[60:] == [None, *range(60, 69)]  # the same delay of one tick as at the start
    assert buffer.stats.lost == buffer.stats.concealed_frames == 0
    assert buffer.stats.resyncs == 0


def test_a_short_pause_adds_no_delay_either() -> None:
    buffer = JitterBuffer(FIXED)
    out = play(buffer, [[sound(n)] for n in range(10)] + [[]] * 3 + [[sound(n, pause_ms=60)] for n in range(10, 20)])
    assert out == [None, *range(10), None, None, None, *range(13, 22)][: len(out)]
    assert buffer.stats.lost == 0


def test_a_straggler_of_before_the_pause_does_not_start_a_talk_spurt() -> None:
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(0)], [sound(1)], [sound(3)], *([[]] * 30)])
    assert play(buffer, [[sound(2)], [], []]) == [None] * 3
    assert buffer.stats.late == 1


def test_events_in_between_use_numbers_but_are_no_loss() -> None:
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(n)] for n in range(5)])
    for n in range(5, 10):
        buffer.pass_by(sound(n))
        buffer.pop()
    play(buffer, [[sound(n)] for n in range(10, 20)])
    assert buffer.stats.lost == 0


def test_a_new_ssrc_takes_over_at_its_second_packet() -> None:
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(n)] for n in range(5)])
    assert play(buffer, [[sound(n + 100, ssrc=2)] for n in range(5)]) == [4, 100, 101, 102, 103]
    assert buffer.stats.resyncs == 1
    assert buffer.stats.lost == 0
    assert conserved(buffer)


def test_single_strays_of_another_ssrc_are_dropped() -> None:
    buffer = JitterBuffer(FIXED)
    out = play(buffer, [[sound(n), sound(n * 7, ssrc=9)] for n in range(20)])
    assert out == [None, *range(19)]
    assert buffer.stats.resyncs == 0
    assert conserved(buffer)


def test_a_jump_of_the_timestamp_is_followed_at_once() -> None:
    """Asterisk after a transfer: same SSRC, numbers go on, the timestamp starts anew."""
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(n)] for n in range(10)])
    jumped = [[sound(n)._replace(timestamp=(n - 10) * 160 + 777_777)] for n in range(10, 30)]
    assert play(buffer, jumped) == list(range(9, 29))
    assert buffer.stats.resyncs == 1


def test_restarted_sequence_numbers_are_followed() -> None:
    buffer = JitterBuffer(FIXED)
    play(buffer, [[sound(n)] for n in range(10)])
    assert play(buffer, [[sound(n)._replace(sequence=20_000 + n)] for n in range(10, 30)]) == list(range(9, 29))
    assert buffer.stats.lost == 0


def test_a_fast_sender_is_thinned_out_in_silence() -> None:
    """The sender's clock is 1 % fast: one frame too many every 100."""
    buffer = JitterBuffer(FIXED)
    number, out = 0, []
    for tick in range(4000):
        count = 2 if tick % 100 == 99 else 1
        out += play(buffer, [[sound(number + i) for i in range(count)]], quiet=tick % 50 > 40)
        number += count
        assert buffer.depth_ms <= 100
    assert buffer.stats.overflow == 0
    assert 35 <= buffer.stats.shrunk_frames <= 40
    assert out.count(None) == 1


def test_a_slow_sender_is_helped_out_in_silence() -> None:
    buffer = JitterBuffer(JitterRules(60, 60, 60))
    number = 0
    for tick in range(4000):
        count = 0 if tick % 200 == 199 else 1
        play(buffer, [[sound(number + i) for i in range(count)]], quiet=tick % 50 > 40)
        number += count
    assert buffer.stats.empty_frames <= 1
    assert 17 <= buffer.stats.stretched_frames <= 21
    assert buffer.stats.lost == 0


def test_a_fast_sender_of_music_never_makes_the_reserve_grow_without_bound() -> None:
    buffer = JitterBuffer(JitterRules(40, 40, 200))
    number = 0
    for tick in range(6000):
        count = 2 if tick % 20 == 19 else 1  # 5 % fast, never quiet
        play(buffer, [[sound(number + i) for i in range(count)]])
        number += count
        assert buffer.depth_ms <= 240
    assert buffer.stats.overflow > 0
    assert conserved(buffer)


def test_the_target_rises_with_lateness_and_falls_when_calm() -> None:
    buffer = JitterBuffer(JitterRules(40, 40, 200))
    arrivals: list[list[RtpPacket]] = []
    for n in range(0, 200, 4):  # four packets at once, now after 40 ms, now after 160 ms
        arrivals += [[]] * (6 if n % 8 else 0) + [[], [sound(n + i) for i in range(4)]]
    play(buffer, arrivals)
    risen = buffer.target_ms
    assert risen >= 60
    out = play(buffer, [[sound(n)] for n in range(200, 4200)], quiet=True)
    assert buffer.target_ms == 40 < risen
    assert buffer.depth_ms <= 60
    assert out[-1] is not None


def stand_still(*, marked: bool = False, pause_ms: int = 0) -> tuple[JitterBuffer, int]:
    """Every two seconds nothing comes for 140 ms, then all at once; twenty times. What the last three of them cost.

    marked    the first packet after it has the marker
    pause_ms  it is no hole of the network: the sender pauses, for so long by its timestamps
    """
    buffer = JitterBuffer(JitterRules(min_ms=40, target_ms=40, max_ms=200))
    made_up = number = 0
    for spike in range(20):
        for tick in range(100):
            come = [sound(number, pause_ms=spike * pause_ms)] if tick >= 7 else []
            if tick == 7:
                if not pause_ms:
                    come += [sound(number + n) for n in range(1, 8)]
                if marked:
                    come[0] = come[0]._replace(marker=True)
            for packet in come:
                buffer.insert(packet)
            number += len(come)
            made_up += buffer.pop(quiet=True) is None and spike >= 17
    return buffer, made_up


def test_a_network_that_stands_still_again_and_again_is_learnt_from() -> None:
    """By its length such a hole is a pause; but by the timestamps nothing has passed at the sender meanwhile."""
    buffer, made_up = stand_still()
    assert buffer.target_ms >= 140
    assert made_up == 0, "by now the reserve is long enough"


def test_pauses_are_no_reason_for_delay() -> None:
    assert stand_still(pause_ms=140)[0].target_ms == 40
    assert stand_still(marked=True)[0].target_ms == 40, "a sender whose clock stands still while it pauses"


def test_packets_nobody_can_play_are_counted() -> None:
    buffer = JitterBuffer(FIXED)
    buffer.insert(sound(0)._replace(payload=b""))
    buffer.insert(sound(0)._replace(payload=bytes(1601)))
    assert buffer.stats.discarded == 2
    assert buffer.pop() is None


def test_pieces_hold_what_came_of_a_frame() -> None:
    buffer = JitterBuffer(FIXED)
    pairs = [[sound(n, ptime_ms=10) for n in (2 * tick, 2 * tick + 1) if n != 4] for tick in range(4)]
    assert play(buffer, pairs) == [None, 0, 1, None]
    assert buffer.pieces == [(80, bytes([2]) * 80)]


@given(some.lists(some.lists(some.integers(0, 80), max_size=4), max_size=120), some.sampled_from([10, 20, 30, 60]))
def test_loss_reordering_and_duplicates_never_break_the_order_or_the_counts(
    arrivals: list[list[int]], ptime_ms: int
) -> None:
    buffer = JitterBuffer(JitterRules(40, 60, 200))
    last = -1
    for numbers in arrivals:
        for number in numbers:
            buffer.insert(sound(number, ptime_ms=ptime_ms))
        before = buffer.stats.resyncs
        frame = buffer.pop()
        assert frame is None or len(frame) == 160
        assert conserved(buffer)
        assert buffer.waiting <= 40
        if frame is not None and before == 0:
            assert frame[-1] > last
            last = frame[-1]


@given(some.lists(some.tuples(some.floats(0, 0.06), some.booleans()), min_size=50, max_size=200))
def test_a_jittery_lossy_network_gives_every_frame_in_order(network: list[tuple[float, bool]]) -> None:
    arrivals: list[list[RtpPacket]] = [[] for _ in range(len(network) + 10)]
    sent = 0
    for number, (delay_s, is_lost) in enumerate(network):
        if not is_lost:
            sent += 1
            arrivals[number + int(delay_s / 0.02)].append(sound(number))
    buffer = JitterBuffer(JitterRules(100, 100, 200))
    heard = [frame for frame in play(buffer, arrivals + [[]] * 10) if frame is not None]
    assert heard == sorted(set(heard))
    assert len(heard) + buffer.stats.late + buffer.stats.discarded + buffer.waiting + buffer.stats.shrunk_frames >= sent


@given(
    some.lists(
        some.tuples(
            some.binary(max_size=400), some.integers(0, 3), some.integers(0, 2**16 - 1), some.integers(0, 2**32 - 1)
        )
    )
)
def test_no_packet_can_make_it_raise_or_grow(packets: list[tuple[bytes, int, int, int]]) -> None:
    buffer = JitterBuffer()
    for payload, ssrc, sequence, timestamp in packets:
        buffer.insert(RtpPacket(0, sequence, timestamp, ssrc, payload))
        buffer.pop()
        assert conserved(buffer)
        assert buffer.depth_ms <= 400
