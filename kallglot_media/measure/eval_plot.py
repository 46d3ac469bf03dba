"""An evaluation as one picture: errors and translation over loss, and how late the words are, by pair."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from kallglot_media.measure.outcome import Score

if TYPE_CHECKING:
    from matplotlib.axes import Axes

_COLOURS = ("#1668b0", "#b4511e", "#2e7d4f", "#7b4ba0", "#8a6d00", "#444444")
_STYLES = {"turn": "-", "clause": "--"}
_MUTED, _GRID = "#6b7785", "#dfe4ea"


def plot_scores(scores: Sequence[Score], *files: Path) -> None:
    """Draw into each of the files, by its suffix."""
    import matplotlib  # 0.5 s to import: only who plots pays

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    with matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kallglot", "font.size": 8}):
        figure = Figure(figsize=(13, 4.6), facecolor="white", layout="constrained")
        errors, quality, late = figure.subplots(1, 3)
        _over_loss(errors, scores, lambda one: one.word_errors, "word error rate, %")
        _over_loss(quality, scores, lambda one: one.chrf, "chrF2 of the translation")
        _late(late, scores)
        handles, labels = errors.get_legend_handles_labels()
        figure.legend(handles, labels, loc="outside lower center", ncols=4, frameon=False)
        for file in files:
            figure.savefig(file, dpi=110)


def _over_loss(axis: Axes, scores: Sequence[Score], value: Callable[[Score], float | None], title: str) -> None:
    """A line for each pair and policy; dotted: the bare engines, which no packet is lost for."""
    for pair, colour in _coloured(scores):
        for policy, style in _STYLES.items():
            points = [
                (one.way.loss_percent, known)
                for one in scores
                if one.pair == pair and one.way.policy == policy and (known := value(one)) is not None
            ]
            if points:
                axis.plot(*zip(*sorted(points), strict=True), style, color=colour, marker="o", label=f"{pair} {policy}")
        for one in scores:
            if one.pair == pair and not one.way.policy and (known := value(one)) is not None:
                axis.axhline(known, color=colour, linestyle=":", linewidth=1.2, label=f"{pair} bare engines")
    axis.set_ylim(bottom=0)
    axis.set_xlim(-0.25, max(one.way.loss_percent for one in scores) + 0.25)
    axis.set_xlabel("packets lost, %", color=_MUTED)
    _dress(axis, title)


def _late(axis: Axes, scores: Sequence[Score]) -> None:
    """How late, by way, at the least loss: bars beside each other for each pair."""
    kinds = (("AL", "lagging_ms"), ("StreamLAAL", "stream_laal_ms"), ("ear-voice", "ear_voice_ms"), ("gap", "gap_ms"))
    least = min((one.way.loss_percent for one in scores if one.way.policy), default=0.0)
    shown = [one for one in scores if not one.way.policy or one.way.loss_percent == least]
    colours = dict(_coloured(scores))
    width = 0.8 / max(1, len(shown))
    for number, one in enumerate(shown):
        for at, (_, field) in enumerate(kinds):
            value = getattr(one, field)
            if value is not None:
                hatch = {"": "", "turn": "//", "clause": ".."}[one.way.policy]
                place = at - 0.4 + (number + 0.5) * width
                axis.bar(place, value, width, color=colours[one.pair], hatch=hatch, edgecolor="white")
                axis.annotate(
                    f"{value:.0f}", (place, value), ha="center", va="bottom" if value >= 0 else "top", fontsize=6
                )
    axis.set_xticks(range(len(kinds)), [name for name, _ in kinds])
    axis.axhline(0, color=_MUTED, linewidth=0.6)
    _dress(axis, "how late, ms (plain: bare, hatched: turn, dotted: clause)")


def _coloured(scores: Sequence[Score]) -> list[tuple[str, str]]:
    names = list(dict.fromkeys(one.pair for one in scores))
    return [(name, _COLOURS[n % len(_COLOURS)]) for n, name in enumerate(names)]


def _dress(axis: Axes, title: str) -> None:
    axis.set_title(title, loc="left", fontsize=9, pad=6)
    axis.grid(axis="y", color=_GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    for side in ("top", "right"):
        axis.spines[side].set_visible(False)
    axis.tick_params(colors=_MUTED, length=2)
