"""The E-model against the values of G.107 and its tables, and bursts of losses against RFC 3611's own counting."""

from __future__ import annotations

import random

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.rtp.quality import G711, IMPAIRMENTS, BurstMetrics, Bursts, Impairment, mos, r_factor
from kallglot_media.rtp.rtcp import Description, ReceiverReport, RtcpError, build_compound, parse_compound
from kallglot_media.rtp.xr import ExtendedReport, VoipMetrics, build_voip, parse_voip_blocks

BARE = Impairment(0.0, 4.3)
"""G.711 without concealment."""


@pytest.mark.parametrize(
    ("r", "score"), [(0, 1.0), (50, 2.58), (60, 3.10), (70, 3.60), (80, 4.03), (90, 4.34), (100, 4.5)]
)
def test_r_and_mos_are_those_of_g107_table_b1(r: float, score: float) -> None:
    assert mos(r) == pytest.approx(score, abs=0.011)


def test_r_of_a_line_without_faults() -> None:
    assert r_factor(G711, loss_ratio=0.0, delay_ms=0.0) == pytest.approx(93.2)
    assert r_factor(G711, loss_ratio=0.0, delay_ms=100.0) == pytest.approx(90.7, abs=0.3)
    assert r_factor(G711, loss_ratio=0.0, delay_ms=300.0) == pytest.approx(72.6, abs=0.5)


def test_losses_cost_what_g113_says() -> None:
    """Ie,eff = 95 · Ppl / (Ppl + Bpl)."""
    assert r_factor(G711, loss_ratio=0.05, delay_ms=0.0) == pytest.approx(93.2 - 95 * 5 / 30.1)
    assert r_factor(BARE, loss_ratio=0.05, delay_ms=0.0) == pytest.approx(93.2 - 95 * 5 / 9.3)
    in_bursts = r_factor(G711, loss_ratio=0.05, delay_ms=0.0, burst_ratio=2.0)
    assert in_bursts == pytest.approx(93.2 - 95 * 5 / (2.5 + 25.1))


@given(some.sampled_from(sorted(IMPAIRMENTS)), some.floats(0, 1), some.floats(0, 10_000), some.floats(0, 100))
def test_no_numbers_make_it_leave_its_scale(codec: str, loss: float, delay_ms: float, bursts: float) -> None:
    r = r_factor(IMPAIRMENTS[codec], loss_ratio=loss, delay_ms=delay_ms, burst_ratio=bursts)
    assert 0 <= r <= 93.2
    assert 1.0 <= mos(r) <= 4.5
    worse = r_factor(IMPAIRMENTS[codec], loss_ratio=min(1.0, loss + 0.1), delay_ms=delay_ms + 50, burst_ratio=bursts)
    assert worse <= r + 1e-9


def told(lost: list[bool]) -> tuple[Bursts, int]:
    """Losses as the jitter buffer tells them, and how many packets came."""
    bursts = Bursts()
    for n, gone in enumerate(lost):
        if gone:
            bursts.missing(n, 1)
    return bursts, lost.count(False)


def test_single_losses_far_apart_are_a_gap() -> None:
    bursts, came = told([n % 50 == 49 for n in range(1000)])
    metrics = bursts.metrics(20.0)
    assert metrics.gap_density == pytest.approx(0.02, abs=0.002)
    assert bursts.burst_ratio(came) == pytest.approx(1.0)


def test_losses_close_together_are_a_burst() -> None:
    """400 ms of every second one lost, then five seconds of none."""
    pattern = ([True, False] * 10 + [False] * 250) * 100
    metrics = told(pattern)[0].metrics(20.0)
    assert metrics.burst_density == pytest.approx(0.5, abs=0.08)
    assert metrics.burst_ms == pytest.approx(400, abs=60)
    assert metrics.gap_ms == pytest.approx(5000, abs=200)


def test_runs_of_losses_raise_the_burst_ratio() -> None:
    chance = random.Random(1)
    scattered = [chance.random() < 0.1 for _ in range(20_000)]
    bursts, came = told(scattered)
    assert bursts.burst_ratio(came) == pytest.approx(1.0, abs=0.05)
    in_threes = [gone for gone in scattered[::3] for _ in range(3)]
    bursts, came = told(in_threes)
    assert bursts.burst_ratio(came) == pytest.approx(3.0, abs=0.2)


def test_nothing_lost_is_nothing() -> None:
    assert Bursts().metrics(20.0) == BurstMetrics(0, 0, 0, 0)
    assert Bursts().burst_ratio(1000) == 1.0


METRICS = VoipMetrics(0x01020304, 0.25, 0.125, BurstMetrics(0.5, 0.0625, 400, 5000), 80, 60, 86, 4.2, 4.0, 40, 60, 200)


def test_the_block_is_that_of_the_rfc() -> None:
    block = build_voip(METRICS)
    assert block.hex() == (
        "07000008" "01020304" "40208010" "01901388" "0050003c" "7f7f7f10" "567f2a28" "b1000028" "003c00c8"
    )  # fmt: skip
    assert parse_voip_blocks(block) == (METRICS,)


def test_it_comes_in_a_compound_beside_other_blocks() -> None:
    name = Description(1, "p")
    data = build_compound((ReceiverReport(1), name, ExtendedReport(1, (METRICS,))))
    assert parse_compound(data) == (ReceiverReport(1), name, ExtendedReport(1, (METRICS,)))
    reference_time = bytes.fromhex("04000002") + bytes(8)
    assert parse_voip_blocks(reference_time + build_voip(METRICS)) == (METRICS,)


@pytest.mark.parametrize(
    ("blocks", "wrong"),
    [
        (b"\x07\x00", "2 bytes are shorter than the header"),
        (bytes.fromhex("07000008") + bytes(8), "XR block 7 says 32 bytes, 8 are left"),
        (bytes.fromhex("07000001") + bytes(4), "has 8 words, not 1"),
    ],
)
def test_blocks_that_lie_are_named(blocks: bytes, wrong: str) -> None:
    report = build_compound((ReceiverReport(1), Description(1, "p"), ExtendedReport(1)))
    body = report[-4:] + blocks
    words = len(body) // 4 + (len(body) % 4 > 0)
    datagram = report[:-8] + bytes([0x80, 207]) + words.to_bytes(2) + body.ljust(4 * words, b"\0")
    with pytest.raises(ValueError, match=wrong):
        parse_voip_blocks(blocks)
    if len(blocks) % 4 == 0:
        with pytest.raises(RtcpError, match=wrong):
            parse_compound(datagram)


@given(some.binary(max_size=120))
def test_any_block_is_read_or_refused(blocks: bytes) -> None:
    try:
        found = parse_voip_blocks(blocks)
    except ValueError:
        return
    for metrics in found:
        assert 0 <= metrics.loss_ratio < 1
