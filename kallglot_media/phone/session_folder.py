"""Reading what a session left on disk: session.json, the transcript, events and the four tracks."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from types import UnionType
from typing import Any

import numpy as np

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.errors import SetupError
from kallglot_media.media.track_files import TrackError, open_file

SPEAKERS = ("customer", "agent")
"""Whose voices have tracks."""

AI = "ai"
"""Who else may have turns: what it says is made speech for the customer."""

STAGES = ("endpoint", "recognize", "translate", "synthesize", "playout_wait")
"""The stages between a speaker's last sound and the first translated sample, in their order."""


class SessionFolderError(SetupError):
    """The folder does not hold what a session leaves. Says where, what is there, and what to do."""


@dataclass(frozen=True, slots=True)
class Timings:
    """Where the time of a turn went, in ms; None when not known (not yet, or nothing was played).

    stages       by the names in STAGES
    to_first_ms  from the end of speech to the first translated sample on the wire
    engine_ms    recognition, translation and synthesis without waiting in line
    """

    stages: Mapping[str, float | None]
    to_first_ms: float | None
    engine_ms: float | None

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Timings:
        """From the `timings` of a turn or of a turn.timings event."""
        stages = {stage: values.get(f"{stage}_ms") for stage in STAGES}
        return cls(stages, values.get("speech_end_to_first_sample_ms"), values.get("engine_ms"))


@dataclass(frozen=True, slots=True)
class Turn:
    """One utterance in both languages. Times in ms on the recording's clock.

    first_sample_ms  where the translation's first sample stands on the made track; None: never played
    is_deed          an AI did this instead of speaking
    """

    sequence: int
    speaker: str
    language: str
    text: str
    translation: str | None
    translation_language: str | None
    start_ms: float
    end_ms: float
    timings: Timings
    first_sample_ms: float | None
    is_deed: bool = False

    @classmethod
    def read(cls, values: Mapping[str, Any]) -> Turn:
        """From one line of transcript.jsonl. Raises KeyError when a field is missing."""
        translation = values.get("translation") or {}
        return cls(
            sequence=values["sequence"],
            speaker=values["speaker"],
            language=values["language"],
            text=values["text"],
            translation=translation.get("text"),
            translation_language=translation.get("language"),
            start_ms=values["start_ms"],
            end_ms=values["end_ms"],
            timings=Timings.read(values.get("timings") or {}),
            first_sample_ms=(values.get("play") or {}).get("first_sample_ms"),
            is_deed=bool(values.get("action")),
        )

    def what_is_wrong(self) -> str | None:
        """Which field holds what no turn of ours does, None when all are as they should be."""
        wanted: dict[str, type | UnionType] = {
            "sequence": int,
            "text": str,
            "translation": str | None,
            "start_ms": int | float,
            "end_ms": int | float,
            "first_sample_ms": int | float | None,
        }
        for name, kind in wanted.items():
            value = getattr(self, name)
            if not isinstance(value, kind):
                return f"{name} is {value!r}"
        return None if self.speaker in (*SPEAKERS, AI) else f"speaker is {self.speaker!r}"


@dataclass(frozen=True, slots=True)
class Track:
    """One party's dual-channel recording: int16[n] each, equal in length because one file holds both."""

    original: Pcm16
    made: Pcm16
    rate_hz: int


@dataclass(frozen=True, slots=True)
class Fault:
    """Where sound is missing: lost on the network (of one speaker), or not recorded (speaker None)."""

    speaker: str | None
    start_s: float
    end_s: float


@dataclass(frozen=True, slots=True)
class Session:
    """A session as its folder tells it. tracks: by speaker."""

    folder: Path
    facts: Mapping[str, Any]
    turns: tuple[Turn, ...]
    tracks: Mapping[str, Track]
    faults: tuple[Fault, ...] = ()

    @property
    def rate_hz(self) -> int:
        """Samples a second of every track."""
        return next(iter(self.tracks.values())).rate_hz

    @property
    def seconds(self) -> float:
        """The longest track's length."""
        return max(len(track.original) for track in self.tracks.values()) / self.rate_hz


def read_session(folder: Path) -> Session:
    """The whole session in `folder`. Raises SessionFolderError."""
    if not folder.is_dir():
        raise SessionFolderError(str(folder), "is no folder", "give a folder under DATA_DIR/sessions/")
    facts = _read_json(folder / "session.json")
    tracks = {speaker: read_track(folder / f"{speaker}.wav") for speaker in SPEAKERS}
    rate_hz = next(iter(tracks.values())).rate_hz
    return Session(folder, facts, read_turns(folder), tracks, tuple(read_faults(folder, rate_hz)))


def read_faults(folder: Path, rate_hz: int) -> Iterator[Fault]:
    """From events.jsonl: `rtp.loss` and `recording.gap`."""
    for event in JsonLines(folder / "events.jsonl").read_new():
        try:
            if event.get("type") == "rtp.loss":
                yield from (Fault(str(event["speaker"]), start / 1000, end / 1000) for start, end in event["spans_ms"])
            elif event.get("type") == "recording.gap" and event["samples"]:
                start_s = event["at_ms"] / 1000
                yield Fault(None, start_s, start_s + event["samples"] / rate_hz)
        except (KeyError, TypeError, ValueError):
            continue  # of another version: the picture is drawn without it


@dataclass(frozen=True, slots=True)
class PlaySpan:
    """Where a turn's translation stands on the made track, from its first to its last sample that is not zero."""

    sequence: int
    start_s: float
    end_s: float


def plays(session: Session, speaker: str) -> list[PlaySpan]:
    """One for each turn of `speaker` whose translation was played."""
    track = session.tracks[speaker]
    turns = [turn for turn in session.turns if turn.speaker == speaker and turn.first_sample_ms is not None]
    firsts = [round((turn.first_sample_ms or 0.0) * track.rate_hz / 1000) for turn in turns]
    found = []
    limits = [*firsts, len(track.made)][1:]
    for turn, first, limit in zip(turns, firsts, limits, strict=True):
        sounding = np.flatnonzero(track.made[first:limit])
        last = first + (int(sounding[-1]) + 1 if len(sounding) else 0)
        found.append(PlaySpan(turn.sequence, first / track.rate_hz, last / track.rate_hz))
    return found


def read_turns(folder: Path) -> tuple[Turn, ...]:
    """The turns of transcript.jsonl with the playout times that events.jsonl brought later."""
    path = folder / "transcript.jsonl"
    values = {turn.get("sequence"): turn for turn in JsonLines(path).read_new()}
    for event in JsonLines(folder / "events.jsonl").read_new():
        if event.get("type") == "turn.timings" and event.get("sequence") in values:
            merge_timings(values[event["sequence"]], event)
    mend = "was it written by this version?"
    try:
        turns = [Turn.read(turn) for turn in values.values()]
        for turn in turns:
            if (wrong := turn.what_is_wrong()) is not None:
                raise SessionFolderError(str(path), f"a turn's {wrong}", mend)
    except KeyError as missing:
        raise SessionFolderError(str(path), f"a turn has no {missing}", mend) from None
    except (AttributeError, TypeError):
        raise SessionFolderError(str(path), "a turn's timings, play or translation is no mapping", mend) from None
    return tuple(sorted(turns, key=lambda turn: turn.sequence))


def merge_timings(turn: dict[str, Any], event: Mapping[str, Any]) -> None:
    """Put what a turn.timings event knows into a turn of transcript.jsonl, in place."""
    turn["timings"] = (turn.get("timings") or {}) | (event.get("timings") or {})
    if event.get("play"):
        turn["play"] = event["play"]


def read_track(path: Path) -> Track:
    """Both channels of a dual-channel WAV file. Raises SessionFolderError."""
    if not path.is_file():
        raise SessionFolderError(str(path), "is not there", "was recording on for this session?")
    try:
        with open_file(path) as track:
            both = track.read(0, track.samples)
            return Track(both[:, 0].copy(), both[:, 1].copy(), track.rate_hz)
    except TrackError as wrong:
        why = f"is no WAV file: {str(wrong).removeprefix(f'{path}: ')}"
        raise SessionFolderError(str(path), why, "the server mends what a crash left when it starts") from None


def _read_json(path: Path) -> dict[str, Any]:
    try:
        value = json.loads(path.read_text("utf-8"))
    except FileNotFoundError:
        raise SessionFolderError(str(path), "is not there", "give the folder of one session") from None
    except ValueError as wrong:
        raise SessionFolderError(str(path), f"is no JSON: {wrong}", "has the disk been full?") from None
    if not isinstance(value, dict):
        raise SessionFolderError(str(path), "is no JSON object", "give the folder of one session")
    return value


@dataclass(slots=True)
class JsonLines:
    """Follows a JSON Lines file while another process writes it; a half-written line waits for its end."""

    path: Path
    _offset_bytes: int = 0
    _lines: int = 0
    _rest: bytes = field(default=b"")

    def read_new(self) -> list[dict[str, Any]]:
        """What was completed since the last call; nothing while there is no file. Raises SessionFolderError."""
        return list(self._new_objects())

    def _new_objects(self) -> Iterator[dict[str, Any]]:
        try:
            with self.path.open("rb") as file:
                file.seek(self._offset_bytes)
                data = file.read()
        except FileNotFoundError:
            return
        self._offset_bytes += len(data)
        *lines, self._rest = (self._rest + data).split(b"\n")
        for line in lines:
            self._lines += 1
            if line.strip():
                yield self._object(line)

    def _object(self, line: bytes) -> dict[str, Any]:
        try:
            value = json.loads(line)
        except ValueError:
            value = None
        if isinstance(value, dict):
            return value
        raise SessionFolderError(
            f"{self.path}:{self._lines}", "is no JSON object", "take this line out to see the rest"
        )
