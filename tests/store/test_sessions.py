"""Sessions go created → active → ended, never back, and are listed in pages."""

from __future__ import annotations

import pytest

from kallglot_media.store import legs, sessions
from kallglot_media.store.legs import NewLeg
from kallglot_media.store.page import Page
from kallglot_media.store.sessions import NewSession, Session
from kallglot_media.store.store import Store
from tests.support.stores import NOON_MS, HandClock

NEW = NewSession(
    mode="bidirectional_translation",
    source_language="de",
    target_language="en",
    request={"routing": {"direction": "inbound"}, "audio": None},
    metadata={"ticket": "4711", "odd": "\0 \ud800 ü", "deep": [1, {"a": None}]},
)


async def made(store: Store, **changes: object) -> Session:
    return await store.write(sessions.create, NewSession(**{"mode": "ai_agent", **changes}))  # type: ignore[arg-type]


async def test_a_session_comes_back_as_it_was_put_in(store: Store) -> None:
    created = await store.write(sessions.create, NEW)
    assert created.id.startswith("sess_")
    assert (created.status, created.created_at_ms, created.ended_at_ms) == ("created", NOON_MS, None)
    assert created.metadata == NEW.metadata
    assert await store.read(sessions.get, created.id) == created
    assert await store.read(sessions.get, "sess_nobody") is None


async def test_its_life_has_one_direction(store: Store, clock: HandClock) -> None:
    session_id = (await made(store)).id
    clock.go_on(s=1)
    started = await store.write(sessions.start, session_id, provider="websocket")
    assert started is not None
    assert (started.changed, started.session.status, started.session.provider) == (True, "active", "websocket")
    again = await store.write(sessions.start, session_id)
    assert again is not None
    assert not again.changed
    clock.go_on(s=90)
    ended = await store.write(sessions.end, session_id, "customer_hangup", "BYE")
    assert ended is not None
    assert (ended.session.end_reason, ended.session.duration_ms) == ("customer_hangup", 90_000)
    for late in (
        await store.write(sessions.end, session_id, "error"),
        await store.write(sessions.start, session_id),
    ):
        assert late is not None
        assert not late.changed
        assert late.session == ended.session


async def test_ending_one_that_never_started_lasts_no_time(store: Store, clock: HandClock) -> None:
    session_id = (await made(store)).id
    clock.go_on(s=60)
    ended = await store.write(sessions.end, session_id, "timeout")
    assert ended is not None
    assert ended.session.duration_ms == 0


async def test_nothing_is_done_to_a_session_that_is_not_there(store: Store) -> None:
    assert await store.write(sessions.start, "sess_nobody") is None
    assert await store.write(sessions.end, "sess_nobody", "error") is None


async def test_creating_the_same_id_twice_gives_the_first(store: Store) -> None:
    first = await made(store, id="sess_1")
    second = await made(store, id="sess_1", mode="help_chat_voice")
    assert second == first


async def test_pages_go_both_ways_and_say_when_there_is_more(store: Store) -> None:
    ids = [(await made(store)).id for _ in range(5)][::-1]  # newest first

    async def listed(page: Page) -> tuple[list[str], bool]:
        found = await store.read(sessions.page, page)
        return [session.id for session in found.items], found.has_more

    assert await listed(Page(limit=2)) == (ids[:2], True)
    assert await listed(Page(limit=2, starting_after=ids[1])) == (ids[2:4], True)
    assert await listed(Page(limit=2, starting_after=ids[3])) == (ids[4:], False)
    assert await listed(Page(limit=2, ending_before=ids[4])) == (ids[2:4], True)
    assert await listed(Page(limit=2, ending_before=ids[2])) == (ids[:2], False)
    assert await listed(Page(limit=2, ending_before=ids[0])) == ([], False)


async def test_lists_are_filtered(store: Store) -> None:
    one = await made(store, mode="ai_agent")
    other = await made(store, mode="help_chat_voice")
    await store.write(sessions.end, one.id, "completed")
    for wanted, found in (
        ({"mode": "ai_agent"}, [one.id]),
        ({"status": "created"}, [other.id]),
        ({"status": "created", "mode": "ai_agent"}, []),
    ):
        listed = await store.read(sessions.page, Page(), **wanted)
        assert [session.id for session in listed.items] == found


async def test_ids_sort_by_bytes_in_every_locale(store: Store) -> None:
    """PostgreSQL in de_DE would put _ and case elsewhere."""
    names = ["sess_A", "sess_Z", "sess_a", "sess__"]
    for name in names:
        await made(store, id=name)
    listed = await store.read(sessions.page, Page())
    assert [session.id for session in listed.items] == sorted(names, reverse=True)


async def test_what_a_node_left_open_and_what_nobody_connected_to(store: Store, clock: HandClock) -> None:
    mine, other, nobodys = await made(store, node="a"), await made(store, node="b"), await made(store)
    ended = await made(store, node="a")
    await store.write(sessions.end, ended.id, "completed")
    left = await store.read(sessions.open_on, "a")
    assert [session.id for session in left] == [mine.id, nobodys.id]
    assert await store.read(sessions.count_open) == 3
    await store.write(sessions.start, other.id)
    forgotten = await store.read(sessions.forgotten, clock.now_ms + 1)
    assert [session.id for session in forgotten] == [mine.id, nobodys.id]


async def test_languages_found_later_are_kept(store: Store) -> None:
    session = await made(store, source_language="de")
    await store.write(sessions.set_languages, session.id, None, "fr")
    found = await store.read(sessions.get, session.id)
    assert found is not None
    assert (found.source_language, found.target_language) == ("de", "fr")


async def test_legs(store: Store, clock: HandClock) -> None:
    session_id = (await made(store)).id
    leg = await store.write(legs.add, NewLeg(session_id, "agent", "outbound", to_uri="sip:a@192.0.2.1"))
    clock.go_on(s=3)
    answered = await store.write(legs.answered, leg.id)
    assert answered is not None
    assert answered.answered_at_ms == NOON_MS + 3000
    ended = await store.write(legs.ended, leg.id, sip_status=480, detail="no answer")
    assert ended is not None
    assert await store.write(legs.ended, leg.id) is None, "the first end counts"
    assert await store.write(legs.answered, leg.id) is None
    assert await store.read(legs.of_session, session_id) == (ended,)


@pytest.mark.parametrize("text", ["a\0b", "lone \ud800", "ü\udfff\0"])
async def test_text_that_a_database_refuses_is_kept_as_far_as_it_goes(store: Store, text: str) -> None:
    session = await made(store, phone_number=text)
    found = await store.read(sessions.get, session.id)
    assert found is not None
    assert found.phone_number is not None
    assert "�" in found.phone_number
