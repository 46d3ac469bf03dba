from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.receiver_stats import ReceiverStats


def received(sequences: list[int]) -> ReceiverStats:
    stats = ReceiverStats(1, sequences[0] & 0xFFFF)
    for number in sequences:
        stats.push(number & 0xFFFF, number * 160, number * 160)
    return stats


def test_a_source_is_valid_at_its_second_packet_in_sequence() -> None:
    assert not received([5]).valid
    assert not received([5, 9]).valid
    assert received([5, 9, 10]).valid


def test_cycles_are_counted_and_losses_seen() -> None:
    stats = received([n for n in range(65_000, 66_000) if n % 100])
    assert stats.highest_sequence == 65_999
    assert stats.lost == 9
    assert stats.report().cumulative_lost == 9


def test_duplicates_make_the_loss_negative() -> None:
    assert received([0, 1, 2, 2, 2, 3]).lost == -2


def test_fraction_lost_is_since_the_last_report() -> None:
    stats = received(list(range(100)))
    assert stats.report().fraction_lost == 0
    for number in range(100, 200, 2):
        stats.push(number, 0, 0)
    assert 125 <= stats.report().fraction_lost <= 128
    assert stats.report().fraction_lost == 0


def test_a_jump_is_followed_at_its_second_packet() -> None:
    stats = received(list(range(10)))
    assert not stats.push(30_000, 0, 0)
    assert stats.push(30_001, 0, 0)
    assert (stats.highest_sequence, stats.lost, stats.too_wild) == (30_001, 0, 2)


def test_jitter_is_that_of_appendix_a8() -> None:
    """Arrivals off by 80 ticks, now early, now late: the jitter approaches 160 from below."""
    stats = ReceiverStats(1, 0)
    for number in range(500):
        stats.push(number, number * 160, number * 160 + (80 if number % 2 else -80))
    assert 150 <= stats.jitter_ticks <= 160


def test_a_clock_offset_is_no_jitter_even_across_the_wrap() -> None:
    stats = ReceiverStats(1, 0)
    for number in range(100):
        stats.push(number, (2**32 - 5000 + number * 160) & 0xFFFFFFFF, number * 160 + 77)
    assert stats.jitter_ticks == 0


@given(some.lists(some.tuples(some.integers(0, 2**16 - 1), some.integers(0, 2**32 - 1), some.integers(0, 2**40))))
def test_counts_are_always_sane(packets: list[tuple[int, int, int]]) -> None:
    stats = ReceiverStats(1, 0)
    counted = sum(stats.push(*packet) for packet in packets)
    block = stats.report()
    assert counted + stats.too_wild == len(packets)
    assert 0 <= block.fraction_lost <= 255
    assert stats.jitter_ticks >= 0
