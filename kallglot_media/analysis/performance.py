"""Who spoke how much, who cut in, how long answers took, when nobody spoke. From the transcript's times alone."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import pairwise

from kallglot_media.store.turns import Turn


@dataclass(frozen=True, slots=True)
class PerformanceRules:
    """interruption_ms  the one who was cut off spoke on for at least so long: less is two people starting at once
    dead_air_ms      silence from so long on counts
    """

    interruption_ms: int = 300
    dead_air_ms: int = 3000


@dataclass(frozen=True, slots=True)
class ResponseTimes:
    """From the end of what the other said (or of its translation, where that was heard later) to the answer."""

    count: int
    median_ms: int
    longest_ms: int


@dataclass(frozen=True, slots=True)
class PartyPerformance:
    """talk_ratio: this party's share of all talk, 0–1; interruptions: how often it cut in on the other."""

    turns: int
    talk_ms: int
    talk_ratio: float
    words: int
    words_per_minute: int
    longest_turn_ms: int
    interruptions: int
    responses: ResponseTimes


@dataclass(frozen=True, slots=True)
class Silence:
    """Nobody spoke and no translation was heard."""

    start_ms: int
    end_ms: int


@dataclass(frozen=True, slots=True)
class DeadAir:
    """ratio: of the conversation's length; longest first."""

    count: int
    total_ms: int
    ratio: float
    silences: tuple[Silence, ...]


@dataclass(frozen=True, slots=True)
class Performance:
    """overlap_ms: more than one party spoke."""

    duration_ms: int
    parties: dict[str, PartyPerformance]
    overlap_ms: int
    dead_air: DeadAir


def measure(turns: Sequence[Turn], duration_ms: int = 0, rules: PerformanceRules = PerformanceRules()) -> Performance:
    """The numbers. duration_ms: of the session, when it is known to be longer than its last turn."""
    in_order = sorted(turns, key=lambda turn: (turn.start_ms, turn.sequence))
    speakers = list(dict.fromkeys(turn.speaker for turn in in_order))
    talk_ms = {speaker: _covered_ms(_spans(in_order, speaker)) for speaker in speakers}
    everything_ms = sum(talk_ms.values())
    last_ms = max([duration_ms, *(heard_until_ms(turn) for turn in in_order)])
    cuts = [_cut_in(turn, in_order[:at], rules) for at, turn in enumerate(in_order)]
    parties = {
        speaker: _party(
            [turn for turn in in_order if turn.speaker == speaker],
            talk_ms[speaker],
            everything_ms,
            sum(cut for turn, cut in zip(in_order, cuts, strict=True) if turn.speaker == speaker),
            _responses(in_order, speaker),
        )
        for speaker in speakers
    }
    overlap_ms = everything_ms - _covered_ms((turn.start_ms, turn.end_ms) for turn in in_order)
    return Performance(last_ms, parties, overlap_ms, _dead_air(in_order, last_ms, rules))


def heard_until_ms(turn: Turn) -> int:
    """When the last of a turn was heard: its translation is taken to last as long as the turn itself."""
    if turn.first_sample_ms is None:
        return turn.end_ms
    return max(turn.end_ms, turn.first_sample_ms + turn.end_ms - turn.start_ms)


def _spans(turns: Iterable[Turn], speaker: str) -> Iterable[tuple[int, int]]:
    return ((turn.start_ms, turn.end_ms) for turn in turns if turn.speaker == speaker)


def _covered_ms(spans: Iterable[tuple[int, int]]) -> int:
    """How long at least one of the spans lasts."""
    covered, until_ms = 0, 0
    for start_ms, end_ms in sorted(spans):
        covered += max(end_ms - max(start_ms, until_ms), 0)
        until_ms = max(until_ms, end_ms)
    return covered


def _cut_in(turn: Turn, before: Sequence[Turn], rules: PerformanceRules) -> bool:
    """Whether it began while the other was speaking, and the other had more to say."""
    return any(
        other.speaker != turn.speaker
        and other.start_ms < turn.start_ms
        and other.end_ms - turn.start_ms >= rules.interruption_ms
        for other in before
    )


def _responses(in_order: Sequence[Turn], speaker: str) -> ResponseTimes:
    waits = sorted(
        turn.start_ms - heard_until_ms(before)
        if turn.start_ms >= heard_until_ms(before)
        else turn.start_ms - before.end_ms
        for before, turn in pairwise(in_order)
        if turn.speaker == speaker and before.speaker != speaker and turn.start_ms >= before.end_ms
    )
    if not waits:
        return ResponseTimes(0, 0, 0)
    middle = len(waits) // 2
    median = waits[middle] if len(waits) % 2 else (waits[middle - 1] + waits[middle]) // 2
    return ResponseTimes(len(waits), median, waits[-1])


def _party(
    turns: Sequence[Turn], talk_ms: int, everything_ms: int, interruptions: int, responses: ResponseTimes
) -> PartyPerformance:
    words = sum(len(turn.text.split()) for turn in turns)
    return PartyPerformance(
        turns=len(turns),
        talk_ms=talk_ms,
        talk_ratio=round(talk_ms / everything_ms, 4) if everything_ms else 0.0,
        words=words,
        words_per_minute=round(60_000 * words / talk_ms) if talk_ms else 0,
        longest_turn_ms=max(turn.end_ms - turn.start_ms for turn in turns),
        interruptions=interruptions,
        responses=responses,
    )


def _dead_air(in_order: Sequence[Turn], last_ms: int, rules: PerformanceRules) -> DeadAir:
    silences: list[Silence] = []
    until_ms = in_order[0].start_ms if in_order else last_ms
    for turn in in_order:
        if turn.start_ms - until_ms >= rules.dead_air_ms:
            silences.append(Silence(until_ms, turn.start_ms))
        until_ms = max(until_ms, heard_until_ms(turn))
    if last_ms - until_ms >= rules.dead_air_ms:
        silences.append(Silence(until_ms, last_ms))
    total_ms = sum(silence.end_ms - silence.start_ms for silence in silences)
    silences.sort(key=lambda silence: (silence.start_ms - silence.end_ms, silence.start_ms))
    return DeadAir(len(silences), total_ms, round(total_ms / last_ms, 4) if last_ms else 0.0, tuple(silences))
