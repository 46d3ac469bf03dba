"""A set through real calls: a server, two phones that speak the recordings, SIP, RTP, codec, jitter and loss.

Both phones speak at once, each its own language, with a pause after each recording; what a recording became is told by
its place on the server's own tracks.
"""

from __future__ import annotations

import io
from collections import defaultdict
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from itertools import zip_longest
from pathlib import Path
from statistics import median
from typing import Any

from rich.console import Console

from kallglot_media.audio.resample import resample
from kallglot_media.measure.bare import growing, speech_span_ms
from kallglot_media.measure.latency import TurnLag, lags
from kallglot_media.measure.outcome import Outcome, Way
from kallglot_media.measure.samples import Sample
from kallglot_media.measure.scores import segmented
from kallglot_media.modes.policy import CLAUSE_PAUSE_MS, TURN_BY_TURN, Policy
from kallglot_media.phone.demo import DemoOutcome, run_demo
from kallglot_media.phone.demo_setup import Staging
from kallglot_media.phone.session_folder import SPEAKERS, Turn
from kallglot_media.phone.sounds import save_sound
from kallglot_media.phone.verdict import Line
from kallglot_media.speech.types import RECOGNIZER_RATE_HZ
from kallglot_media.speech.whisper import WhisperRecognizer

POLICIES = {"turn": TURN_BY_TURN, "clause": Policy(interpret="clause", pause_ms=CLAUSE_PAUSE_MS)}
LONGEST_CALL_S = 420.0
_RATE_HZ = 8000
_FIRST_PAUSE_S = 0.6
_LAST_PAUSE_S = 5.0
"""For the last translation, before the customer hangs up."""

_SURE = 0.5
"""Correlation at which a recording's place on the track is known by itself."""

_SLACK_MS = 400.0
"""A turn may begin so much before its recording, or end after it, by the voice detection."""


@dataclass(frozen=True, slots=True)
class Stage:
    """What calls are held with.

    folder  where everything that they leave goes
    speech  the section of server.yaml
    pause_s between two recordings of one phone
    tell    called with a line for each call
    """

    folder: Path
    speech: Mapping[str, Any]
    pause_s: float = 1.5
    tell: Callable[[str], None] = lambda line: None


@dataclass(frozen=True, slots=True)
class Heard:
    """What calls made of samples, and how many words were understood where nobody spoke, by pair."""

    outcomes: tuple[Outcome, ...]
    stray_words: Mapping[str, int]


@dataclass(frozen=True, slots=True)
class _Place:
    """A sample on the recording's clock, from its file's start; from where to where it is loud."""

    sample: Sample
    file_ms: float
    start_ms: float
    end_ms: float

    def shared_ms(self, start_ms: float, end_ms: float) -> float:
        return min(end_ms, self.end_ms + _SLACK_MS) - max(start_ms, self.start_ms - _SLACK_MS)


def hear_in_call(
    samples: Sequence[Sample], pair: tuple[str, str], way: Way, stage: Stage, recognizer: WhisperRecognizer | None
) -> Heard:
    """All samples of both directions of a pair. recognizer: for what was shown meanwhile; None leaves that out.

    Raises DemoFailed or SetupError.
    """
    outcomes: list[Outcome] = []
    stray: dict[str, int] = defaultdict(int)
    for number, part in enumerate(parts_of(samples, pair, stage.pause_s)):
        folder = stage.folder / f"{number}"
        stage.tell(f"{'/'.join(pair)}, {way.name}: {sum(map(len, part.values()))} recordings in a call")
        called = _call(part, pair, way, replace(stage, folder=folder))
        for speaker in SPEAKERS:
            places = _places(part[speaker], speaker, called)
            turns = [turn for turn in called.session.turns if turn.speaker == speaker]
            found, lost = _given(places, turns)
            for one in part[speaker][:1]:
                stray[one.pair] += sum(len(turn.text.split()) for turn in lost)
            lag = next(each for each in lags(called.session) if each.speaker == speaker)
            for place, texts in zip(places, found, strict=True):
                outcome = _outcome(place, texts, lag.turns)
                shown = _shown(place, called, speaker, recognizer, way)
                outcomes.append(replace(outcome, shown=(*shown, outcome.text) if shown else ()))
    return Heard(tuple(outcomes), dict(stray))


# ── the call ─────────────────────────────────────────────────────────────────────


def parts_of(samples: Sequence[Sample], pair: tuple[str, str], pause_s: float) -> list[dict[str, list[Sample]]]:
    """The samples in calls of at most LONGEST_CALL_S: the pair's first language is the customer's."""
    sides = [[one for one in samples if (one.language, one.target) == way] for way in (pair, pair[::-1])]
    parts: list[dict[str, list[Sample]]] = []
    lengths_s = dict.fromkeys(SPEAKERS, 0.0)
    for both in zip_longest(*sides):
        for speaker, sample in zip(SPEAKERS, both, strict=True):
            if sample is None:
                continue
            lasts_s = len(sample.pcm) / RECOGNIZER_RATE_HZ + pause_s
            if not parts or (parts[-1][speaker] and lengths_s[speaker] + lasts_s > LONGEST_CALL_S):
                parts.append({name: [] for name in SPEAKERS})
                lengths_s = dict.fromkeys(SPEAKERS, 0.0)
            parts[-1][speaker].append(sample)
            lengths_s[speaker] += lasts_s
    return parts


def _call(part: Mapping[str, Sequence[Sample]], pair: tuple[str, str], way: Way, stage: Stage) -> DemoOutcome:
    lines = [_line(sample, n, speaker, stage) for speaker in SPEAKERS for n, sample in enumerate(part[speaker])]
    staging = Staging(
        server={"speech": dict(stage.speech)} if stage.speech else {},
        phones=("--loss", f"{way.loss_percent:g}", "--jitter", f"{way.jitter_ms}", "--codec", way.codec),
        scripts=scripts(lines, stage.pause_s),
        own_models=True,
    )
    mode = {"source_language": pair[0], "target_language": pair[1], "interpret": way.policy}
    limit_s = 90.0 + 2 * LONGEST_CALL_S
    return run_demo(stage.folder, Console(file=io.StringIO()), limit_s=limit_s, lines=lines, mode=mode, staging=staging)


def _line(sample: Sample, number: int, speaker: str, stage: Stage) -> Line:
    sound = resample(sample.pcm, RECOGNIZER_RATE_HZ, _RATE_HZ)
    path = (stage.folder.parent / "in" / f"{speaker}-{number}.wav").absolute()
    save_sound(path, sound, _RATE_HZ)
    return Line(str(path), speaker, sample.language, sample.text, sample.translation, sound)


def scripts(lines: Sequence[Line], pause_s: float) -> dict[str, str]:
    """Both phones say their lines at once, a pause after each; the customer waits for the end of both."""
    steps: dict[str, list[str]] = {}
    lasts_s = {}
    for speaker in SPEAKERS:
        own = [line for line in lines if line.speaker == speaker]
        steps[speaker] = [f"pause {1000 * _FIRST_PAUSE_S:.0f}ms"]
        for line in own:
            steps[speaker] += [f"play {line.file}", f"pause {1000 * pause_s:.0f}ms"]
        lasts_s[speaker] = sum(len(line.sound) / _RATE_HZ + pause_s for line in own)
    longer_s = max(0.0, lasts_s["agent"] - lasts_s["customer"])
    steps["customer"] += [f"pause {1000 * (longer_s + _LAST_PAUSE_S):.0f}ms", "hangup"]
    rest_s = max(0.0, lasts_s["customer"] - lasts_s["agent"]) + _LAST_PAUSE_S + 30
    steps["agent"] += [f"wait hangup within {rest_s:.0f}s"]
    return {speaker: "\n".join(own) + "\n" for speaker, own in steps.items()}


# ── what became of them ──────────────────────────────────────────────────────────


def _places(samples: Sequence[Sample], speaker: str, called: DemoOutcome) -> list[_Place]:
    """Where each sample stands on its speaker's track: by the phone's clock, laid on the track by correlation."""
    results = [result for result in called.verdict.lines if result.line.speaker == speaker]
    if not results:
        return []
    played = {one["file"]: one["start_sample"] for one in called.reports[speaker]["played"]}
    starts = [played[Path(result.line.file).name] for result in results]
    shifts = [(one.said.at_sample - start, one.said.correlation) for one, start in zip(results, starts, strict=True)]
    shift = median([by for by, fits in shifts if fits >= _SURE] or [by for by, _ in shifts])
    places = []
    for sample, start in zip(samples, starts, strict=True):
        file_ms = 1000 * (start + shift) / _RATE_HZ
        first_ms, last_ms = speech_span_ms(sample.pcm, RECOGNIZER_RATE_HZ)
        places.append(_Place(sample, file_ms, file_ms + first_ms, file_ms + last_ms))
    return places


@dataclass(slots=True)
class _Words:
    """What belongs to one sample: heard words; made words and when each was there (None: not known)."""

    heard: list[str]
    made: list[str]
    ready_ms: list[float | None]


def _given(places: Sequence[_Place], turns: Sequence[Turn]) -> tuple[list[_Words], list[Turn]]:
    """Each turn's words to the sample that was spoken then, by reference where it lies over several; and the others."""
    found = [_Words([], [], []) for _ in places]
    lost = []
    for turn in sorted(turns, key=lambda each: (each.start_ms, each.sequence)):
        over = [n for n, place in enumerate(places) if place.shared_ms(turn.start_ms, turn.end_ms) > 0]
        if not over:
            lost.append(turn)
            continue
        longest_ms = max(places[n].shared_ms(turn.start_ms, turn.end_ms) for n in over)
        over = [n for n in over if places[n].shared_ms(turn.start_ms, turn.end_ms) > longest_ms / 3]
        heard, made = turn.text.split(), (turn.translation or "").split()
        for n, own in zip(over, segmented([places[n].sample.text for n in over], heard), strict=True):
            found[n].heard += [heard[word] for word in own]
        for n, own in zip(over, segmented([places[n].sample.translation for n in over], made), strict=True):
            found[n].made += [made[word] for word in own]
            found[n].ready_ms += [_ready_ms(turn)] * len(own)
    return found, lost


def _ready_ms(turn: Turn) -> float | None:
    """When the translation's words were there, on the recording's clock."""
    stages = [turn.timings.stages[stage] for stage in ("endpoint", "recognize", "translate")]
    known = [stage for stage in stages if stage is not None]
    return turn.end_ms + sum(known) if len(known) == len(stages) else None


def _outcome(place: _Place, words: _Words, lag: Sequence[TurnLag]) -> Outcome:
    delays = tuple(max(0.0, ready_ms - place.start_ms) for ready_ms in words.ready_ms if ready_ms is not None)
    own = [turn for turn in lag if turn.heard and place.shared_ms(turn.said.start_ms, turn.said.end_ms) > _SLACK_MS]
    first_ms = min((turn.heard[0].start_ms for turn in own), default=None)
    return Outcome(
        place.sample,
        " ".join(words.heard),
        " ".join(words.made),
        delays,
        place.end_ms - place.start_ms,
        ear_voice_ms=None if first_ms is None else first_ms - place.start_ms,
        gap_ms=None if first_ms is None else first_ms - place.end_ms,
    )


def _shown(
    place: _Place, called: DemoOutcome, speaker: str, recognizer: WhisperRecognizer | None, way: Way
) -> tuple[str, ...]:
    """What readers of partial transcripts saw, made again from what the server heard, as its recording holds it."""
    if recognizer is None:
        return ()
    track = called.session.tracks[speaker].original
    first, last = (int(max(0.0, ms) * _RATE_HZ / 1000) for ms in (place.start_ms - 240, place.end_ms + 240))
    sound = resample(track[first:last], _RATE_HZ, RECOGNIZER_RATE_HZ)
    return growing(recognizer, sound, place.sample.language, POLICIES[way.policy])
