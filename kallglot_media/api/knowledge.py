"""/v1/knowledge_bases: bases, their documents, and searching them."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from fastapi import APIRouter
from starlette.requests import Request
from starlette.responses import Response

from kallglot_media.api.answers import Paged, answer, gone, listed
from kallglot_media.api.auth import By, by
from kallglot_media.api.docs import errors
from kallglot_media.api.errors import not_found
from kallglot_media.api.knowledge_bodies import (
    KnowledgeBaseList,
    KnowledgeBaseObject,
    NewKnowledgeBase,
    Search,
    SearchResult,
)
from kallglot_media.api.parts import parts_of
from kallglot_media.api.route import ApiRoute, needs
from kallglot_media.api.validation import Deleted
from kallglot_media.knowledge.embeddings import query_vector
from kallglot_media.ledger.objects import Json
from kallglot_media.store import audit, knowledge, search
from kallglot_media.store.knowledge import KnowledgeBase
from kallglot_media.store.search import Passage, Vector
from kallglot_media.store.times import iso
from kallglot_media.store.tx import Tx

router = APIRouter(prefix="/v1/knowledge_bases", tags=["knowledge"], route_class=ApiRoute)

_KIND = "knowledge_base"


def base_json(base: KnowledgeBase, document_count: int | None = None) -> Json:
    """A knowledge base as clients see it."""
    body: Json = {
        "id": base.id,
        "object": _KIND,
        "name": base.name,
        "description": base.description,
        "language": base.language,
        "metadata": base.metadata,
        "created_at": iso(base.created_at_ms),
        "updated_at": iso(base.updated_at_ms),
    }
    return body if document_count is None else body | {"document_count": document_count}


@router.post(
    "",
    status_code=201,
    summary="Create a knowledge base",
    response_model=KnowledgeBaseObject,
    responses=errors(400, 409),
    openapi_extra=needs("knowledge:write", idempotent=True),
)
async def create(body: NewKnowledgeBase, request: Request) -> Response:
    """Empty at first: add documents to it."""
    made = await parts_of(request).store.write(_create, by(request), body)
    return answer(base_json(made, 0), 201)


def _create(tx: Tx, by: By, body: NewKnowledgeBase) -> KnowledgeBase:
    made = knowledge.create_base(
        tx, body.name, language=body.language, description=body.description, metadata=body.metadata
    )
    audit.note(tx, by.actor, "knowledge_base.created", made.id, request_id=by.request_id)
    return made


@router.get(
    "",
    summary="List knowledge bases",
    response_model=KnowledgeBaseList,
    responses=errors(400, 422),
    openapi_extra=needs("knowledge:read"),
)
async def index(request: Request, page: Paged) -> Response:
    """Knowledge bases, newest first."""
    return listed(await parts_of(request).store.read(knowledge.page_bases, page), "/v1/knowledge_bases", base_json)


@router.get(
    "/{base_id}",
    summary="Read a knowledge base",
    response_model=KnowledgeBaseObject,
    responses=errors(404),
    openapi_extra=needs("knowledge:read"),
)
async def read(base_id: str, request: Request) -> Response:
    """One knowledge base."""
    found = await parts_of(request).store.read(_read, base_id)
    if found is None:
        raise not_found(_KIND, base_id)
    return answer(found)


def _read(tx: Tx, base_id: str) -> Json | None:
    base = knowledge.get_base(tx, base_id)
    return None if base is None else base_json(base, knowledge.count_documents(tx, base_id))


@router.delete(
    "/{base_id}",
    summary="Delete a knowledge base",
    response_model=Deleted,
    responses=errors(404),
    openapi_extra=needs("knowledge:write"),
)
async def delete(base_id: str, request: Request) -> Response:
    """With it go its documents."""
    if not await parts_of(request).store.write(_delete, by(request), base_id):
        raise not_found(_KIND, base_id)
    return gone(_KIND, base_id)


def _delete(tx: Tx, by: By, base_id: str) -> bool:
    if not knowledge.delete_base(tx, base_id):
        return False
    audit.note(tx, by.actor, "knowledge_base.deleted", base_id, request_id=by.request_id)
    return True


@router.post(
    "/{base_id}/search",
    summary="Search a knowledge base",
    response_model=SearchResult,
    responses=errors(400, 404),
    openapi_extra=needs("knowledge:read"),
)
async def find(base_id: str, body: Search, request: Request) -> Response:
    """By words in all their forms and, where the server has an embedding model, by meaning."""
    parts = parts_of(request)
    vector = None if parts.embedder is None else await query_vector(parts.embedder, body.query)
    found = await parts.store.read(_find, base_id, body.query, body.limit, vector)
    if found is None:
        raise not_found(_KIND, base_id)
    result: dict[str, Any] = {
        "object": "search_result",
        "knowledge_base_id": base_id,
        "method": "words" if vector is None else "words_and_meaning",
        "data": [asdict(passage) for passage in found],
    }
    return answer(result)


def _find(tx: Tx, base_id: str, query: str, limit: int, vector: Vector | None) -> tuple[Passage, ...] | None:
    if knowledge.get_base(tx, base_id) is None:
        return None
    return search.find(tx, base_id, query, limit=limit, vector=vector)
