"""`kallglot-media latency`: lag of a recorded session, as a table or JSON."""

from __future__ import annotations

import json
from pathlib import Path

from rich.console import Console
from rich.table import Table

from kallglot_media.measure.latency import Lags, lags
from kallglot_media.phone.session_folder import read_session

_COLUMNS = ("from", "to", "ear-voice", "gap", "tail", "overlap")


def latency_command(folder: Path, console: Console, *, as_json: bool) -> int:
    """Print it; exit code 1 when nothing was translated. Raises SetupError."""
    both = lags(read_session(folder))
    if as_json:
        console.print_json(json.dumps([each.to_json() for each in both]))
    else:
        for each in both:
            console.print(_table(each))
            console.print(_summary(each))
    return 0 if any(turn.heard for each in both for turn in each.turns) else 1


def _table(of: Lags) -> Table:
    table = Table(title=f"{of.speaker}, in ms on the recording's clock", title_justify="left")
    for name in _COLUMNS:
        table.add_column(name, justify="right")
    for turn in of.turns:
        numbers = (turn.said.start_ms, turn.said.end_ms, turn.ear_voice_ms, turn.gap_ms, turn.tail_ms, turn.overlap_ms)
        table.add_row(*("–" if number is None else f"{number:.0f}" for number in numbers))
    return table


def _summary(of: Lags) -> str:
    told = [
        f"{name} p50 {of.percentile(field, 50):.0f}, p95 {of.percentile(field, 95):.0f} ms"
        for name, field in (("ear-voice span", "ear_voice_ms"), ("gap", "gap_ms"))
        if of.percentile(field, 50) is not None
    ]
    if of.slope_ms_per_s is not None:
        told.append(f"lag slope {of.slope_ms_per_s:+.1f} ms/s")
    return "; ".join(told) + "\n" if told else "nothing was translated\n"
