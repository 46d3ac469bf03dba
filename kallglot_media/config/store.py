"""The sections `store`, `retention`, `webhooks`, `llm` and `embeddings` of server.yaml."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Annotated
from urllib.parse import quote, urlsplit

from pydantic import AfterValidator, Field, PlainValidator, WithJsonSchema

from kallglot_media.config.types import Cidr, Settings, bad
from kallglot_media.store.settings import RetentionSettings, StoreSettings, sqlite_url


def _is_set(name: str) -> str:
    if name not in os.environ:
        raise bad(
            f"names the environment variable {name}, which is not set", f"set it before the start: export {name}=…"
        )
    return name


def _database(value: object) -> str:
    mend = 'write "sqlite:////var/lib/kallglot/kallglot.sqlite3" or "postgresql://user@host/database"'
    if not isinstance(value, str):
        raise bad(f"is {value!r}, no database URL", mend)
    try:
        parts = urlsplit(value)
        password = parts.password
    except ValueError:
        raise bad("is no database URL", mend) from None
    if password is not None:
        raise bad("holds a password", "take it out, and name the environment variable that has it as password_env")
    if parts.scheme == "sqlite" and parts.path.strip("/"):
        return value
    if parts.scheme != "postgresql" or not parts.path.strip("/"):
        raise bad(f"is {value!r}, no database that can be used", mend)
    return value


EnvName = Annotated[str, Field(min_length=1), AfterValidator(_is_set)]
"""An environment variable that is set. Secrets stand in no configuration file."""

DatabaseUrl = Annotated[str, PlainValidator(_database), WithJsonSchema({"type": "string"})]

Days = Annotated[float, Field(ge=0.01, le=36_500)]

_RETENTION = RetentionSettings()


class Store(Settings):
    """Where sessions, transcripts, keys, knowledge and webhooks are kept."""

    url: Annotated[DatabaseUrl | None, Field(examples=["postgresql://kallglot@db.example.com/kallglot"])] = None
    """SQLite or PostgreSQL 14 and newer; left out: `kallglot.sqlite3` in `data_dir`."""

    password_env: Annotated[EnvName | None, Field(examples=["KALLGLOT_DB_PASSWORD"])] = None
    """The environment variable that holds PostgreSQL's password."""

    node: Annotated[str, Field(min_length=1, max_length=100, pattern=r"^[A-Za-z0-9._-]+$")] = "one"
    """This server's name, different for each of several that share a database."""

    def settings(self, data_dir: Path) -> StoreSettings:
        """The same, as the store takes it."""
        if self.url is None:
            return StoreSettings(sqlite_url(data_dir), self.node)
        url = self.url
        if self.password_env is not None:
            scheme, _, rest = url.partition("://")
            user, at, place = rest.rpartition("@")
            url = f"{scheme}://{user}:{quote(os.environ[self.password_env], safe='')}{at}{place}"
        return StoreSettings(url, self.node)


class Retention(Settings):
    """After how many days things are deleted; left out: never."""

    recordings_days: Days | None = _RETENTION.recordings_days
    """Sound files."""

    transcripts_days: Days | None = _RETENTION.transcripts_days
    """What was said, in the store and in the session's folder."""

    analyses_days: Days | None = _RETENTION.analyses_days
    """Summaries and the like."""

    sessions_days: Days | None = _RETENTION.sessions_days
    """Whole sessions, counted from their end: with them goes all that they have, and their folder."""

    webhooks_days: Days | None = _RETENTION.webhooks_days
    """Events and the history of their deliveries; never one that is not yet delivered."""

    audit_days: Days | None = _RETENTION.audit_days
    """Who did what with keys, recordings and endpoints."""

    def settings(self) -> RetentionSettings:
        """The same, as the store takes it."""
        return RetentionSettings(**self.model_dump())


class Webhooks(Settings):
    """Telling other servers what happens."""

    allow_networks: Annotated[tuple[Cidr, ...], Field(examples=[["10.0.0.0/8"]])] = ()
    """Private networks that may be sent to all the same. Anything public may."""


class ModelEndpoint(Settings):
    """An OpenAI-compatible endpoint."""

    base_url: Annotated[str, Field(pattern=r"^https?://[^\s]+$", examples=["http://127.0.0.1:8081/v1"])]
    """What `/chat/completions` or `/embeddings` is put behind."""

    model: Annotated[str, Field(min_length=1, examples=["qwen2.5-7b-instruct"])]
    """Its name there."""

    api_key_env: Annotated[EnvName | None, Field(examples=["KALLGLOT_LLM_KEY"])] = None
    """The environment variable that holds its key; left out: it needs none."""

    deadline_s: Annotated[float, Field(ge=1, le=600)] = 60
    """An answer later than this is given up."""

    def api_key(self) -> str:
        """The key, "" when there is none."""
        return os.environ[self.api_key_env] if self.api_key_env else ""
