"""What `bench_media` measured, as Markdown and as a drawing."""

from __future__ import annotations

import dataclasses
import json
import sys
from collections.abc import Collection, Mapping, Sequence
from pathlib import Path
from typing import Any

from media_load import Missing, Result

Lines = Sequence[Result | Missing]


def table(lines: Lines, others: Collection[str]) -> str:
    """Of our own lines. others: the names of those that are not ours."""
    head = [
        "what", "legs", "% of a core per leg", "ms of CPU per call-second", "tick lateness p99 / max ms",
        "ticks late by 1 / 5 / 20 ms", "given up", "gap p50 / p99 / max ms", "jitter ms", "lost of sent", "",
    ]  # fmt: skip
    rows = []
    for line in lines:
        if line.what in others:
            continue
        if isinstance(line, Missing):
            rows.append([line.what, str(line.legs), "–", "–", "–", "–", "–", "–", "–", "–", line.why])
            continue
        late = " / ".join(str(line.late.get(kind, 0)) for kind in ("over_1ms", "over_5ms", "over_20ms"))
        rows.append(
            [
                line.what, str(line.legs), f"{line.percent_per_leg:.3f}", f"{line.ms_per_call_second:.2f}",
                f"{line.p99_ms:.2f} / {line.max_ms:.1f}", late, str(line.skipped), *_network(line), line.notes,
            ]
        )  # fmt: skip
    return _markdown(head, rows)


def peers_table(lines: Lines, beside: Mapping[str, str]) -> str:
    """What the others cost. beside: their names, and the line of ours that each is compared with."""
    ours = {(line.what, line.legs): line.ms_per_call_second for line in lines if isinstance(line, Result)}
    head = [
        "what", "calls", "ms of CPU per call-second", "ours", "ms of ours", "ours ÷ theirs",
        "gap p50 / p99 / max ms", "jitter ms", "lost of sent",
    ]  # fmt: skip
    rows = []
    for line in lines:
        if line.what not in beside:
            continue
        name = beside[line.what]
        own = ours.get((name, line.legs))
        calls = str(line.legs // 2)
        if isinstance(line, Missing):
            rows.append([line.what, calls, line.why, name, _number(own), "–", "–", "–", "–"])
            continue
        theirs = line.ms_per_call_second
        ratio = None if own is None else own / theirs
        rows.append([line.what, calls, _number(theirs), name, _number(own), _number(ratio), *_network(line)])
    return _markdown(head, rows)


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.2f}"


def _network(line: Result) -> list[str]:
    load = line.load
    return [
        f"{load['gap_p50_ms']:.2f} / {load['gap_p99_ms']:.2f} / {load['gap_max_ms']:.1f}",
        f"{load['jitter_ms']:.2f}",
        f"{line.lost} of {load['sent']:.0f}" if line.lost <= load["sent"] else "not known: its numbers jump",
    ]


def _markdown(head: list[str], rows: list[list[str]]) -> str:
    return "\n".join("| " + " | ".join(cells) + " |" for cells in [head, ["---"] * len(head), *rows])


def plot(lines: Lines, path: Path) -> None:
    """Cost and lateness over the number of legs, one line for each that was measured."""
    import matplotlib

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    thin: dict[str, Any] = {"markersize": 3, "linewidth": 1.2}
    figure = Figure(figsize=(10, 4.6), layout="constrained")
    cost, late = figure.subplots(1, 2)
    results = [line for line in lines if isinstance(line, Result)]
    for number, what in enumerate(dict.fromkeys(result.what for result in results)):
        mine = sorted((result for result in results if result.what == what), key=lambda result: result.legs)
        legs = [result.legs for result in mine]
        style = "o-" if mine[0].p99_ms is not None else "s:"
        color = f"C{number % 10}"
        cost.plot(legs, [result.percent_per_leg for result in mine], style, color=color, label=what, **thin)
        if mine[0].p99_ms is not None:
            late.plot(legs, [result.p99_ms or 0 for result in mine], style, color=color, label=what, **thin)
    cost.axhline(0.10, color="#999", linestyle=":", linewidth=1)
    late.axhline(3.0, color="#999", linestyle=":", linewidth=1)
    cost.set(xlabel="legs", ylabel="% of a core per leg", yscale="log")
    late.set(xlabel="legs", ylabel="tick lateness p99, ms", yscale="log")
    for axis in (cost, late):
        axis.grid(color="#e5e9ee", linewidth=0.6)
        axis.spines[["top", "right"]].set_visible(False)
    figure.legend(*cost.get_legend_handles_labels(), fontsize=7, frameon=False, ncols=4, loc="outside lower center")
    figure.savefig(path, dpi=110)


def put_into(page: Path, name: str, text: str) -> None:
    """Replace what stands between `<!-- NAME -->` and `<!-- /NAME -->` in a page of the docs."""
    before, begin, rest = page.read_text().partition(f"<!-- {name} -->\n")
    _, end, after = rest.partition(f"<!-- /{name} -->")
    if not end:
        sys.exit(f"{page}: no place for {name}")
    page.write_text(f"{before}{begin}{text}\n{end}{after}")


def keep(line: Result | Missing, path: Path | None) -> None:
    """A line of JSON for each run, so that several invocations make one table (`--show`)."""
    said = f"{line.percent_per_leg:.3f} %" if isinstance(line, Result) else line.why
    print(f"{line.what} {line.legs}: {said}", file=sys.stderr, flush=True)
    if path is not None:
        with path.open("a") as file:
            file.write(json.dumps(dataclasses.asdict(line)) + "\n")


def kept(path: Path) -> list[Result | Missing]:
    """What `keep` wrote."""
    found = map(json.loads, path.read_text().splitlines())
    return [Missing(**it) if "why" in it else Result(**it) for it in found]
