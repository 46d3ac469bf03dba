"""Real calls of the interpreter's bench: server, SIP, RTP, two phones, on loopback, by the clock."""

from __future__ import annotations

import io
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import numpy as np
from interpreter_report import Report, stacked
from interpreter_said import (
    LONG_MS,
    RATE_HZ,
    SENTENCES_IN_A_LONG_ONE,
    SHIPPED,
    SPEAKERS,
    Size,
    conversation,
    percentiles,
)
from rich.console import Console

from kallglot_media.measure.eval_plot import plot_scores
from kallglot_media.measure.evaluation import Plan, as_json, as_markdown, evaluate
from kallglot_media.measure.latency import lags
from kallglot_media.measure.outcome import Way
from kallglot_media.measure.samples import read_samples
from kallglot_media.phone.demo import DemoOutcome, run_demo
from kallglot_media.phone.session_folder import STAGES
from kallglot_media.phone.verdict import Line
from kallglot_media.speech.evaluate import Recording, chrf
from kallglot_media.speech.settings import SpeechSettings

POLICIES: dict[str, dict[str, Any]] = {
    "turn, only at its end": {"interpret": "turn", "clauses": {"pause_ms": 0}},
    "turn": {"interpret": "turn"},
    "clause": {"interpret": "clause"},
}


def short_calls(report: Report, recordings: Sequence[Recording], size: Size) -> None:
    """Single sentences, customer and agent in turn."""
    lines = conversation(recordings, 1, report.folder / "calls" / "in")[: size.short_lines]
    _calls(report, "calls", f"{len(lines)} of 1 sentence", lines, tuple(POLICIES))


def long_calls(report: Report, recordings: Sequence[Recording], size: Size) -> None:
    """Several sentences in a row."""
    lines = conversation(recordings, SENTENCES_IN_A_LONG_ONE, report.folder / "long-calls" / "in")[: size.long_lines]
    _calls(
        report, "long-calls", f"{len(lines)} of {SENTENCES_IN_A_LONG_ONE} sentences in a row", lines, ("turn", "clause")
    )


def _calls(report: Report, part: str, name: str, lines: Sequence[Line], policies: Sequence[str]) -> None:
    report.say(f"\n**Real calls**, {name}, one at a time; ms p50 / p95. Added: end of speech to the first translated")
    report.say("sample on the wire minus the time in the engines. The rest from the recorded tracks alone.\n")
    report.table("policy", "turns", "added", "gap after the end", "ear-voice span > 6 s", "overlap s", "chrF")
    found: dict[str, Any] = {}
    for number, policy in enumerate(policies):
        outcome = _call(report.folder / part / f"{number}", lines, policy)
        found[policy] = measured = _measured(outcome, lines)
        report.row(
            policy,
            measured["turns"],
            percentiles(measured["added_ms"]),
            percentiles(measured["gap_ms"]),
            percentiles(measured["ear_voice_ms"]),
            f"{measured['overlap_s']:.1f}",
            f"{measured['chrf']:.1f}",
        )
    report.say("\nWhere the time goes, ms mean:\n")
    report.table("policy", *STAGES)
    for policy, measured in found.items():
        report.row(policy, *(f"{mean:.0f}" for mean in measured["stages_ms"]))
    stacked(
        {policy: measured["stages_ms"] for policy, measured in found.items()}, STAGES, report.folder / f"{part}.png"
    )
    report.results[part] = found


def _call(folder: Path, lines: Sequence[Line], policy: str) -> DemoOutcome:
    limit_s = 30.0 + sum(len(line.sound) / RATE_HZ + 8.0 for line in lines)
    return run_demo(folder, Console(file=io.StringIO()), limit_s=limit_s, lines=lines, mode=POLICIES[policy])


def _measured(outcome: DemoOutcome, lines: Sequence[Line]) -> dict[str, Any]:
    both = lags(outcome.session)
    turns = [turn for each in both for turn in each.turns]
    long = [turn for turn in turns if turn.said.end_ms - turn.said.start_ms > LONG_MS]
    known = [turn.timings.stages for turn in outcome.session.turns if turn.timings.to_first_ms is not None]
    return {
        "turns": len(outcome.session.turns),
        "added_ms": _added_ms(outcome),
        "gap_ms": [turn.gap_ms for turn in turns if turn.gap_ms is not None],
        "ear_voice_ms": [turn.ear_voice_ms for turn in long if turn.ear_voice_ms is not None],
        "overlap_s": sum(turn.overlap_ms for turn in turns) / 1000,
        "chrf": _translation_chrf(outcome, lines),
        "stages_ms": [float(np.mean([stages[stage] or 0.0 for stages in known] or [0.0])) for stage in STAGES],
    }


def _added_ms(outcome: DemoOutcome) -> list[float]:
    """Of each turn that had nothing before it in line: end of its speech to first sample, minus what engines took."""
    timings = [turn.timings for turn in outcome.session.turns if turn.timings.to_first_ms is not None]
    return [
        one.to_first_ms - one.engine_ms
        for one in timings
        if one.to_first_ms is not None and one.engine_ms is not None and (one.stages["playout_wait"] or 0.0) < 60
    ]


def _translation_chrf(outcome: DemoOutcome, lines: Sequence[Line]) -> float:
    """All that was translated for each listener against all that should have been."""
    references, found = [], []
    for speaker in SPEAKERS.values():
        turns = sorted((turn for turn in outcome.session.turns if turn.speaker == speaker), key=lambda it: it.start_ms)
        references.append(" ".join(line.translation for line in lines if line.speaker == speaker))
        found.append(" ".join(turn.translation or "" for turn in turns))
    return chrf(references, found)


def loss_calls(report: Report, recordings: Sequence[Recording], size: Size) -> None:
    """The whole set through real calls with loss, beside the bare engines: what `kallglot-media eval` does."""
    folder = report.folder / "loss-calls"
    ways = tuple(Way("a call", "turn", loss_percent=100 * loss, jitter_ms=20) for loss in size.losses)
    report.say("\n**Real calls with loss and 20 ms of jitter** (`kallglot-media eval`):\n")
    scores = evaluate(read_samples(SHIPPED, size.recordings), Plan(ways, folder, SpeechSettings()))
    report.say(as_markdown(scores))
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "scores.json").write_text(as_json(scores), "utf-8")
    plot_scores(scores, report.folder / "loss.png")
    report.results["loss-calls"] = [
        {
            "pair": one.pair,
            "policy": one.way.policy,
            "loss_percent": one.way.loss_percent,
            "wer": one.word_errors,
            "chrf": one.chrf,
            "entities": [one.entities_kept, one.entities],
            "invented_per_hour": one.invented_per_hour,
        }
        for one in scores
    ]
