"""Recordings, analyses, agents, endpoints, audit: each comes back as it was put in, and changes only as it may."""

from __future__ import annotations

import pytest

from kallglot_media.store import agents, analyses, audit, endpoints, recordings
from kallglot_media.store.page import Page
from kallglot_media.store.recordings import NewRecording
from kallglot_media.store.store import Store
from tests.support.stores import NOON_MS, HandClock


async def test_a_recording_becomes_ready_and_is_deleted(store: Store) -> None:
    new = NewRecording("sess_1", "customer", "sessions/sess_1/customer.wav")
    made = await store.write(recordings.add, new)
    assert (made.status, made.duration_ms) == ("processing", None)
    ready = await store.write(
        recordings.ready, made.id, duration_ms=1500, size_bytes=48_044, sha256="ab" * 32, expires_at_ms=NOON_MS + 1
    )
    assert ready is not None
    assert (ready.status, ready.size_bytes) == ("ready", 48_044)
    assert await store.read(recordings.of_session, "sess_1") == (ready,)
    assert (await store.read(recordings.page, Page(), session_id="sess_2")).items == ()
    assert await store.write(recordings.delete, made.id) == ready
    assert await store.write(recordings.delete, made.id) is None
    assert await store.write(recordings.failed, made.id, "disk full") is None


async def test_a_recording_with_a_known_id_is_added_once(store: Store) -> None:
    new = NewRecording("sess_1", "agent", "a.wav", id="rec_1")
    assert await store.write(recordings.add, new) == await store.write(recordings.add, new)


async def test_a_failed_recording_says_why(store: Store) -> None:
    made = await store.write(recordings.add, NewRecording("sess_1", "agent", "a.wav"))
    failed = await store.write(recordings.failed, made.id, "disk full")
    assert failed is not None
    assert (failed.status, failed.detail) == ("failed", "disk full")


async def test_an_analysis_is_taken_by_one_runner_at_a_time(store: Store, clock: HandClock) -> None:
    first = await store.write(analyses.create, "sess_1", ["summary", "keywords"], {"language": "en"})
    second = await store.write(analyses.create, "sess_2", ["sentiment"])
    taken = await store.write(analyses.take, 60_000)
    assert taken is not None
    assert (taken.id, taken.status, taken.kinds) == (first.id, "processing", ("summary", "keywords"))
    other = await store.write(analyses.take, 60_000)
    assert other is not None
    assert other.id == second.id
    assert await store.write(analyses.take, 60_000) is None
    done = await store.write(analyses.complete, second.id, {"sentiment": {"customer": 0.5}})
    assert done is not None
    assert (done.status, done.result) == ("complete", {"sentiment": {"customer": 0.5}})
    clock.go_on(s=60)
    again = await store.write(analyses.take, 60_000)
    assert again is not None
    assert again.id == first.id, "its runner is gone"
    failed = await store.write(analyses.failed, first.id, "no words were said")
    assert failed is not None
    assert failed.error == "no words were said"
    clock.go_on(days=1)
    assert await store.write(analyses.take, 60_000) is None


async def test_an_agent_changes_only_where_it_is_told_to(store: Store, clock: HandClock) -> None:
    made = await store.write(agents.create, "Anna", {"voice": "nova", "tools": []})
    clock.go_on(s=1)
    changed = await store.write(agents.change, made.id, settings={"voice": "echo"})
    assert changed is not None
    assert (changed.name, changed.settings, changed.updated_at_ms) == ("Anna", {"voice": "echo"}, NOON_MS + 1000)
    assert (await store.read(agents.page, Page())).items == (changed,)
    assert await store.write(agents.delete, made.id)
    assert not await store.write(agents.delete, made.id)
    assert await store.read(agents.get, made.id) is None
    assert await store.write(agents.change, made.id, name="Otto") is None


async def test_an_endpoint_wants_what_it_subscribed_to(store: Store) -> None:
    made = await store.write(endpoints.create, "https://example.com/hook", ["session.ended", "session.ended"])
    assert made.secret.startswith("whsec_")
    assert made.events == ("session.ended",)
    assert made.wants("session.ended")
    assert not made.wants("session.created")
    off = await store.write(endpoints.change, made.id, events=["*"], enabled=False)
    assert off is not None
    assert not off.wants("session.created")
    assert await store.read(endpoints.enabled) == ()
    assert await store.write(endpoints.delete, made.id)
    assert not await store.write(endpoints.delete, made.id)


@pytest.mark.parametrize(
    ("events", "message"), [(["session.end"], "no such event type: session.end; there are"), ([], "no event types")]
)
async def test_wrong_event_types_are_named(store: Store, events: list[str], message: str) -> None:
    with pytest.raises(ValueError, match=message):
        await store.write(endpoints.create, "https://example.com/hook", events)


async def test_the_audit_log_is_read_by_subject(store: Store) -> None:
    await store.write(
        audit.note, "key_1", "recording.deleted", "rec_1", request_id="req_1", detail={"channel": "agent"}
    )
    await store.write(audit.note, "cli", "key.revoked", "key_1")
    (entry,) = (await store.read(audit.page, Page(), subject="rec_1")).items
    assert (entry.actor, entry.action, entry.detail) == ("key_1", "recording.deleted", {"channel": "agent"})
    assert len((await store.read(audit.page, Page())).items) == 2
