"""What the recogniser is told off for in training.

Only the decoder's loss is what it is there for; the others get it there sooner. Made speech is known to the
millisecond, so each position of the encoder can be told its phone, and the decoder where the word is that it writes.
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
    letters   of those at the encoder's end (CTC)
    phones    of those at the encoder's end
    early     of phones in the encoder's middle
    looking   of looking elsewhere than at the word that is written
    """

    decoder: Tensor
    letters: Tensor
    phones: Tensor
    early: Tensor
    looking: Tensor

    def told(self) -> list[float]:
        """All of them as numbers, as shown."""
        return [one.item() for one in (self.decoder, self.letters, self.phones, self.early, self.looking)]


def losses(
    model: Recognizer, batch: Batch, device: str, *, early: bool, apart: bool, half_precision: bool = False
) -> Losses:
    """The losses of a batch. apart: letters and phones do not teach the encoder, not being learned themselves."""
    mel, tokens, labels, phones = (
        torch.from_numpy(one).to(device) for one in (batch.mel, batch.tokens, batch.labels, batch.phones)
    )
    with torch.autocast(device, dtype=torch.bfloat16, enabled=half_precision):
        encoded, middle = model.encode(mel)
        logits, weights = model.decode(encoded, tokens)
        taught = encoded.detach() if apart else encoded
        letters, said = model.letters(taught), model.phones(taught)
        early_said = model.phones(middle) if early else None
    decoder = F.cross_entropy(logits.float().flatten(0, 1), labels.flatten(), label_smoothing=SMOOTHING)
    lengths = torch.tensor([len(one) for one in batch.letters])
    wanted = torch.tensor([letter for one in batch.letters for letter in one], dtype=torch.long)
    positions = torch.full((len(batch.letters),), encoded.shape[1], dtype=torch.long)
    likely = letters.float().log_softmax(-1).transpose(0, 1).cpu()
    ctc = F.ctc_loss(likely, wanted, positions, lengths, zero_infinity=True)
    nothing = torch.zeros((), device=device)

    def of_phones(logits: Tensor) -> Tensor:
        return F.cross_entropy(logits.float().flatten(0, 1), phones.flatten())

    known = bool((batch.phones != NOTHING).any())
    return Losses(
        decoder,
        ctc,
        of_phones(said) if known else nothing,
        of_phones(early_said) if known and early_said is not None else nothing,
        looking_elsewhere(weights.float(), torch.from_numpy(batch.spans).to(device)),
    )


def looking_elsewhere(weights: Tensor, spans: Tensor) -> Tensor:
    """Of attention (batch × tokens × positions): minus the logarithm of its share within each token's span."""
    known = spans[..., 1] > spans[..., 0]
    if not bool(known.any()):
        return torch.zeros((), device=weights.device)
    position = torch.arange(weights.shape[2], device=weights.device)
    inside = (position >= spans[..., :1]) & (position < spans[..., 1:])
    return -torch.log((weights * inside).sum(-1)[known] + 1e-4).mean()
