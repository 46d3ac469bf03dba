"""What the recogniser is told off for in training.

Only the decoder's loss is what it is there for; the others get it there sooner. Made speech is known to the
millisecond, so each position of the encoder can be told its phone and its piece of a word, by the rows that the decoder
writes pieces with: what is left to the decoder is to look at the next one. Where that is it is told as well.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
import torch.nn.functional as F  # noqa: N812
from torch import Tensor

from train_starter.asr_batches import NOTHING, Batch
from train_starter.asr_model import Recognizer

SMOOTHING = 0.05


@dataclass(frozen=True, slots=True)
class Losses:
    """What a batch was told off for; each 0 where it was not asked for.

    decoder   of the pieces that it writes
    pieces    of the piece heard at each position of the encoder's end
    phones    of the phone at each position of its middle
    looking   of looking elsewhere than at the piece that is written
    """

    decoder: Tensor
    pieces: Tensor
    phones: Tensor
    looking: Tensor

    def told(self) -> list[float]:
        """All of them as numbers, as shown."""
        return [one.item() for one in (self.decoder, self.pieces, self.phones, self.looking)]


def losses(model: Recognizer, batch: Batch, device: str) -> Losses:
    """The losses of a batch."""
    mel, tokens, labels, phones, pieces, spans = (
        torch.from_numpy(one).to(device)
        for one in (batch.mel, batch.tokens, batch.labels, batch.phones, batch.pieces, batch.spans)
    )
    encoded, middle = model.encode(mel)
    logits, weights = model.decode(encoded, tokens)
    heard, said = model.pieces(encoded), model.phones(middle)
    decoder = F.cross_entropy(logits.flatten(0, 1), labels.flatten(), label_smoothing=SMOOTHING)
    return Losses(decoder, _where_known(heard, pieces), _where_known(said, phones), looking_elsewhere(weights, spans))


def _where_known(logits: Tensor, labels: Tensor) -> Tensor:
    known = labels != NOTHING
    if not bool(known.any()):
        return torch.zeros((), device=logits.device)
    return F.cross_entropy(logits[known], labels[known])


def looking_elsewhere(weights: Tensor, spans: Tensor) -> Tensor:
    """Of attention (batch × tokens × positions): minus the logarithm of its share within each token's span."""
    known = spans[..., 1] > spans[..., 0]
    if not bool(known.any()):
        return torch.zeros((), device=weights.device)
    position = torch.arange(weights.shape[2], device=weights.device)
    inside = (position >= spans[..., :1]) & (position < spans[..., 1:])
    return -torch.log((weights * inside).sum(-1)[known] + 1e-4).mean()
