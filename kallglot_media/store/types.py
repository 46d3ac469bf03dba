"""Column types that behave the same in SQLite and PostgreSQL."""

from __future__ import annotations

from typing import Any

from sqlalchemy import JSON, BigInteger, Text
from sqlalchemy.engine import Dialect
from sqlalchemy.types import TypeDecorator, TypeEngine


class CleanText(TypeDecorator[str]):
    """Text without what a database refuses: NUL (PostgreSQL) and lone surrogates (both) become U+FFFD."""

    impl = Text
    cache_ok = True

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Called for every value on its way in."""
        return None if value is None else clean(value)


class IdText(TypeDecorator[str]):
    """An id. Compared byte by byte everywhere, so that ULIDs sort by when they were made."""

    impl = Text
    cache_ok = True

    def load_dialect_impl(self, dialect: Dialect) -> TypeEngine[Any]:
        """PostgreSQL would sort by the cluster's locale."""
        return dialect.type_descriptor(Text(collation="C") if dialect.name == "postgresql" else Text())

    def process_bind_param(self, value: str | None, dialect: Dialect) -> str | None:
        """Called for every value on its way in."""
        return None if value is None else clean(value)


def clean(text: str) -> str:
    """`text` that every database takes.

    clean("a\\0b\\ud800") == "a\\ufffdb\\ufffd"
    """
    if text.isascii():
        return text.replace("\0", "\ufffd")
    return text.replace("\0", "\ufffd").encode("utf-16", "surrogatepass").decode("utf-16", "replace")


Ms = BigInteger
"""Milliseconds, of a duration or since 1970."""

Json = JSON(none_as_null=True)
"""A document. Not JSONB: that refuses \\u0000, which a client may send."""
