"""How far an interpreter is behind, from the recorded tracks alone: no event, no transcript, no clock of the server.

Each stretch of made speech is given to the utterance that it most likely translates (in order; as soon after it as
can be; rather to one that has none yet), and from the two come

    ear-voice span   first sound of the speaker → first sound of the translation
    gap              last sound of the speaker → first sound of the translation; below 0: it began before
    tail             last sound of the speaker → last sound of the translation
    overlap          for how long both speak
    lag slope        by how much the tail grows, in ms for each second of the call
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.measure.activity import Span, made, spoken
from kallglot_media.phone.session_folder import Session, Track

LEAST_LEAD_MS = 250
"""Nothing is translated sooner than so long after its first sound."""

LEFT_OUT_MS = 4000.0
"""An utterance without a translation is as bad an answer as one that is so much too late."""


@dataclass(frozen=True, slots=True)
class TurnLag:
    """One utterance and its translation, in ms; see the module. None: no made speech belongs to it."""

    said: Span
    heard: tuple[Span, ...]

    @property
    def ear_voice_ms(self) -> float | None:
        return self.heard[0].start_ms - self.said.start_ms if self.heard else None

    @property
    def gap_ms(self) -> float | None:
        return self.heard[0].start_ms - self.said.end_ms if self.heard else None

    @property
    def tail_ms(self) -> float | None:
        return self.heard[-1].end_ms - self.said.end_ms if self.heard else None

    @property
    def overlap_ms(self) -> float:
        return sum(self.said.overlap_ms(each) for each in self.heard)


@dataclass(frozen=True, slots=True)
class Lags:
    """One talker's turns. slope_ms_per_s: None with fewer than three translated ones."""

    speaker: str
    turns: tuple[TurnLag, ...]

    @property
    def slope_ms_per_s(self) -> float | None:
        told = [(turn.said.end_ms / 1000, turn.tail_ms) for turn in self.turns if turn.tail_ms is not None]
        if len(told) < 3:
            return None
        at_s, tail_ms = np.array(told, np.float64).T
        return float(np.polyfit(at_s, tail_ms, 1)[0])

    def percentile(self, name: str, percent: float, *, longer_than_ms: float = 0.0) -> float | None:
        """Of one of TurnLag's numbers, over the translated utterances that are longer than that."""
        values = [
            value
            for turn in self.turns
            if turn.said.end_ms - turn.said.start_ms > longer_than_ms and (value := getattr(turn, name)) is not None
        ]
        return float(np.percentile(values, percent)) if values else None

    def to_json(self) -> dict[str, object]:
        """Everything, rounded to 0.1 ms."""
        return {
            "speaker": self.speaker,
            "lag_slope_ms_per_s": _rounded(self.slope_ms_per_s),
            "turns": [
                {
                    "start_ms": _rounded(turn.said.start_ms),
                    "end_ms": _rounded(turn.said.end_ms),
                    "ear_voice_ms": _rounded(turn.ear_voice_ms),
                    "gap_ms": _rounded(turn.gap_ms),
                    "tail_ms": _rounded(turn.tail_ms),
                    "overlap_ms": _rounded(turn.overlap_ms),
                    "pieces": len(turn.heard),
                }
                for turn in self.turns
            ],
        }


def lags(session: Session, rules: SegmentRules | None = None) -> list[Lags]:
    """Both directions of a recorded session. rules: how utterances were cut there; left out: as by default."""
    return [lags_of(speaker, track, rules or SegmentRules()) for speaker, track in session.tracks.items()]


def lags_of(speaker: str, track: Track, rules: SegmentRules) -> Lags:
    """One direction: what the speaker said, and that made over, on one sample clock."""
    said = spoken(track.original, track.rate_hz, rules)
    heard = made(track.made, track.rate_hz)
    owners = aligned(said, heard)
    turns = (
        TurnLag(span, tuple(piece for piece, owner in zip(heard, owners, strict=True) if owner == n))
        for n, span in enumerate(said)
    )
    return Lags(speaker, tuple(turns))


def aligned(said: Sequence[Span], heard: Sequence[Span]) -> list[int | None]:
    """For each stretch of made speech the number of its utterance; None when nobody had spoken yet.

    Never out of order, and over all of them as soon as can be: dynamic programming over (made, said).
    """
    if not said:
        return [None] * len(heard)
    # best[n]: the cheapest way to give the pieces so far away, the last one to utterance n
    best = np.asarray(np.arange(len(said)) * LEFT_OUT_MS, np.float64)
    first, choices = True, []
    for piece in heard:
        cost = np.array([_cost(span, piece) for span in said])
        same = best if not first else np.full(len(said), np.inf)
        # coming from an earlier utterance leaves out those between
        from_before = np.full(len(said), np.inf)
        came_from = np.zeros(len(said), np.int64)
        cheapest, at = np.inf, 0
        for n in range(1, len(said)):
            if best[n - 1] + LEFT_OUT_MS * -(n - 1) < cheapest:
                cheapest, at = best[n - 1] + LEFT_OUT_MS * -(n - 1), n - 1
            from_before[n] = cheapest + LEFT_OUT_MS * (n - 1)
            came_from[n] = at
        if first:
            best, choice = np.asarray(best + cost, np.float64), np.full(len(said), -1)
        else:
            choice = np.where(same <= from_before, np.arange(len(said)), came_from)
            best = np.asarray(np.minimum(same, from_before) + cost, np.float64)
        choices.append(choice)
        first = False
    return _walked_back(best, choices, heard, said)


def _cost(said: Span, piece: Span) -> float:
    if piece.start_ms < said.start_ms + LEAST_LEAD_MS:
        return np.inf
    return abs(piece.start_ms - said.end_ms)


def _walked_back(
    best: npt.NDArray[np.float64],
    choices: list[npt.NDArray[np.int64]],
    heard: Sequence[Span],
    said: Sequence[Span],
) -> list[int | None]:
    if not heard or not np.isfinite(best).any():
        return [_last_before(said, piece) for piece in heard]
    left_out = (len(said) - 1 - np.arange(len(said))) * LEFT_OUT_MS
    at = int(np.argmin(best + left_out))
    owners: list[int | None] = []
    for choice in reversed(choices):
        owners.append(at)
        at = int(choice[at])
    return owners[::-1]


def _last_before(said: Sequence[Span], piece: Span) -> int | None:
    """When no way is possible at all (an announcement before anybody spoke), each by itself."""
    begun = [n for n, span in enumerate(said) if span.start_ms + LEAST_LEAD_MS <= piece.start_ms]
    return begun[-1] if begun else None


def _rounded(value: float | None) -> float | None:
    return None if value is None else round(value, 1)
