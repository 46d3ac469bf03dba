"""Whisper's architecture, small, in PyTorch, with two channels set aside so that the exported model can be trusted.

Trained on windows of at most WINDOW_POSITIONS, the model must not be confused by the 1500 of Whisper's 30 s. The last
channel of the encoder is a marker: zero everywhere in training, huge in the exported position table from
WINDOW_POSITIONS on; in each head one dimension of query and key turns it into a weight of practically nothing. Every
second position of Whisper's is marked too: 40 ms a position are enough for speech, and what no other position looks at
need not be computed in training, which halves its cost. The last
but one channel of the decoder does the same for tokens that were never trained: it is constant before the output, and
only their rows have a (negative) entry there.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor, nn

from train_starter.asr_batches import FRAMES_PER_POSITION, POSITION_STEP
from train_starter.asr_half import Linear, product

MEL_BANDS = 80
WINDOW_POSITIONS = 640
"""12.8 s at 20 ms each."""

MOST_TOKENS = 448
MARK, MARK_STRENGTH = -1, 4.5
UNUSED, UNUSED_BIAS = -2, 4.0


@dataclass(frozen=True, slots=True)
class Shape:
    """Sizes of a model; vocabulary: how many tokens it is trained with."""

    vocabulary: int
    phones: int = 1
    width: int = 192
    heads: int = 4
    encoder_layers: int = 8
    decoder_layers: int = 2


class Attention(nn.Module):
    """Of a sequence to itself or, with `source`, to another."""

    def __init__(self, width: int, heads: int, *, crossed: bool = False) -> None:
        super().__init__()
        self.heads, self.crossed = heads, crossed
        self.norm = nn.LayerNorm(width)
        self.query = Linear(width, width)
        self.key_value = Linear(width, 2 * width)
        self.out = Linear(width, width)

    def forward(
        self, x: Tensor, source: Tensor | None = None, causal: bool = False, crossed_to: list[Tensor] | None = None
    ) -> Tensor:
        """crossed_to: where the weights (batch × heads × length × source) are put, if anywhere."""
        batch, length, width = x.shape
        normed = self.norm(x)
        seen = normed if source is None else source
        query = self.query(normed).view(batch, length, self.heads, -1).transpose(1, 2)
        key, value = self.key_value(seen).view(batch, seen.shape[1], 2, self.heads, -1).permute(2, 0, 3, 1, 4)
        # Written out: on a CPU, scaled_dot_product_attention takes two to five times as long to go back through.
        scores = query @ key.transpose(-1, -2) * query.shape[-1] ** -0.5
        if causal:
            later = torch.ones(length, length, dtype=torch.bool, device=x.device).triu(1)
            scores = scores.masked_fill(later, -torch.inf)
        weights = torch.softmax(scores, -1)
        if crossed_to is not None:
            crossed_to.append(weights)
        heard = weights.to(value.dtype) @ value
        return self.out(heard.transpose(1, 2).reshape(batch, length, width))

    def mark(self) -> None:
        """Give one dimension of each head to the marker channel."""
        width = self.query.in_features
        size = width // self.heads
        rows = [head * size + size - 1 for head in range(self.heads)]
        self.query.weight[rows] = 0
        self.query.bias[rows] = MARK_STRENGTH
        self.key_value.weight[rows] = 0
        self.key_value.bias[rows] = 0
        self.key_value.weight[rows, MARK] = -MARK_STRENGTH


class Layer(nn.Module):
    """Attention (and attention to the encoder, in a decoder) and a feed-forward part, normed before each."""

    def __init__(self, width: int, heads: int, *, decoder: bool = False) -> None:
        super().__init__()
        self.attention = Attention(width, heads)
        self.crossed = Attention(width, heads, crossed=True) if decoder else None
        self.norm = nn.LayerNorm(width)
        self.wide = Linear(width, 4 * width)
        self.narrow = Linear(4 * width, width)

    def forward(self, x: Tensor, source: Tensor | None = None, crossed_to: list[Tensor] | None = None) -> Tensor:
        x = x + self.attention(x, causal=self.crossed is not None)
        if self.crossed is not None:
            x = x + self.crossed(x, source, crossed_to=crossed_to)
        return x + self.narrow(F.gelu(self.wide(self.norm(x))))


def sinusoids(length: int, width: int) -> Tensor:
    """Whisper's position table."""
    steps = torch.exp(-math.log(10_000) / (width // 2 - 1) * torch.arange(width // 2))
    angles = torch.arange(length)[:, None] * steps[None, :]
    return torch.cat([torch.sin(angles), torch.cos(angles)], dim=1)


class Recognizer(nn.Module):
    """Encoder, decoder, and a head that is only used in training: the phone at each position."""

    def __init__(self, shape: Shape) -> None:
        super().__init__()
        self.shape = shape
        width = shape.width
        self.conv1 = nn.Conv1d(MEL_BANDS, width, 3, padding=1)
        self.conv2 = nn.Conv1d(width, width, 3, stride=FRAMES_PER_POSITION, padding=1)
        self.register_buffer("positions", sinusoids(WINDOW_POSITIONS, width)[::POSITION_STEP].clone())
        self.encoder = nn.ModuleList(Layer(width, shape.heads) for _ in range(shape.encoder_layers))
        self.encoder_norm = nn.LayerNorm(width)
        self.tokens = nn.Embedding(shape.vocabulary, width)
        self.token_positions = nn.Parameter(sinusoids(MOST_TOKENS, width) * 0.1)
        self.decoder = nn.ModuleList(Layer(width, shape.heads, decoder=True) for _ in range(shape.decoder_layers))
        self.decoder_norm = nn.LayerNorm(width)
        self.phones = Linear(width, shape.phones)
        self._initialize()
        self.constrain()

    def _initialize(self) -> None:
        layers = len(self.encoder) + len(self.decoder)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2 and "token" not in name:
                nn.init.xavier_uniform_(parameter)
                if name.endswith(("out.weight", "narrow.weight")):
                    parameter.data /= math.sqrt(2 * layers)
        nn.init.normal_(self.tokens.weight, 0, self.shape.width**-0.5)

    def constrain(self) -> None:
        """Keep the two channels as they have to be; after every step of training."""
        with torch.no_grad():
            self._constrain()

    def _constrain(self) -> None:
        self.positions[:, MARK] = 0
        self.conv2.weight[MARK] = 0
        self.conv2.bias[MARK] = 0
        for layer in self.encoder:
            layer.attention.mark()
            for norm in (layer.attention.norm, self.encoder_norm):
                norm.weight[MARK] = 1
                norm.bias[MARK] = 0
            for linear in (layer.attention.out, layer.narrow):
                linear.weight[MARK] = 0
                linear.bias[MARK] = 0
        for layer in self.decoder:
            layer.crossed.mark()
        self.decoder_norm.weight[UNUSED] = 0
        self.decoder_norm.bias[UNUSED] = UNUSED_BIAS
        self.tokens.weight[:, UNUSED] = 0

    def encode(self, mel: Tensor) -> tuple[Tensor, Tensor]:
        """(batch, bands, frames) → the encoder's output, and that of its middle, to be taught early."""
        x = F.gelu(self.conv2(F.gelu(self.conv1(mel)))).transpose(1, 2)
        x = x + self.positions[: x.shape[1]]
        middle = x
        for number, layer in enumerate(self.encoder):
            x = layer(x)
            if number + 1 == (len(self.encoder) + 1) // 2:
                middle = x
        return self.encoder_norm(x), self.encoder_norm(middle)

    def decode(self, encoded: Tensor, tokens: Tensor) -> tuple[Tensor, Tensor]:
        """Logits of what comes after each token; what the last layer looks at meanwhile: batch × tokens × positions."""
        x = self.tokens(tokens) + self.token_positions[: tokens.shape[1]]
        looked_at: list[Tensor] = []
        for number, layer in enumerate(self.decoder):
            x = layer(x, encoded, looked_at if number + 1 == len(self.decoder) else None)
        return self.pieces(self.decoder_norm(x)), looked_at[0].mean(1)

    def pieces(self, x: Tensor) -> Tensor:
        """Logits of the tokens for what the decoder writes, or the encoder hears, at each position."""
        return product(x, self.tokens.weight, half=self.phones.half)

    def halve(self) -> None:
        """From now on products are in bfloat16."""
        for module in self.modules():
            if isinstance(module, Linear):
                module.half = True
