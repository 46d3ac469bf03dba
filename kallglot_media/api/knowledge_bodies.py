"""What clients send and get about knowledge bases, documents and searches."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import BeforeValidator, Field

from kallglot_media.api.session_bodies import Name
from kallglot_media.api.validation import Answer, Body, Language, Metadata, whole

MOST_DOCUMENT_BYTES = 16 * 1024 * 1024
MOST_BODY_BYTES = MOST_DOCUMENT_BYTES * 4 // 3 + 64 * 1024
"""Of a request that carries a document in base64."""

MediaType = Literal["text/plain", "text/markdown", "text/html", "application/pdf"]
Title = Annotated[str, Field(min_length=1, max_length=500)]
Source = Annotated[str, Field(min_length=1, max_length=2000)]


class NewKnowledgeBase(Body):
    """POST /v1/knowledge_bases."""

    name: Annotated[Name, Field(examples=["Returns and refunds"])]
    """For people."""

    description: Annotated[str | None, Field(max_length=2000)] = None
    language: Language = "en"
    """Of documents that do not say their own: words are found in all their forms."""

    metadata: Metadata | None = None
    """The client's own, echoed."""


class KnowledgeBaseObject(Answer):
    """A set of documents that answers are taken from."""

    id: str
    object: Literal["knowledge_base"]
    name: str
    description: str | None
    language: str
    document_count: int | None = None
    """Not in lists."""

    metadata: dict[str, Any]
    created_at: str
    updated_at: str


class KnowledgeBaseList(Answer):
    """A page of knowledge bases, newest first."""

    object: Literal["list"]
    data: list[KnowledgeBaseObject]
    has_more: bool
    url: str


class NewDocument(Body):
    """POST /v1/knowledge_bases/{id}/documents as JSON: `text`, or `content` in base64."""

    title: Annotated[Title, Field(examples=["Return policy"])]
    """Found by its words, too."""

    text: Annotated[str | None, Field(min_length=1, max_length=MOST_DOCUMENT_BYTES)] = None
    """The document, when it is a text."""

    content: Annotated[str | None, Field(min_length=1, max_length=MOST_BODY_BYTES)] = None
    """The document in base64, when it is none."""

    media_type: MediaType = "text/plain"
    """What the document is."""

    language: Language | None = None
    """Left out: the base's."""

    source: Source | None = None
    """Where it is from, e.g. a URL; told with every passage."""

    metadata: Metadata | None = None
    """The client's own, echoed."""


class DocumentObject(Answer):
    """A document. It can be searched as soon as its status is `ready`."""

    id: str
    object: Literal["document"]
    knowledge_base_id: str
    title: str
    source: str | None
    media_type: str
    language: str
    status: Literal["pending", "processing", "ready", "failed"]
    error: str | None
    """Why it failed, or what it lacks."""

    size_bytes: int
    sha256: str
    passage_count: int
    metadata: dict[str, Any]
    created_at: str
    ready_at: str | None


class DocumentList(Answer):
    """A page of documents, newest first."""

    object: Literal["list"]
    data: list[DocumentObject]
    has_more: bool
    url: str


class Search(Body):
    """POST /v1/knowledge_bases/{id}/search."""

    query: Annotated[str, Field(min_length=1, max_length=2000, examples=["How do I send something back?"])]
    """A question, or words."""

    limit: Annotated[int, Field(ge=1, le=50), BeforeValidator(whole)] = 5
    """How many passages at most."""


class PassageObject(Answer):
    """A passage of a document."""

    document_id: str
    title: str
    source: str | None
    heading: str | None
    page: int | None
    """Of a PDF, from 1."""

    position: int
    """Which passage of its document, from 0."""

    text: str
    score: float
    """1 for the best of this search, falling towards 0."""


class SearchResult(Answer):
    """The passages that fit best, best first."""

    object: Literal["search_result"]
    knowledge_base_id: str
    method: Literal["words", "words_and_meaning"]
    """`words_and_meaning` where the server has an embedding model."""

    data: list[PassageObject]
