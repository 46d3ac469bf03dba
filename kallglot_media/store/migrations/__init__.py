"""Alembic's scripts: how a database comes from one version's tables to the next's."""
