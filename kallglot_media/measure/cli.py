"""`kallglot-media latency`: lag of a recorded session; `eval`: a set of recordings. As tables or JSON."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING

from rich.console import Console
from rich.table import Table

from kallglot_media.errors import SetupError
from kallglot_media.measure.latency import Lags, lags
from kallglot_media.phone.session_folder import read_session

if TYPE_CHECKING:
    from kallglot_media.measure.evaluation import Plan

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


def eval_command(folder: Path, plan: Plan, limit: int | None, console: Console, *, as_json: bool) -> int:
    """Measure, print, keep scores.json and the plot; exit code 1 when a call could not be held. Raises SetupError."""
    from kallglot_media.measure.eval_plot import plot_scores  # with the engines' libraries: only who measures waits
    from kallglot_media.measure.evaluation import as_json as scores_as_json
    from kallglot_media.measure.evaluation import as_text, evaluate
    from kallglot_media.measure.samples import read_samples
    from kallglot_media.phone.demo import DemoFailed

    samples = read_samples(folder, limit)
    try:
        plan.out.mkdir(parents=True, exist_ok=True)
        scores = evaluate(samples, plan, lambda line: console.print(line, style="dim", markup=False))
        files = [plan.out / name for name in ("scores.json", "scores.png", "scores.svg")]
        files[0].write_text(scores_as_json(scores) + "\n", "utf-8")
        plot_scores(scores, *files[1:])
    except DemoFailed as wrong:
        console.print(f"a call could not be measured: {wrong}", style="red", markup=False)
        return 1
    except OSError as wrong:
        raise SetupError(str(plan.out), f"cannot be written: {wrong.strerror}", "name another with --out") from None
    if as_json:
        print(scores_as_json(scores))
    else:
        console.print(as_text(scores), markup=False)
        console.print("\n".join(str(file) for file in files), markup=False)
    return 0


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
