"""Hear a support call that nothing was trained on: demo_call.py NAME [--out FOLDER]

NAME is one of scripts/demo_calls. Like `make demo` it starts a server and two phones on this machine; then it says
of each line what was said, what was understood and what the other side was told. Fails when a line was not understood.
"""

from __future__ import annotations

import argparse
import sys
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import yaml
from rich.console import Console
from rich.table import Table

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kallglot_media.phone.demo import DemoFailed, DemoOutcome, run_demo
from kallglot_media.phone.demo_view import demo_console
from kallglot_media.phone.session_folder import Session, Turn
from kallglot_media.phone.sounds import load_sound
from kallglot_media.phone.verdict import SAID_CORRELATION, Line, LineResult
from kallglot_media.speech.evaluate import word_error_rate

CALLS = Path(__file__).resolve().parent / "demo_calls"
LANGUAGES = {"customer": "de", "agent": "en"}
RATE_HZ = 8000
LIMIT_S = 420.0
UNDERSTOOD_AT_MOST = 25.0
"""Percent of a line's words that may be wrong."""


def calls() -> list[str]:
    """Every call that can be heard."""
    return sorted(path.stem for path in CALLS.glob("*.yaml"))


def read_call(name: str) -> tuple[dict[str, str], list[dict[str, str]]]:
    """(espeak-ng's voice by language, lines: speaker, language, text, translation, file)."""
    told: dict[str, Any] = yaml.safe_load((CALLS / f"{name}.yaml").read_text("utf-8"))
    lines = []
    for number, line in enumerate(told["lines"], 1):
        speaker = next(one for one in LANGUAGES if one in line)
        file = CALLS / name / f"{number:02d}-{speaker}.wav"
        lines.append({"speaker": speaker, "language": LANGUAGES[speaker], "text": line[speaker],
                      "translation": line["translation"], "file": str(file)})  # fmt: skip
    return told["voices"], lines


def main() -> int:
    """0: every line was understood."""
    options = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    options.add_argument("name", choices=calls())
    options.add_argument("--out", type=Path, default=Path("demo-output/call"))
    given = options.parse_args()
    console = demo_console()
    lines = [Line(sound=load_sound(Path(line["file"]), RATE_HZ), **line) for line in read_call(given.name)[1]]
    try:
        outcome = run_demo(given.out, console, limit_s=LIMIT_S, lines=lines)
    except DemoFailed as wrong:
        console.print(f"the call failed: {wrong}", style="red", markup=False)
        return 1
    return 0 if report(outcome, console) else 1


def report(outcome: DemoOutcome, console: Console) -> bool:
    """The table of lines; whether all were understood."""
    table = Table("", "said", "understood", "translated", "wrong words", box=None)
    pairs = []
    missed = 0
    for number, result in enumerate(outcome.verdict.lines, 1):
        turns = turns_of(outcome.session, result)
        heard = " ".join(turn.text for turn in turns)
        pairs.append((result.line.text, heard))
        errors = word_error_rate(pairs[-1:])
        missed += errors > UNDERSTOOD_AT_MOST
        style = "red" if errors > UNDERSTOOD_AT_MOST else None
        told = " ".join(turn.translation or "" for turn in turns)
        table.add_row(f"{number} {result.line.speaker}", result.line.text, heard, told, f"{errors:.0f} %", style=style)
    console.print(table)
    count, seconds = len(pairs), len(outcome.session.tracks["customer"].original) / outcome.session.rate_hz
    console.print(
        f"\n{count - missed} of {count} lines understood (at most {UNDERSTOOD_AT_MOST:.0f} % of the words wrong) "
        f"in a call of {seconds:.0f} s; word error rate {word_error_rate(pairs):.1f} %",
        style="bold green" if not missed else "bold red",
    )
    return not missed


def turns_of(session: Session, result: LineResult) -> Sequence[Turn]:
    """The turns that a line became: a pause between its sentences may make two of it."""
    if result.said.correlation < SAID_CORRELATION:
        return []
    start_s = result.said.at_sample / session.rate_hz
    return [
        turn
        for turn in session.turns
        if turn.speaker == result.line.speaker
        and min(result.said_end_s, turn.end_ms / 1000) - max(start_s, turn.start_ms / 1000) > 0
    ]


if __name__ == "__main__":
    sys.exit(main())
