"""A session folder and the phones' recordings of the same call, made without a call."""

from __future__ import annotations

import json
import wave
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

Pcm16 = npt.NDArray[np.int16]
RATE_HZ = 8000


def voice(seconds: float, seed: int, peak: int = 9000) -> Pcm16:
    """Noise that swells four times a second, as syllables do; another seed is another utterance."""
    samples = np.random.default_rng(seed).standard_normal(round(seconds * RATE_HZ))
    smooth = np.convolve(samples, np.ones(6) / 6, "same")
    swell = 0.55 + 0.45 * np.sin(2 * np.pi * 4 * np.arange(len(smooth)) / RATE_HZ - np.pi / 2)
    return (peak * np.clip(smooth * swell, -1.2, 1.2) / 1.2).astype(np.int16)


def put(track: Pcm16, at_s: float, pcm: Pcm16, gain: float = 1.0) -> None:
    """Add `pcm` to `track` in place, from `at_s`."""
    start = round(at_s * RATE_HZ)
    track[start : start + len(pcm)] += (pcm[: len(track) - start] * gain).astype(np.int16)


def write_wav(path: Path, *channels: Pcm16) -> None:
    """16 bit, 8 kHz, one or two channels."""
    with wave.open(str(path), "wb") as sound:
        sound.setnchannels(len(channels))
        sound.setsampwidth(2)
        sound.setframerate(RATE_HZ)
        sound.writeframes(np.stack(channels, axis=1).astype("<i2").tobytes())


@dataclass(frozen=True, slots=True)
class Line:
    """One utterance of the made-up call."""

    speaker: str
    start_s: float
    text: str
    translation: str
    said: Pcm16
    made: Pcm16
    lag_ms: int = 620

    @property
    def end_s(self) -> float:
        return self.start_s + len(self.said) / RATE_HZ

    @property
    def first_s(self) -> float:
        return self.end_s + self.lag_ms / 1000


LINES = (
    Line("customer", 1.0, "Guten Tag, meine Bestellung ist nicht angekommen.", "Hello, my order has not arrived.",
         voice(2.0, 1), voice(1.8, 11)),
    Line("agent", 7.0, "I am sorry to hear that. Could you tell me the order number?",
         "Das tut mir leid. Können Sie mir die Bestellnummer sagen?", voice(2.4, 2), voice(2.6, 12), 540),
    Line("customer", 14.5, "Die Nummer ist vier sieben eins.", "The number is four seven one.",
         voice(1.7, 3), voice(1.5, 13), 810),
    Line("agent", 20.0, "Thank you, it will arrive tomorrow.", "Danke, sie kommt morgen an.",
         voice(1.6, 4), voice(1.9, 14)),
)  # fmt: skip


@dataclass(slots=True)
class MadeUpCall:
    """What the server recorded and what each phone heard, to be spoilt by tests before it is written.

    heard_offset_s  where the server's sample 0 stands on each phone's recording
    """

    lines: tuple[Line, ...] = LINES
    seconds: float = 26.0
    heard_offset_s: dict[str, float] = field(default_factory=lambda: {"customer": 0.31, "agent": 0.12})
    original: dict[str, Pcm16] = field(init=False)
    made: dict[str, Pcm16] = field(init=False)
    heard: dict[str, Pcm16] = field(init=False)
    turns: list[dict[str, Any]] = field(init=False)

    def __post_init__(self) -> None:
        size = round(self.seconds * RATE_HZ)
        self.original = {speaker: np.zeros(size, np.int16) for speaker in ("customer", "agent")}
        self.made = {speaker: np.zeros(size, np.int16) for speaker in ("customer", "agent")}
        self.heard = {speaker: np.zeros(size + RATE_HZ, np.int16) for speaker in ("customer", "agent")}
        for line in self.lines:
            put(self.original[line.speaker], line.start_s, line.said)
            put(self.made[line.speaker], line.first_s, line.made)
            listener = "agent" if line.speaker == "customer" else "customer"
            offset_s = self.heard_offset_s[listener]
            put(self.heard[listener], line.start_s + offset_s, line.said, gain=0.125)
            put(self.heard[listener], line.first_s + offset_s, line.made)
        self.turns = [turn_of(number, line) for number, line in enumerate(self.lines, start=1)]

    def write(self, folder: Path) -> Path:
        """The session folder, as the server leaves it."""
        folder.mkdir(parents=True, exist_ok=True)
        files = []
        for speaker in ("customer", "agent"):
            write_wav(folder / f"{speaker}.wav", self.original[speaker], self.made[speaker])
            files.append({"party": speaker, "path": f"{speaker}.wav", "samples": len(self.original[speaker])})
        facts = {
            "session_id": "sess_01TEST", "mode": "bidirectional_translation", "source_language": "de",
            "target_language": "en", "status": "ended", "rate_hz": RATE_HZ, "files": files,
            "samples": round(self.seconds * RATE_HZ), "end_reason": "customer hung up",
        }  # fmt: skip
        (folder / "session.json").write_text(json.dumps(facts), "utf-8")
        early = [turn | {"play": None, "timings": {"recognize_ms": 12.0}} for turn in self.turns]
        events = [
            {"type": "turn.timings", "at_ms": 0, "sequence": turn["sequence"], "timings": turn["timings"],
             "play": turn["play"]}
            for turn in self.turns if turn["play"]
        ]  # fmt: skip
        _write_lines(folder / "transcript.jsonl", early)
        _write_lines(folder / "events.jsonl", [{"type": "session.started", "at_ms": 0}, *events])
        return folder


def turn_of(sequence: int, line: Line) -> dict[str, Any]:
    """The turn as transcript.json tells it in the end."""
    languages = ("de", "en") if line.speaker == "customer" else ("en", "de")
    return {
        "sequence": sequence, "speaker": line.speaker, "language": languages[0], "text": line.text,
        "translation": {"language": languages[1], "text": line.translation},
        "start_ms": line.start_s * 1000, "end_ms": line.end_s * 1000, "confidence": 0.93,
        "timings": {
            "endpoint_ms": 500.0, "recognize_ms": 12.0, "translate_ms": 5.0, "synthesize_ms": 3.0,
            "playout_wait_ms": line.lag_ms - 520.0, "speech_end_to_first_sample_ms": float(line.lag_ms),
            "engine_ms": 18.0,
        },
        "play": {"first_sample_ms": line.first_s * 1000},
    }  # fmt: skip


def _write_lines(path: Path, values: list[dict[str, Any]]) -> None:
    path.write_text("".join(json.dumps(value, ensure_ascii=False) + "\n" for value in values), "utf-8")
