"""What became of a set on one path, sample by sample, and the numbers of that."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass, field
from statistics import mean
from typing import Any

from kallglot_media.measure.samples import Sample
from kallglot_media.measure.scores import (
    Errors,
    average_lagging,
    entities_kept,
    erased,
    translation_scores,
    word_errors,
)

_HOUR_S = 3600.0


@dataclass(frozen=True, slots=True)
class Way:
    """How the samples went. policy "": not through a call; loss and jitter as in PathRules."""

    path: str
    policy: str = ""
    codec: str = "PCMU"
    loss_percent: float = 0.0
    jitter_ms: int = 0

    @property
    def name(self) -> str:
        """In a few words."""
        if not self.policy:
            return self.path
        jitter = f", {self.jitter_ms} ms jitter" if self.jitter_ms else ""
        return f"{self.path}, {self.policy}, {self.codec}, {self.loss_percent:g} % lost{jitter}"


@dataclass(frozen=True, slots=True)
class Outcome:
    """One sample.

    text       what was understood, made: what it was translated to
    delays_ms  when each word of `made` was there, since the sample's first sound
    source_ms  from its first to its last sound
    shown      the text as a reader saw it grow, the final one included
    ear_voice_ms, gap_ms  of the made speech on the recording; None: there is none
    """

    sample: Sample
    text: str
    made: str
    delays_ms: tuple[float, ...]
    source_ms: float
    shown: tuple[str, ...] = ()
    ear_voice_ms: float | None = None
    gap_ms: float | None = None


@dataclass(frozen=True, slots=True)
class Score:
    """A language pair on one way. What cannot be known is None.

    word_errors    percent; wrong: by kind
    invented       words where nobody spoke, and those put in between others; per_hour: of the recordings
    lagging_ms     AL, stream_laal_ms: StreamLAAL, both with the engines' time, of the words (not the voice)
    erasure        words taken back while the text grew, for each word of the final text
    ear_voice_ms, gap_ms  of the voice, median, from the recordings
    unheard        samples with words of which nothing was understood
    """

    pair: str
    way: Way
    samples: int
    seconds: float
    word_errors: float
    wrong: Errors
    invented: int
    invented_per_hour: float
    chrf: float | None
    bleu: float | None
    entities_kept: int
    entities: int
    lagging_ms: float | None
    stream_laal_ms: float | None
    erasure: float | None
    ear_voice_ms: float | None
    gap_ms: float | None
    unheard: int
    texts: tuple[dict[str, str], ...] = field(default=(), repr=False)

    def to_json(self) -> dict[str, Any]:
        """Everything, numbers rounded to what they mean."""
        values = asdict(self)
        for name, value in values.items():
            if isinstance(value, float):
                values[name] = round(value, 2)
        values["texts"] = list(self.texts)
        return values


def score(pair: str, way: Way, outcomes: Sequence[Outcome], stray_words: int = 0) -> Score:
    """The numbers of these outcomes. stray_words: understood where no sample was spoken."""
    wrong = Errors()
    for one in outcomes:
        wrong += word_errors(one.sample.text, one.text)
    seconds = sum(len(one.sample.pcm) for one in outcomes) / 16_000
    translated = [one for one in outcomes if one.sample.translation]
    chrf = bleu = None
    if translated:
        references = [one.sample.translation for one in translated]
        chrf, bleu = translation_scores(references, [one.made for one in translated])
    kept = [entities_kept(one.sample.text, one.made, one.sample.language, one.sample.target) for one in translated]
    revised = [one for one in outcomes if one.shown]
    final_words = sum(len(one.shown[-1].split()) for one in revised)
    invented = wrong.put_in + stray_words
    return Score(
        pair=pair,
        way=way,
        samples=len(outcomes),
        seconds=seconds,
        word_errors=wrong.percent,
        wrong=wrong,
        invented=invented,
        invented_per_hour=invented * _HOUR_S / max(1e-9, seconds),
        chrf=chrf,
        bleu=bleu,
        entities_kept=sum(right for right, _ in kept),
        entities=sum(all_ for _, all_ in kept),
        lagging_ms=_mean([_lagging(one, laal=False) for one in translated]),
        stream_laal_ms=_mean([_lagging(one, laal=True) for one in translated]),
        erasure=sum(erased(one.shown) for one in revised) / final_words if final_words else None,
        ear_voice_ms=_median([one.ear_voice_ms for one in outcomes]),
        gap_ms=_median([one.gap_ms for one in outcomes]),
        unheard=sum(bool(one.sample.text) and not one.text for one in outcomes),
        texts=tuple(_texts(one) for one in outcomes),
    )


def _lagging(one: Outcome, *, laal: bool) -> float | None:
    words = len(one.sample.translation.split())
    return average_lagging(one.delays_ms, one.source_ms, max(words, len(one.delays_ms)) if laal else words)


def _texts(one: Outcome) -> dict[str, str]:
    sample = one.sample
    return {
        "file": sample.name,
        "said": sample.text,
        "heard": one.text,
        "reference": sample.translation,
        "made": one.made,
    }


def _mean(values: Sequence[float | None]) -> float | None:
    known = [value for value in values if value is not None]
    return mean(known) if known else None


def _median(values: Sequence[float | None]) -> float | None:
    known = sorted(value for value in values if value is not None)
    return known[len(known) // 2] if known else None
