"""A session as one picture: four tracks on one time axis, the turns with their words, and the lag of each."""

from __future__ import annotations

import textwrap
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.phone.session_folder import AI, Session, Turn, plays, read_session

if TYPE_CHECKING:
    import numpy.typing as npt
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

_INK, _MUTED, _GRID = "#1f2933", "#6b7785", "#dfe4ea"
_COLOURS = {"customer": "#1668b0", "agent": "#b4511e"}
_LAG = "#2a2a2a"
_LOSS = "#c81e3c"
_PAPER = {"facecolor": "white", "alpha": 0.75, "linewidth": 0, "pad": 0.5}
"""Behind words that stand on a wave."""

_TEXT_LINES = 3
_TEXT_PT = 8.0
_INCHES_PER_CHARACTER = 0.068
"""Mean advance of DejaVu Sans at _TEXT_PT, with a little air."""

_BREATH_MS = 400
_BINS_PER_INCH = 150
_SHORTEST_S = 0.1
"""An axis needs a length; a call that ended before its first frame has none."""


@dataclass(frozen=True, slots=True)
class Row:
    """One track of the picture. speaker: whose words; made: translated, or as they were said."""

    label: str
    speaker: str
    made: bool


ROWS = (
    Row("customer said", "customer", made=False),
    Row("translated for agent", "customer", made=True),
    Row("agent said", "agent", made=False),
    Row("translated for customer", "agent", made=True),
)


@dataclass(frozen=True, slots=True)
class Label:
    """Words above a track from `start_s`, with room for `room_s` until the next ones."""

    start_s: float
    room_s: float
    text: str


def plot_session(folder: Path, out_png: Path, out_svg: Path) -> None:
    """Draw the session in `folder` into both files. Raises SessionFolderError."""
    import matplotlib  # 0.5 s to import: only who plots pays

    matplotlib.use("Agg")
    from matplotlib.figure import Figure

    session = read_session(folder)
    with (
        matplotlib.rc_context({"svg.fonttype": "none", "svg.hashsalt": "kallglot", "font.size": _TEXT_PT}),
        warnings.catch_warnings(),
    ):
        warnings.filterwarnings("ignore", "Glyph .* missing")  # a box in the PNG; the SVG has the viewer's fonts
        figure = Figure(figsize=(width_inches(session.seconds), 7.6), facecolor="white", layout="constrained")
        draw_session(figure, session)
        figure.savefig(out_png, dpi=110, metadata={"Software": None})
        figure.savefig(out_svg, metadata={"Date": None})


def width_inches(seconds: float) -> float:
    """Room for words at a speaking pace, but never more than a large screen scrolls well."""
    return float(np.clip(seconds * 0.36, 13.0, 60.0))


def draw_session(figure: Figure, session: Session) -> None:
    """Four rows on one time axis, from the top: see ROWS."""
    axes: Sequence[Axes] = figure.subplots(len(ROWS), 1, sharex=True)
    peak = _common_peak(session)
    for row, axis in zip(ROWS, axes, strict=True):
        _draw_row(axis, row, session, peak)
    for upper, lower, row in ((axes[0], axes[1], ROWS[0]), (axes[2], axes[3], ROWS[2])):
        for turn in _turns_of(session, row):
            if max(turn.end_ms, turn.first_sample_ms or 0) / 1000 <= session.seconds:  # else its recording was cut
                _draw_lag(figure, upper, lower, turn)
    axes[-1].set_xlim(0, max(session.seconds, _SHORTEST_S))
    axes[-1].set_xlabel("seconds on the recording's clock", color=_MUTED)
    figure.suptitle(_title(session), x=0.01, ha="left", fontsize=11, color=_INK, fontweight="bold")


def _draw_row(axis: Axes, row: Row, session: Session, peak: float) -> None:
    track = session.tracks[row.speaker]
    pcm = track.made if row.made else track.original
    colour = _COLOURS[row.speaker]
    bins = int(width_inches(session.seconds) * _BINS_PER_INCH)
    times_s, low, high = envelope(pcm, track.rate_hz, bins)
    axis.fill_between(times_s, low / peak, high / peak, color=colour, alpha=0.5 if row.made else 0.9, linewidth=0.3)
    for start_s, end_s in spans(row, session):
        axis.axvspan(start_s, end_s, ymin=0, ymax=1, color=colour, alpha=0.08, linewidth=0)
    _draw_faults(axis, row, session)
    _draw_ai(axis, row, session)
    for label in labels(row, session):
        columns = max(10, int(label.room_s * _inches_per_second(session) / _INCHES_PER_CHARACTER))
        words = textwrap.fill(label.text, columns, max_lines=_TEXT_LINES, placeholder=" …")
        axis.text(label.start_s, 2.05, words, va="top", ha="left", color=_INK, fontsize=_TEXT_PT,
                  style="italic" if row.made else "normal", linespacing=1.15, parse_math=False)  # fmt: skip
    _dress(axis, row, colour, has_ai=bool(_of_ai(session)))


def _draw_ai(axis: Axes, row: Row, session: Session) -> None:
    """Under the wave: how long the caller waited for an answer, and what the AI did, with a mark at its time."""
    if not row.made or row.speaker != "agent":
        return
    for turn in _of_ai(session):
        if turn.first_sample_ms is not None and turn.first_sample_ms / 1000 < session.seconds:
            axis.text(turn.first_sample_ms / 1000, -0.92, f"{lag_ms(turn):.0f} ms", color=_LAG, fontsize=_TEXT_PT,
                      fontweight="bold", va="center", bbox=_PAPER)  # fmt: skip
    deeds = [turn for turn in session.turns if turn.is_deed and turn.start_ms / 1000 < session.seconds]
    for number, turn in enumerate(deeds):
        at_s = turn.start_ms / 1000
        axis.axvline(at_s, color=_MUTED, linewidth=0.8, linestyle=":")
        # one above the other by turns, for two of them may come close together
        axis.text(at_s, -0.44 - 0.24 * (number % 2), f" {_drawable(turn.text)}", color=_MUTED, fontsize=_TEXT_PT,
                  va="center", parse_math=False, bbox=_PAPER)  # fmt: skip


def _draw_faults(axis: Axes, row: Row, session: Session) -> None:
    """Red under the wave where the network lost something; grey over all where nothing could be recorded."""
    for fault in session.faults:
        if fault.speaker is None:
            axis.axvspan(fault.start_s, fault.end_s, color=_MUTED, alpha=0.25, linewidth=0, hatch="///")
        elif fault.speaker == row.speaker and not row.made:
            shortest_s = 1.5 / _inches_per_second(session) / 72  # to be seen at all
            end_s = max(fault.end_s, fault.start_s + shortest_s)
            axis.axvspan(fault.start_s, end_s, ymin=0, ymax=0.035, color=_LOSS, linewidth=0)


def _dress(axis: Axes, row: Row, colour: str, *, has_ai: bool) -> None:
    axis.set_ylim(-1.05, 2.1)
    axis.set_yticks([])
    label = "the AI, and translated for customer" if has_ai and row.made and row.speaker == "agent" else row.label
    axis.set_title(label, loc="left", fontsize=9, color=colour, fontweight="bold", pad=3)
    axis.grid(axis="x", color=_GRID, linewidth=0.6)
    axis.set_axisbelow(True)
    axis.axhline(0, color=colour, linewidth=0.4, alpha=0.6)
    for side in ("top", "left", "right"):
        axis.spines[side].set_visible(False)
    axis.spines["bottom"].set_color(_GRID)
    axis.tick_params(colors=_MUTED, length=2)


def _draw_lag(figure: Figure, upper: Axes, lower: Axes, turn: Turn) -> None:
    """An arrow from where the speaker stopped to the first translated sample, with its ms."""
    if turn.first_sample_ms is None:
        return
    from matplotlib.patches import ConnectionPatch

    end_s, first_s = turn.end_ms / 1000, turn.first_sample_ms / 1000
    arrow = ConnectionPatch(
        (end_s, -0.1), (first_s, 0.1), "data", "data", axesA=upper, axesB=lower,
        arrowstyle="-|>", mutation_scale=8, color=_LAG, linewidth=0.9, shrinkA=0, shrinkB=0,
    )  # fmt: skip
    figure.add_artist(arrow)
    for axis, at_s in ((upper, end_s), (lower, first_s)):
        axis.plot([at_s, at_s], [-0.9, 0.9], color=_LAG, linewidth=0.9, solid_capstyle="butt")
    upper.annotate(f"{lag_ms(turn):.0f} ms", (max(end_s, first_s), -0.75), xytext=(3, 0), textcoords="offset points",
                   color=_LAG, fontsize=_TEXT_PT, fontweight="bold", va="center")  # fmt: skip


def lag_ms(turn: Turn) -> float:
    """From the end of speech to the first translated sample: as measured, else as recorded."""
    if turn.timings.to_first_ms is not None:
        return turn.timings.to_first_ms
    assert turn.first_sample_ms is not None
    return turn.first_sample_ms - turn.end_ms


def labels(row: Row, session: Session) -> list[Label]:
    """The words of a row, each with the room until the row's next words."""
    placed = []
    for turn in _turns_of(session, row):
        if not row.made:
            placed.append((turn.start_ms / 1000, turn.text))
        elif turn.translation is not None and turn.first_sample_ms is not None:
            placed.append((turn.first_sample_ms / 1000, turn.translation))
    if row.made and row.speaker == "agent":
        placed += _in_one_breath(_of_ai(session))
        placed.sort()
    placed = [(start_s, _drawable(text)) for start_s, text in placed if start_s < session.seconds]
    starts_s = [start_s for start_s, _ in placed] + [session.seconds]
    return [
        Label(start_s, next_s - start_s, text) for (start_s, text), next_s in zip(placed, starts_s[1:], strict=True)
    ]


def _in_one_breath(turns: Sequence[Turn]) -> list[tuple[float, str]]:
    """Sentences that follow each other without a pause, from the start of the first: each alone had no room."""
    placed: list[tuple[float, str]] = []
    ended_ms = -np.inf
    for turn in turns:
        text = turn.translation or turn.text
        if turn.start_ms - ended_ms < _BREATH_MS:
            placed[-1] = (placed[-1][0], f"{placed[-1][1]} {text}")
        else:
            placed.append((turn.start_ms / 1000, text))
        ended_ms = turn.end_ms
    return placed


def _drawable(text: str) -> str:
    """Without control characters, which XML forbids even escaped."""
    return "".join(character if character.isprintable() else " " for character in text)


def spans(row: Row, session: Session) -> list[tuple[float, float]]:
    """Start and end in seconds of each turn of a row."""
    turns = _turns_of(session, row)
    if not row.made:
        return [(turn.start_ms / 1000, turn.end_ms / 1000) for turn in turns]
    of_ai = [(turn.start_ms / 1000, turn.end_ms / 1000) for turn in _of_ai(session)] if row.speaker == "agent" else []
    return [(play.start_s, play.end_s) for play in plays(session, row.speaker)] + of_ai


def envelope(pcm: Pcm16, rate_hz: int, bins: int) -> tuple[npt.NDArray[Any], npt.NDArray[Any], npt.NDArray[Any]]:
    """Times in s, lowest and highest sample of at most `bins` equal parts of `pcm`."""
    if len(pcm) == 0:
        empty = np.zeros(0)
        return empty, empty, empty
    size = max(1, -(-len(pcm) // bins))
    starts = np.arange(0, len(pcm), size)
    return starts / rate_hz, np.minimum.reduceat(pcm, starts), np.maximum.reduceat(pcm, starts)


def _turns_of(session: Session, row: Row) -> list[Turn]:
    return [turn for turn in session.turns if turn.speaker == row.speaker]


def _of_ai(session: Session) -> list[Turn]:
    """What an AI said: it is heard where an agent's translation would be."""
    return [turn for turn in session.turns if turn.speaker == AI and not turn.is_deed]


def _common_peak(session: Session) -> float:
    """One scale for the four rows, so that their levels compare; a silent session is drawn flat."""
    sounds = [pcm for track in session.tracks.values() for pcm in (track.original, track.made) if len(pcm)]
    return max((float(np.abs(pcm.astype(np.int32)).max()) for pcm in sounds), default=0.0) or 1.0


def _inches_per_second(session: Session) -> float:
    return width_inches(session.seconds) * 0.97 / max(session.seconds, _SHORTEST_S)


def _title(session: Session) -> str:
    facts = session.facts
    pair = f"{facts.get('source_language', '?')} ↔ {facts.get('target_language', '?')}"
    lags = [lag_ms(turn) for turn in session.turns if turn.first_sample_ms is not None]
    made = "made" if _of_ai(session) else "translated"
    median = f" · median {np.median(lags):.0f} ms from end of speech to first {made} sample" if lags else ""
    missing_s = sum(fault.end_s - fault.start_s for fault in session.faults if fault.speaker is not None)
    lost = f" · {1000 * missing_s:.0f} ms lost on the network (red)" if missing_s else ""
    return f"{facts.get('session_id', session.folder.name)} · {pair} · {len(session.turns)} turns{median}{lost}"
