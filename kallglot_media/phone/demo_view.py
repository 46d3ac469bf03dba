"""The demo on the terminal: each turn as it is spoken, where its time went, then the files and the verdict.

Lines are only ever added, so that it reads the same in a terminal, in a file and in a CI log.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console
from rich.table import Table
from rich.text import Text

from kallglot_media.audio.wav import read_wav
from kallglot_media.phone.session_folder import STAGES, JsonLines, Turn, merge_timings
from kallglot_media.phone.verdict import Verdict

_NAMES = {
    "endpoint": "end-pointing",
    "recognize": "recognition",
    "translate": "translation",
    "synthesize": "synthesis",
    "playout_wait": "playout",
}
_STAGE_COLOURS = {
    "endpoint": "grey62",
    "recognize": "green",
    "translate": "cyan",
    "synthesize": "magenta",
    "playout_wait": "yellow",
}
_SPEAKER_COLOURS = {"customer": "bold blue", "agent": "bold dark_orange3"}
_BAR_MS = 40
"""One block of the bar stands for so many ms."""

_WIDTH_OFF_TERMINAL = 130


def demo_console() -> Console:
    """Colours on a terminal; elsewhere plain lines that are not folded at 80 columns."""
    console = Console(highlight=False)
    return console if console.is_terminal else Console(highlight=False, width=_WIDTH_OFF_TERMINAL)


class ConversationView:
    """Follows one session's folder and prints every turn once, when its playout time is known.

    A turn whose times never come is printed by `finish`, without them.
    """

    def __init__(self, console: Console, folder: Path) -> None:
        self._console = console
        self._turn_lines = JsonLines(folder / "transcript.jsonl")
        self._event_lines = JsonLines(folder / "events.jsonl")
        self._waiting: dict[int, dict[str, Any]] = {}
        self._early: dict[int, Mapping[str, Any]] = {}

    def update(self) -> None:
        """Read what was written since the last time and print what is complete."""
        for values in self._turn_lines.read_new():
            self._waiting[values["sequence"]] = values
        for event in self._event_lines.read_new():
            if event.get("type") == "turn.timings":
                self._early[event["sequence"]] = event
        for sequence in [known for known in sorted(self._waiting) if known in self._early]:
            values = self._waiting.pop(sequence)
            merge_timings(values, self._early.pop(sequence))
            self._console.print(turn_text(Turn.read(values)))

    def finish(self) -> None:
        """Print the turns that are still without times."""
        self.update()
        for sequence in sorted(self._waiting):
            self._console.print(turn_text(Turn.read(self._waiting.pop(sequence))))


def turn_text(turn: Turn) -> Text:
    """Three lines: what was said, its translation, and the ms by stage."""
    other = "agent" if turn.speaker == "customer" else "customer"
    text = Text()
    text.append(f"{turn.start_ms / 1000:6.1f} s  ", "dim")
    text.append(f"{turn.speaker:<9}", _SPEAKER_COLOURS.get(turn.speaker, "bold"))
    text.append(f" {turn.language}  {turn.text}\n")
    text.append(f"        → {other:<9}", "dim")
    text.append(f" {turn.translation_language or '--'}  {turn.translation or '(no translation)'}\n", "italic")
    text.append_text(_timing_line(turn))
    return text


def _timing_line(turn: Turn) -> Text:
    total_ms = turn.timings.to_first_ms
    if total_ms is None:
        return Text("         never played\n", "red")
    text = Text(f"         {total_ms:4.0f} ms  ", "bold")
    parts = [(stage, turn.timings.stages.get(stage) or 0.0) for stage in STAGES]
    for stage, value_ms in parts:
        text.append("█" * round(value_ms / _BAR_MS), _STAGE_COLOURS[stage])
    text.append("  ")
    told = [f"{_NAMES[stage]} {value_ms:.0f}" for stage, value_ms in parts]
    rest_ms = total_ms - sum(value_ms for _, value_ms in parts)
    if abs(rest_ms) >= 1:
        told.append(f"between {rest_ms:.0f}")
    text.append(" · ".join(told) + "\n", "dim")
    return text


def files_table(files: Sequence[Path], folder: Path) -> Table:
    """What was written: path, size, and for sound its length and channels."""
    table = Table(box=None, padding=(0, 2, 0, 0), header_style="dim")
    for header, justify in (("file", "left"), ("size", "right"), ("length", "right"), ("holds", "left")):
        table.add_column(header, justify="right" if justify == "right" else "left", no_wrap=True)
    for path in files:
        size = f"{path.stat().st_size / 1024:.1f} KiB"
        seconds, holds = _sound_facts(path) if path.suffix == ".wav" else ("", "")
        table.add_row(str(path.relative_to(folder)), size, seconds, holds)
    return table


def _sound_facts(path: Path) -> tuple[str, str]:
    pcm, rate_hz = read_wav(path.read_bytes())
    channels = "mono" if pcm.ndim == 1 else "left original, right translated"
    return f"{len(pcm) / rate_hz:.3f} s", f"{rate_hz} Hz, {channels}"


def verdict_table(verdict: Verdict) -> Table:
    """Every check with its mark and numbers."""
    table = Table(box=None, padding=(0, 2, 0, 0), show_header=False)
    for check in verdict.checks:
        mark = Text("ok", "green") if check.passed else Text("FAILED", "bold red")
        table.add_row(mark, check.name, Text(check.detail, "dim" if check.passed else "red"))
    return table


def lag_summary(verdict: Verdict) -> str:
    """One line: the lags by the server's clock and by the recording alone."""
    by_server = [result.turn.timings.to_first_ms for result in verdict.lines if result.turn]
    told = [value for value in by_server if value is not None]
    measured = [result.lag_ms for result in verdict.lines if result.lag_ms is not None]
    if not told or not measured:
        return "no lag could be measured"
    return (
        f"end of speech → first translated sample: median {median(told):.0f} ms, longest {max(told):.0f} ms"
        f" (measured on the recordings alone: {median(measured):.0f} and {max(measured):.0f} ms)"
    )
