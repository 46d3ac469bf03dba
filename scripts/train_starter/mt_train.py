"""Training of the starter translator: batches of one length, warm-up and cosine, a running mean of the weights.

A checkpoint is written every few minutes; the same command goes on from it.
"""

from __future__ import annotations

import math
import random
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import sentencepiece
import torch
from rich.progress import BarColumn, Progress, TextColumn, TimeElapsedColumn
from torch import Tensor
from torch.nn import functional

from train_starter.mt_model import END, Translator
from train_starter.mt_texts import Texts, as_heard, one_epoch
from train_starter.texts import Pair


@dataclass(frozen=True, slots=True)
class Plan:
    """How long and how.

    steps, minutes    whichever comes first; the learning rate falls towards it
    tokens            of a batch, filled up
    peak              learning rate after `warm_up` steps
    smoothing         of labels; more of it makes translations shorter
    sampling          one source in so many is cut into pieces by chance, not in the likeliest way
    everyday, grammar, chats   pairs of one round: see mt_texts.one_epoch
    """

    steps: int = 30_000
    minutes: float = 170
    tokens: int = 3500
    peak: float = 1e-3
    warm_up: int = 400
    smoothing: float = 0.05
    sampling: float = 0.3
    everyday: int = 60_000
    grammar: int = 10_000
    chats: int = 2
    mean_of: int = 1000
    save_every_s: float = 240


@dataclass(frozen=True, slots=True)
class Batch:
    """source and wanted filled up with END; the *_there are True where there is something."""

    source: Tensor
    source_there: Tensor
    wanted: Tensor
    wanted_there: Tensor


class Training:
    """One run, which may be broken off and taken up again."""

    def __init__(self, model: Translator, pieces: Any, texts: Texts, plan: Plan, checkpoint: Path) -> None:
        self.model, self.plan = model, plan
        self._pieces, self._texts, self._checkpoint = pieces, texts, checkpoint
        self._optimizer = torch.optim.AdamW(model.parameters(), lr=plan.peak, betas=(0.9, 0.98), weight_decay=1e-3)
        self.mean = {name: value.clone() for name, value in model.state_dict().items()}
        self.step, self.epoch, self._spent_s = 0, 0, 0.0
        self.losses: list[float] = []
        if checkpoint.is_file():
            self._take_up(torch.load(checkpoint, weights_only=True))

    def run(self) -> dict[str, Tensor]:
        """Train to the end of the plan; the running mean of the weights."""
        began_s = saved_s = time.monotonic()
        before_s = self._spent_s
        self.model.train()
        with _bar() as bar:
            task = bar.add_task("translator", total=1.0)
            while (done := self._done()) < 1:
                for batch in self._epoch():
                    self.losses.append(self._one(batch, self._done()))
                    self._spent_s = before_s + time.monotonic() - began_s
                    done = self._done()
                    recent = self.losses[-200:]
                    bar.update(
                        task, completed=done, description=f"step {self.step} loss {sum(recent) / len(recent):.3f}"
                    )
                    if time.monotonic() - saved_s > self.plan.save_every_s:
                        self._save()
                        saved_s = time.monotonic()
                    if done >= 1:
                        break
                self.epoch += 1
        self._save()
        return self.mean

    def _done(self) -> float:
        return max(self.step / self.plan.steps, self._spent_s / 60 / self.plan.minutes)

    def _one(self, batch: Batch, done: float) -> float:
        rate = (
            self.plan.peak * min(1, (self.step + 1) / self.plan.warm_up) * max(0.02, (1 + math.cos(math.pi * done)) / 2)
        )
        for group in self._optimizer.param_groups:
            group["lr"] = rate
        with torch.autocast("cpu", dtype=torch.bfloat16):
            states = self.model(batch.source, batch.source_there, batch.wanted[:, :-1])
            there = batch.wanted_there[:, 1:]
            logits = self.model.logits(states[there])
        loss = functional.cross_entropy(logits.float(), batch.wanted[:, 1:][there], label_smoothing=self.plan.smoothing)
        self._optimizer.zero_grad(set_to_none=True)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self._optimizer.step()
        self.step += 1
        self._follow()
        return float(loss.detach())

    def _follow(self, every: int = 10) -> None:
        if self.step % every:
            return
        share = max(every / self.plan.mean_of, 1 / (self.step / every + 1))
        with torch.no_grad():
            for name, value in self.model.state_dict().items():
                self.mean[name].lerp_(value, share)

    def _epoch(self) -> Iterator[Batch]:
        rng = random.Random(self.epoch)
        plan = self.plan
        pairs = one_epoch(self._texts, rng, everyday=plan.everyday, grammar=plan.grammar, chats=plan.chats)
        examples = [one for pair in pairs for one in self._both_ways(pair, rng)]
        return batches([one for one in examples if max(map(len, one)) <= 90], plan.tokens, rng)

    def _both_ways(self, pair: Pair, rng: random.Random) -> Iterator[tuple[list[int], list[int]]]:
        for source, target, to in ((pair.de, pair.en, "en"), (pair.en, pair.de, "de")):
            by_chance = rng.random() < self.plan.sampling
            heard = as_heard(source, rng)
            told = self._pieces.encode(heard, enable_sampling=by_chance, alpha=0.3, nbest_size=-1)
            yield told, [self._pieces.piece_to_id(f"__{to}__"), *self._pieces.encode(target), END]

    def _save(self) -> None:
        state = {
            "model": self.model.state_dict(), "mean": self.mean, "optimizer": self._optimizer.state_dict(),
            "step": self.step, "epoch": self.epoch, "spent_s": self._spent_s, "losses": self.losses,
        }  # fmt: skip
        beside = self._checkpoint.with_suffix(".new")
        torch.save(state, beside)
        beside.replace(self._checkpoint)

    def _take_up(self, state: dict[str, Any]) -> None:
        self.model.load_state_dict(state["model"])
        self._optimizer.load_state_dict(state["optimizer"])
        self.mean = state["mean"]
        self.step, self.epoch, self._spent_s = state["step"], state["epoch"] + 1, state["spent_s"]
        self.losses = state["losses"]


def batches(examples: Sequence[tuple[list[int], list[int]]], tokens: int, rng: random.Random) -> Iterator[Batch]:
    """All examples once, each with others of about its length, in a random order."""
    order = sorted(examples, key=lambda one: (len(one[1]) // 2, len(one[0]) // 2, rng.random()))
    groups: list[list[tuple[list[int], list[int]]]] = [[]]
    longest = 0
    for one in order:
        longest = max(longest, *map(len, one))
        if groups[-1] and longest * (len(groups[-1]) + 1) > tokens:
            groups.append([])
            longest = max(map(len, one))
        groups[-1].append(one)
    rng.shuffle(groups)
    for group in groups:
        source, source_there = _filled_up([one[0] for one in group])
        wanted, wanted_there = _filled_up([one[1] for one in group])
        yield Batch(source, source_there, wanted, wanted_there)


def make_pieces(pairs: Sequence[Pair], size: int, model: Path) -> bytes:
    """A SentencePiece vocabulary of both languages; digits are pieces of their own, so that numbers are copied."""
    model.parent.mkdir(parents=True, exist_ok=True)
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter([text for pair in pairs for _, text in pair.items()]),
        model_prefix=str(model.with_suffix("")),
        vocab_size=size, hard_vocab_limit=False, model_type="unigram", character_coverage=1.0, split_digits=True,
        user_defined_symbols=["__de__", "__en__"], unk_id=0, bos_id=1, eos_id=2, pad_id=-1,
        num_threads=1, minloglevel=2,
    )  # fmt: skip
    return model.read_bytes()


def _filled_up(rows: Sequence[list[int]]) -> tuple[Tensor, Tensor]:
    longest = max(map(len, rows))
    ids = torch.tensor([[*row, *[END] * (longest - len(row))] for row in rows])
    return ids, torch.arange(longest)[None] < torch.tensor([len(row) for row in rows])[:, None]


def _bar() -> Progress:
    return Progress(
        TextColumn("{task.description}"), BarColumn(), TextColumn("{task.percentage:.1f} %"), TimeElapsedColumn()
    )
