"""Batches of the shards: utterances of like length together, the shards in ever new order."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator
from dataclasses import dataclass, field
from pathlib import Path

import numpy as np
import numpy.typing as npt

from train_starter.asr_pieces import Pieces

SHARDS_AT_ONCE = 6
FRAMES_PER_BATCH = 4_000
MARGINS_FRAMES = ((0.82, 8, 40), (0.14, 200, 260), (0.04, 1280, 1280))
"""(share, from, to): zeros after the longest of a batch; as in training, as the short window has it, and to the end."""

WINDOW_FRAMES = 1280
TIMED_SHARE = 0.3
TIME_STEP_S = 0.1
SPECIAL = ("<|endoftext|>", "<|startoftranscript|>", "<|transcribe|>", "<|nospeech|>", "<|notimestamps|>")
NOTHING = -100
"""A label that is not learned."""


Heard = tuple[npt.NDArray[np.float16], dict[str, object]]
"""Frames × bands of an utterance, and its entry in the shard's JSON."""


@dataclass(frozen=True, slots=True)
class Batch:
    """mel: utterances × bands × frames; tokens in, labels out; letters of each for CTC."""

    mel: npt.NDArray[np.float32]
    tokens: npt.NDArray[np.int64]
    labels: npt.NDArray[np.int64]
    letters: list[list[int]]


@dataclass(slots=True)
class Vocabulary:
    """The tokens that are trained, renumbered from 0 (end of text) on, and the letters of the CTC loss from 1 on."""

    pieces: Pieces
    languages: tuple[str, ...]
    letters: str = " 'abcdefghijklmnopqrstuvwxyzäöüßáéíóúñàâçèêëîïôùûœ"
    used: list[int] = field(default_factory=list)
    _index: dict[int, int] = field(default_factory=dict)

    def __post_init__(self) -> None:
        ids = self.pieces.ids
        times = [f"<|{step * TIME_STEP_S:.2f}|>" for step in range(WINDOW_FRAMES // 10 + 1)]
        named = [*SPECIAL, *(f"<|{language}|>" for language in self.languages), *times]
        self.used = list(dict.fromkeys([ids[name] for name in named] + self.pieces.used()))
        self._index = {token: index for index, token in enumerate(self.used)}

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

    def target(self, item: dict[str, object], rng: random.Random) -> tuple[list[int], list[int]]:
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
        tokens = np.zeros((len(group), length), dtype=np.int64)
        labels = np.full((len(group), length), NOTHING, dtype=np.int64)
        for row, ((heard, _), (into, out)) in enumerate(zip(group, made, strict=True)):
            mel[row, :, : len(heard)] = self._masked(heard.astype(np.float32)).T
            tokens[row, : len(into)] = into
            labels[row, : len(out)] = out
        return Batch(mel, tokens, labels, [self._vocabulary.spelled(str(about["text"])) for _, about in group])

    def _masked(self, mel: npt.NDArray[np.float32]) -> npt.NDArray[np.float32]:
        """A few bands and a few frames taken away, now and then."""
        mean = mel.mean()
        if self._rng.random() < 0.5:
            band = self._rng.randrange(70)
            mel[:, band : band + self._rng.randint(1, 10)] = mean
        if self._rng.random() < 0.5:
            frame = self._rng.randrange(len(mel))
            mel[frame : frame + self._rng.randint(1, 20)] = mean
        return mel
