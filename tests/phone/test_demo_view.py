"""What the demo prints, as text."""

from __future__ import annotations

import io
from pathlib import Path

from rich.console import Console

from kallglot_media.phone.demo_view import ConversationView, files_table, lag_summary, verdict_table
from kallglot_media.phone.session_folder import read_session
from kallglot_media.phone.verdict import Line, judge
from tests.support.sessions import LINES, MadeUpCall


def plain_console() -> tuple[Console, io.StringIO]:
    out = io.StringIO()
    return Console(file=out, width=130, highlight=False), out


def test_a_turn_is_shown_once_and_only_when_its_times_are_known(tmp_path: Path) -> None:
    done = MadeUpCall().write(tmp_path / "done")
    live = tmp_path / "live"
    live.mkdir()
    console, out = plain_console()
    view = ConversationView(console, live)
    view.update()
    turns = (done / "transcript.jsonl").read_text().splitlines(keepends=True)
    timings = (done / "events.jsonl").read_text().splitlines(keepends=True)
    (live / "transcript.jsonl").write_text(turns[0])
    view.update()
    assert out.getvalue() == ""
    (live / "events.jsonl").write_text("".join(timings[:2]))
    view.update()
    view.update()
    view.finish()
    text = out.getvalue()
    assert text.count(LINES[0].text) == 1
    assert text.count(LINES[0].translation) == 1
    assert "620 ms" in text
    assert "end-pointing 500 · recognition 12 · translation 5 · synthesis 3 · playout 100" in text


def test_times_may_come_before_their_turn(tmp_path: Path) -> None:
    done = MadeUpCall().write(tmp_path / "done")
    live = tmp_path / "live"
    live.mkdir()
    console, out = plain_console()
    view = ConversationView(console, live)
    (live / "events.jsonl").write_text((done / "events.jsonl").read_text())
    view.update()
    (live / "transcript.jsonl").write_text((done / "transcript.jsonl").read_text())
    view.update()
    assert [out.getvalue().count(line.text) for line in LINES] == [1, 1, 1, 1]


def test_a_turn_without_times_is_shown_in_the_end(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.turns[0] |= {"play": None, "translation": None}
    console, out = plain_console()
    view = ConversationView(console, call.write(tmp_path / "sess"))
    view.update()
    assert LINES[0].text not in out.getvalue()
    view.finish()
    assert LINES[0].text in out.getvalue()
    assert "(no translation)" in out.getvalue()


def test_the_verdict_and_the_files_are_listed(tmp_path: Path) -> None:
    call = MadeUpCall()
    call.heard["agent"][:] = 0
    folder = call.write(tmp_path / "sess")
    lines = [Line("x.wav", line.speaker, "de", line.text, line.translation, line.said) for line in LINES]
    verdict = judge(read_session(folder), lines, call.heard)
    console, out = plain_console()
    console.print(verdict_table(verdict))
    console.print(files_table(sorted(folder.iterdir()), tmp_path))
    console.print(lag_summary(verdict))
    text = out.getvalue()
    assert text.count("FAILED") == 2
    assert "sess/customer.wav" in text
    assert "26.000 s" in text
    assert "left original, right translated" in text
    assert "median 620 ms, longest 810 ms" in text
