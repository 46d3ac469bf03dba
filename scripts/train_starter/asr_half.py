"""Matrix products in bfloat16 and everything else in float32, where that is quicker: on GPUs, and on CPUs with
instructions for it.

PyTorch's autocast would leave the results in bfloat16 too, which a CPU is slow to go on with. Measured on two cores
with AMX, forty seconds of speech a step: two processes 0.16 s this way, 0.22 s in float32; one process of two threads
0.27 s with autocast.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn

ROWS = 128
"""Matrices are filled up to so many rows: on a CPU the code for each new shape is made when it comes first."""


def pays(device: str) -> bool:
    """Whether this machine multiplies bfloat16 quicker."""
    return device != "cpu" or torch.cpu._is_amx_tile_supported() or torch.cpu._is_avx512_bf16_supported()


def _rows(x: Tensor) -> Tensor:
    """x (… × n) as a matrix of bfloat16, with zeros below it up to a multiple of ROWS."""
    flat = x.reshape(-1, x.shape[-1])
    rows = torch.zeros(-(-len(flat) // ROWS) * ROWS, flat.shape[1], dtype=torch.bfloat16, device=x.device)
    rows[: len(flat)] = flat
    return rows


class _Product(torch.autograd.Function):
    """x · weightᵀ, and back."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, weight: Tensor) -> Tensor:
        rows, weight = _rows(x), weight.bfloat16()
        ctx.save_for_backward(rows, weight)
        ctx.shape = x.shape
        return (rows @ weight.t())[: x.shape[:-1].numel()].float().view(*x.shape[:-1], -1)

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor, Tensor]:
        rows, weight = ctx.saved_tensors
        by_rows = _rows(gradient)
        back = (by_rows @ weight)[: ctx.shape[:-1].numel()].float().view(ctx.shape)
        return back, (by_rows.t() @ rows).float()


def product(x: Tensor, weight: Tensor, *, half: bool) -> Tensor:
    """x (… × n) times the rows of weight (m × n): … × m in float32."""
    if half:
        made: Tensor = _Product.apply(x, weight)
        return made
    return nn.functional.linear(x, weight)


class Linear(nn.Linear):
    """nn.Linear whose product is in bfloat16 where `half` says so."""

    half = False

    def forward(self, x: Tensor) -> Tensor:
        """… × n → … × m."""
        return product(x, self.weight, half=self.half) + self.bias
