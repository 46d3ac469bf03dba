"""/v1/knowledge_bases/{id}/documents: added as JSON or as a file, read in the background, listed, deleted."""

from __future__ import annotations

import base64
import binascii
from typing import Annotated

from fastapi import APIRouter, Query
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import Paged, answer, gone, listed
from kallglot_media.api.auth import By, by
from kallglot_media.api.docs import MORE_SCHEMAS, errors
from kallglot_media.api.errors import ApiError, invalid, not_found
from kallglot_media.api.knowledge_bodies import (
    MOST_BODY_BYTES,
    MOST_DOCUMENT_BYTES,
    DocumentList,
    DocumentObject,
    NewDocument,
    Source,
    Title,
)
from kallglot_media.api.parts import parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.validation import Deleted, Language, checked
from kallglot_media.knowledge.reader import MEDIA_TYPES
from kallglot_media.ledger.objects import Json, when
from kallglot_media.store import audit, knowledge
from kallglot_media.store.knowledge import Document
from kallglot_media.store.knowledge import NewDocument as StoredDocument
from kallglot_media.store.page import Listed, Page
from kallglot_media.store.times import iso
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1/knowledge_bases/{base_id}/documents", tags=["knowledge"], route_class=ApiRoute)

_JSON = "application/json"
_FILE = {"schema": {"type": "string", "format": "binary"}}
_BODY = {
    "required": True,
    "content": {_JSON: {"schema": {"$ref": "#/components/schemas/NewDocument"}}, **dict.fromkeys(MEDIA_TYPES, _FILE)},
}

MORE_SCHEMAS["NewDocument"] = NewDocument.model_json_schema()


def document_json(document: Document) -> Json:
    """A document as clients see it, without its content."""
    return {
        "id": document.id,
        "object": "document",
        "knowledge_base_id": document.knowledge_base_id,
        "title": document.title,
        "source": document.source,
        "media_type": document.media_type,
        "language": document.language,
        "status": document.status,
        "error": document.error,
        "size_bytes": document.size_bytes,
        "sha256": document.sha256,
        "passage_count": document.chunk_count,
        "metadata": document.metadata,
        "created_at": iso(document.created_at_ms),
        "ready_at": when(document.ready_at_ms),
    }


@router.post(
    "",
    status_code=202,
    summary="Add a document",
    response_model=DocumentObject,
    responses=errors(400, 404, 409, 422),
    openapi_extra=needs("knowledge:write", idempotent=True, most_bytes=MOST_BODY_BYTES) | {"requestBody": _BODY},
)
async def add(
    base_id: str,
    request: Request,
    title: Annotated[Title | None, Query(description="Of a document that is sent as a file.")] = None,
    source: Annotated[Source | None, Query(description="Of a document that is sent as a file.")] = None,
    language: Annotated[Language | None, Query(description="Of a document that is sent as a file.")] = None,
) -> Response:
    """As JSON, or as a file: then its media type is the request's, and `title` stands in the query.

    It is read in the background; the same content again is the document that is there.
    """
    media_type = request.headers.get("content-type", "").partition(";")[0].strip().lower()
    if media_type == _JSON:
        new = _of_json(base_id, checked(NewDocument, await request.json()))
    elif media_type in MEDIA_TYPES:
        if title is None:
            raise invalid("title", "is missing; add it to the query", code="missing_required_field")
        content = await request.body()
        new = StoredDocument(base_id, title, media_type, _sized(content, "the body"), language, source)
    else:
        there = ", ".join((_JSON, *MEDIA_TYPES))
        mend = f"Content-Type: is {media_type[:100]!r}; send one of: {there}"
        raise ApiError(400, "invalid_field_value", mend, param="Content-Type")
    made = await parts_of(request).store.write(_add, by(request), new)
    if made is None:
        raise not_found("knowledge_base", base_id)
    return answer(document_json(made), 202)


def _of_json(base_id: str, body: NewDocument) -> StoredDocument:
    if (body.text is None) == (body.content is None):
        there = "neither text nor content" if body.text is None else "text and content"
        raise invalid("text", f"the document has {there}; write exactly one of the two")
    if body.text is not None:
        if body.media_type == "application/pdf":
            raise invalid("text", "is no place for a PDF; write it as content, in base64")
        content = body.text.encode("utf-8", "replace")
    else:
        content = _decoded(body.content or "")
    param = "text" if body.text is not None else "content"
    return StoredDocument(
        base_id, body.title, body.media_type, _sized(content, param), body.language, body.source, body.metadata
    )


def _decoded(text: str) -> bytes:
    try:
        return base64.b64decode(text.encode("ascii"), validate=True)
    except (binascii.Error, UnicodeError) as error:
        raise invalid("content", f"is not base64 ({error}); write RFC 4648 without line breaks") from None


def _sized(content: bytes, param: str) -> bytes:
    if not content:
        raise invalid(param, "is empty; send a document")
    if len(content) > MOST_DOCUMENT_BYTES:
        raise invalid(param, f"is {len(content)} bytes long; send at most {MOST_DOCUMENT_BYTES}, in several documents")
    return content


def _add(tx: Tx, by: By, new: StoredDocument) -> Document | None:
    made = knowledge.add_document(tx, new)
    if made is not None:
        audit.note(tx, by.actor, "document.added", made.id, request_id=by.request_id)
    return made


@router.get(
    "",
    summary="List documents",
    response_model=DocumentList,
    responses=errors(400, 404, 422),
    openapi_extra=needs("knowledge:read"),
)
async def index(
    base_id: str,
    request: Request,
    page: Paged,
) -> Response:
    """A base's documents, newest first."""
    found = await parts_of(request).store.read(_index, base_id, page)
    if found is None:
        raise not_found("knowledge_base", base_id)
    return listed(found, f"/v1/knowledge_bases/{base_id}/documents", document_json)


def _index(tx: Tx, base_id: str, page: Page) -> Listed[Document] | None:
    if knowledge.get_base(tx, base_id) is None:
        return None
    return knowledge.page_documents(tx, page, base_id=base_id)


@router.get(
    "/{document_id}",
    summary="Read a document",
    response_model=DocumentObject,
    responses=errors(404),
    openapi_extra=needs("knowledge:read"),
)
async def read(base_id: str, document_id: str, request: Request) -> Response:
    """What is known of it, without its content."""
    found = await parts_of(request).store.read(_read, base_id, document_id)
    if found is None:
        raise not_found("document", document_id)
    return answer(document_json(found))


def _read(tx: Tx, base_id: str, document_id: str) -> Document | None:
    found = knowledge.get_document(tx, document_id)
    return found if found is not None and found.knowledge_base_id == base_id else None


@router.delete(
    "/{document_id}",
    summary="Delete a document",
    response_model=Deleted,
    responses=errors(404),
    openapi_extra=needs("knowledge:write"),
)
async def delete(base_id: str, document_id: str, request: Request) -> Response:
    """It is not found any more from now on."""
    if not await parts_of(request).store.write(_delete, by(request), base_id, document_id):
        raise not_found("document", document_id)
    return gone("document", document_id)


def _delete(tx: Tx, by: By, base_id: str, document_id: str) -> bool:
    if _read(tx, base_id, document_id) is None:
        return False
    knowledge.delete_document(tx, document_id)
    audit.note(tx, by.actor, "document.deleted", document_id, request_id=by.request_id)
    return True
