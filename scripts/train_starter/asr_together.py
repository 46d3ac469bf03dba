"""Several processes that train one model, each on batches of its own: gradients are averaged after each step.

One thread in each of two processes does more than two threads in one: most of a small model's operations are too small
to be shared out.
"""

from __future__ import annotations

import multiprocessing
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import torch
import torch.distributed as dist
import torch.multiprocessing as mp
from torch import nn


@dataclass(frozen=True, slots=True)
class Crew:
    """Who trains: this process is number `rank` of `size`."""

    rank: int = 0
    size: int = 1

    def agree(self, model: nn.Module, *numbers: float) -> list[float]:
        """The model's gradients become the mean of all; returns the means of `numbers`."""
        if self.size == 1:
            return list(numbers)
        for one in model.parameters():
            if one.grad is None:  # nothing in this batch was known to learn it from
                one.grad = torch.zeros_like(one)
        gradients = [one.grad for one in model.parameters() if one.grad is not None]
        flat = torch.cat([*(one.flatten() for one in gradients), torch.tensor(numbers, dtype=torch.float32)])
        dist.all_reduce(flat)
        flat /= self.size
        start = 0
        for one in gradients:
            one.copy_(flat[start : start + one.numel()].view_as(one))
            start += one.numel()
        return [float(one) for one in flat[start:]]


def run_together(size: int, meet: Path, work: Callable[[Crew], None]) -> None:
    """Do `work`, which must be picklable, in `size` processes that share their gradients; all of them get a SIGTERM.

    meet: a file through which they find each other.
    """
    if size == 1:
        work(Crew())
        return
    meet.unlink(missing_ok=True)
    signal.signal(signal.SIGTERM, _pass_on)
    mp.spawn(_join, (size, meet.absolute().as_uri(), work), nprocs=size)


def _pass_on(_signal: int, _frame: object) -> None:
    for process in multiprocessing.active_children():
        process.terminate()


def _join(rank: int, size: int, meet: str, work: Callable[[Crew], None]) -> None:
    torch.set_num_threads(1)
    dist.init_process_group("gloo", init_method=meet, rank=rank, world_size=size)
    work(Crew(rank, size))
    dist.destroy_process_group()
