"""Numbers of an interpreter from words and times: what was heard wrong, what was invented, how late, how often revised.

Pure: texts, delays and counts in, numbers out. sacrebleu, an optional dependency, is imported where it is used.
"""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from kallglot_media.errors import SetupError
from kallglot_media.speech.entities import entities, missing
from kallglot_media.speech.evaluate import normalized


@dataclass(frozen=True, slots=True)
class Errors:
    """Words of a reference against words heard, by the cheapest way from one to the other."""

    replaced: int = 0
    left_out: int = 0
    put_in: int = 0
    said: int = 0

    def __add__(self, other: Errors) -> Errors:
        return Errors(
            self.replaced + other.replaced,
            self.left_out + other.left_out,
            self.put_in + other.put_in,
            self.said + other.said,
        )

    @property
    def percent(self) -> float:
        """Word error rate; may exceed 100."""
        return 100 * (self.replaced + self.left_out + self.put_in) / max(1, self.said)


def aligned_words(said: Sequence[str], heard: Sequence[str]) -> list[tuple[int | None, int | None]]:
    """The cheapest way from one to the other as pairs of places; None on a side: nothing stands there.

    aligned_words("a b".split(), "a x b".split()) == [(0, 0), (None, 1), (1, 1)]
    """
    cost = np.zeros((len(said) + 1, len(heard) + 1), np.int32)
    cost[0] = np.arange(len(heard) + 1)
    cost[:, 0] = np.arange(len(said) + 1)
    for i, word in enumerate(said, 1):
        row, above = cost[i], cost[i - 1]
        for j, other in enumerate(heard, 1):
            row[j] = min(above[j - 1] + (word != other), above[j] + 1, row[j - 1] + 1)
    pairs: list[tuple[int | None, int | None]] = []
    i, j = len(said), len(heard)
    while i or j:
        if i and j and cost[i, j] == cost[i - 1, j - 1] + (said[i - 1] != heard[j - 1]):
            i, j = i - 1, j - 1
            pairs.append((i, j))
        elif j and cost[i, j] == cost[i, j - 1] + 1:
            j -= 1
            pairs.append((None, j))
        else:
            i -= 1
            pairs.append((i, None))
    return pairs[::-1]


def word_errors(said: str, heard: str) -> Errors:
    """What was heard wrong of one text; case and punctuation do not count."""
    reference, hypothesis = normalized(said), normalized(heard)
    pairs = aligned_words(reference, hypothesis)
    return Errors(
        replaced=sum(a is not None and b is not None and reference[a] != hypothesis[b] for a, b in pairs),
        left_out=sum(b is None for _, b in pairs),
        put_in=sum(a is None for a, _ in pairs),
        said=len(reference),
    )


def segmented(references: Sequence[str], words: Sequence[str]) -> list[list[int]]:
    """Which of the words of a stream belong to which reference: the way with the fewest word errors over all.

    What is put in between two references goes to the earlier one. This is how StreamLAAL cuts a stream
    (mwerSegmenter).
    """
    plain = [(" ".join(normalized(word)) or word) for word in words]
    said: list[str] = []
    owner: list[int] = []
    for number, reference in enumerate(references):
        own = normalized(reference)
        said += own
        owner += [number] * len(own)
    places: list[list[int]] = [[] for _ in references]
    at = owner[0] if owner else 0
    for a, b in aligned_words(said, plain):
        at = owner[a] if a is not None else at
        if b is not None and places:
            places[at].append(b)
    return places


def average_lagging(delays_ms: Sequence[float], source_ms: float, target_words: int) -> float | None:
    """How far behind an ideal interpreter who keeps the speaker's pace (Ma et al., 2019); None without words.

    delays_ms     since the speaker's first sound, of each word made
    target_words  of the reference: AL; the larger of that and those made: LAAL (Papi et al., 2022)
    """
    if not delays_ms:
        return None
    if delays_ms[0] > source_ms:
        return delays_ms[0]
    total_ms, pace_ms = 0.0, source_ms / max(1, target_words)
    for place, delay_ms in enumerate(delays_ms):
        total_ms += delay_ms - place * pace_ms
        if delay_ms >= source_ms:
            return total_ms / (place + 1)
    return total_ms / len(delays_ms)


def erased(shown: Sequence[str]) -> int:
    """Words that were taken away again while a text was shown as it grew (Arivazhagan et al., 2020).

    erased(["I", "I have", "I had a"]) == 1
    """
    gone = 0
    for before, now in itertools.pairwise(shown):
        old, new = before.split(), now.split()
        same = next((n for n, (a, b) in enumerate(zip(old, new, strict=False)) if a != b), min(len(old), len(new)))
        gone += len(old) - same
    return gone


def entities_kept(source: str, made: str, language: str, target: str) -> tuple[int, int]:
    """(kept, all) numbers, amounts, dates, ids and addresses of a sentence in its translation."""
    wanted = entities(source, language)
    return len(wanted) - len(missing(wanted, made, target)), len(wanted)


def translation_scores(references: Sequence[str], made: Sequence[str]) -> tuple[float, float]:
    """sacrebleu's chrF2 and BLEU over a set, 0–100."""
    try:
        import sacrebleu
    except ImportError:
        raise SetupError("sacrebleu", "is not installed", "pip install 'kallglot-media[eval]'") from None
    chrf = sacrebleu.corpus_chrf(list(made), [list(references)]).score
    return float(chrf), float(sacrebleu.corpus_bleu(list(made), [list(references)]).score)
