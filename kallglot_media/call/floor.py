"""The session as an interpreter sees it."""

from __future__ import annotations

from typing import Any, Protocol

from kallglot_media.call.turn import Turn, TurnTimings
from kallglot_media.modes.plan import Party
from kallglot_media.speech.types import Pcm16

SAME_LANGUAGE = "same_language"
"""The talker already speaks what the listener hears: nothing is wrong, and nothing is announced."""


class Floor(Protocol):
    """What an interpreter tells, and whom it asks."""

    def next_sequence(self) -> int:
        """A number for a new turn, counted over all parties of the session."""
        ...

    def turn_done(self, turn: Turn) -> None:
        """Keep a final turn."""
        ...

    def turn_played(self, sequence: int, first_sample_ms: int, timings: TurnTimings) -> None:
        """A turn's translation is heard."""
        ...

    def partial(self, talker: Party, text: str, stable: str, language: str, start_ms: int) -> None:
        """What a talker seems to be saying."""
        ...

    def partials_wanted(self) -> bool:
        """Whether anybody takes partial transcripts now."""
        ...

    def event(self, kind: str, at_sample: int | None = None, **fields: Any) -> None:
        """Note what happened."""
        ...

    def play(self, listener: Party, play_id: str, pcm: Pcm16, rate_hz: int) -> None:
        """Put made speech into the listener's playout."""
        ...

    def let_through(self, talker: Party, on: bool, reason: str) -> None:
        """Let the talker's own voice be heard at full level, or stop doing so.

        reason  why that is or was: an error's name, or SAME_LANGUAGE
        """
        ...

    def became_idle(self) -> None:
        """An interpreter has nothing left in line."""
        ...
