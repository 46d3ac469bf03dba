"""Voices by name: `VOICE`, `VOICE#SPEAKER` of a voice that has several, or `#SPEAKER` of the language's own voice.

A speaker is one that the voice names or counts, or one of the six names of the API, which any voice can do: where it
has no such speaker it is made higher or lower, faster or slower.
"""

from __future__ import annotations

PRESETS: dict[str, tuple[float, float]] = {
    "alloy": (1.0, 1.0),
    "echo": (0.9, 1.0),
    "fable": (1.06, 0.94),
    "onyx": (0.8, 0.95),
    "nova": (1.14, 1.08),
    "shimmer": (1.22, 0.96),
}
"""Pitch and speed of the six names with a voice that has no speakers of these names."""


def voice_and_speaker(name: str | None) -> tuple[str | None, str | None]:
    """`voice_and_speaker("de_DE-mls-medium#17") == ("de_DE-mls-medium", "17")`; what is not named is None."""
    voice, _, speaker = (name or "").partition("#")
    return voice or None, speaker or None


def with_speaker(voice: str | None, speaker: str) -> str:
    """The name of a voice's speaker; a voice that is named with one keeps it."""
    return voice if voice and "#" in voice else f"{voice or ''}#{speaker}"
