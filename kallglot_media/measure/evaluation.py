"""A whole evaluation: a set through the bare engines and through calls, as scores, a table and JSON."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

from kallglot_media.measure.bare import Engines, hear_bare
from kallglot_media.measure.in_call import Stage, hear_in_call
from kallglot_media.measure.outcome import Outcome, Score, Way, score
from kallglot_media.measure.samples import Sample, pairs
from kallglot_media.speech.settings import SpeechSettings

BARE = Way("bare engines")


@dataclass(frozen=True, slots=True)
class Plan:
    """What is measured.

    ways     through calls; none: the bare engines alone
    out      folder for what calls leave, scores.json and the plot
    engines  what the bare engines are loaded with; speech: the same as the section of a server.yaml
    """

    ways: tuple[Way, ...]
    out: Path
    engines: SpeechSettings
    speech: Mapping[str, Any] = field(default_factory=dict)
    pause_s: float = 1.5


def evaluate(samples: Sequence[Sample], plan: Plan, tell: Callable[[str], None] = lambda line: None) -> list[Score]:
    """All scores, the bare engines' first. Raises SetupError or DemoFailed."""
    engines = Engines.load(plan.engines)
    tell(f"{len(samples)} recordings through the bare engines")
    scores = _scores(BARE, hear_bare(samples, engines), {})
    for number, way in enumerate(plan.ways):
        outcomes: list[Outcome] = []
        stray: dict[str, int] = {}
        for pair in pairs(samples):
            stage = Stage(plan.out / "calls" / f"{number}-{'-'.join(pair)}", plan.speech, plan.pause_s, tell)
            heard = hear_in_call(samples, pair, way, stage, engines.recognizer)
            outcomes += heard.outcomes
            stray |= heard.stray_words
        scores += _scores(way, outcomes, stray)
    return scores


def _scores(way: Way, outcomes: Sequence[Outcome], stray: Mapping[str, int]) -> list[Score]:
    by_pair: dict[str, list[Outcome]] = {}
    for one in outcomes:
        by_pair.setdefault(one.sample.pair, []).append(one)
    return [score(pair, way, own, stray.get(pair, 0)) for pair, own in sorted(by_pair.items())]


def as_json(scores: Sequence[Score]) -> str:
    """For machines, with every text."""
    when = datetime.now(UTC).isoformat(timespec="seconds")
    return json.dumps({"at": when, "scores": [one.to_json() for one in scores]}, indent=1, ensure_ascii=False)


COLUMNS = (
    "pair", "way", "n", "WER %", "chrF", "BLEU", "entities", "AL ms", "StreamLAAL ms", "ear-voice ms", "gap ms",
    "erasure", "invented/h", "unheard",
)  # fmt: skip


def rows(scores: Sequence[Score]) -> list[tuple[str, ...]]:
    """One for each score, under COLUMNS."""
    return [
        (
            one.pair,
            one.way.name,
            str(one.samples),
            f"{one.word_errors:.1f}",
            _shown(one.chrf, 1),
            _shown(one.bleu, 1),
            f"{one.entities_kept}/{one.entities}",
            _shown(one.lagging_ms),
            _shown(one.stream_laal_ms),
            _shown(one.ear_voice_ms),
            _shown(one.gap_ms),
            _shown(one.erasure, 2),
            f"{one.invented_per_hour:.0f}",
            str(one.unheard),
        )
        for one in scores
    ]


def as_text(scores: Sequence[Score]) -> str:
    """For a terminal: columns in line, as wide as they need to be."""
    lines = [COLUMNS, *rows(scores)]
    widths = [max(len(cell) for cell in column) for column in zip(*lines, strict=True)]
    return "\n".join(
        "  ".join(
            cell.ljust(width) if number < 2 else cell.rjust(width)
            for number, (cell, width) in enumerate(zip(line, widths, strict=True))
        )
        for line in lines
    )


def as_markdown(scores: Sequence[Score]) -> str:
    """For a document."""
    lines = [COLUMNS, ("---",) * len(COLUMNS), *rows(scores)]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def _shown(value: float | None, digits: int = 0) -> str:
    return "–" if value is None else f"{value:.{digits}f}"
