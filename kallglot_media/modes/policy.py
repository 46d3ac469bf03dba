"""How words are made over: when a talker's words are passed on, and how often they are looked at meanwhile."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Literal

Interpret = Literal["turn", "clause"]


@dataclass(frozen=True, slots=True)
class Policy:
    """One mode's way of interpreting.

    interpret         "turn": an utterance is passed on when it is over; "clause": clause by clause, while the
                      talker goes on
    partial_ms        what is said is recognised anew this often while somebody speaks
    partials          "always", or "watched": only while somebody takes partial transcripts (clauses need them always)
    pause_ms          a silence of this length behind a whole sentence passes it on before the utterance ends;
                      0: only the end of the utterance does. People pause for 300 ms at a comma
    shortest_words    a clause that ends in the middle of a sentence has at least so many words
    longest_hold_ms   stable words wait for the end of their clause for at most this long
    follow_language   somebody who changes over to the listener's language is heard, and let through as they are
    longest_held_s    so much sound is recognised anew each time; before that, stable words are put aside
    """

    interpret: Interpret = "turn"
    partial_ms: int = 500
    partials: Literal["always", "watched"] = "watched"
    pause_ms: int = 320
    shortest_words: int = 4
    longest_hold_ms: int = 5000
    longest_held_s: float = 8.0
    follow_language: bool = True


CLAUSE_PAUSE_MS = 240
"""Clause by clause, a comma is as good as a full stop."""

TURN_BY_TURN = Policy()
"""What every mode does unless it says otherwise."""
