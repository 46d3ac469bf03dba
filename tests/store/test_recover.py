"""After kill -9: no turn lost, no session stuck, everybody told once."""

from __future__ import annotations

import json
import wave
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.store import deliveries, endpoints, events, idempotency, legs, recordings, sessions, turns
from kallglot_media.store.legs import NewLeg
from kallglot_media.store.recordings import NewRecording, Recording
from kallglot_media.store.recover import DETAIL, Recovered, from_folder, recover
from kallglot_media.store.sessions import NewSession, Session
from kallglot_media.store.store import Store
from kallglot_media.store.turns import Turn
from kallglot_media.store.tx import Tx

LINES = [
    {"sequence": 1, "speaker": "customer", "language": "de", "text": "Guten Tag", "start_ms": 0, "end_ms": 900},
    {"sequence": 2, "speaker": "agent", "language": "en", "text": "Hello", "start_ms": 1000, "end_ms": 1900},
]


class Told:
    """Writes down what it is told."""

    def __init__(self) -> None:
        self.all: list[str] = []

    def turn_found(self, tx: Tx, turn: Turn) -> None:
        self.all.append(f"{turn.session_id} turn {turn.sequence}")

    def recording_done(self, tx: Tx, recording: Recording) -> None:
        self.all.append(f"{recording.session_id} {recording.channel} {recording.status}")

    def session_ended(self, tx: Tx, session: Session) -> None:
        self.all.append(f"{session.id} {session.end_reason}")


def folder(data_dir: Path, session_id: str, **changes: Any) -> Path:
    """A session's folder as the call and the repair of recordings leave it."""
    path = data_dir / "sessions" / session_id
    path.mkdir(parents=True)
    said = {
        "session_id": session_id,
        "mode": "bidirectional_translation",
        "source_language": "de",
        "target_language": "en",
        "called": "4711",
        "status": "ended",
        "created_at": "2026-05-28T20:00:00.000Z",
        "started_at": "2026-05-28T20:00:10.000Z",
        "ended_at": "2026-05-28T20:26:40.000Z",
        "end_reason": "error",
        "end_detail": DETAIL,
        "recording": {"enabled": True},
    }
    (path / "session.json").write_text(json.dumps(said | changes), encoding="utf-8")
    cut_short = '{"sequence": 3, "speaker": "cust'
    (path / "transcript.jsonl").write_text("\n".join([*map(json.dumps, LINES), cut_short]), encoding="utf-8")
    with wave.open(str(path / "customer.wav"), "wb") as sound:
        sound.setparams((2, 2, 8000, 0, "NONE", ""))
        sound.writeframes(bytes(4 * 8000 * 3))
    return path


@pytest.fixture
def told() -> Told:
    return Told()


async def test_an_active_session_is_closed_from_its_folder(store: Store, tmp_path: Path, told: Told) -> None:
    await store.write(sessions.create, NewSession(mode="bidirectional_translation", id="sess_1"))
    await store.write(sessions.start, "sess_1")
    await store.write(turns.add, turns.made(LINES[0], "sess_1"))
    await store.write(legs.add, NewLeg("sess_1", "customer", "inbound"))
    await store.write(recordings.add, NewRecording("sess_1", "agent", "sessions/sess_1/agent.wav"))
    folder(tmp_path, "sess_1")
    assert await recover(store, tmp_path, told) == Recovered(sessions=1, turns=1)
    session = await store.read(sessions.get, "sess_1")
    assert session is not None
    assert (session.status, session.end_reason, session.end_detail) == ("ended", "error", DETAIL)
    assert session.duration_ms == 3000, "the last sound that there is"
    assert [turn.text for turn in await store.read(turns.of_session, "sess_1")] == ["Guten Tag", "Hello"]
    (leg,) = await store.read(legs.of_session, "sess_1")
    assert leg.ended_at_ms is not None
    kept = {one.channel: one for one in await store.read(recordings.of_session, "sess_1")}
    assert (kept["customer"].status, kept["customer"].duration_ms, kept["customer"].size_bytes) == (
        "ready",
        3000,
        96_044,
    )
    assert kept["agent"].status == "failed"
    assert told.all == ["sess_1 turn 2", "sess_1 customer ready", "sess_1 agent failed", "sess_1 error"]


async def test_doing_it_again_finds_nothing(store: Store, tmp_path: Path, told: Told) -> None:
    folder(tmp_path, "sess_1")
    assert await recover(store, tmp_path, told) == Recovered(sessions=1, turns=2)
    before = list(told.all)
    assert await recover(store, tmp_path, told) == Recovered()
    assert told.all == before


async def test_a_session_that_the_database_never_saw_is_added(store: Store, tmp_path: Path) -> None:
    folder(tmp_path, "sess_1", end_reason="customer_hangup", end_detail="BYE")
    await recover(store, tmp_path)
    session = await store.read(sessions.get, "sess_1")
    assert session is not None
    assert (session.phone_number, session.end_reason, session.duration_ms) == ("4711", "customer_hangup", 1_590_000)
    assert session.recording_enabled
    (first, _) = await store.read(turns.of_session, "sess_1")
    assert first.spoken_at_ms == session.started_at_ms + 900  # type: ignore[operator]


async def test_without_a_folder_an_active_session_is_closed_and_a_created_one_waits(
    store: Store, tmp_path: Path, told: Told
) -> None:
    for session_id in ("sess_1", "sess_2"):
        await store.write(sessions.create, NewSession(mode="ai_agent", id=session_id))
    await store.write(sessions.start, "sess_1")
    assert await recover(store, tmp_path, told) == Recovered(sessions=1)
    assert told.all == ["sess_1 error"]
    waits = await store.read(sessions.get, "sess_2")
    assert waits is not None
    assert waits.status == "created"


async def test_another_nodes_sessions_are_left_alone(store: Store, tmp_path: Path) -> None:
    await store.write(sessions.create, NewSession(mode="ai_agent", id="sess_1", node="two"))
    await store.write(sessions.start, "sess_1")
    assert await recover(store, tmp_path, alone=False) == Recovered()


@pytest.mark.parametrize("text", ["", "{", "[]", '{"mode": 7}', '{"mode": "x", "started_at": "yesterday"}'])
async def test_a_folder_that_makes_no_sense_stops_nothing(store: Store, tmp_path: Path, text: str) -> None:
    path = folder(tmp_path, "sess_1")
    (path / "session.json").write_text(text, encoding="utf-8")
    (path / "customer.wav").write_bytes(b"RIFF")
    (path / "transcript.jsonl").write_bytes(b'\xff\n7\n{"sequence": "x"}\n')
    (tmp_path / "sessions" / "sess_file").write_text("no folder", encoding="utf-8")
    await recover(store, tmp_path)


async def test_leases_and_half_done_requests_are_free_again(store: Store, tmp_path: Path) -> None:
    endpoint = await store.write(endpoints.create, "https://example.com/")
    await store.write(events.add_test, endpoint)
    assert len(await store.write(deliveries.take_due, 10, 60_000)) == 1
    await store.write(idempotency.begin, "key", "print", "one")
    await recover(store, tmp_path, alone=True)
    assert len(await store.write(deliveries.take_due, 10, 60_000)) == 1
    assert await store.write(idempotency.begin, "key", "print", "one") == idempotency.Begun()


async def test_only_with_sqlite_a_server_knows_that_it_is_alone(store: Store, tmp_path: Path) -> None:
    endpoint = await store.write(endpoints.create, "https://example.com/")
    await store.write(events.add_test, endpoint)
    await store.write(deliveries.take_due, 10, 60_000)
    await recover(store, tmp_path)
    assert len(await store.write(deliveries.take_due, 10, 60_000)) == (1 if store.is_sqlite else 0)


async def test_what_the_spool_lost_is_taken_from_the_folder_of_a_live_call(store: Store, tmp_path: Path) -> None:
    await store.write(sessions.create, NewSession(mode="ai_agent", id="sess_1"))
    await store.write(sessions.start, "sess_1")
    folder(tmp_path, "sess_1", status="active")
    assert await from_folder(store, tmp_path / "sessions", "sess_1") == Recovered(turns=2)
    session = await store.read(sessions.get, "sess_1")
    assert session is not None
    assert session.status == "active"
    assert await from_folder(store, tmp_path / "sessions", "sess_nobody") == Recovered()
