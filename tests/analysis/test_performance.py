"""Numbers from the times of a transcript."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.analysis.performance import (
    DeadAir,
    PerformanceRules,
    ResponseTimes,
    Silence,
    heard_until_ms,
    measure,
)
from kallglot_media.store.turns import Turn
from tests.support.talk import talk

CALL = talk("""
    1.0-3.0   agent    en Good morning how can I help you
    3.5-6.5   customer en My order has not arrived yet
    6.0-8.0   agent    en What is the number please
    14.0-16.0 customer en It is four seven one one
    16.5-17.0 agent    en Thanks
""")


def test_who_spoke_how_much() -> None:
    found = measure(CALL)
    agent, customer = found.parties["agent"], found.parties["customer"]
    assert (agent.turns, agent.talk_ms, agent.longest_turn_ms, agent.words) == (3, 4500, 2000, 13)
    assert (customer.turns, customer.talk_ms) == (2, 5000)
    assert (agent.talk_ratio, customer.talk_ratio) == (0.4737, 0.5263)
    assert agent.words_per_minute == round(13 * 60_000 / 4500)
    assert found.duration_ms == 17_000


def test_who_cut_in_and_who_did_not() -> None:
    found = measure(CALL)
    assert found.parties["agent"].interruptions == 1
    assert found.parties["customer"].interruptions == 0
    assert found.overlap_ms == 500
    lenient = measure(CALL, rules=PerformanceRules(interruption_ms=501))
    assert lenient.parties["agent"].interruptions == 0


def test_how_long_answers_took() -> None:
    found = measure(CALL)
    assert found.parties["customer"].responses == ResponseTimes(count=2, median_ms=3250, longest_ms=6000)
    assert found.parties["agent"].responses == ResponseTimes(count=1, median_ms=500, longest_ms=500)


def test_when_nobody_spoke() -> None:
    assert measure(CALL, duration_ms=30_000).dead_air == DeadAir(
        2, 19_000, 0.6333, (Silence(17_000, 30_000), Silence(8000, 14_000))
    )


def test_a_translation_that_is_heard_is_no_dead_air_and_no_waiting() -> None:
    """The customer's three seconds are heard by the agent from 4.5 to 7.5, and the agent answers at 8."""
    found = measure(
        talk("""
            0.0-3.0>4.5 customer de Wo ist meine Bestellung | en Where is my order
            8.0-9.0     agent    en One moment
        """)
    )
    assert found.dead_air.count == 0
    assert found.parties["agent"].responses.median_ms == 500


def test_an_answer_before_the_translation_ended_counts_from_the_words() -> None:
    found = measure(talk("0.0-3.0>4.0 customer de Hallo\n5.0-6.0 agent en Hello"))
    assert found.parties["agent"].responses.median_ms == 2000


def test_one_party_alone_and_nobody() -> None:
    alone = measure(talk("0.0-1.0 ai en Hello"))
    assert alone.parties["ai"].talk_ratio == 1.0
    nobody = measure([], duration_ms=5000)
    assert (nobody.parties, nobody.overlap_ms) == ({}, 0)
    assert measure([]).dead_air.ratio == 0.0


spans = some.tuples(
    some.integers(0, 10_000), some.integers(0, 3000), some.sampled_from(["agent", "customer"]), some.integers(0, 9000)
)


@given(some.lists(spans, max_size=12))
def test_shares_add_up_and_times_stay_inside_the_call(found: list[tuple[int, int, str, int]]) -> None:
    turns = [
        Turn("s", at, who, "en", "x", start_ms=start, end_ms=start + long, first_sample_ms=heard or None)
        for at, (start, long, who, heard) in enumerate(found)
    ]
    result = measure(turns)
    ratios = [party.talk_ratio for party in result.parties.values()]
    assert not any(ratios) or abs(sum(ratios) - 1) < 0.001
    assert 0 <= result.overlap_ms <= sum(party.talk_ms for party in result.parties.values())
    assert result.dead_air.total_ms <= result.duration_ms
    assert all(party.responses.median_ms >= 0 for party in result.parties.values())
    assert result.duration_ms == max(map(heard_until_ms, turns), default=0)
