"""Train the starter recogniser.

WORK/speech holds shards of speech_data.py (more may be added while this runs), WORK/pieces.json and WORK/last.pt are
written here. Stopped and started again, it goes on from the last checkpoint. The learning rate falls with the time
used, so that a run ends well whatever the machine: say what time there is (or, for a smoke run, how many steps).
"""

from __future__ import annotations

import json
import math
import random
import signal
import time
from dataclasses import asdict, fields
from pathlib import Path
from typing import Any

import torch
from torch import Tensor
from tqdm import tqdm

from train_starter.asr_batches import Batch, Batches, Vocabulary
from train_starter.asr_half import pays
from train_starter.asr_losses import Losses, losses
from train_starter.asr_model import Recognizer, Shape
from train_starter.asr_pieces import RARE, Pieces, Whisper, frequent_pieces
from train_starter.asr_texts import asr_texts
from train_starter.asr_together import Crew
from train_starter.mix import FULL, Mix
from train_starter.slots import LANGUAGES

TOKENIZER = next((Path(__file__).parents[2] / "kallglot_media/speech/starter/whisper").glob("*/tokenizer.json"))
PEAK_RATE, BEGUN_RATE, WARM_UP_STEPS = 0.8e-3, 4e-4, 300
"""From nothing, and from a trained model."""
PIECES_FIRST, PIECES_LAST = 1.0, 0.2
PHONES_FIRST, PHONES_LAST = 0.5, 0.05
"""Weights of the losses of what is heard at each position: every one is told, so they are learned in minutes."""

LOOKING = 0.6
"""Weight of the loss of looking elsewhere than at the piece that is written; to the end: words are cut off by it."""

AVERAGED_FROM, AVERAGE_DECAY = 0.5, 0.998
SHORT_UNTIL, SHORT_FRAMES = 0.15, 550
"""The beginning of the run sees short utterances only: the decoder learns sooner where to look."""

ALONE = Crew()
SAVED_EVERY_S = 180.0
TEXTS_FOR_PIECES = 40_000
SHARDS_FOR_PHONES = 4


def vocabulary(
    work: Path,
    corpora: Path | None,
    seed: int,
    rare: int = RARE,
    mix: Mix = FULL,
    texts_looked_at: int = TEXTS_FOR_PIECES,
) -> Vocabulary:
    """The vocabulary of this run: from WORK/pieces.json, made when it is not there."""
    kept, whisper = work / "pieces.json", Whisper(TOKENIZER)
    if not kept.is_file():
        texts, rng = asr_texts(corpora, seed, mix), random.Random(seed)
        pieces = frequent_pieces((texts.draw(rng)[1] for _ in range(texts_looked_at)), whisper, rare)
        told = {"pieces": sorted(pieces.kept), "phones": phones_of(work / "speech")}
        kept.write_text(json.dumps(told), encoding="utf-8")
    told = json.loads(kept.read_text(encoding="utf-8"))
    return Vocabulary(Pieces(told["pieces"], whisper), LANGUAGES, tuple(told["phones"]))


def phones_of(speech: Path) -> list[str]:
    """The names of the phones in the first shards."""
    shards = sorted(speech.glob("shard-????.json"))[:SHARDS_FOR_PHONES]
    items = [item for shard in shards for item in json.loads(shard.read_text(encoding="utf-8"))]
    return sorted({name for item in items for name, _ in item["phones"]})


def learning_rate(peak: float, warm_up_steps: int, step: int, progress: float) -> float:
    """Up at first, then down along a cosine to nearly nothing."""
    return peak * min(1.0, (step + 1) / warm_up_steps) * max(0.01, 0.5 + 0.5 * math.cos(math.pi * progress))


class Training:
    """A run: the model, its optimiser, its running average, and the seconds that it has been trained."""

    def __init__(
        self, work: Path, words: Vocabulary, minutes: float, seed: int, shape: Shape | None = None, crew: Crew = ALONE
    ) -> None:
        torch.manual_seed(seed)
        self.device = "cuda" if torch.cuda.is_available() else "cpu"
        self.work, self.budget_s = work, minutes * 60
        self.shape = shape or Shape(len(words.used), len(words.phones))
        self.model = Recognizer(self.shape).to(self.device)
        if pays(self.device):
            self.model.halve()
        self.crew = crew
        self.optimizer = torch.optim.AdamW(
            self.model.parameters(), lr=PEAK_RATE, betas=(0.9, 0.98), weight_decay=0.01, fused=True
        )
        self.average: dict[str, Tensor] = {}
        self.step, self.used_s = 0, 0.0
        self.steps: int | None = None
        self.peak_rate, self.warm_up_steps = PEAK_RATE, WARM_UP_STEPS
        self.shown_every = 100
        self.shown: list[list[float]] = []
        self.stopped, self._last_s = False, 0.0
        self._resume()
        self.batches = Batches(work / "speech", words, random.Random((seed * 7919 + self.step) * 64 + crew.rank))

    @property
    def progress(self) -> float:
        """0 at the start, 1 when the time is used up, or the steps are made where a run is measured in steps."""
        return min(1.0, self.step / self.steps if self.steps else self.used_s / self.budget_s)

    def run(self) -> None:
        """Train until the time is used up, or SIGTERM says that it can go on later."""
        signal.signal(signal.SIGTERM, lambda *_: setattr(self, "stopped", True))
        saved_s = self._last_s = time.monotonic()
        sums = [0.0] * len(fields(Losses))
        self.batches.longest_frames = SHORT_FRAMES if self.progress < SHORT_UNTIL else 1200
        with tqdm(
            total=round(self.budget_s), initial=round(self.used_s), unit="s", mininterval=5, disable=self.crew.rank > 0
        ) as bar:
            for batch in self.batches:
                sums = [have + more for have, more in zip(sums, self._step(batch), strict=True)]
                bar.update(self.used_s - bar.n)
                if self.progress >= SHORT_UNTIL:
                    self.batches.longest_frames = 1200
                if self.step % self.shown_every == 0:
                    self.shown.append([round(one / self.shown_every, 3) for one in sums])
                    told = zip((one.name for one in fields(Losses)), self.shown[-1], strict=True)
                    shown = ", ".join(f"{name} {loss}" for name, loss in told)
                    bar.write(f"step {self.step} {self.used_s:.0f} s: {shown}")
                    sums = [0.0] * len(fields(Losses))
                if self._last_s - saved_s > SAVED_EVERY_S or self.progress >= 1 or self.stopped:
                    self.save()
                    saved_s = self._last_s
                if self.progress >= 1 or self.stopped:
                    return

    def _step(self, batch: Batch) -> list[float]:
        for group in self.optimizer.param_groups:
            group["lr"] = learning_rate(self.peak_rate, self.warm_up_steps, self.step, self.progress)
        made = losses(self.model, batch, self.device)
        pieces, phones = (
            first + (last - first) * self.progress
            for first, last in ((PIECES_FIRST, PIECES_LAST), (PHONES_FIRST, PHONES_LAST))
        )
        loss = made.decoder + pieces * made.pieces + phones * made.phones + LOOKING * made.looking
        self.optimizer.zero_grad(set_to_none=True)
        loss.backward()
        now_s = time.monotonic()
        self.used_s, stopped = self.crew.agree(self.model, self.used_s + now_s - self._last_s, self.stopped)
        self.stopped, self._last_s = stopped > 0, now_s
        torch.nn.utils.clip_grad_norm_(self.model.parameters(), 1.0)
        self.optimizer.step()
        self.model.constrain()
        self.step += 1
        if self.progress > AVERAGED_FROM:
            self._take_average()
        return made.told()

    def _take_average(self) -> None:
        state = self.model.state_dict()
        if not self.average:
            self.average = {name: value.detach().clone() for name, value in state.items()}
            return
        for name, value in state.items():
            self.average[name].lerp_(value, 1 - AVERAGE_DECAY)

    def save(self) -> None:
        """WORK/last.pt, all of it or none."""
        if self.crew.rank > 0:
            return
        whole: dict[str, Any] = {
            "shape": asdict(self.shape), "model": self.model.state_dict(), "average": self.average,
            "optimizer": self.optimizer.state_dict(), "step": self.step, "used_s": self.used_s,
        }  # fmt: skip
        torch.save(whole, self.work / "last.part")
        (self.work / "last.part").rename(self.work / "last.pt")

    def _resume(self) -> None:
        kept = self.work / "last.pt"
        if not kept.is_file():
            return
        whole = torch.load(kept, map_location=self.device)
        self.model.load_state_dict(whole["model"])
        self.optimizer.load_state_dict(whole["optimizer"])
        self.average, self.step, self.used_s = whole["average"], whole["step"], whole["used_s"]
