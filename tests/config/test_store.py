"""The store's section: a URL without a password, and the password from where it stands."""

from __future__ import annotations

from pathlib import Path

import pytest

from kallglot_media.backing import embedder_of, guard_of, model_of, retention_of
from kallglot_media.config import Config, Server, Store
from kallglot_media.store.settings import RetentionSettings

DATA = Path("/var/lib/kallglot")


def config(**sections: object) -> Config:
    return Config(Path("server.yaml"), Server.model_validate(sections), (), {})


def test_without_a_url_it_is_a_file_in_the_data_directory() -> None:
    assert Store().settings(DATA).url == "sqlite:////var/lib/kallglot/kallglot.sqlite3"


def test_a_password_is_put_into_the_url_and_nowhere_else(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLGLOT_DB", "p@ss/word")
    store = Store(url="postgresql://me@host:5433/db?x=1", password_env="KALLGLOT_DB", node="two")
    settings = store.settings(DATA)
    assert settings.url == "postgresql://me:p%40ss%2Fword@host:5433/db?x=1"
    assert settings.node == "two"
    assert "p@ss" not in repr(store)


def test_what_stands_behind_the_calls(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("KALLGLOT_LLM", "sk-1")
    endpoint = {"base_url": "http://127.0.0.1:1/v1", "model": "m"}
    full = config(
        retention={"recordings_days": 7.0},
        webhooks={"allow_networks": ("10.0.0.0/8",)},
        llm=endpoint | {"api_key_env": "KALLGLOT_LLM"},
        embeddings=endpoint,
    )
    assert retention_of(full) == RetentionSettings(recordings_days=7.0)
    guard_of(full).check_url("http://10.1.2.3/")
    model, embedder = model_of(full), embedder_of(full)
    assert model is not None
    assert embedder is not None
    assert (model.name, embedder.model) == ("m", "m")
    plain = config()
    assert (model_of(plain), embedder_of(plain), retention_of(plain)) == (None, None, RetentionSettings())
