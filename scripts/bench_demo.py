"""How long after the end of speech does the first translated sample go out? As a Markdown table.

    python scripts/bench_demo.py [--runs 3] [--out demo-output/bench]

Runs the demo's call so many times. Beside it stands what the bare engines take, in this process and without a
server, on the very sound that the server recorded, right after each call.
"""

from __future__ import annotations

import argparse
import io
import os
import platform
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
import soxr
from rich.console import Console

sys.path.insert(0, str(Path(__file__).resolve().parents[1]))

from kallglot_media.phone.demo import DemoOutcome, run_demo
from kallglot_media.phone.session_folder import STAGES, Turn
from kallglot_media.speech.argos import ArgosTranslator
from kallglot_media.speech.models import find_models
from kallglot_media.speech.piper import PiperSynthesizer
from kallglot_media.speech.settings import SpeechSettings
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ, Pcm16
from kallglot_media.speech.whisper import WhisperRecognizer

_TAKES = 3
"""The bare engines' time is the median of so many, as the machine may be busy with something else."""


class BareEngines:
    """The starter models in this process, one thread each, loaded once."""

    def __init__(self) -> None:
        os.environ.pop("KALLGLOT_MODELS", None)  # what the demo's server has, too
        settings = SpeechSettings()
        models = find_models(settings)
        self._recognizer = WhisperRecognizer(models.recognizer(None), settings)
        self._translator = ArgosTranslator(models.packages(), settings)
        self._synthesizer = PiperSynthesizer(models.voices(), settings)

    def take_ms(self, pcm: Pcm16, rate_hz: int, source: str, target: str) -> float:
        """Recognition, translation and synthesis of one utterance, one after the other."""
        heard = self._recognizer.transcribe(soxr.resample(pcm, rate_hz, RECOGNIZER_RATE_HZ), source)
        words = self._translator.translate(heard.text, source, target)
        speech = self._synthesizer.synthesize(words.text, target, None)
        return heard.engine_ms + words.engine_ms + speech.engine_ms


@dataclass(frozen=True, slots=True)
class Sample:
    """One turn. by_recording_ms: from the line's last sound to the first translated sample, on the recordings alone."""

    turn: Turn
    by_recording_ms: float
    bare_ms: float
    mouth_to_ear_ms: float


def samples_of(outcome: DemoOutcome, engines: BareEngines) -> list[Sample]:
    """The turns of one call that were played."""
    found = []
    rate_hz = outcome.session.rate_hz
    for result in outcome.verdict.lines:
        turn = result.turn
        if turn is None or turn.timings.to_first_ms is None or result.lag_ms is None or result.heard is None:
            continue
        track = outcome.session.tracks[turn.speaker].original
        pcm = track[round(turn.start_ms * rate_hz / 1000) : round((turn.end_ms + 200) * rate_hz / 1000)]
        pair = turn.language, turn.translation_language or turn.language
        bare_ms = float(np.median([engines.take_ms(pcm, rate_hz, *pair) for _ in range(_TAKES)]))
        found.append(Sample(turn, result.lag_ms, bare_ms, outcome.mouth_to_ear_ms(result)))
    return found


def row(name: str, values: Sequence[float]) -> str:
    """One line of the table: median, 95th percentile and longest, in ms."""
    middle, high, longest = np.median(values), np.percentile(values, 95), max(values)
    return f"| {name} | {middle:.0f} | {high:.0f} | {longest:.0f} |"


def table(samples: Sequence[Sample], runs: int, ready_s: Sequence[float]) -> str:
    """Everything measured, as Markdown."""
    totals = [sample.turn.timings.to_first_ms or 0.0 for sample in samples]
    bare = [sample.bare_ms for sample in samples]
    lines = [
        f"{datetime.now(UTC):%Y-%m-%d}, {platform.machine()}, {os.cpu_count()} cores, "
        f"Python {platform.python_version()}, starter models: {len(samples)} turns of {runs} calls; "
        f"server ready in {np.median(ready_s):.1f} s.",
        "",
        "| ms | median | p95 | longest |",
        "|---|---|---|---|",
        row("end of speech → first translated sample on the wire", totals),
        row("the same, measured on the recordings alone", [sample.by_recording_ms for sample in samples]),
        row(
            "end of speech → first translated sample at the other phone", [sample.mouth_to_ear_ms for sample in samples]
        ),
        row("bare engines on the same sound, same run", bare),
        row("difference: what the server adds", [total - own for total, own in zip(totals, bare, strict=True)]),
    ]
    for stage in STAGES:
        values = [sample.turn.timings.stages.get(stage) or 0.0 for sample in samples]
        lines.append(row(f"of it {stage.replace('_', ' ')}", values))
    return "\n".join(lines)


def main() -> int:
    """Exit code 1 when a call failed its verdict: its numbers would mean nothing."""
    arguments = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    arguments.add_argument("--runs", type=int, default=3)
    arguments.add_argument("--out", type=Path, default=Path("demo-output/bench"))
    given = arguments.parse_args()
    engines = BareEngines()
    samples: list[Sample] = []
    ready_s: list[float] = []
    for run in range(given.runs):
        outcome = run_demo(given.out, Console(file=io.StringIO()))
        wrong = [f"{check.name}: {check.detail}" for check in outcome.verdict.checks if not check.passed]
        if wrong:
            print("\n".join(wrong), file=sys.stderr)
            return 1
        samples += samples_of(outcome, engines)
        ready_s.append(outcome.ready_s)
        print(f"call {run + 1} of {given.runs}: {len(samples)} turns so far", file=sys.stderr)
    print(table(samples, given.runs, ready_s))
    return 0


if __name__ == "__main__":
    sys.exit(main())
