"""The starter translator: a small Transformer with one vocabulary for both languages, layer norm before each block.

One model translates both ways: the first token that it is given to go on from names the target language.
"""

from __future__ import annotations

import math
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

UNKNOWN, END = 0, 2
"""Ids of SentencePiece's pieces; END also fills batches up, where nothing looks."""


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes. The defaults are those of the shipped packages: 5.8 million parameters."""

    vocabulary: int = 5000
    width: int = 256
    inner: int = 768
    heads: int = 8
    encoder_layers: int = 4
    decoder_layers: int = 2
    positions: int = 512

    def as_dict(self) -> dict[str, int]:
        """For a checkpoint."""
        return asdict(self)


class Dropout(nn.Module):
    """Dropout whose masks are cut at random places out of a longer one: drawing each bit anew takes an eighth of the
    training time on a CPU.
    """

    POOL = 1 << 23

    def __init__(self, share: float) -> None:
        super().__init__()
        self.share, self._uses = share, 0

    def forward(self, x: Tensor) -> Tensor:
        if not self.training or not self.share:
            return x
        if self._uses % 5000 == 0:
            kept = torch.rand(self.POOL) >= self.share
            self._pool = kept.to(torch.bfloat16) / (1 - self.share)
        self._uses += 1
        if x.numel() > self.POOL:
            return functional.dropout(x, self.share)
        at = int(torch.randint(self.POOL - x.numel() + 1, ()))
        return x * self._pool[at : at + x.numel()].view(x.shape).to(x.dtype)


class Attention(nn.Module):
    """Attention with its layer norm and residual; over `memory` when it is given, else over itself."""

    def __init__(self, shape: Shape, dropout: Dropout, *, cross: bool) -> None:
        super().__init__()
        self.heads, self.dropout, self.cross = shape.heads, dropout, cross
        self.layer_norm = nn.LayerNorm(shape.width)
        if cross:
            self.query = nn.Linear(shape.width, shape.width)
            self.keys_values = nn.Linear(shape.width, 2 * shape.width)
        else:
            self.all = nn.Linear(shape.width, 3 * shape.width)
        self.out = nn.Linear(shape.width, shape.width)

    def forward(self, x: Tensor, mask: Tensor | None, memory: Tensor | None = None) -> Tensor:
        """mask: True where a key may be looked at; None: each position sees those before it."""
        normed = self.layer_norm(x)
        if self.cross:
            q = self.query(normed)
            k, v = self.keys_values(memory).chunk(2, -1)
        else:
            q, k, v = self.all(normed).chunk(3, -1)
        q, k, v = self._split(q), self._split(k), self._split(v)
        alike = q @ k.transpose(2, 3) * q.shape[-1] ** -0.5  # written out: PyTorch's own is slower backwards on a CPU
        if mask is None:
            mask = torch.ones(alike.shape[-2:], dtype=torch.bool).tril()
        attended = alike.masked_fill(~mask, -1e4).softmax(-1).to(v.dtype) @ v
        merged = attended.transpose(1, 2).reshape(x.shape)
        return x + self.dropout(self.out(merged))

    def _split(self, x: Tensor) -> Tensor:
        return x.view(x.shape[0], x.shape[1], self.heads, -1).transpose(1, 2)


class FeedForward(nn.Module):
    """Two linear layers with their layer norm and residual."""

    def __init__(self, shape: Shape, dropout: Dropout) -> None:
        super().__init__()
        self.dropout = dropout
        self.layer_norm = nn.LayerNorm(shape.width)
        self.up = nn.Linear(shape.width, shape.inner)
        self.down = nn.Linear(shape.inner, shape.width)

    def forward(self, x: Tensor) -> Tensor:
        inner = self.dropout(functional.relu(self.up(self.layer_norm(x))))
        return x + self.dropout(self.down(inner))


class Translator(nn.Module):
    """Encoder, decoder, and the one table of embeddings that both and the output share."""

    positions: Tensor

    def __init__(self, shape: Shape, dropout_share: float = 0.1) -> None:
        super().__init__()
        self.shape = shape
        self.dropout = dropout = Dropout(dropout_share)
        self.embeddings = nn.Embedding(shape.vocabulary, shape.width)
        nn.init.normal_(self.embeddings.weight, 0, shape.width**-0.5)
        self.output_bias = nn.Parameter(torch.zeros(shape.vocabulary))
        self.register_buffer("positions", _sinusoids(shape.positions, shape.width))
        self.encoder = nn.ModuleList(
            nn.ModuleList([Attention(shape, dropout, cross=False), FeedForward(shape, dropout)])
            for _ in range(shape.encoder_layers)
        )
        self.decoder = nn.ModuleList(
            nn.ModuleList(
                [*(Attention(shape, dropout, cross=cross) for cross in (False, True)), FeedForward(shape, dropout)]
            )
            for _ in range(shape.decoder_layers)
        )
        self.encoder_norm = nn.LayerNorm(shape.width)
        self.decoder_norm = nn.LayerNorm(shape.width)

    def forward(self, source: Tensor, source_there: Tensor, begun: Tensor) -> Tensor:
        """Decoder states, [batch, position, width]; `logits` makes pieces of them."""
        mask = source_there[:, None, None, :]
        x = self._embedded(source)
        for attention, feed in self.encoder:
            x = feed(attention(x, mask))
        memory = self.encoder_norm(x)
        y = self._embedded(begun)
        for own, cross, feed in self.decoder:
            y = feed(cross(own(y, None), mask, memory))
        return self.decoder_norm(y)

    def logits(self, states: Tensor) -> Tensor:
        """How likely each piece comes next."""
        return functional.linear(states, self.embeddings.weight, self.output_bias)

    def _embedded(self, ids: Tensor) -> Tensor:
        placed = self.embeddings(ids) * math.sqrt(self.shape.width) + self.positions[: ids.shape[1]]
        return self.dropout(placed)


def ct2_names(shape: Shape) -> dict[str, str]:
    """Our name of each weight -> CTranslate2's, without those that it shares."""
    names = {"embeddings.weight": "decoder/embeddings/weight", "output_bias": "decoder/projection/bias",
             "positions": "decoder/position_encodings/encodings"}  # fmt: skip
    blocks: list[tuple[str, str, dict[str, str]]] = []
    own, cross = (
        {"all": "linear_0", "out": "linear_1"},
        {"query": "linear_0", "keys_values": "linear_1", "out": "linear_2"},
    )
    feed = {"up": "linear_0", "down": "linear_1"}
    for n in range(shape.encoder_layers):
        there = f"encoder/layer_{n}"
        blocks += [(f"encoder.{n}.0", f"{there}/self_attention", own), (f"encoder.{n}.1", f"{there}/ffn", feed)]
    for n in range(shape.decoder_layers):
        there = f"decoder/layer_{n}"
        blocks += [(f"decoder.{n}.0", f"{there}/self_attention", own), (f"decoder.{n}.1", f"{there}/attention", cross),
                   (f"decoder.{n}.2", f"{there}/ffn", feed)]  # fmt: skip
    norms = [(f"{ours}.layer_norm", f"{theirs}/layer_norm") for ours, theirs, _ in blocks]
    norms += [("encoder_norm", "encoder/layer_norm"), ("decoder_norm", "decoder/layer_norm")]
    for ours, theirs in norms:
        names |= {f"{ours}.weight": f"{theirs}/gamma", f"{ours}.bias": f"{theirs}/beta"}
    for ours, theirs, linears in blocks:
        for mine, its in linears.items():
            names |= {f"{ours}.{mine}.{part}": f"{theirs}/{its}/{part}" for part in ("weight", "bias")}
    return names


def _sinusoids(length: int, width: int) -> Tensor:
    steps = torch.exp(torch.arange(width // 2) * -(math.log(10000) / (width // 2 - 1)))[None]
    turned = torch.arange(length)[:, None] * steps
    return torch.cat([torch.sin(turned), torch.cos(turned)], 1)


def averaged(states: list[dict[str, Any]]) -> dict[str, Any]:
    """The mean of checkpoints' weights."""
    return {name: sum(state[name] for state in states) / len(states) for name in states[0]}
