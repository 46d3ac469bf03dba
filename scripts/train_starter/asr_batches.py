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
from train_starter.speakers import PAUSE

SHARDS_AT_ONCE = 6
FRAMES_PER_BATCH = 4_000
SPAN_MARGIN_MS = 60
"""How far beyond a piece of a word the decoder may look when it writes it."""

MARK_MS = 120
"""A full stop or a comma is heard in the pause after its word, so far into it."""

MARGINS_FRAMES = ((0.82, 8, 40), (0.14, 200, 260), (0.04, 1280, 1280))
"""(share, from, to): zeros after the longest of a batch; as in training, as the short window has it, and to the end."""

WINDOW_FRAMES = 1280
MASKED_SHARE = 0.2
"""Few: what an hour or two can teach is not enough to be learned by heart."""

MISTOLD_SHARE = 0.06
"""Of the pieces that the decoder is told it wrote: others, so that it listens and finds its way back from mistakes."""

MARKS = "Ġ.,?!:'-"
TIMED_SHARE = 0.3
TIME_STEP_S = 0.1
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>")
POSITION_STEP = 2
"""Of Whisper's positions every how manieth is computed in training, and not marked in the exported model."""

FRAMES_PER_POSITION = 2 * POSITION_STEP
POSITION_MS = FRAMES_PER_POSITION * 10
NOTHING = -100
"""A label that is not learned."""


def _with_ends(phones: list[tuple[str, int]]) -> Iterator[tuple[str, int, int | None]]:
    """(name, start, end) of each, the end of the last one unknown."""
    for number, (name, start) in enumerate(phones):
        yield name, start, phones[number + 1][1] if number + 1 < len(phones) else None


Heard = tuple[npt.NDArray[np.float16], dict[str, Any]]
"""Frames × bands of an utterance, and its entry in the shard's JSON."""


@dataclass(frozen=True, slots=True)
class Batch:
    """mel: utterances × bands × frames; tokens in, labels out.

    phones and pieces: of each position of each utterance, NOTHING where unknown; spans: the first position that each
    label is heard at and the one after its last, (0, 0) where unknown.
    """

    mel: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    phones: npt.NDArray[np.int64]
    pieces: npt.NDArray[np.int64]
    spans: npt.NDArray[np.int64]


@dataclass(slots=True)
class Vocabulary:
    """The tokens that are trained, renumbered from 0 (end of text) on; the names of the phones."""

    pieces: Pieces
    languages: tuple[str, ...]
    phones: tuple[str, ...] = ()
    used: list[int] = field(default_factory=list)
    _index: dict[int, int] = field(default_factory=dict)
    _starts_word: list[bool] = field(default_factory=list)
    _letters: list[int] = field(default_factory=list)
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
        names = {token: name for name, token in ids.items()}
        self._letters = [sum(letter not in MARKS for letter in names[token]) for token in self.used]

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

    def phone_labels(self, item: dict[str, Any], positions: int) -> npt.NDArray[np.int64]:
        """The phone in the middle of each position."""
        labels = np.full(positions, NOTHING, dtype=np.int64)
        known = {name: number for number, name in enumerate(self.phones)}
        for name, start_ms in item["phones"]:
            labels[round(start_ms / POSITION_MS) :] = known.get(name, NOTHING)
        return labels

    def heard_at(
        self, item: dict[str, Any], labels: list[int], positions: int
    ) -> tuple[npt.NDArray[np.int64], npt.NDArray[np.int64]]:
        """labels × 2: where in the sound each label is heard; and the piece heard at each position.

        A word's time is shared out among its pieces by their letters. Where nobody speaks, <|nospeech|> is heard.
        """
        spans, pieces = np.zeros((len(labels), 2), dtype=np.int64), np.full(positions, NOTHING, dtype=np.int64)
        pauses = [(start, end) for name, start, end in _with_ends(item["phones"]) if name == PAUSE]
        for start, end in pauses:
            pieces[round(start / POSITION_MS) : None if end is None else round(end / POSITION_MS)] = self._silence
        for rows, start, end in self._words(item, labels, pauses):
            for row, first, last in self._shared_out(labels, rows, start, end):
                pieces[round(first / POSITION_MS) : round(last / POSITION_MS)] = labels[row]
                begin = int(max(0, first - SPAN_MARGIN_MS) / POSITION_MS)
                spans[row] = begin, min(positions, int((last + SPAN_MARGIN_MS) / POSITION_MS) + 1)
        return spans, pieces

    def _words(
        self, item: dict[str, Any], labels: list[int], pauses: list[tuple[int, int | None]]
    ) -> Iterator[tuple[list[int], int, int]]:
        """The rows of each word's labels, and when it is said: (start, end) in milliseconds."""
        starts, rows = item["word_starts_ms"], list[list[int]]()
        for row, label in enumerate(labels):
            if label == NOTHING or not self.is_text(label):
                continue
            if self._starts_word[label] or not rows:
                rows.append([])
            rows[-1].append(row)
        ends = [*starts[1:], round(item["end_s"] * 1000)]
        for word, start, end in zip(rows, starts, ends, strict=False):
            yield word, start, next((pause for pause, _ in pauses if start < pause < end), end)

    def _shared_out(
        self, labels: list[int], rows: list[int], start: float, end: float
    ) -> Iterator[tuple[int, float, float]]:
        """(row, start, end) of each piece of a word; marks come after it."""
        letters = [self._letters[labels[row]] for row in rows]
        said = sum(letters)
        if not said:
            return
        first = start
        for row, count in zip(rows, letters, strict=True):
            if count:
                yield row, first, first + (end - start) * count / said
                first += (end - start) * count / said
            else:
                yield row, first, first + (MARK_MS if first >= end - 1 else 0)

    def is_text(self, label: int) -> bool:
        """Whether a label is a piece of a text, not one of Whisper's own tokens."""
        return label >= len(self.used) - self._pieces_count

    def any_piece(self, rng: random.Random) -> int:
        """A piece of text by chance."""
        return rng.randrange(len(self.used) - self._pieces_count, len(self.used))

    @property
    def _silence(self) -> int:
        return self.special("<|nospeech|>")

    def target(self, item: dict[str, Any], rng: random.Random) -> tuple[list[int], list[int]]:
        """(tokens in, labels out) of an utterance, as Whisper has them."""
        end, task, plain = (self.special(SPECIAL[number]) for number in (0, 2, 4))
        start, language, text = self.special(SPECIAL[1]), str(item["language"]), str(item["text"])
        if not language:
            guess = self.special(f"<|{rng.choice(self.languages)}|>")
            return [start, guess, task, plain], [self._silence, NOTHING, NOTHING, end]
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
        phones, pieces = (np.full((len(group), positions), NOTHING, dtype=np.int64) for _ in range(2))
        spans = np.zeros((len(group), length, 2), dtype=np.int64)
        tokens = np.zeros((len(group), length), dtype=np.int64)
        labels = np.full((len(group), length), NOTHING, dtype=np.int64)
        for row, ((heard, about), (into, out)) in enumerate(zip(group, made, strict=True)):
            mel[row, :, : len(heard)] = self._masked(heard.astype(np.float32)).T
            tokens[row, : len(into)] = [self._mistold(token) for token in into]
            labels[row, : len(out)] = out
            phones[row] = self._vocabulary.phone_labels(about, positions)
            spans[row, : len(out)], pieces[row] = self._vocabulary.heard_at(about, out, positions)
        return Batch(mel, tokens, labels, phones, pieces, spans)

    def _mistold(self, token: int) -> int:
        """Now and then another piece of text than the one that was written."""
        if self._vocabulary.is_text(token) and self._rng.random() < MISTOLD_SHARE:
            return self._vocabulary.any_piece(self._rng)
        return token

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
