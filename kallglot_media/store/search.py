"""Finding passages: by their words in either database's full-text index, and by their meaning when there are vectors.

    passages = await store.read(search.find, base_id, "Wie storniere ich?", limit=5)

Rank by words: BM25 in SQLite; in PostgreSQL the sum of ts_rank over the words, each weighted by how rare it is.
With a vector both ranks are merged (reciprocal rank fusion), so a passage that is good in one of them is found.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from sqlalchemy import select, text

from kallglot_media.store import tables
from kallglot_media.store.stems import COMPOUNDING, PG_CONFIGS, SHORTEST_BEGINNING, query_stems
from kallglot_media.store.tx import Tx
from kallglot_media.store.types import clean

_CANDIDATES = 50
_FUSION = 60
"""The constant of reciprocal rank fusion (Cormack et al. 2009)."""

_docs, _chunks = tables.documents, tables.chunks


@dataclass(frozen=True, slots=True)
class Vector:
    """A query's meaning: float32 of length 1, as bytes, made by `model`."""

    model: str
    values: bytes


@dataclass(frozen=True, slots=True)
class Passage:
    """A passage and where it is from. score: 1 for the best of this search, falling towards 0."""

    document_id: str
    title: str
    source: str | None
    heading: str | None
    page: int | None
    position: int
    text: str
    score: float


def find(tx: Tx, base_id: str, query: str, *, limit: int = 5, vector: Vector | None = None) -> tuple[Passage, ...]:
    """The passages of a base that fit best, best first; empty when none has a word (or the meaning) of the query."""
    languages = frozenset(
        tx.run(select(_chunks.c.language).where(_chunks.c.knowledge_base_id == base_id).distinct()).scalars()
    )
    ranked = _by_words(tx, base_id, clean(query), languages)
    if vector is not None:
        ranked = _fused(ranked, _by_meaning(tx, base_id, vector))
    return _passages(tx, ranked[:limit])


def _by_words(tx: Tx, base_id: str, query: str, languages: frozenset[str]) -> list[tuple[int, float]]:
    wanted = query_stems(query, languages)
    if not wanted:
        return []
    return _sqlite(tx, base_id, wanted, languages) if tx.sqlite else _postgres(tx, base_id, query, languages)


def _sqlite(tx: Tx, base_id: str, wanted: Sequence[str], languages: frozenset[str]) -> list[tuple[int, float]]:
    joined = bool(languages & COMPOUNDING)
    match = " OR ".join(f'"{stem}"' + ("*" if joined and len(stem) >= SHORTEST_BEGINNING else "") for stem in wanted)
    rows = tx.conn.execute(
        text(
            "SELECT chunk_search.rowid, -bm25(chunk_search, 2.0, 1.0) FROM chunk_search"
            " JOIN chunks ON chunks.number = chunk_search.rowid"
            " WHERE chunk_search MATCH :match AND chunks.knowledge_base_id = :base"
            " ORDER BY 2 DESC, 1 LIMIT :most"
        ),
        {"match": match, "base": base_id, "most": _CANDIDATES},
    )
    return [(int(number), float(score)) for number, score in rows]


_POSTGRES = """
WITH terms AS (
    SELECT DISTINCT lexeme, ('''' || replace(replace(lexeme, '\\', '\\\\'), '''', '''''') || '''' ||
        CASE WHEN :joined AND length(lexeme) >= :shortest THEN ':*' ELSE '' END)::tsquery AS query
    FROM unnest(CAST(:words AS text[]), CAST(:configs AS text[])) AS asked (words, config),
        unnest(to_tsvector(config::regconfig, words))
    LIMIT 64
), here AS (
    SELECT number, stems FROM chunk_search JOIN chunks USING (number) WHERE knowledge_base_id = :base
), weighed AS (
    SELECT terms.query, ln(1 + (SELECT count(*) FROM here)::float / (1 + count(here.number))) AS rarity
    FROM terms LEFT JOIN here ON here.stems @@ terms.query GROUP BY terms.query
)
SELECT here.number, sum(rarity * ts_rank(here.stems, query, 1)) AS score
FROM weighed JOIN here ON here.stems @@ query
GROUP BY here.number ORDER BY score DESC, here.number LIMIT :most
"""


def _postgres(tx: Tx, base_id: str, query: str, languages: frozenset[str]) -> list[tuple[int, float]]:
    asked = {"simple": " ".join(query_stems(query, languages - PG_CONFIGS.keys()))}
    asked |= {PG_CONFIGS[language]: query for language in sorted(languages & PG_CONFIGS.keys())}
    values = {
        "words": list(asked.values()),
        "configs": list(asked),
        "joined": bool(languages & COMPOUNDING),
        "shortest": SHORTEST_BEGINNING,
        "base": base_id,
        "most": _CANDIDATES,
    }
    return [(int(number), float(score)) for number, score in tx.conn.execute(text(_POSTGRES), values)]


def _by_meaning(tx: Tx, base_id: str, vector: Vector) -> list[tuple[int, float]]:
    """Cosine similarity with every vector of the same model: exact, and 10 ms for 10,000 passages."""
    these = (_chunks.c.knowledge_base_id == base_id) & (_chunks.c.vector_model == vector.model)
    found = tx.all(select(_chunks.c.number, _chunks.c.vector).where(these))
    vectors = [(row["number"], row["vector"]) for row in found if len(row["vector"]) == len(vector.values)]
    if not vectors:
        return []
    matrix = np.frombuffer(b"".join(values for _, values in vectors), np.float32).reshape(len(vectors), -1)
    scores = matrix @ np.frombuffer(vector.values, np.float32)
    best = np.argsort(-scores, kind="stable")[:_CANDIDATES]
    return [(vectors[at][0], float(scores[at])) for at in best]


def _fused(one: list[tuple[int, float]], other: list[tuple[int, float]]) -> list[tuple[int, float]]:
    scores: dict[int, float] = {}
    for ranking in (one, other):
        for rank, (number, _) in enumerate(ranking, 1):
            scores[number] = scores.get(number, 0.0) + 1 / (_FUSION + rank)
    return sorted(scores.items(), key=lambda item: (-item[1], item[0]))


def _passages(tx: Tx, ranked: Sequence[tuple[int, float]]) -> tuple[Passage, ...]:
    if not ranked:
        return ()
    columns = (_chunks.c.document_id, _docs.c.title, _docs.c.source, _chunks.c.heading, _chunks.c.page,
               _chunks.c.position, _chunks.c.text)  # fmt: skip
    these = _chunks.c.number.in_([number for number, _ in ranked])
    rows = tx.all(select(_chunks.c.number, *columns).join(_docs, _docs.c.id == _chunks.c.document_id).where(these))
    by_number = {row["number"]: {name: row[name] for name in row if name != "number"} for row in rows}
    best = max(score for _, score in ranked)
    return tuple(
        Passage(**by_number[number], score=round(score / best, 4) if best > 0 else 0.0)
        for number, score in ranked
        if number in by_number
    )
