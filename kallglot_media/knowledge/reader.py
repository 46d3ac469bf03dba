"""The task that reads what was added: bytes → sections → passages → index. The work is rows: it survives a restart."""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Sequence

from kallglot_media.knowledge.chunks import Passage, cut
from kallglot_media.knowledge.embeddings import Embedder, EmbeddingFailed
from kallglot_media.knowledge.html import read_html
from kallglot_media.knowledge.pdf import read_pdf
from kallglot_media.knowledge.plain import read_markdown, read_text
from kallglot_media.knowledge.sections import Section, Unreadable
from kallglot_media.log import logger
from kallglot_media.store import knowledge
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.knowledge import Chunk, Document
from kallglot_media.store.store import Store

TEXT, MARKDOWN, HTML, PDF = "text/plain", "text/markdown", "text/html", "application/pdf"
MEDIA_TYPES = (TEXT, MARKDOWN, HTML, PDF)
LEASE_MS = 10 * 60_000
MOST_PASSAGES = 20_000
_IDLE_S = 60.0
_EMBEDDED_BY = "{} (words can be searched, meaning not)"


async def read(media_type: str, content: bytes) -> list[Section]:
    """A document's sections. Unreadable when it is not what it says, or of a type that we do not read."""
    if media_type == PDF:
        return await read_pdf(content)
    readers = {TEXT: read_text, MARKDOWN: read_markdown, HTML: read_html}
    if media_type not in readers:
        raise Unreadable(f"is {media_type}; send one of: {', '.join(MEDIA_TYPES)}")
    return await asyncio.to_thread(readers[media_type], content)


class DocumentReader:
    """Reads documents one after the other, woken by the store."""

    def __init__(self, store: Store, embedder: Embedder | None = None) -> None:
        self.counters: Counter[str] = Counter()
        self._store = store
        self._embedder = embedder
        self._wake = asyncio.Event()
        self._log = logger("knowledge")
        store.on_commit(knowledge.TOPIC, self._wake.set)

    async def run(self) -> None:
        """Read for ever."""
        while True:
            self._wake.clear()
            try:
                while await self.read_one():
                    pass
            except StoreUnavailable as error:
                self._log.warning("documents wait", why=str(error))
            try:
                async with asyncio.timeout(_IDLE_S):
                    await self._wake.wait()
            except TimeoutError:
                continue

    async def read_one(self) -> bool:
        """Read the document that waits longest; False when none waits."""
        taken = await self._store.write(knowledge.take_document, LEASE_MS)
        if taken is None:
            return False
        document, content = taken
        try:
            passages = cut(await read(document.media_type, content))
            if not passages:
                raise Unreadable("has no words in it")
            if len(passages) > MOST_PASSAGES:
                raise Unreadable(f"makes {len(passages)} passages, more than {MOST_PASSAGES}; send it in parts")
        except Unreadable as error:
            self.counters["unreadable"] += 1
            await self._store.write(knowledge.document_failed, document.id, str(error))
            return True
        vectors, lacks = await self._vectors(document, passages)
        await asyncio.to_thread(_warm, document, passages)
        await self._store.write(
            knowledge.document_ready, document.id, _chunks(passages, vectors, self._embedder), lacks
        )
        self.counters["read"] += 1
        return True

    async def _vectors(self, document: Document, passages: Sequence[Passage]) -> tuple[list[bytes] | None, str | None]:
        if self._embedder is None:
            return None, None
        try:
            texts = ["\n".join(filter(None, (document.title, one.heading, one.text))) for one in passages]
            return await self._embedder.embed(texts), None
        except EmbeddingFailed as error:
            self.counters["not_embedded"] += 1
            self._log.warning("no vectors", document=document.id, why=str(error))
            return None, _EMBEDDED_BY.format(error)


def _chunks(passages: Sequence[Passage], vectors: Sequence[bytes] | None, embedder: Embedder | None) -> list[Chunk]:
    if vectors is None or embedder is None:
        return [Chunk(one.text, one.heading, one.page) for one in passages]
    return [
        Chunk(one.text, one.heading, one.page, vector, embedder.model)
        for one, vector in zip(passages, vectors, strict=True)
    ]


def _warm(document: Document, passages: Sequence[Passage]) -> None:
    """Stem every word before the transaction begins: a write must not hold the database while it thinks."""
    from kallglot_media.store.stems import stems

    for passage in passages:
        stems(passage.text, document.language)
