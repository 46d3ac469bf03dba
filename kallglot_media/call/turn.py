"""One turn: somebody said something, and this is what became of it.

Places in time are ms on the recording's clock, so a turn can be found in the WAV files.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any


@dataclass(frozen=True, slots=True)
class TurnTimings:
    """Where the time went between the talker's last sound and the listener's first, in ms.

    endpoint         last speech frame → the segmenter is sure that it was the last
    recognize        → text (waiting in line included), translate → words, synthesize → first clause's sound
    playout_wait     → the first made sample on the wire; queueing behind earlier made speech is here
    speech_end_to_first_sample  all of it, counted in samples of the session's clock
    engine           what the three models themselves took for the first clause
    backlog          what the listener had still to hear of earlier turns when this one was made
    speed            how fast its beginning is spoken, 1.0 being the voice's own pace
    """

    endpoint_ms: float
    recognize_ms: float
    translate_ms: float
    synthesize_ms: float
    playout_wait_ms: float
    speech_end_to_first_sample_ms: float
    engine_ms: float
    backlog_ms: float = 0.0
    speed: float = 1.0

    def to_json(self) -> dict[str, float]:
        """The same, rounded to 0.1 ms (speed to 0.001), for events.jsonl and transcript.json."""
        return {name: round(getattr(self, name), 3 if name == "speed" else 1) for name in self.__slots__}


@dataclass(frozen=True, slots=True)
class TranslatedText:
    """Words in the listener's language."""

    language: str
    text: str


@dataclass(frozen=True, slots=True)
class Turn:
    """What one party said, final: text is never revised after a Turn is made.

    start_ms, end_ms  first and last speech on the recording's clock
    confidence        mean token probability of the recogniser, 0–1
    first_sample_ms   where its translation starts in the listener's ear; None: was not spoken
    sources           documents that an AI's words are from
    action            what an AI did instead of speaking: {"type": "tool.call" | "escalation.…", …}
    """

    sequence: int
    speaker: str
    language: str
    text: str
    translation: TranslatedText | None
    start_ms: int
    end_ms: int
    confidence: float
    timings: TurnTimings | None = None
    first_sample_ms: int | None = None
    sources: tuple[str, ...] = ()
    action: Mapping[str, Any] | None = None

    def played(self, first_sample_ms: int, timings: TurnTimings) -> Turn:
        """This turn, now that its translation is heard."""
        return replace(self, first_sample_ms=first_sample_ms, timings=timings)

    def to_json(self) -> dict[str, Any]:
        """The turn as it stands in transcript.jsonl and transcript.json."""
        translation = self.translation and {"language": self.translation.language, "text": self.translation.text}
        more: dict[str, Any] = {"sources": list(self.sources)} if self.sources else {}
        if self.action is not None:
            more["action"] = dict(self.action)
        return {
            "sequence": self.sequence,
            "speaker": self.speaker,
            "language": self.language,
            "text": self.text,
            "translation": translation,
            "start_ms": self.start_ms,
            "end_ms": self.end_ms,
            "confidence": round(self.confidence, 3),
            "play": None if self.first_sample_ms is None else {"first_sample_ms": self.first_sample_ms},
            "timings": self.timings and self.timings.to_json(),
            **more,
        }

    @classmethod
    def from_json(cls, data: dict[str, Any]) -> Turn:
        """A turn read back from transcript.jsonl (which is written before it is played)."""
        translation = data.get("translation")
        return cls(
            sequence=int(data["sequence"]),
            speaker=str(data["speaker"]),
            language=str(data["language"]),
            text=str(data["text"]),
            translation=translation and TranslatedText(translation["language"], translation["text"]),
            start_ms=int(data["start_ms"]),
            end_ms=int(data["end_ms"]),
            confidence=float(data["confidence"]),
            timings=data.get("timings") and TurnTimings(**data["timings"]),
            first_sample_ms=data["play"]["first_sample_ms"] if data.get("play") else None,
            sources=tuple(data.get("sources", ())),
            action=data.get("action"),
        )


def transcript_json(session_id: str, status: str, turns: list[Turn], duration_ms: int) -> dict[str, Any]:
    """The transcript object: every turn in both languages, in the order of their start."""
    in_order = sorted(turns, key=lambda turn: (turn.start_ms, turn.sequence))
    return {
        "id": f"trn_{session_id}",
        "object": "transcript",
        "session_id": session_id,
        "status": status,
        "turns": [turn.to_json() for turn in in_order],
        "metadata": {
            "total_turns": len(turns),
            "duration_seconds": round(duration_ms / 1000, 3),
            "languages_detected": sorted({turn.language for turn in turns}),
        },
    }


def transcript_text(turns: list[Turn]) -> str:
    """The transcript for people: a line for the words, a line for the translation.

    [00:03.420] customer (de): Guten Tag …
                          → en: Hello …
    """
    lines: list[str] = []
    for turn in sorted(turns, key=lambda turn: (turn.start_ms, turn.sequence)):
        lines.append(f"[{_clock(turn.start_ms)}] {turn.speaker} ({turn.language}): {turn.text}")
        if turn.translation:
            lines.append(f"{'→ ' + turn.translation.language:>28}: {turn.translation.text}")
    return "\n".join(lines) + "\n" if lines else ""


def _clock(ms: int) -> str:
    minutes, rest_ms = divmod(ms, 60_000)
    return f"{minutes:02d}:{rest_ms // 1000:02d}.{rest_ms % 1000:03d}"
