"""What a run of bench_interpreter.py leaves: Markdown as it comes, the numbers as JSON, and which targets are met."""

from __future__ import annotations

import json
from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

import numpy as np

Results = dict[str, Any]
"""By part: what it measured, as plain data."""


@dataclass(frozen=True, slots=True)
class Number:
    """One number that is wanted. met: None where nothing was wanted, or the part was not run."""

    name: str
    measured: str
    wanted: str
    met: bool | None


class Report:
    """Prints while it goes, keeps what was printed and the results, and writes all of it after every part."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.results: Results = {}
        self._text: list[str] = []
        folder.mkdir(parents=True, exist_ok=True)

    def say(self, line: str = "") -> None:
        """A line of Markdown."""
        print(line, flush=True)
        self._text.append(line)

    def table(self, *columns: str) -> None:
        """The head of a table; its rows follow."""
        self.say("| " + " | ".join(columns) + " |")
        self.say("|---" * len(columns) + "|")

    def row(self, *cells: object) -> None:
        """A row of the table that was begun."""
        self.say("| " + " | ".join(str(cell) for cell in cells) + " |")

    def write(self) -> None:
        """results.json and report.md: what was measured is not to be lost with the rest."""
        told = {"results": self.results, "targets": [asdict(one) for one in numbers(self.results)]}
        (self.folder / "results.json").write_text(json.dumps(told, indent=1, ensure_ascii=False), "utf-8")
        (self.folder / "report.md").write_text("\n".join(self._text) + "\n", "utf-8")

    def targets(self) -> None:
        """The table of what is wanted."""
        self.say("\n**Targets**\n")
        self.table("number", "measured", "wanted", "met")
        for one in numbers(self.results):
            self.row(one.name, one.measured, one.wanted, {True: "yes", False: "**no**", None: "–"}[one.met])


def numbers(results: Results) -> list[Number]:
    """What is wanted of the interpreter, and whether these results have it."""
    return [
        *_added(results.get("calls", {})),
        *_clauses(results),
        *_lag(results.get("lag", {})),
        *_call_beside_bare(results),
        *_counted(results),
        *_cores(results.get("cores", {})),
    ]


def _added(calls: Mapping[str, Any]) -> list[Number]:
    found = []
    for policy, wanted_ms in (("turn", (350, 600)), ("clause", (350, 600))):
        for percent, most in zip((50, 95), wanted_ms, strict=True):
            added = calls.get(policy, {}).get("added_ms")
            value = float(np.percentile(added, percent)) if added else None
            found.append(
                _upto(f"end of speech → first translated sample, less engines, {policy}, p{percent}", value, most, "ms")
            )
    return found


def _clauses(results: Results) -> list[Number]:
    found = []
    long = results.get("long-calls", {})
    spans = {policy: long.get(policy, {}).get("ear_voice_ms") for policy in ("turn", "clause")}
    shorter = None
    if all(spans.values()):
        turn, clause = (float(np.median(spans[policy])) for policy in ("turn", "clause"))
        shorter = 100 * (1 - clause / turn)
    found.append(_atleast("ear-voice span p50 over 6 s, clause shorter than turn by", shorter, 35, "%"))
    overlap_s = long.get("clause", {}).get("overlap_s")
    found.append(_atleast("made speech before its speaker ends, clause, in all", overlap_s, 0.1, "s"))
    for part, name in (("calls", "single sentences"), ("long-calls", "over 6 s"), ("texts", "texts alone")):
        scores = [results.get(part, {}).get(policy, {}).get("chrf") for policy in ("turn", "clause")]
        lost = scores[0] - scores[1] if None not in scores else None
        found.append(_upto(f"chrF that clauses cost, {name}", lost, 2, "", digits=1))
    return found


def _lag(lag: Mapping[str, Any]) -> list[Number]:
    slopes = [one["slope_ms_per_s"] for one in lag.get("paces", {}).values()]
    worst = max(slopes, key=abs) if slopes else None
    found = Number(
        f"lag slope over {lag.get('minutes', 30):g} simulated minutes, worst pace",
        "–" if worst is None else f"{worst:+.2f} ms/s",
        "0 ± 0.5 ms/s",
        None if worst is None else abs(worst) <= 0.5,
    )
    return [found]


def _call_beside_bare(results: Results) -> list[Number]:
    """The call's WER and chrF without loss are within what the bare engines differ by themselves."""
    found = []
    scores = {(one["pair"], one["loss_percent"], bool(one["policy"])): one for one in results.get("loss-calls", [])}
    for language, noise in results.get("noise", {}).items():
        pair = next((pair for pair, *_ in scores if pair.startswith(language)), None)
        called, bare = (scores.get((pair, 0.0, through)) for through in (True, False))
        if called is None or bare is None:
            continue
        errors, quality = [*noise["wer"], bare["wer"]], [*noise["chrf"], bare["chrf"]]
        found += [
            _upto(
                f"WER of a call at 0 % loss, {pair}, bare {bare['wer']:.1f}", called["wer"], max(errors), "%", digits=1
            ),
            _atleast(
                f"chrF of a call at 0 % loss, {pair}, bare {bare['chrf']:.1f}",
                called["chrf"],
                min(quality),
                "",
                digits=1,
            ),
        ]
    return found or [Number("a call at 0 % loss beside the bare engines", "–", "within their noise", None)]


def _counted(results: Results) -> list[Number]:
    nobody, entities = results.get("nobody", {}), results.get("entities", {})
    kept = 100 * entities["right"] / entities["sentences"] if entities else None
    minutes = nobody.get("minutes", 10)
    return [
        _atleast(f"entities kept, of {entities.get('sentences', 300)} sentences", kept, 99, "%", digits=1),
        _upto(f"words in {minutes:.0f} min of silence, noise, music and ringback", nobody.get("words"), 0, ""),
    ]


def _cores(cores: Mapping[str, Any]) -> list[Number]:
    served = {way: max((row["calls"] for row in rows if row["served"]), default=0) for way, rows in cores.items()}
    told = ", ".join(f"{way} {calls}" for way, calls in served.items()) or "–"
    pool, alone = served.get("pool"), served.get("per call")
    met = None if pool is None or alone is None else pool >= alone
    return [Number("calls served on one core (the most that were tried)", told, "pool ≥ a process for each", met)]


def _upto(name: str, value: float | None, most: float, unit: str, *, digits: int = 0) -> Number:
    return _number(
        name, value, f"≤ {most:.{digits}f} {unit}", None if value is None else value <= most + 0.05, unit, digits
    )


def _atleast(name: str, value: float | None, least: float, unit: str, *, digits: int = 0) -> Number:
    met = None if value is None else value >= least - 0.05
    return _number(name, value, f"≥ {least:g} {unit}", met, unit, digits)


def _number(name: str, value: float | None, wanted: str, met: bool | None, unit: str, digits: int) -> Number:
    measured = "–" if value is None else f"{value:.{digits}f} {unit}".strip()
    return Number(name, measured, wanted.strip(), met)


def stacked(bars: Mapping[str, Sequence[float]], stages: Sequence[str], file: Path) -> None:
    """Where the time goes, ms mean: a bar for each, one colour for each stage."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 0.5 * len(bars) + 1.3), facecolor="white", layout="constrained")
    axis = figure.subplots()
    left = np.zeros(len(bars))
    colours = ("#c9ced6", "#1668b0", "#2e7d4f", "#b4511e", "#7b4ba0")
    for number, (stage, colour) in enumerate(zip(stages, colours, strict=False)):
        means = np.array([values[number] for values in bars.values()])
        axis.barh(list(bars), means, left=left, color=colour, label=stage)
        left = left + means
    axis.invert_yaxis()
    axis.set_xlabel("ms from the end of speech to the first translated sample, mean")
    axis.legend(frameon=False, ncols=len(stages), loc="lower right", bbox_to_anchor=(1.0, 1.0))
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.savefig(file, dpi=110)


def curves(lines: Mapping[str, Sequence[tuple[float, float]]], file: Path) -> None:
    """How far the made speech is behind, over time."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    figure = Figure(figsize=(10, 3.2), facecolor="white", layout="constrained")
    axis = figure.subplots()
    for (name, points), colour in zip(lines.items(), ("#1668b0", "#2e7d4f", "#b4511e"), strict=False):
        at_s, behind_ms = np.array(points, np.float64).T
        axis.plot(at_s / 60, behind_ms / 1000, color=colour, linewidth=0.9, label=name)
    axis.set_ylim(bottom=0)
    axis.set_xlabel("minutes of speech without a pause")
    axis.set_ylabel("made speech behind, s")
    axis.legend(frameon=False, loc="upper right", title="speaker's pace")
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    figure.savefig(file, dpi=110)
