"""Passages by meaning, beside those by words: vectors of an embedding model, where the server has one.

"I am locked out" has no word of "Forgotten password"; its vector lies near. What both ways find is put together by
their ranks, because a likeness of vectors and a weight of words are no numbers of one kind. A model that fails or is
slow costs nothing but this: then words alone count.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from typing import TYPE_CHECKING

import numpy as np
import numpy.typing as npt

from kallglot_media.agent.types import Found, Source
from kallglot_media.knowledge.embeddings import Embedder, EmbeddingFailed

if TYPE_CHECKING:
    from kallglot_media.agent.knowledge import Knowledge

Vectors = npt.NDArray[np.float32]
QUESTION_S = 1.5
"""A caller does not wait longer for the vector of what they said."""
RANK_SOFTENER = 60
"""Reciprocal rank fusion: the first of one way counts hardly more than its second."""


class Meaning:
    """The vectors of a Knowledge's pieces, in their order, each of length 1. least: how alike (cosine) is near."""

    def __init__(self, embedder: Embedder, vectors: Vectors, least: float) -> None:
        self._embedder = embedder
        self.vectors = vectors
        self.least = least

    @classmethod
    async def of(cls, embedder: Embedder, sources: Sequence[Source], least: float) -> Meaning:
        """Have every passage read, its heading with it. Raises EmbeddingFailed."""
        texts = [" ".join(filter(None, (one.title, one.heading, one.text))) for one in sources]
        made = await embedder.embed(texts)
        if len({len(one) for one in made}) > 1:
            raise EmbeddingFailed("vectors of several lengths")
        return cls(embedder, np.stack([np.frombuffer(one, np.float32) for one in made]), least)

    def with_more(self, other: Meaning) -> Meaning:
        """That of two sets of passages, one after the other."""
        return Meaning(self._embedder, np.concatenate([self.vectors, other.vectors]), self.least)

    async def near(self, text: str) -> list[int]:
        """The pieces that are near in meaning, nearest first; none when the model cannot say."""
        try:
            async with asyncio.timeout(QUESTION_S):
                (made,) = await self._embedder.embed([text])
        except (EmbeddingFailed, TimeoutError):
            return []
        asked = np.frombuffer(made, np.float32)
        if len(asked) != self.vectors.shape[1]:
            return []
        alike = self.vectors @ asked
        return [int(at) for at in np.argsort(-alike, kind="stable") if alike[at] >= self.least]


async def search(knowledge: Knowledge, text: str, language: str, most: int) -> list[Found]:
    """The passages that fit best, by words and, where there is a model for it, by meaning."""
    by_words = knowledge.find(text, language, most)
    near = await knowledge.meaning.near(text) if knowledge.meaning is not None and text.strip() else []
    if not near:
        return by_words
    scores: dict[int, float] = {}
    at_of = {id(piece.source): at for at, piece in enumerate(knowledge.pieces)}
    for way in ([at_of[id(found.source)] for found in by_words], near[:most]):
        for rank, at in enumerate(way):
            scores[at] = scores.get(at, 0.0) + 1 / (RANK_SOFTENER + rank)
    best = max(scores.values())
    ranked = sorted(scores, key=lambda at: (-scores[at], at))[:most]
    return [Found(knowledge.pieces[at].source, scores[at] / best) for at in ranked]
