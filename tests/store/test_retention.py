"""Retention deletes what is too old, with its files, and nothing else."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.store import analyses, audit, deliveries, endpoints, events, legs, recordings, sessions, turns
from kallglot_media.store.deliveries import Attempt
from kallglot_media.store.legs import NewLeg
from kallglot_media.store.page import Page
from kallglot_media.store.recordings import NewRecording, Recording
from kallglot_media.store.retention import Retention
from kallglot_media.store.sessions import NewSession
from kallglot_media.store.settings import RetentionSettings
from kallglot_media.store.store import Store
from kallglot_media.store.turns import Turn
from tests.support.stores import HandClock

NEVER = RetentionSettings(webhooks_days=None, audit_days=None)


def write(path: Path) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_bytes(b"x")
    return path


async def recorded(store: Store, path: str, **changes: int) -> Recording:
    made = await store.write(recordings.add, NewRecording("sess_1", "customer", path))
    ready = await store.write(
        recordings.ready, made.id, duration_ms=1, size_bytes=1, sha256="", expires_at_ms=changes.get("expires_at_ms")
    )
    assert ready is not None
    return ready


async def conversation(store: Store, data_dir: Path, session_id: str) -> Path:
    folder = data_dir / "sessions" / session_id
    for name in ("session.json", "transcript.jsonl", "transcript.json", "transcript.txt", "events.jsonl", "agent.wav"):
        write(folder / name)
    await store.write(sessions.create, NewSession(mode="ai_agent", id=session_id))
    await store.write(turns.add, Turn(session_id, 1, "agent", "en", "Hello"))
    await store.write(legs.add, NewLeg(session_id, "agent", "inbound"))
    await store.write(recordings.add, NewRecording(session_id, "agent", f"sessions/{session_id}/agent.wav"))
    await store.write(analyses.create, session_id, ["summary"])
    await store.write(sessions.end, session_id, "completed")
    return folder


async def test_without_rules_nothing_goes(store: Store, tmp_path: Path, clock: HandClock) -> None:
    await conversation(store, tmp_path, "sess_1")
    clock.go_on(days=10_000)
    assert await Retention(store, NEVER, tmp_path).sweep() == {}


async def test_what_was_made_of_a_recording_goes_with_it(store: Store, tmp_path: Path, clock: HandClock) -> None:
    folder = await conversation(store, tmp_path, "sess_1")
    made_of_it = write(folder / "exports" / "mixed.mp3")
    clock.go_on(days=11)
    await Retention(store, RetentionSettings(recordings_days=10), tmp_path).sweep()
    assert not made_of_it.exists()
    assert (folder / "transcript.jsonl").exists()


async def test_recordings_go_by_age_or_by_their_own_date(store: Store, tmp_path: Path, clock: HandClock) -> None:
    old_file, dated_file = write(tmp_path / "a.wav"), write(tmp_path / "b.wav")
    await recorded(store, "a.wav")
    clock.go_on(days=5)
    dated = await recorded(store, "b.wav", expires_at_ms=clock.now_ms + 1)
    young = await recorded(store, "c.wav")
    clock.go_on(days=5)
    sweep = Retention(store, RetentionSettings(recordings_days=10), tmp_path)
    assert await sweep.sweep() == {"recordings": 2}
    assert not old_file.exists()
    assert not dated_file.exists()
    assert (await store.read(recordings.page, Page())).items == (young,)
    assert await store.read(recordings.get, dated.id) is None


async def test_transcripts_go_without_the_session(store: Store, tmp_path: Path, clock: HandClock) -> None:
    folder = await conversation(store, tmp_path, "sess_1")
    clock.go_on(days=30)
    await conversation(store, tmp_path, "sess_2")
    assert await Retention(store, RetentionSettings(transcripts_days=30), tmp_path).sweep() == {"transcripts": 1}
    assert sorted(path.name for path in folder.iterdir()) == ["agent.wav", "session.json"]
    assert await store.read(turns.count, "sess_1") == 0
    assert await store.read(turns.count, "sess_2") == 1
    assert await store.read(sessions.get, "sess_1") is not None


async def test_with_a_session_goes_all_that_it_has(store: Store, tmp_path: Path, clock: HandClock) -> None:
    folder = await conversation(store, tmp_path, "sess_1")
    await store.write(sessions.create, NewSession(mode="ai_agent", id="sess_open"))
    clock.go_on(days=365)
    assert await Retention(store, RetentionSettings(sessions_days=365), tmp_path).sweep() == {"sessions": 1}
    assert not folder.exists()
    assert await store.read(sessions.get, "sess_1") is None
    assert await store.read(sessions.get, "sess_open") is not None
    assert await store.read(legs.of_session, "sess_1") == ()
    assert await store.read(recordings.of_session, "sess_1") == ()
    assert (await store.read(analyses.page, Page())).items == ()


async def test_events_stay_until_they_are_delivered(store: Store, tmp_path: Path, clock: HandClock) -> None:
    await store.write(endpoints.create, "https://example.com/")
    for kind in ("session.created", "session.ended"):
        await store.write(events.add, kind, {}, session_id="sess_1")
    (due,) = await store.write(deliveries.take_due, 10, 1)
    attempt = Attempt(1, clock.now_ms, 5, 200, None, "")
    await store.write(deliveries.attempted, due.delivery.id, attempt, done="delivered", due_at_ms=None)
    await store.write(audit.note, "cli", "key.created")
    clock.go_on(days=30)
    rules = RetentionSettings(webhooks_days=30, audit_days=30)
    assert await Retention(store, rules, tmp_path).sweep() == {"events": 1, "audit": 1}
    assert await store.read(deliveries.get, due.delivery.id) is None
    assert len(await store.write(deliveries.take_due, 10, 1)) == 1


async def test_a_file_that_cannot_be_deleted_keeps_its_row(
    store: Store, tmp_path: Path, clock: HandClock, capsys: pytest.CaptureFixture[str]
) -> None:
    (tmp_path / "folder.wav").mkdir()
    stuck = await recorded(store, "folder.wav", expires_at_ms=clock.now_ms)
    gone = await recorded(store, "gone.wav", expires_at_ms=clock.now_ms)
    sweep = Retention(store, NEVER, tmp_path)
    assert await sweep.sweep() == {"recordings": 1}
    assert sweep.counters["files_kept"] == 1
    assert await store.read(recordings.get, stuck.id) == stuck
    assert await store.read(recordings.get, gone.id) is None
    assert "make data_dir writable" in "".join(capsys.readouterr())


@pytest.mark.parametrize("path", ["../outside.wav", "/etc/hostname", "", "."])
async def test_nothing_outside_the_data_directory_is_deleted(
    store: Store, tmp_path: Path, clock: HandClock, path: str
) -> None:
    outside = write(tmp_path / "outside.wav")
    data_dir = tmp_path / "data"
    data_dir.mkdir()
    await recorded(store, path, expires_at_ms=clock.now_ms)
    await Retention(store, NEVER, data_dir).sweep()
    assert outside.exists()
    assert data_dir.exists()


async def test_many_go_in_pieces(store: Store, tmp_path: Path, clock: HandClock) -> None:
    for number in range(205):
        store.soon(audit.note, "cli", f"action.{number}")
    await store.write(audit.note, "cli", "last")
    clock.go_on(days=30)
    assert await Retention(store, RetentionSettings(audit_days=30), tmp_path).sweep() == {"audit": 206}
