"""Every table. migrations/ builds the same; a test compares the two on both databases.

Times are whole ms since 1970 in UTC, named `…_at_ms`. Rows about a session have no foreign key to it:
they may arrive before it when the database was away, and go when retention says so.
"""

from __future__ import annotations

from sqlalchemy import (
    Boolean,
    Column,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    PrimaryKeyConstraint,
    Table,
    text,
)

from kallglot_media.store.types import CleanText, IdText, Json, Ms

metadata = MetaData(
    naming_convention={"ix": "ix_%(table_name)s_%(column_0_N_name)s", "pk": "pk_%(table_name)s",
                       "fk": "fk_%(table_name)s_%(column_0_N_name)s", "uq": "uq_%(table_name)s_%(column_0_N_name)s"}
)  # fmt: skip

sessions = Table(
    "sessions",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("mode", CleanText, nullable=False),
    Column("status", CleanText, nullable=False),
    Column("provider", CleanText, nullable=False),
    Column("origin", CleanText, nullable=False),
    Column("node", CleanText),
    Column("phone_number", CleanText),
    Column("source_language", CleanText),
    Column("target_language", CleanText),
    Column("recording_enabled", Boolean, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("request", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
    Column("started_at_ms", Ms),
    Column("ended_at_ms", Ms),
    Column("end_reason", CleanText),
    Column("end_detail", CleanText),
    Column("duration_ms", Ms),
    Index("ix_sessions_open", "id", sqlite_where=text("status <> 'ended'"), postgresql_where=text("status <> 'ended'")),
    Index("ix_sessions_ended_at_ms", "ended_at_ms"),
)

legs = Table(
    "legs",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("session_id", IdText, nullable=False, index=True),
    Column("role", CleanText, nullable=False),
    Column("direction", CleanText, nullable=False),
    Column("status", CleanText, nullable=False),
    Column("to_uri", CleanText),
    Column("from_uri", CleanText),
    Column("sip_call_id", CleanText),
    Column("sip_status", Integer),
    Column("end_detail", CleanText),
    Column("created_at_ms", Ms, nullable=False),
    Column("answered_at_ms", Ms),
    Column("ended_at_ms", Ms),
)

turns = Table(
    "turns",
    metadata,
    Column("session_id", IdText, nullable=False),
    Column("sequence", Integer, nullable=False),
    Column("speaker", CleanText, nullable=False),
    Column("language", CleanText, nullable=False),
    Column("text", CleanText, nullable=False),
    Column("translation_language", CleanText),
    Column("translation_text", CleanText),
    Column("start_ms", Ms, nullable=False),
    Column("end_ms", Ms, nullable=False),
    Column("confidence", Float),
    Column("first_sample_ms", Ms),
    Column("timings", Json),
    Column("spoken_at_ms", Ms, nullable=False),
    PrimaryKeyConstraint("session_id", "sequence"),
    Index("ix_turns_spoken_at_ms", "spoken_at_ms"),
)

recordings = Table(
    "recordings",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("session_id", IdText, nullable=False, index=True),
    Column("channel", CleanText, nullable=False),
    Column("status", CleanText, nullable=False),
    Column("format", CleanText, nullable=False),
    Column("duration_ms", Ms),
    Column("size_bytes", Ms),
    Column("rate_hz", Integer),
    Column("bit_depth", Integer),
    Column("path", CleanText),
    Column("sha256", CleanText),
    Column("detail", CleanText),
    Column("created_at_ms", Ms, nullable=False),
    Column("expires_at_ms", Ms, index=True),
)

analyses = Table(
    "analyses",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("session_id", IdText, nullable=False, index=True),
    Column("status", CleanText, nullable=False),
    Column("kinds", Json, nullable=False),
    Column("options", Json, nullable=False),
    Column("result", Json),
    Column("error", CleanText),
    Column("created_at_ms", Ms, nullable=False),
    Column("leased_until_ms", Ms),
    Column("completed_at_ms", Ms),
)

agents = Table(
    "agents",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("name", CleanText, nullable=False),
    Column("settings", Json, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
    Column("updated_at_ms", Ms, nullable=False),
)

knowledge_bases = Table(
    "knowledge_bases",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("name", CleanText, nullable=False),
    Column("description", CleanText),
    Column("language", CleanText, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
    Column("updated_at_ms", Ms, nullable=False),
)

documents = Table(
    "documents",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("knowledge_base_id", IdText, ForeignKey("knowledge_bases.id", ondelete="CASCADE"), nullable=False),
    Column("title", CleanText, nullable=False),
    Column("source", CleanText),
    Column("media_type", CleanText, nullable=False),
    Column("language", CleanText, nullable=False),
    Column("status", CleanText, nullable=False),
    Column("error", CleanText),
    Column("content", LargeBinary),
    Column("size_bytes", Ms, nullable=False),
    Column("sha256", CleanText, nullable=False),
    Column("chunk_count", Integer, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
    Column("leased_until_ms", Ms),
    Column("ready_at_ms", Ms),
    Index("ix_documents_knowledge_base_id", "knowledge_base_id", "id"),
)

chunks = Table(
    "chunks",
    metadata,
    Column("number", Integer().with_variant(Ms(), "postgresql"), primary_key=True, autoincrement=True),
    Column("document_id", IdText, ForeignKey("documents.id", ondelete="CASCADE"), nullable=False),
    Column("knowledge_base_id", IdText, nullable=False, index=True),
    Column("position", Integer, nullable=False),
    Column("heading", CleanText),
    Column("page", Integer),
    Column("language", CleanText, nullable=False),
    Column("text", CleanText, nullable=False),
    Column("vector", LargeBinary),
    Column("vector_model", CleanText),
    Index("ix_chunks_document_id", "document_id", "position"),
)

webhook_endpoints = Table(
    "webhook_endpoints",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("url", CleanText, nullable=False),
    Column("events", Json, nullable=False),
    Column("secret", CleanText, nullable=False),
    Column("description", CleanText),
    Column("enabled", Boolean, nullable=False),
    Column("metadata", Json, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
    Column("updated_at_ms", Ms, nullable=False),
)

events = Table(
    "events",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("type", CleanText, nullable=False),
    Column("session_id", IdText),
    Column("body", CleanText, nullable=False),
    Column("created_at_ms", Ms, nullable=False, index=True),
)

deliveries = Table(
    "deliveries",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("endpoint_id", IdText, ForeignKey("webhook_endpoints.id", ondelete="CASCADE"), nullable=False),
    Column("event_id", IdText, ForeignKey("events.id", ondelete="CASCADE"), nullable=False, index=True),
    Column("event_type", CleanText, nullable=False),
    Column("session_id", IdText),
    Column("state", CleanText, nullable=False),
    Column("attempts", Integer, nullable=False),
    Column("due_at_ms", Ms, nullable=False),
    Column("leased_until_ms", Ms),
    Column("created_at_ms", Ms, nullable=False),
    Column("done_at_ms", Ms),
    Index("ix_deliveries_history", "endpoint_id", "id"),
    Index(
        "ix_deliveries_due",
        "due_at_ms",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
    Index(
        "ix_deliveries_order",
        "endpoint_id",
        "session_id",
        "event_id",
        sqlite_where=text("state = 'pending'"),
        postgresql_where=text("state = 'pending'"),
    ),
)

attempts = Table(
    "delivery_attempts",
    metadata,
    Column("delivery_id", IdText, ForeignKey("deliveries.id", ondelete="CASCADE"), nullable=False),
    Column("number", Integer, nullable=False),
    Column("at_ms", Ms, nullable=False),
    Column("took_ms", Ms, nullable=False),
    Column("status", Integer),
    Column("error", CleanText),
    Column("answer", CleanText),
    PrimaryKeyConstraint("delivery_id", "number"),
)

api_keys = Table(
    "api_keys",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("name", CleanText, nullable=False),
    Column("prefix", CleanText, nullable=False, unique=True),
    Column("sha256", CleanText, nullable=False),
    Column("live", Boolean, nullable=False),
    Column("scopes", Json, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
    Column("expires_at_ms", Ms),
    Column("revoked_at_ms", Ms),
    Column("last_used_at_ms", Ms),
)

idempotency_keys = Table(
    "idempotency_keys",
    metadata,
    Column("key", CleanText, primary_key=True),
    Column("fingerprint", CleanText, nullable=False),
    Column("node", CleanText, nullable=False),
    Column("status", Integer),
    Column("body", CleanText),
    Column("created_at_ms", Ms, nullable=False, index=True),
)

audit_log = Table(
    "audit_log",
    metadata,
    Column("id", IdText, primary_key=True),
    Column("actor", CleanText, nullable=False),
    Column("action", CleanText, nullable=False),
    Column("subject", CleanText),
    Column("request_id", CleanText),
    Column("detail", Json),
    Column("at_ms", Ms, nullable=False, index=True),
)

secrets = Table(
    "secrets",
    metadata,
    Column("name", CleanText, primary_key=True),
    Column("value", CleanText, nullable=False),
    Column("created_at_ms", Ms, nullable=False),
)
