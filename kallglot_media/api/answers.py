"""How answers are put together: JSON bodies, lists in pages, and the cursors in a query."""

from __future__ import annotations

import json
from collections.abc import Callable, Mapping
from typing import Annotated, Any, TypeVar

import pydantic_core
from fastapi import Depends, Query
from starlette.responses import Response

from kallglot_media.api.errors import ApiError
from kallglot_media.store.page import DEFAULT_LIMIT, MOST, Listed, Page

T = TypeVar("T")


def answer(body: Mapping[str, Any], status: int = 200, headers: Mapping[str, str] | None = None) -> Response:
    """A JSON answer."""
    return Response(_json(body), status, headers, "application/json")


def _json(body: Mapping[str, Any]) -> bytes:
    """Four times as fast as the standard library's: the transcript of two hours is 0.8 MB."""
    try:
        return pydantic_core.to_json(body, inf_nan_mode="null")
    except pydantic_core.PydanticSerializationError:  # half of a surrogate pair, which is no Unicode
        text = json.dumps(body, ensure_ascii=False, allow_nan=False, separators=(",", ":"))
        return text.encode("utf-8", "replace")


Limit = Annotated[int, Query(ge=1, le=MOST, description="How many at most.")]
After = Annotated[str | None, Query(max_length=100, description="An id: what is older than that.")]
Before = Annotated[str | None, Query(max_length=100, description="An id: what is newer than that.")]


def page_of(limit: Limit = DEFAULT_LIMIT, starting_after: After = None, ending_before: Before = None) -> Page:
    """Which page is asked for. Raises ApiError when both cursors are given."""
    if starting_after is not None and ending_before is not None:
        raise ApiError(
            422,
            "invalid_field_value",
            "ending_before: does not go with starting_after; send one of the two",
            param="ending_before",
        )
    return Page(limit, starting_after, ending_before)


Paged = Annotated[Page, Depends(page_of)]
"""The three parameters of every list, as one."""


def listed(page: Listed[T], url: str, made: Callable[[T], Mapping[str, Any]]) -> Response:
    """A list: its items, and whether there are more in the direction that was asked for."""
    data = [made(item) for item in page.items]
    return answer({"object": "list", "data": data, "has_more": page.has_more, "url": url})


def gone(kind: str, object_id: str) -> Response:
    """An object that was deleted just now."""
    return answer({"id": object_id, "object": kind, "deleted": True})
