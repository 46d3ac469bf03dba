"""What is written down, and what a crash or a full disk leaves of it."""

import json
import os
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.call.journal import Journal, JsonLines, read_lines, recover
from kallglot_media.call.turn import TranslatedText, Turn, TurnTimings

TIMINGS = TurnTimings(500.0, 10.0, 3.0, 2.0, 12.0, 527.0, 15.0)


def a_turn(sequence: int, start_ms: int = 1000) -> Turn:
    return Turn(sequence, "customer", "de", "Guten Tag.", TranslatedText("en", "Hello."), start_ms, start_ms + 900, 0.9)


def a_journal(folder: Path, *, keep_words: bool = True) -> Journal:
    session: dict[str, Any] = {"session_id": "sess_1", "status": "active", "recording": {"enabled": keep_words}}
    return Journal(folder, session, keep_words=keep_words)


def test_a_confidence_is_told_to_three_places() -> None:
    assert replace(a_turn(1), confidence=0.98765).to_json()["confidence"] == 0.988


def test_a_turn_is_on_disk_before_the_call_ends(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.turn(a_turn(1))
    assert [line["text"] for line in read_lines(tmp_path / "transcript.jsonl")] == ["Guten Tag."]
    journal.close(duration_ms=3000)


def test_a_line_ends_where_json_says_and_nowhere_else(tmp_path: Path) -> None:
    """U+2028 and U+0085 end a line for str.splitlines, not for JSON: models of some languages write them."""
    journal = a_journal(tmp_path)
    said = "Guten\u2028Tag\x85und\x0bauf Wiederhören"
    journal.turn(Turn(1, "customer", "de", said, None, 0, 900, 0.9))
    assert [line["text"] for line in read_lines(tmp_path / "transcript.jsonl")] == [said]
    journal.event("session.started", 0)
    with (tmp_path / "events.jsonl").open("a") as events:
        events.write('{"no": "type"}\n')
    assert recover(tmp_path, "2026-01-01T00:00:00.000Z")
    assert json.loads((tmp_path / "transcript.json").read_text())["turns"][0]["text"] == said


def test_what_was_said_is_for_the_servers_user_and_group_only(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.turn(a_turn(1))
    journal.event("session.started", 0)
    journal.close(duration_ms=3000)
    modes = {path.name: path.stat().st_mode & 0o007 for path in tmp_path.iterdir()}
    assert len(modes) == 5
    assert set(modes.values()) == {0}, modes


def test_the_transcript_has_both_languages_in_the_order_of_speaking(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.turn(a_turn(1, start_ms=5000))
    journal.turn(a_turn(2, start_ms=1000))
    journal.turn_played(2, 2427, TIMINGS)
    journal.close(duration_ms=9000, status="ended")
    transcript = json.loads((tmp_path / "transcript.json").read_text())
    assert [turn["sequence"] for turn in transcript["turns"]] == [2, 1]
    assert transcript["turns"][0]["timings"]["speech_end_to_first_sample_ms"] == 527.0
    assert transcript["turns"][0]["play"] == {"first_sample_ms": 2427}
    assert transcript["metadata"] == {"total_turns": 2, "duration_seconds": 9.0, "languages_detected": ["de"]}
    assert (tmp_path / "transcript.txt").read_text().splitlines()[0] == "[00:01.000] customer (de): Guten Tag."
    assert json.loads((tmp_path / "session.json").read_text())["status"] == "ended"


def test_a_crash_costs_no_turn(tmp_path: Path) -> None:
    journal = a_journal(tmp_path)
    journal.turn(a_turn(1))
    journal.turn(a_turn(2, start_ms=4000))
    journal.event("turn.timings", 2427, sequence=1, play={"first_sample_ms": 2427}, timings=TIMINGS.to_json())
    with (tmp_path / "transcript.jsonl").open("a") as torn:
        torn.write('{"sequence":3,"spea')  # the process died here
    assert recover(tmp_path, "2026-01-01T00:00:00.000Z")
    turns = json.loads((tmp_path / "transcript.json").read_text())["turns"]
    assert [turn["sequence"] for turn in turns] == [1, 2]
    assert turns[0]["play"] == {"first_sample_ms": 2427}
    session = json.loads((tmp_path / "session.json").read_text())
    assert (session["status"], session["end_reason"]) == ("ended", "error")
    assert not recover(tmp_path, "later"), "a finished session is left alone"


def test_without_recording_no_word_reaches_the_disk(tmp_path: Path) -> None:
    journal = a_journal(tmp_path, keep_words=False)
    journal.turn(a_turn(1))
    journal.event("transcript.final", 1900, sequence=1)
    journal.close(duration_ms=3000, status="ended")
    assert "Guten Tag" not in "".join(path.read_text() for path in tmp_path.iterdir())
    assert not (tmp_path / "transcript.json").exists()


def test_a_full_disk_keeps_lines_in_memory_until_there_is_room(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = JsonLines(tmp_path / "events.jsonl")
    assert lines.append({"n": 1})
    real_write = os.write
    monkeypatch.setattr(os, "write", lambda fd, data: real_write(fd, data[:3]))
    assert not lines.append({"n": 2})
    assert not lines.append({"n": 3})
    monkeypatch.setattr(os, "write", real_write)
    assert lines.append({"n": 4})
    lines.close()
    assert [line["n"] for line in read_lines(tmp_path / "events.jsonl")] == [1, 2, 3, 4]
    assert lines.refused == 2


@pytest.mark.parametrize("spoilt", ["[]", "5", "null", '"ended"'])
def test_a_session_file_that_is_no_object_is_said_and_stops_nothing(tmp_path: Path, spoilt: str) -> None:
    """ValueError is what the start of the server takes for "this folder cannot be finished"."""
    (tmp_path / "session.json").write_text(spoilt)
    with pytest.raises(ValueError, match="no JSON object"):
        recover(tmp_path, "2026-01-01T00:00:00.000Z")
