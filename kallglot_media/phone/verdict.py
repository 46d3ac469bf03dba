"""Did the demo's call do what it should? Judged from the recordings of both sides, not from what the server says.

Every line that a phone spoke must be found on the server's original track, must have a turn with text and
translation there, and that turn's made speech must be found in what the other phone heard.
"""

from __future__ import annotations

import difflib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from statistics import median

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.phone.match import Found, FoundInPieces, find, find_in_pieces, sound_end
from kallglot_media.phone.session_folder import PlaySpan, Session, Turn, plays
from kallglot_media.phone.sounds import load_sound

HEARD_CORRELATION = 0.9
HEARD_DBFS = -40.0
SAID_CORRELATION = 0.8
"""The median over half seconds: concealment may spoil one of them."""

LAG_SPREAD_MS = 150
"""A translation must lie where the listener's other translations say that it should, within this."""

UNDERSTOOD_RATIO = 0.5


@dataclass(frozen=True, slots=True)
class Line:
    """One line of the demo. sound: at the session's rate."""

    file: str
    speaker: str
    language: str
    text: str
    translation: str
    sound: Pcm16

    @property
    def listener(self) -> str:
        """Who hears it translated."""
        return "agent" if self.speaker == "customer" else "customer"


@dataclass(frozen=True, slots=True)
class Check:
    """One question and its answer; detail: the numbers, or what is wrong."""

    name: str
    passed: bool
    detail: str


@dataclass(frozen=True, slots=True)
class LineResult:
    """What became of a line. All times in s on the recording's clock, None when not found.

    said_end_s   where its last sound stands on the original track, by correlation
    turn         the turn that covers it
    play         where its made speech stands on the made track
    heard        where that made speech lies in the other phone's recording
    heard_dbfs   the level there
    """

    line: Line
    said: FoundInPieces
    said_end_s: float
    turn: Turn | None
    play: PlaySpan | None
    heard: Found | None
    heard_dbfs: float

    @property
    def lag_ms(self) -> float | None:
        """From the line's last sound to the first translated sample, measured on the recording alone."""
        return None if self.play is None else (self.play.start_s - self.said_end_s) * 1000


@dataclass(frozen=True, slots=True)
class Verdict:
    """All checks, and what became of every line."""

    checks: tuple[Check, ...]
    lines: tuple[LineResult, ...]

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return all(check.passed for check in self.checks)


def judge(session: Session, lines: Sequence[Line], heard: Mapping[str, Pcm16]) -> Verdict:
    """`heard`: what each phone recorded, by speaker, at the session's rate."""
    results = _follow_lines(session, lines, heard)
    checks = [check_tracks(session)]
    for number, result in enumerate(results, start=1):
        name = f"line {number}, {result.line.speaker}"
        checks.append(check_turn(f"{name}: has its turn", result))
        checks.append(check_heard(f"{name}: translation heard by the {result.line.listener}", result, results, session))
    return Verdict(tuple(checks), tuple(results))


def check_tracks(session: Session) -> Check:
    """The four tracks are equal in length to the sample, and as long as session.json says."""
    lengths = {f"{name}.wav": len(track.original) for name, track in session.tracks.items()}
    declared = session.facts.get("samples")
    told = ", ".join(f"{name} {samples}" for name, samples in lengths.items())
    equal = len(set(lengths.values())) == 1 and min(lengths.values()) > 0
    if equal and declared in (None, *lengths.values()):
        return Check("tracks are equal in length", True, f"{min(lengths.values())} samples each")
    return Check("tracks are equal in length", False, f"{told}, session.json says {declared}")


def check_turn(name: str, result: LineResult) -> Check:
    """The line is on the recording, and a turn there has its words and a translation."""
    turn = result.turn
    if result.said.correlation < SAID_CORRELATION:
        return Check(name, False, f"not found on the original track (correlation {result.said.correlation:.2f})")
    if turn is None:
        return Check(name, False, f"no turn covers it at {result.said_end_s:.1f} s")
    if not turn.text or not turn.translation:
        return Check(name, False, f"turn {turn.sequence} has no {'translation' if turn.text else 'text'}")
    ratio = word_ratio(result.line.text, turn.text)
    if ratio < UNDERSTOOD_RATIO:
        return Check(name, False, f"was understood as {turn.text!r}, said was {result.line.text!r}")
    return Check(name, True, f"{100 * ratio:.0f} % of its words")


def check_heard(name: str, result: LineResult, results: Sequence[LineResult], session: Session) -> Check:
    """The made speech of the line's turn is in the listener's recording, loud, at the place where it belongs."""
    if result.play is None or result.heard is None:
        return Check(name, False, "was never played")
    if result.play.end_s <= result.play.start_s:
        return Check(name, False, "the made track is silent there")
    found = result.heard
    if found.correlation < HEARD_CORRELATION:
        return Check(name, False, f"correlation {found.correlation:.2f} < {HEARD_CORRELATION}")
    if result.heard_dbfs < HEARD_DBFS:
        return Check(name, False, f"{result.heard_dbfs:.0f} dBFS is too faint")
    offset_ms = _offset_ms(result, session)
    usual_ms = median(_offset_ms(other, session) for other in results if _is_sure(other, result.line.listener))
    if abs(offset_ms - usual_ms) > LAG_SPREAD_MS:
        return Check(name, False, f"heard {offset_ms - usual_ms:+.0f} ms away from where it belongs")
    return Check(name, True, f"correlation {found.correlation:.3f}, {result.heard_dbfs:.0f} dBFS")


def word_ratio(expected: str, got: str) -> float:
    """The part of the words that agree in order, 0–1; case and punctuation do not count."""
    return difflib.SequenceMatcher(None, _words(expected), _words(got), autojunk=False).ratio()


def _words(text: str) -> list[str]:
    return re.findall(r"\w+", text.casefold())


def _follow_lines(session: Session, lines: Sequence[Line], heard: Mapping[str, Pcm16]) -> list[LineResult]:
    results = []
    spoken_until = dict.fromkeys(session.tracks, 0)
    for line in lines:
        track = session.tracks[line.speaker].original
        said = find_in_pieces(line.sound, track, session.rate_hz, first=spoken_until[line.speaker])
        if said.correlation >= SAID_CORRELATION:
            spoken_until[line.speaker] = said.at_sample + len(line.sound)
        results.append(_follow(session, line, said, heard[line.listener]))
    return results


def _follow(session: Session, line: Line, said: FoundInPieces, listener_heard: Pcm16) -> LineResult:
    rate_hz = session.rate_hz
    end_s = (said.at_sample + said.end_shift + sound_end(line.sound, rate_hz)) / rate_hz
    turn = turn_over(session.turns, line.speaker, said.at_sample / rate_hz, end_s)
    play = next((play for play in plays(session, line.speaker) if turn and play.sequence == turn.sequence), None)
    if said.correlation < SAID_CORRELATION or play is None:
        return LineResult(line, said, end_s, turn, None, None, float("-inf"))
    start, end = round(play.start_s * rate_hz), round(play.end_s * rate_hz)
    found = find(session.tracks[line.speaker].made[start:end], listener_heard)
    there = listener_heard[found.at_sample : found.at_sample + end - start]
    return LineResult(line, said, end_s, turn, play, found, float(rms_dbfs(there)))


def turn_over(turns: Sequence[Turn], speaker: str, start_s: float, end_s: float) -> Turn | None:
    """The turn of `speaker` that shares most time with start_s … end_s; None when none does."""

    def shared_s(turn: Turn) -> float:
        return min(end_s, turn.end_ms / 1000) - max(start_s, turn.start_ms / 1000)

    own = [turn for turn in turns if turn.speaker == speaker and shared_s(turn) > 0]
    return max(own, key=shared_s, default=None)


def _offset_ms(result: LineResult, session: Session) -> float:
    """How far the listener's clock is ahead of the recording's, by this line."""
    assert result.heard is not None
    assert result.play is not None
    return (result.heard.at_sample / session.rate_hz - result.play.start_s) * 1000


def _is_sure(result: LineResult, listener: str) -> bool:
    return (
        result.line.listener == listener and result.heard is not None and result.heard.correlation >= HEARD_CORRELATION
    )


def load_lines(folder: Path, rate_hz: int) -> tuple[Line, ...]:
    """The lines of `folder`/manifest.json in the order they are spoken, at `rate_hz`."""
    manifest = json.loads((folder / "manifest.json").read_text("utf-8"))
    return tuple(
        Line(
            file=entry["file"],
            speaker=entry["speaker"],
            language=entry["language"],
            text=entry["text"],
            translation=entry["translation"],
            sound=load_sound(folder / entry["file"], rate_hz),
        )
        for entry in manifest
    )
