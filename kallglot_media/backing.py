"""What stands behind the calls, as the configuration says: the store, where webhooks may go, the models."""

from __future__ import annotations

from kallglot_media.analysis.model import ModelSettings, OpenAiModel
from kallglot_media.config.load import Config
from kallglot_media.ids import Ids
from kallglot_media.knowledge.embeddings import EmbeddingSettings, OpenAiEmbedder
from kallglot_media.store.settings import RetentionSettings
from kallglot_media.store.store import Store, open_store
from kallglot_media.webhooks.guard import Guard


async def open_store_of(config: Config, ids: Ids) -> Store:
    """The open store, its tables brought up to date. Raises SetupError."""
    return await open_store(config.server.store.settings(config.server.data_dir), ids)


def retention_of(config: Config) -> RetentionSettings:
    """How long things are kept."""
    return config.server.retention.settings()


def guard_of(config: Config) -> Guard:
    """Where webhooks and tool calls may go."""
    return Guard(config.server.webhooks.allow_networks)


def model_of(config: Config) -> OpenAiModel | None:
    """The language model of analyses, None when there is none."""
    llm = config.server.llm
    if llm is None:
        return None
    return OpenAiModel(ModelSettings(llm.base_url, llm.model, llm.api_key(), llm.deadline_s))


def embedder_of(config: Config) -> OpenAiEmbedder | None:
    """The model that finds knowledge by meaning, None when there is none."""
    embeddings = config.server.embeddings
    if embeddings is None:
        return None
    return OpenAiEmbedder(
        EmbeddingSettings(embeddings.base_url, embeddings.model, embeddings.api_key(), embeddings.deadline_s)
    )
