"""Run by Alembic, with the connection and the transaction that store/migrate.py opened."""

from __future__ import annotations

from alembic import context

from kallglot_media.store.tables import metadata

context.configure(connection=context.config.attributes["connection"], target_metadata=metadata, render_as_batch=True)
context.run_migrations()
