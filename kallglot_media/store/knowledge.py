"""Knowledge bases and their documents. A document waits until it was read and cut into passages."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping, func, insert, select, text, update

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.stems import PG_CONFIGS, stems
from kallglot_media.store.tx import Tx

PENDING, PROCESSING, READY, FAILED = "pending", "processing", "ready", "failed"
TOPIC = "documents"

_bases, _docs, _chunks = tables.knowledge_bases, tables.documents, tables.chunks
_shown = [column for column in _docs.c if column.name not in ("content", "leased_until_ms")]


@dataclass(frozen=True, slots=True)
class KnowledgeBase:
    """language: of documents that do not say their own."""

    id: str
    name: str
    description: str | None
    language: str
    metadata: Mapping[str, Any]
    created_at_ms: int
    updated_at_ms: int


@dataclass(frozen=True, slots=True)
class NewDocument:
    """media_type: text/plain, text/markdown, text/html or application/pdf; source: where it is from, e.g. a URL."""

    knowledge_base_id: str
    title: str
    media_type: str
    content: bytes
    language: str | None = None
    source: str | None = None
    metadata: Mapping[str, Any] | None = None


@dataclass(frozen=True, slots=True)
class Document:
    """One document. status: pending, processing, ready or failed; error: why it failed, or what it lacks."""

    id: str
    knowledge_base_id: str
    title: str
    source: str | None
    media_type: str
    language: str
    status: str
    error: str | None
    size_bytes: int
    sha256: str
    chunk_count: int
    metadata: Mapping[str, Any]
    created_at_ms: int
    ready_at_ms: int | None


@dataclass(frozen=True, slots=True)
class Chunk:
    """A passage of a document. vector: float32 of length 1, as bytes, made by `vector_model`."""

    text: str
    heading: str | None = None
    page: int | None = None
    vector: bytes | None = None
    vector_model: str | None = None


def create_base(
    tx: Tx,
    name: str,
    *,
    language: str = "en",
    description: str | None = None,
    metadata: Mapping[str, Any] | None = None,
) -> KnowledgeBase:
    """A new, empty base."""
    values = {
        "id": tx.new_id("kb"),
        "name": name,
        "description": description,
        "language": language,
        "metadata": dict(metadata or {}),
        "created_at_ms": tx.now_ms,
        "updated_at_ms": tx.now_ms,
    }
    return _base(tx.one(insert(_bases).values(values).returning(_bases)))


def get_base(tx: Tx, base_id: str) -> KnowledgeBase | None:
    """The base, or None."""
    row = tx.first(select(_bases).where(_bases.c.id == base_id))
    return None if row is None else _base(row)


def page_bases(tx: Tx, page: Page) -> Listed[KnowledgeBase]:
    """Bases, newest first."""
    return list_page(tx, _bases, page, _base)


def delete_base(tx: Tx, base_id: str) -> bool:
    """Whether there was one. Its documents go with it."""
    _unindex(tx, _chunks.c.knowledge_base_id == base_id)
    return tx.run(_bases.delete().where(_bases.c.id == base_id)).rowcount > 0


def add_document(tx: Tx, new: NewDocument) -> Document | None:
    """A document that waits to be read; wakes TOPIC. None when there is no such base.

    The same content again (by its SHA-256) gives the document that is there.
    """
    base = get_base(tx, new.knowledge_base_id)
    if base is None:
        return None
    sha256 = hashlib.sha256(new.content).hexdigest()
    same = (_docs.c.knowledge_base_id == base.id) & (_docs.c.sha256 == sha256) & (_docs.c.status != FAILED)
    there = tx.first(select(*_shown).where(same, _docs.c.media_type == new.media_type))
    if there is not None:
        return _document(there)
    values = {
        "id": tx.new_id("doc"),
        "knowledge_base_id": base.id,
        "title": new.title,
        "source": new.source,
        "media_type": new.media_type,
        "language": new.language or base.language,
        "status": PENDING,
        "content": new.content,
        "size_bytes": len(new.content),
        "sha256": sha256,
        "chunk_count": 0,
        "metadata": dict(new.metadata or {}),
        "created_at_ms": tx.now_ms,
    }
    tx.topics.add(TOPIC)
    tx.run(update(_bases).where(_bases.c.id == base.id).values(updated_at_ms=tx.now_ms))
    return _document(tx.one(insert(_docs).values(values).returning(*_shown)))


def get_document(tx: Tx, document_id: str) -> Document | None:
    """The document, or None."""
    row = tx.first(select(*_shown).where(_docs.c.id == document_id))
    return None if row is None else _document(row)


def page_documents(tx: Tx, page: Page, *, base_id: str) -> Listed[Document]:
    """A base's documents, newest first."""
    return list_page(tx, _docs, page, _document, _docs.c.knowledge_base_id == base_id)


def count_documents(tx: Tx, base_id: str) -> int:
    """How many documents a base has."""
    here = select(func.count()).select_from(_docs).where(_docs.c.knowledge_base_id == base_id)
    return int(tx.run(here).scalar_one())


def delete_document(tx: Tx, document_id: str) -> bool:
    """Whether there was one."""
    _unindex(tx, _chunks.c.document_id == document_id)
    return tx.run(_docs.delete().where(_docs.c.id == document_id)).rowcount > 0


def take_document(tx: Tx, lease_ms: int) -> tuple[Document, bytes] | None:
    """The oldest that waits (or whose reader is gone) and its content, ours for `lease_ms`. None: nothing waits."""
    waits = (_docs.c.status == PENDING) | ((_docs.c.status == PROCESSING) & (_docs.c.leased_until_ms <= tx.now_ms))
    oldest = select(_docs.c.id).where(waits).order_by(_docs.c.id).limit(1)
    if not tx.sqlite:
        oldest = oldest.with_for_update(skip_locked=True)
    values = {"status": PROCESSING, "leased_until_ms": tx.now_ms + lease_ms}
    this = _docs.c.id.in_(oldest.scalar_subquery())
    row = tx.first(update(_docs).where(this).values(values).returning(*_shown, _docs.c.content))
    return None if row is None else (_document(row), row["content"] or b"")


def document_ready(tx: Tx, document_id: str, chunks: Sequence[Chunk], error: str | None = None) -> Document | None:
    """Its passages can be found from now on. None when it was deleted meanwhile. error: what it lacks, if anything."""
    document = get_document(tx, document_id)
    if document is None:
        return None
    _unindex(tx, _chunks.c.document_id == document_id)
    for position, chunk in enumerate(chunks):
        _index(tx, document, position, chunk)
    values = {
        "status": READY,
        "error": error,
        "chunk_count": len(chunks),
        "content": None,
        "leased_until_ms": None,
        "ready_at_ms": tx.now_ms,
    }
    return _document(tx.one(update(_docs).where(_docs.c.id == document_id).values(values).returning(*_shown)))


def document_failed(tx: Tx, document_id: str, error: str) -> Document | None:
    """It cannot be read. None when it was deleted meanwhile."""
    values = {"status": FAILED, "error": error, "content": None, "leased_until_ms": None}
    row = tx.first(update(_docs).where(_docs.c.id == document_id).values(values).returning(*_shown))
    return None if row is None else _document(row)


def _index(tx: Tx, document: Document, position: int, chunk: Chunk) -> None:
    values = {
        "document_id": document.id,
        "knowledge_base_id": document.knowledge_base_id,
        "position": position,
        "heading": chunk.heading,
        "page": chunk.page,
        "language": document.language,
        "text": chunk.text,
        "vector": chunk.vector,
        "vector_model": chunk.vector_model,
    }
    number = tx.run(insert(_chunks).values(values).returning(_chunks.c.number)).scalar_one()
    heads = " ".join(filter(None, (document.title, chunk.heading)))
    config = PG_CONFIGS.get(document.language)
    if tx.sqlite or config is None:
        heads, body = (" ".join(stems(one, document.language)) for one in (heads, chunk.text))
    else:
        body = chunk.text
    values = {"number": number, "heads": heads.replace("\0", " "), "body": body.replace("\0", " ")}
    if tx.sqlite:
        tx.run(text("INSERT INTO chunk_search (rowid, heads, stems) VALUES (:number, :heads, :body)"), values)
        return
    tx.run(
        text(
            "INSERT INTO chunk_search VALUES (:number,"
            " setweight(to_tsvector(CAST(:config AS regconfig), :heads), 'B')"
            " || setweight(to_tsvector(CAST(:config AS regconfig), :body), 'D'))"
        ),
        values | {"config": config or "simple"},
    )


def _unindex(tx: Tx, these: Any) -> None:
    if tx.sqlite:  # a virtual table has no foreign keys
        numbers = tx.run(select(_chunks.c.number).where(these)).scalars()
        for number in numbers.all():
            tx.run(text("DELETE FROM chunk_search WHERE rowid = :number"), {"number": number})
    tx.run(_chunks.delete().where(these))


def _base(row: RowMapping) -> KnowledgeBase:
    return KnowledgeBase(**row)


def _document(row: RowMapping) -> Document:
    return Document(**{name: row[name] for name in Document.__slots__})


@dataclass(frozen=True, slots=True)
class Kept:
    """A passage with what is known of its document."""

    title: str
    source: str | None
    language: str
    heading: str | None
    page: int | None
    text: str


def count_chunks(tx: Tx, base_id: str) -> int:
    """How many passages a base has."""
    here = select(func.count()).select_from(_chunks).where(_chunks.c.knowledge_base_id == base_id)
    return int(tx.run(here).scalar_one())


def passages_of(tx: Tx, base_id: str, most: int) -> tuple[Kept, ...]:
    """A base's passages in the order of their documents, at most so many."""
    these = (
        select(_docs.c.title, _docs.c.source, _chunks.c.language, _chunks.c.heading, _chunks.c.page, _chunks.c.text)
        .join(_docs, _docs.c.id == _chunks.c.document_id)
        .where(_chunks.c.knowledge_base_id == base_id)
        .order_by(_chunks.c.document_id, _chunks.c.position)
        .limit(most)
    )
    return tuple(Kept(**row) for row in tx.all(these))
