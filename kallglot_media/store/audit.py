"""Who did what: creating and revoking keys, deleting recordings, changing endpoints and agents."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

from sqlalchemy import RowMapping

from kallglot_media.store import tables
from kallglot_media.store.page import Listed, Page, list_page
from kallglot_media.store.tx import Tx

_t = tables.audit_log


@dataclass(frozen=True, slots=True)
class AuditEntry:
    """actor: a key's id, or cli; action: like recording.deleted; subject: an object's id. No secrets, no words."""

    id: str
    actor: str
    action: str
    subject: str | None
    request_id: str | None
    detail: Mapping[str, Any] | None
    at_ms: int


def note(
    tx: Tx,
    actor: str,
    action: str,
    subject: str | None = None,
    *,
    request_id: str | None = None,
    detail: Mapping[str, Any] | None = None,
) -> None:
    """Write down that it happened, in the transaction in which it happens."""
    values = {
        "id": tx.new_id("aud"),
        "actor": actor,
        "action": action,
        "subject": subject,
        "request_id": request_id,
        "detail": None if detail is None else dict(detail),
        "at_ms": tx.now_ms,
    }
    tx.insert(_t, values)


def page(tx: Tx, page: Page, *, subject: str | None = None) -> Listed[AuditEntry]:
    """Entries, newest first."""
    return list_page(tx, _t, page, _made, *([] if subject is None else [_t.c.subject == subject]))


def _made(row: RowMapping) -> AuditEntry:
    return AuditEntry(**row)
