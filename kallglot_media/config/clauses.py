"""`clauses` of a mode: how soon words are passed on while somebody still speaks."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from kallglot_media.config.types import Settings
from kallglot_media.modes.policy import CLAUSE_PAUSE_MS, TURN_BY_TURN, Interpret, Policy


class Clauses(Settings):
    """How soon words are passed on while somebody still speaks."""

    partial_ms: Annotated[int, Field(ge=200, le=5000)] = TURN_BY_TURN.partial_ms
    """What is being said is recognised anew this often, for partial transcripts and for clauses."""

    pause_ms: Annotated[int | None, Field(ge=0, le=2000, examples=[320])] = None
    """A silence of this length behind a whole sentence passes it on at once, before `segment.stop_ms`; 0: never.
    Left out: 320 by turns, 240 clause by clause."""

    shortest_words: Annotated[int, Field(ge=1, le=50)] = TURN_BY_TURN.shortest_words
    """With `interpret: clause`: a clause that ends within a sentence has at least so many words."""

    longest_hold_ms: Annotated[int, Field(ge=500, le=30_000)] = TURN_BY_TURN.longest_hold_ms
    """With `interpret: clause`: words that are sure wait for the end of their clause for at most this long."""

    def policy(self, interpret: Interpret) -> Policy:
        """The same, as the interpreter takes it."""
        usual_ms = CLAUSE_PAUSE_MS if interpret == "clause" else TURN_BY_TURN.pause_ms
        return Policy(
            interpret=interpret,
            partial_ms=self.partial_ms,
            pause_ms=usual_ms if self.pause_ms is None else self.pause_ms,
            shortest_words=self.shortest_words,
            longest_hold_ms=self.longest_hold_ms,
        )
