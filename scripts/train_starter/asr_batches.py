"""Batches of the shards: utterances of like length together, the shards in ever new order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from train_starter.asr_pieces import Pieces

SHARDS_AT_ONCE = 6
FRAMES_PER_BATCH = 4_000
SPAN_MARGIN_S = 0.06
"""How far beyond a word the decoder may look when it writes it."""

MARGINS_FRAMES = ((0.82, 8, 40), (0.14, 200, 260), (0.04, 1280, 1280))
"""(share, from, to): zeros after the longest of a batch; as in training, as the short window has it, and to the end."""

WINDOW_FRAMES = 1280
MASKED_SHARE = 0.15
"""Few: what an hour or two can teach is not enough to be learned by heart."""

TIMED_SHARE = 0.3
TIME_STEP_S = 0.1
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>")
POSITION_STEP = 2
"""Of Whisper's positions every how manieth is computed in training, and not marked in the exported model."""

FRAMES_PER_POSITION = 2 * POSITION_STEP
POSITION_MS = FRAMES_PER_POSITION * 10
NOTHING = -100
"""A label that is not learned."""


Heard = tuple[npt.NDArray[np.float16], dict[str, Any]]
"""Frames × bands of an utterance, and its entry in the shard's JSON."""


@dataclass(frozen=True, slots=True)
class Batch:
    """mel: utterances × bands × frames; tokens in, labels out; letters of each for CTC.

    phones: of each position of each utterance, NOTHING where unknown; spans: the first position of the word that each
    label is of and the one after its last, (0, 0) where unknown.
    """

    mel: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    letters: list[list[int]]
    phones: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]


@dataclass(slots=True)
class Vocabulary:
    """The tokens that are trained, renumbered from 0 (end of text) on; letters of the CTC loss, from 1 on; phones."""

    pieces: Pieces
    languages: tuple[str, ...]
    phones: tuple[str, ...] = ()
    letters: str = " 'abcdefghijklmnopqrstuvwxyzäöüßáéíóúñàâçèêëîïôùûœ"
    used: list[int] = field(default_factory=list)
    _index: dict[int, int] = field(default_factory=dict)
    _starts_word: list[bool] = field(default_factory=list)
    _pieces_count: int = 0

    def __post_init__(self) -> None:
        ids = self.pieces.ids
        times = [f"<|{step * TIME_STEP_S:.2f}|>" for step in range(WINDOW_FRAMES // 10 + 1)]
        named = [*SPECIAL, *(f"<|{language}|>" for language in self.languages), *times]
        pieces = self.pieces.used()
        self.used = list(dict.fromkeys([ids[name] for name in named] + pieces))
        self._pieces_count = len(pieces)
        self._index = {token: index for index, token in enumerate(self.used)}
        starting = {token for name, token in ids.items() if name.startswith("Ġ")}
        self._starts_word = [token in starting for token in self.used]

    def special(self, name: str) -> int:
        """Number of a token by its name."""
        return self._index[self.pieces.ids[name]]

    def text(self, text: str) -> list[int]:
        """The numbers of a text's tokens."""
        return [self._index[token] for token in self.pieces.encode(text)]

    def time(self, seconds: float) -> int:
        """The number of the timestamp next to it."""
        step = min(WINDOW_FRAMES // 10, round(seconds / TIME_STEP_S))
        return self.special(f"<|{step * TIME_STEP_S:.2f}|>")

    def spelled(self, text: str) -> list[int]:
        """A text's letters as CTC labels."""
        return [self.letters.index(letter) + 1 for letter in text.lower() if letter in self.letters]

    def phone_labels(self, item: dict[str, Any], positions: int) -> npt.NDArray[np.int64]:
        """The phone in the middle of each position."""
        labels = np.full(positions, NOTHING, dtype=np.int64)
        known = {name: number for number, name in enumerate(self.phones)}
        for name, start_ms in item["phones"]:
            labels[round(start_ms / POSITION_MS) :] = known.get(name, NOTHING)
        return labels

    def spans(self, item: dict[str, Any], labels: list[int], positions: int) -> npt.NDArray[np.int64]:
        """labels × 2: where in the sound the word is that each label belongs to."""
        spans = np.zeros((len(labels), 2), dtype=np.int64)
        starts = [start / 1000 for start in item["word_starts_ms"]]
        word = -1
        for row, label in enumerate(labels):
            if label == NOTHING or label >= len(self._starts_word) or not self.is_text(label):
                continue
            word += self._starts_word[label] or word < 0
            if word >= len(starts):
                break
            end_s = starts[word + 1] if word + 1 < len(starts) else float(item["end_s"])
            first = int((starts[word] - SPAN_MARGIN_S) * 1000 / POSITION_MS)
            spans[row] = max(0, first), min(positions, int((end_s + SPAN_MARGIN_S) * 1000 / POSITION_MS) + 1)
        return spans

    def is_text(self, label: int) -> bool:
        """Whether a label is a piece of a text, not one of Whisper's own tokens."""
        return label >= len(self.used) - self._pieces_count

    def target(self, item: dict[str, Any], rng: random.Random) -> tuple[list[int], list[int]]:
        """(tokens in, labels out) of an utterance, as Whisper has them."""
        end, task, plain = (self.special(SPECIAL[number]) for number in (0, 2, 4))
        start, language, text = self.special(SPECIAL[1]), str(item["language"]), str(item["text"])
        if not language:
            guess = self.special(f"<|{rng.choice(self.languages)}|>")
            return [start, guess, task, plain], [self.special("<|nospeech|>"), NOTHING, NOTHING, end]
        spoken = self.special(f"<|{language}|>")
        body = self.text(text)
        if rng.random() < TIMED_SHARE:
            first, last = self.time(float(str(item["start_s"]))), self.time(float(str(item["end_s"])))
            return [start, spoken, task, first, *body, last], [spoken, NOTHING, first, *body, last, end]
        return [start, spoken, task, plain, *body], [spoken, NOTHING, NOTHING, *body, end]


class Batches:
    """An endless iterator; `longest_frames` may be raised on the way, to begin with short utterances."""

    def __init__(self, folder: Path, vocabulary: Vocabulary, rng: random.Random, longest_frames: int = 1200) -> None:
        self.longest_frames = longest_frames
        self._folder, self._vocabulary, self._rng = folder, vocabulary, rng
        self._left: list[Path] = []

    def __iter__(self) -> Iterator[Batch]:
        while True:
            items = self._some_shards()
            items.sort(key=lambda one: len(one[0]) + self._rng.uniform(0, 20))
            grouped = list(self._groups(items))
            self._rng.shuffle(grouped)
            for group in grouped:
                yield self._batch(group)

    def _some_shards(self) -> list[Heard]:
        items = []
        for _ in range(SHARDS_AT_ONCE):
            if not self._left:
                self._left = sorted(self._folder.glob("shard-????.json"))
                if not self._left:
                    raise FileNotFoundError(f"{self._folder}: no shards; make them with train_starter.speech_data")
                self._rng.shuffle(self._left)
            about = self._left.pop()
            frames = np.load(about.with_suffix(".npy"))
            start = 0
            for one in json.loads(about.read_text(encoding="utf-8")):
                mel = frames[start : start + one["frames"]]
                start += one["frames"]
                if len(mel) <= self.longest_frames and len(one["text"]) * 3 < len(mel):
                    items.append((mel, one))
        return items

    def _groups(self, items: list[Heard]) -> Iterator[list[Heard]]:
        group: list[Heard] = []
        for one in items:
            if group and (len(group) + 1) * len(one[0]) > FRAMES_PER_BATCH:
                yield group
                group = []
            group.append(one)
        if group:
            yield group

    def _batch(self, group: list[Heard]) -> Batch:
        longest = max(len(mel) for mel, _ in group)
        (_, least, most) = self._rng.choices(MARGINS_FRAMES, [share for share, _, _ in MARGINS_FRAMES])[0]
        frames = min(WINDOW_FRAMES, longest + self._rng.randint(least, most))
        if frames == WINDOW_FRAMES:  # as much work as the others
            group = group[: max(1, FRAMES_PER_BATCH // WINDOW_FRAMES)]
        mel = np.zeros((len(group), 80, frames + frames % 2), dtype=np.float32)
        made = [self._vocabulary.target(about, self._rng) for _, about in group]
        length = max(len(tokens) for tokens, _ in made)
        positions = -(-mel.shape[2] // FRAMES_PER_POSITION)
        phones = np.full((len(group), positions), NOTHING, dtype=np.int64)
        spans = np.zeros((len(group), length, 2), dtype=np.int64)
        tokens = np.zeros((len(group), length), dtype=np.int64)
        labels = np.full((len(group), length), NOTHING, dtype=np.int64)
        for row, ((heard, about), (into, out)) in enumerate(zip(group, made, strict=True)):
            mel[row, :, : len(heard)] = self._masked(heard.astype(np.float32)).T
            tokens[row, : len(into)] = into
            labels[row, : len(out)] = out
            phones[row] = self._vocabulary.phone_labels(about, positions)
            spans[row, : len(out)] = self._vocabulary.spans(about, out, positions)
        letters = [self._vocabulary.spelled(about["text"]) for _, about in group]
        return Batch(mel, tokens, labels, letters, phones, spans)

    def _masked(self, mel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A few bands and a few frames taken away, now and then."""
        mean = mel.mean()
        if self._rng.random() < MASKED_SHARE:
            band = self._rng.randrange(70)
            mel[:, band : band + self._rng.randint(1, 10)] = mean
        if self._rng.random() < MASKED_SHARE:
            frame = self._rng.randrange(len(mel))
            mel[frame : frame + self._rng.randint(1, 20)] = mean
        return mel
