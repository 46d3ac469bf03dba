"""Turns are kept once each, in order, whatever way they come in."""

from __future__ import annotations

import json
from dataclasses import replace

from kallglot_media.store import turns
from kallglot_media.store.store import Store
from kallglot_media.store.turns import Turn
from tests.support.stores import NOON_MS

FIRST = Turn(
    "sess_1",
    1,
    "customer",
    "de",
    "Guten Tag, 'Öl' & 東京 \U0001f600",
    translation_language="en",
    translation_text="Hello",
    start_ms=200,
    end_ms=1400,
    confidence=0.91,
)


async def test_a_turn_comes_back_as_it_was_put_in(store: Store) -> None:
    assert await store.write(turns.add, FIRST) == 1
    assert await store.read(turns.of_session, "sess_1") == (replace(FIRST, spoken_at_ms=NOON_MS),)
    assert await store.read(turns.of_session, "sess_2") == ()


async def test_the_same_turn_again_changes_nothing(store: Store) -> None:
    """A journal may be replayed any number of times."""
    await store.write(turns.add, FIRST)
    assert await store.write(turns.add, replace(FIRST, text="other"), replace(FIRST, sequence=2)) == 1
    assert [turn.text for turn in await store.read(turns.of_session, "sess_1")] == [FIRST.text, FIRST.text]


async def test_turns_are_in_the_order_of_their_beginning(store: Store) -> None:
    """A long utterance may be recognised after a short one that began later."""
    await store.write(turns.add, replace(FIRST, sequence=1, start_ms=900), replace(FIRST, sequence=2, start_ms=100))
    assert [turn.sequence for turn in await store.read(turns.of_session, "sess_1")] == [2, 1]
    assert [turn.sequence for turn in await store.read(turns.of_session, "sess_1", after_sequence=1)] == [2]
    assert await store.read(turns.count, "sess_1") == 2


async def test_when_a_translation_was_heard_is_added_later(store: Store) -> None:
    await store.write(turns.add, FIRST)
    await store.write(turns.played, "sess_1", 1, 2100, {"engine_ms": 12.5})
    (turn,) = await store.read(turns.of_session, "sess_1")
    assert (turn.first_sample_ms, turn.timings) == (2100, {"engine_ms": 12.5})


def test_a_line_of_the_journal_is_a_turn() -> None:
    line = (
        '{"sequence":1,"speaker":"agent","language":"en","text":"Hi","translation":null,'
        '"start_ms":1,"end_ms":2,"confidence":0.5,"play":{"first_sample_ms":9},"timings":null}'
    )
    assert turns.made(json.loads(line), "sess_9") == Turn(
        "sess_9", 1, "agent", "en", "Hi", start_ms=1, end_ms=2, confidence=0.5, first_sample_ms=9
    )
