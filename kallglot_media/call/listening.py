"""What is heard of one talker while they still speak. No clock, no task: sound and hypotheses in, clauses out.

grow()      takes sound as the media plane tells it
sound()     is what a recogniser should make words of next
heard()     takes those words: what is stable, and a clause that may be passed on
rest_of()   is what the finished utterance has that was not passed on
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from kallglot_media.audio.level import rms_dbfs
from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.stretches import as_said, complete_words
from kallglot_media.media.messages import SpeechGrew, Utterance
from kallglot_media.modes.policy import Policy
from kallglot_media.speech.agreement import Agreement, plain
from kallglot_media.speech.types import Transcript, Word

LEAST_REST_MS = 160
"""Less speech than this behind a clause is its own end, not a word."""

MOST_MERGED_WORDS = 30
"""Clauses that wait are merged up to this."""

_FRAME_MS = 20
_LOOK_BEFORE_MS, _LOOK_BEHIND_MS = 160, 320
"""Word times are about as exact as this, and rather too early: the cut goes to the quietest place so near."""

_DB_PER_MS = 0.05
"""What distance counts: a place 100 ms further away has to be 5 dB quieter."""


@dataclass(frozen=True, slots=True)
class Snapshot:
    """Sound to be recognised: from first_sample, all that is held. paused: the talker is silent at its end."""

    pcm: Pcm16
    rate_hz: int
    first_sample: int
    speech_end_sample: int
    paused: bool


@dataclass(frozen=True, slots=True)
class Clause:
    """Stable words that may be passed on; they are never revised. Times on the session's clock.

    end_sample    where their sound ends
    transcript    words with times from the start of the session
    pcm           their sound, int16, from first_sample on: what is heard when they are not made over. Of speech
                  without an end the beginning, whose words were put aside, is not in it
    """

    transcript: Transcript
    start_ms: int
    end_ms: int
    end_sample: int
    rate_hz: int
    first_sample: int = 0
    pcm: bytes = b""

    def merged(self, following: Clause) -> Clause | None:
        """Both in one; None when they are not in one language, or would be too long to be spoken in one go."""
        one, other = self.transcript, following.transcript
        if one.language != other.language or len(one.words) + len(other.words) > MOST_MERGED_WORDS:
            return None
        said = replace(
            one,
            text=f"{one.text} {other.text}",
            words=(*one.words, *other.words),
            confidence=min(one.confidence, other.confidence),
            engine_ms=one.engine_ms + other.engine_ms,
        )
        pcm = self.pcm + following.pcm
        return replace(self, transcript=said, end_ms=following.end_ms, end_sample=following.end_sample, pcm=pcm)


@dataclass(frozen=True, slots=True)
class Heard:
    """What a hypothesis brought: all words since start_ms, their stable beginning, and perhaps a clause before them."""

    text: str
    stable: str
    start_ms: int
    language: str
    clause: Clause | None


@dataclass(frozen=True, slots=True)
class Rest:
    """An utterance without what was passed on.

    transcript  when all of it has been recognised already
    passed_on   the words of the utterance that were passed on; whole: the utterance with them
    """

    utterance: Utterance
    transcript: Transcript | None
    passed_on: tuple[str, ...] = ()
    whole: Utterance | None = None


class Listening:
    """One talker, one utterance after the other."""

    def __init__(self, policy: Policy) -> None:
        self._policy = policy
        self._begin(0)

    def _begin(self, first_sample: int) -> None:
        self._sound: list[bytes] = []
        self._rate_hz = 0
        self._utterance_from = first_sample
        self._from = first_sample  # of what is held
        self._to = first_sample
        self._speech_end = first_sample
        self._paused = False
        self._passed_on: list[str] = []  # the words
        self._aside: list[str] = []  # stable words whose sound is no longer held, because there was too much of it
        self._agreement = Agreement()
        self._last: tuple[Snapshot, Transcript] | None = None

    def grow(self, piece: SpeechGrew) -> None:
        """More sound. Where it does not go on from the one before, another utterance begins."""
        if piece.first_sample != self._to or not self._rate_hz:
            self._begin(piece.first_sample)
        self._rate_hz = piece.rate_hz
        self._sound.append(piece.pcm)
        self._to = piece.first_sample + len(piece.pcm) // 2
        self._speech_end = piece.speech_end_sample
        self._paused = piece.paused

    def sound(self) -> Snapshot | None:
        """All that is held and has speech in it."""
        if self._speech_end - self._from < LEAST_REST_MS * self._rate_hz // 1000 or not self._sound:
            return None
        return Snapshot(self._held(), self._rate_hz, self._from, self._speech_end, self._paused)

    def heard(self, of: Snapshot, transcript: Transcript) -> Heard | None:
        """A hypothesis of that snapshot; None when it is of no use any more, or nothing was understood."""
        if of.first_sample != self._from or not self._rate_hz or not transcript.text:
            return None
        self._last = (of, transcript)
        words = _on_the_clock(transcript, of)
        self._agreement.take(words, final=of.paused)
        clause = self._take_clause(of, transcript)
        if clause is None:
            self._put_aside()
        return Heard(
            text=" ".join([*self._aside, *(word.text for word in self._agreement.words)]),
            stable=" ".join([*self._aside, *(word.text for word in self._agreement.words[: self._agreement.stable])]),
            start_ms=1000 * (self._from if self._passed_on else self._utterance_from) // self._rate_hz,
            language=transcript.language,
            clause=clause,
        )

    def rest_of(self, utterance: Utterance) -> Rest | None:
        """What of a finished utterance is still to be passed on; None: nothing. Listening starts anew."""
        begun = bool(self._rate_hz) and utterance.first_sample == self._utterance_from
        first_sample = self._from if begun and self._passed_on else utterance.first_sample
        passed_on = tuple(self._passed_on) if begun else ()
        last, whole_held = self._last, begun and not self._aside
        self._begin(0)
        self._rate_hz = 0
        if utterance.speech_end_sample - first_sample < LEAST_REST_MS * utterance.rate_hz // 1000:
            return None
        rest = replace(
            utterance, pcm=utterance.pcm[2 * (first_sample - utterance.first_sample) :], first_sample=first_sample
        )
        known = None
        if last is not None and whole_held and last[0].first_sample == first_sample:
            known = last[1] if last[0].paused and last[0].speech_end_sample == utterance.speech_end_sample else None
        return Rest(rest, known, passed_on, utterance)

    # ── inside ───────────────────────────────────────────────────────────────────

    def _held(self) -> Pcm16:
        sound = b"".join(self._sound)
        self._sound = [sound]
        return np.frombuffer(sound, np.int16)

    def _take_clause(self, of: Snapshot, transcript: Transcript) -> Clause | None:
        agreement = self._agreement
        count = complete_words(agreement.words, agreement.stable, self._policy, transcript.language, paused=of.paused)
        if not count:
            return None
        words = agreement.words[:count]
        cut = self._cut_after(count, of)
        text = as_said([*self._aside, *(word.text for word in words)])
        start_ms = words[0].start_ms if not self._aside else 1000 * self._utterance_from // self._rate_hz
        end_ms = 1000 * of.speech_end_sample // self._rate_hz
        if not (of.paused and count == len(agreement.words)):  # word times are less exact than the voice detection
            end_ms = min(words[-1].end_ms, end_ms)
        self._passed_on += [*self._aside, *(word.text for word in words)]
        self._aside = []
        agreement.drop(count)
        first_sample, pcm = self._from, self._held()[: max(0, cut - self._from)].tobytes()
        self._forget_before(cut)
        said = replace(transcript, text=text, words=tuple(words))
        end_sample = end_ms * self._rate_hz // 1000
        return Clause(said, min(start_ms, end_ms), end_ms, end_sample, self._rate_hz, first_sample, pcm)

    def _put_aside(self) -> None:
        """Too much is held: what is stable keeps its words and loses its sound, so that the cost stays bounded."""
        agreement = self._agreement
        held_s = (self._to - self._from) / self._rate_hz
        if held_s <= self._policy.longest_held_s or not agreement.stable:
            return
        count = agreement.stable
        cut = self._cut_after(count, None)
        self._aside += [word.text for word in agreement.words[:count]]
        agreement.drop(count)
        self._forget_before(cut)

    def _cut_after(self, count: int, of: Snapshot | None) -> int:
        """The sample at which the sound of the first `count` words ends: the quietest place near by."""
        words = self._agreement.words
        if count == len(words) and of is not None and of.paused:
            return of.first_sample + len(of.pcm)
        end_ms = words[count - 1].end_ms
        next_ms = words[count].start_ms if count < len(words) else end_ms
        middle_ms = (end_ms + max(end_ms, next_ms)) // 2
        latest_ms = words[count].end_ms if count < len(words) else end_ms + _LOOK_BEFORE_MS
        from_ms = max(middle_ms - _LOOK_BEFORE_MS, words[count - 1].start_ms)
        to_ms = min(middle_ms + _LOOK_BEHIND_MS, latest_ms)
        per_ms = self._rate_hz // 1000
        return self._quietest(from_ms * per_ms, middle_ms * per_ms, to_ms * per_ms)

    def _quietest(self, from_sample: int, near_sample: int, to_sample: int) -> int:
        """The middle of a quiet frame between two places; of several that are about as quiet, the one that is near."""
        frame = self._rate_hz * _FRAME_MS // 1000
        start = min(max(from_sample, self._from), self._to)
        sound = self._held()[start - self._from : max(start, min(to_sample, self._to)) - self._from]
        frames = sound[: len(sound) // frame * frame].reshape(-1, frame)
        if not len(frames):
            return start
        middles = start + np.arange(len(frames)) * frame + frame // 2
        away_ms = np.abs(middles - near_sample) * 1000 / self._rate_hz
        return int(middles[np.argmin(rms_dbfs(frames) + _DB_PER_MS * away_ms)])

    def _forget_before(self, sample: int) -> None:
        held = self._held().tobytes()
        sample = min(max(sample, self._from), self._to)
        self._sound = [held[2 * (sample - self._from) :]]
        self._from = sample
        self._last = None


def words_behind(transcript: Transcript, passed_on: Sequence[str], from_ms: int) -> Transcript | None:
    """What is said behind the words that were passed on, times from `from_ms` on; None where it begins otherwise."""
    said, count = transcript.text.split(), len(passed_on)
    if len(said) <= count or [plain(word) for word in said[:count]] != [plain(word) for word in passed_on]:
        return None
    words = transcript.words[count:] if len(transcript.words) == len(said) else ()
    there = tuple(
        replace(word, start_ms=max(0, word.start_ms - from_ms), end_ms=max(0, word.end_ms - from_ms)) for word in words
    )
    return replace(transcript, text=" ".join(said[count:]), words=there)


def told_meanwhile(rules: SegmentRules, policy: Policy) -> SegmentRules:
    """The rules of cutting, with what this policy wants to be told while somebody speaks."""
    return replace(rules, partial_ms=policy.partial_ms, pause_ms=policy.pause_ms or rules.stop_ms)


def _on_the_clock(transcript: Transcript, of: Snapshot) -> Sequence[Word]:
    """The words with times since the session's start. Without word times, they share the sound evenly."""
    start_ms = 1000 * of.first_sample // of.rate_hz
    words: Sequence[Word] = transcript.words
    if not words:
        texts = transcript.text.split()
        share_ms = 1000 * len(of.pcm) / of.rate_hz / len(texts)
        words = [
            Word(text, round(n * share_ms), round((n + 1) * share_ms), transcript.confidence)
            for n, text in enumerate(texts)
        ]
    return [replace(word, start_ms=word.start_ms + start_ms, end_ms=word.end_ms + start_ms) for word in words]
