"""Vectors from an OpenAI-compatible endpoint. Optional: without one, search goes by words alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from kallglot_media.store.search import Vector

_MOST_PER_REQUEST = 64


@dataclass(frozen=True, slots=True)
class EmbeddingSettings:
    """base_url: of the endpoint, e.g. http://127.0.0.1:8080/v1; api_key: "" when it needs none."""

    base_url: str
    model: str
    api_key: str = ""
    deadline_s: float = 20.0


class Embedder(Protocol):
    """Gives texts a meaning that can be compared."""

    @property
    def model(self) -> str:
        """Whose vectors these are: only those of one model can be compared."""
        ...

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        """One float32 vector of length 1 for each text. Raises EmbeddingFailed."""
        ...


class EmbeddingFailed(Exception):
    """The endpoint gave no vectors, and why."""


class OpenAiEmbedder:
    """An OpenAI-compatible endpoint."""

    def __init__(self, settings: EmbeddingSettings) -> None:
        self._settings = settings
        self._client: Any = None

    @property
    def model(self) -> str:
        return self._settings.model

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        from openai import OpenAIError

        vectors: list[bytes] = []
        for start in range(0, len(texts), _MOST_PER_REQUEST):
            some = list(texts[start : start + _MOST_PER_REQUEST])
            try:
                answer = await self._connected().embeddings.create(model=self.model, input=some)
            except OpenAIError as error:
                raise EmbeddingFailed(f"{type(error).__name__}: {error}") from error
            found = sorted(answer.data, key=lambda one: one.index)
            if len(found) != len(some):
                raise EmbeddingFailed(f"{len(found)} vectors for {len(some)} texts")
            vectors += [unit(one.embedding) for one in found]
        return vectors

    def _connected(self) -> Any:
        """The client; importing it takes 400 ms, so that happens when it is first needed."""
        if self._client is None:
            from openai import AsyncOpenAI

            settings = self._settings
            self._client = AsyncOpenAI(
                base_url=settings.base_url,
                api_key=settings.api_key or "none",
                timeout=settings.deadline_s,
                max_retries=1,
            )
        return self._client

    async def close(self) -> None:
        """Close its connections."""
        if self._client is not None:
            await self._client.close()


def unit(values: Sequence[float]) -> bytes:
    """A vector scaled to length 1, as the store keeps it. EmbeddingFailed when it has no direction."""
    vector = np.asarray(values, np.float32)
    length = float(np.linalg.norm(vector))
    if not np.isfinite(length) or length == 0:
        raise EmbeddingFailed("a vector of zeros or infinities")
    return (vector / length).astype(np.float32).tobytes()


async def query_vector(embedder: Embedder | None, query: str) -> Vector | None:
    """A query's meaning; None without an embedder, or when it fails: words alone will do."""
    if embedder is None or not query.strip():
        return None
    try:
        (values,) = await embedder.embed([query])
    except EmbeddingFailed:
        return None
    return Vector(embedder.model, values)
