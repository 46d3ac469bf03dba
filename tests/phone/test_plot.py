"""The picture of a session: what stands where, and that both files are made."""

from __future__ import annotations

import json
from pathlib import Path
from xml.etree import ElementTree

import numpy as np
import pytest

from kallglot_media.audio.wav import wav_bytes
from kallglot_media.phone.plot import ROWS, envelope, labels, lag_ms, plot_session, spans
from kallglot_media.phone.session_folder import Fault, JsonLines, SessionFolderError, plays, read_session
from tests.support.sessions import LINES, MadeUpCall


def test_both_files_are_drawn_and_hold_every_word_and_lag(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    plot_session(folder, tmp_path / "p.png", tmp_path / "p.svg")
    assert (tmp_path / "p.png").read_bytes().startswith(b"\x89PNG")
    texts = "".join(ElementTree.parse(tmp_path / "p.svg").getroot().itertext())
    for words in ("Guten Tag", "my order has", "I am sorry", "Danke, sie kommt"):
        assert words in texts
    for line in LINES:
        assert f"{line.lag_ms} ms" in texts
    for row in ROWS:
        assert row.label in texts


def test_losses_and_gaps_are_drawn_where_they_were(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    plot_session(folder, tmp_path / "clean.png", tmp_path / "clean.svg")
    with (folder / "events.jsonl").open("a") as file:
        for event in (
            {"type": "rtp.loss", "at_ms": 1500, "speaker": "customer", "spans_ms": [[1500, 1560], [2000, 2020]]},
            {"type": "rtp.loss", "at_ms": 1, "speaker": "agent", "spans_ms": "nonsense"},
            {"type": "recording.gap", "at_ms": 20_000, "samples": 16_000, "why": "no room"},
        ):
            file.write(json.dumps(event) + "\n")
    assert read_session(folder).faults == (
        Fault("customer", 1.5, 1.56),
        Fault("customer", 2.0, 2.02),
        Fault(None, 20.0, 22.0),
    )
    plot_session(folder, tmp_path / "lossy.png", tmp_path / "lossy.svg")
    clean, lossy = ((tmp_path / f"{name}.svg").read_text() for name in ("clean", "lossy"))
    assert "#c81e3c" not in clean
    assert lossy.count("#c81e3c") == 2
    assert "80 ms lost on the network" in lossy


def test_words_stand_at_the_start_of_what_they_were_said_with(tmp_path: Path) -> None:
    session = read_session(MadeUpCall().write(tmp_path / "sess"))
    said, made, *_ = ROWS
    assert [(label.start_s, label.room_s) for label in labels(said, session)] == [(1.0, 13.5), (14.5, 11.5)]
    assert [label.text for label in labels(made, session)] == [LINES[0].translation, LINES[2].translation]
    assert spans(said, session) == [(1.0, 3.0), (14.5, 16.2)]


def test_made_speech_ends_where_its_track_falls_silent(tmp_path: Path) -> None:
    session = read_session(MadeUpCall().write(tmp_path / "sess"))
    first, second = plays(session, "agent")
    assert first.start_s == pytest.approx(LINES[1].first_s, abs=1e-3)
    assert first.end_s == pytest.approx(LINES[1].first_s + len(LINES[1].made) / 8000, abs=1e-2)
    assert second.sequence == 4


def test_playout_times_come_from_the_events(tmp_path: Path) -> None:
    session = read_session(MadeUpCall().write(tmp_path / "sess"))
    assert [lag_ms(turn) for turn in session.turns] == [620, 540, 810, 620]
    assert session.turns[0].timings.stages["endpoint"] == 500.0


def test_a_turn_that_was_never_played_has_neither_arrow_nor_translated_words(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.turns[0]["play"] = None
    call.turns[1] |= {"play": None, "translation": None}
    folder = call.write(tmp_path / "sess")
    session = read_session(folder)
    assert [label.text for label in labels(ROWS[1], session)] == [LINES[2].translation]
    plot_session(folder, tmp_path / "p.png", tmp_path / "p.svg")


def test_a_silent_session_is_drawn_too(tmp_path: Path) -> None:
    folder = MadeUpCall(lines=(), seconds=0.5).write(tmp_path / "sess")
    plot_session(folder, tmp_path / "p.png", tmp_path / "p.svg")
    assert (tmp_path / "p.svg").stat().st_size > 1000


def test_envelope_keeps_the_extremes_of_each_part() -> None:
    times_s, low, high = envelope(np.array([0, 5, -7, 1, 2, 3, -1], np.int16), 10, 3)
    assert times_s.tolist() == [0.0, 0.3, 0.6]
    assert low.tolist() == [-7, 1, -1]
    assert high.tolist() == [5, 3, -1]


def replace_turn(folder: Path, **fields: object) -> None:
    """The first turn of the transcript with other fields."""
    path = folder / "transcript.jsonl"
    first, *rest = path.read_text("utf-8").splitlines()
    path.write_text("\n".join([json.dumps(json.loads(first) | fields), *rest]) + "\n", "utf-8")


@pytest.mark.parametrize(
    ("spoil", "wrong", "mend"),
    [
        (lambda folder: (folder / "session.json").unlink(), "is not there", "one session"),
        (lambda folder: (folder / "session.json").write_text("{"), "is no JSON", "disk"),
        (lambda folder: (folder / "agent.wav").unlink(), "is not there", "recording"),
        (lambda folder: (folder / "agent.wav").write_bytes(b"RIFF"), "no WAV file", "mends"),
        (lambda folder: (folder / "transcript.jsonl").write_text('{"sequence": 1}\n'), "speaker", "version"),
        (lambda folder: (folder / "transcript.jsonl").write_text("[1]\n"), "no JSON object", "take this line out"),
        (
            lambda folder: (folder / "events.jsonl").write_text('{"type": "turn\n'),
            "no JSON object",
            "take this line out",
        ),
        (lambda folder: replace_turn(folder, text=None), "text is None", "version"),
        (lambda folder: replace_turn(folder, start_ms="soon"), "start_ms is 'soon'", "version"),
        (lambda folder: replace_turn(folder, speaker="parrot"), "speaker is 'parrot'", "version"),
        (lambda folder: replace_turn(folder, translation="hello"), "no mapping", "version"),
        (lambda folder: replace_turn(folder, sequence="one"), "sequence is 'one'", "version"),
    ],
)
def test_a_spoilt_folder_is_named(tmp_path: Path, spoil, wrong: str, mend: str) -> None:  # type: ignore[no-untyped-def]
    folder = MadeUpCall().write(tmp_path / "sess")
    spoil(folder)
    with pytest.raises(SessionFolderError) as caught:
        read_session(folder)
    assert wrong in caught.value.wrong
    assert mend in caught.value.mend


def test_json_lines_waits_for_the_end_of_a_half_written_line(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    follower = JsonLines(path)
    assert follower.read_new() == []
    with path.open("a") as file:
        file.write('{"a": 1}\n{"b"')
        file.flush()
        assert follower.read_new() == [{"a": 1}]
        file.write(": 2}\n")
        file.flush()
        assert follower.read_new() == [{"b": 2}]
    assert follower.read_new() == []


def test_a_broken_line_is_named_with_its_number(tmp_path: Path) -> None:
    path = tmp_path / "events.jsonl"
    path.write_text('{"a": 1}\n\n{"b": 2}\nbroken\n')
    with pytest.raises(SessionFolderError) as caught:
        JsonLines(path).read_new()
    assert caught.value.where == f"{path}:4"


def test_a_session_that_ended_before_its_first_frame_is_drawn(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    for speaker in ("customer", "agent"):
        (folder / f"{speaker}.wav").write_bytes(wav_bytes(np.zeros((0, 2), np.int16), 8000))
    plot_session(folder, tmp_path / "a.png", tmp_path / "a.svg")  # warnings are errors here
    assert (tmp_path / "a.png").stat().st_size > 1000


def test_words_that_no_font_or_xml_has_are_drawn_as_far_as_can_be(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    replace_turn(folder, text="$x_1$ 😀 中文 \x00 end")
    plot_session(folder, tmp_path / "a.png", tmp_path / "a.svg")
    ElementTree.fromstring((tmp_path / "a.svg").read_bytes())


def test_a_turn_beyond_a_recording_that_was_cut_has_no_arrow(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    replace_turn(folder, play={"first_sample_ms": 9_999_000})
    (folder / "events.jsonl").unlink(missing_ok=True)
    plot_session(folder, tmp_path / "a.png", tmp_path / "a.svg")
    session = read_session(folder)
    assert all(label.start_s < session.seconds for row in ROWS for label in labels(row, session))


def test_what_an_ai_did_is_no_word_that_it_said(tmp_path: Path) -> None:
    folder = MadeUpCall().write(tmp_path / "sess")
    lines = (folder / "transcript.jsonl").read_text("utf-8").splitlines()
    said = json.loads(lines[0]) | {"speaker": "ai", "translation": None, "play": None, "timings": None}
    here = said | {"start_ms": 5000, "end_ms": 5800}
    lines.append(json.dumps(here | {"sequence": 89, "text": "Gerne.", "start_ms": 4000, "end_ms": 4900}))
    lines.append(json.dumps(here | {"sequence": 90, "text": "Ich verbinde Sie."}))
    lines.append(json.dumps(here | {"sequence": 91, "text": "[handing over: busy]", "action": {"type": "x"}}))
    (folder / "transcript.jsonl").write_text("\n".join(lines) + "\n", encoding="utf-8")
    words = [label.text for label in labels(ROWS[-1], read_session(folder))]
    assert "Gerne. Ich verbinde Sie." in words, "in one breath"
    assert not any("handing over" in text for text in words)
    plot_session(folder, tmp_path / "a.png", tmp_path / "a.svg")
    drawn = "".join(ElementTree.parse(tmp_path / "a.svg").getroot().itertext())
    assert "[handing over: busy]" in drawn
    assert "the AI, and translated for customer" in drawn
