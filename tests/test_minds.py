"""What stands behind an AI: documents, bases of the store, tools; and what is said about what is missing."""

from __future__ import annotations

from collections.abc import AsyncIterator, Sequence
from pathlib import Path
from typing import Any

import pytest
import yaml

from kallglot_media.agent.extract import answer
from kallglot_media.agent.meaning import search
from kallglot_media.call.events import ToolCalled
from kallglot_media.config import Config, load_config
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.errors import SetupError
from kallglot_media.knowledge.embeddings import EmbeddingFailed, unit
from kallglot_media.minds import Minds
from kallglot_media.random_ids import RandomIds
from kallglot_media.store import knowledge
from kallglot_media.store.settings import StoreSettings, sqlite_url
from kallglot_media.store.store import Store, open_store
from kallglot_media.webhooks.guard import Guard
from tests.support.call_world import TestWorld


def configured(folder: Path, **mode: Any) -> Config:
    folder.mkdir(parents=True, exist_ok=True)
    files = {
        "server.yaml": {"routes": "routes.yaml", "data_dir": str(folder / "data")},
        "routes.yaml": {"routes": [{"called": "desk", "mode": "mode.yaml"}]},
        "mode.yaml": {"mode": "help_chat_voice", "source_language": "de", "help_chat": {}, **mode},
    }
    for name, value in files.items():
        (folder / name).write_text(yaml.safe_dump(value), encoding="utf-8")
    return load_config(folder / "server.yaml")


def mode_of(config: Config) -> AnsweringMode:
    mode = config.mode_of(config.routes[0])
    assert isinstance(mode, AnsweringMode)
    return mode


@pytest.fixture
async def store(tmp_path: Path) -> AsyncIterator[Store]:
    (tmp_path / "store").mkdir()
    opened = await open_store(StoreSettings(sqlite_url(tmp_path / "store")), RandomIds())
    yield opened
    await opened.close()


async def knows(minds: Minds, config: Config, folder: Path, text: str) -> str | None:
    """What a conversation of the mode would answer from its documents."""
    (folder / "calls").mkdir(parents=True, exist_ok=True)
    world = TestWorld(folder / "calls")
    conversation = await minds.conversation(mode_of(config), world.session(), has_human=False)
    found = answer(conversation._knowledge, text, "de")
    return found.text if found is not None else None


async def test_documents_are_read_and_a_broken_one_does_not_cost_the_others(tmp_path: Path, store: Store) -> None:
    folder = tmp_path / "docs"
    folder.mkdir()
    (folder / "a.md").write_text("# Versand\nDer Versand kostet vier Euro.", encoding="utf-8")
    (folder / "b.pdf").write_bytes(b"%PDF-1.4 broken")
    (folder / "c.txt").write_bytes(b"\xff\xfe\x00")
    (folder / "d.html").write_text("<h1>Rückgabe</h1><p>Die Rückgabe geht 30 Tage lang.</p>", encoding="utf-8")
    config = configured(tmp_path / "config", knowledge={"documents": [str(folder)]})
    minds = Minds(config, store, Guard())
    await minds.prepare()
    assert await knows(minds, config, tmp_path, "Was kostet der Versand?") == "Der Versand kostet vier Euro."
    assert await knows(minds, config, tmp_path, "Wie lange geht die Rückgabe?") == "Die Rückgabe geht 30 Tage lang."
    await minds.close()


async def test_a_base_of_the_store_counts_and_what_is_added_to_it_too(tmp_path: Path, store: Store) -> None:
    base = await store.write(knowledge.create_base, "Shop", language="de")
    config = configured(tmp_path / "config", help_chat={"knowledge_base_id": base.id})
    minds = Minds(config, store, Guard())
    await minds.prepare()
    assert await knows(minds, config, tmp_path, "Was kostet der Versand?") is None
    new = knowledge.NewDocument(base.id, "FAQ", "text/plain", b"x")
    document = await store.write(knowledge.add_document, new)
    assert document is not None
    chunk = knowledge.Chunk("Der Versand kostet 4 Euro.", "Versand")
    await store.write(knowledge.document_ready, document.id, [chunk])
    assert await knows(minds, config, tmp_path / "again", "Was kostet der Versand?") == "Der Versand kostet 4 Euro."
    await minds.close()


class Flat:
    """An embedding model for which everything is alike; broken: it fails."""

    model = "flat"

    def __init__(self) -> None:
        self.broken = False
        self.read: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        if self.broken:
            raise EmbeddingFailed("scripted")
        self.read += texts
        return [unit([1.0, 1.0]) for _ in texts]


@pytest.mark.parametrize("broken", [False, True])
async def test_with_both_models_files_and_base_are_found_by_meaning_too(
    tmp_path: Path, store: Store, *, broken: bool
) -> None:
    base = await store.write(knowledge.create_base, "Shop", language="de")
    document = await store.write(knowledge.add_document, knowledge.NewDocument(base.id, "FAQ", "text/plain", b"x"))
    assert document is not None
    await store.write(knowledge.document_ready, document.id, [knowledge.Chunk("Die Rückgabe geht 30 Tage lang.", "R")])
    (tmp_path / "a.md").write_text("# Versand\nDer Versand kostet vier Euro.", encoding="utf-8")
    chat = {"knowledge_base_id": base.id}
    llm = {"base_url": "http://127.0.0.1:9/v1", "model": "m"}
    config = configured(tmp_path / "config", help_chat=chat, llm=llm, knowledge={"documents": [str(tmp_path / "a.md")]})
    embedder = Flat()
    embedder.broken = broken
    minds = Minds(config, store, Guard(), embedder)
    both = await minds._knowledge(mode_of(config))
    found = [one.source.text for one in await search(both, "Wetter", "de", 5)]
    assert found == ([] if broken else ["Der Versand kostet vier Euro.", "Die Rückgabe geht 30 Tage lang."])
    await minds._knowledge(mode_of(config))
    assert len(embedder.read) == (0 if broken else 2 + 1), "each passage once, and the question"
    await minds.close()


async def test_a_base_that_is_gone_knows_nothing(tmp_path: Path, store: Store) -> None:
    config = configured(tmp_path / "config", help_chat={"knowledge_base_id": "kb_gone"})
    minds = Minds(config, store, Guard())
    assert await knows(minds, config, tmp_path, "Was kostet der Versand?") is None
    await minds.close()


def broken(what: str) -> str:
    """A tool's function: it never works."""
    raise OSError(what)


async def test_every_tool_call_is_told_whoever_does_it_and_once_though_it_is_tried_again(
    tmp_path: Path, store: Store
) -> None:
    parameters = {"type": "object", "properties": {"what": {"type": "string"}}}
    tool = {"name": "lookup", "python": "tests.test_minds:broken", "parameters": parameters, "idempotent": True}
    config = configured(tmp_path / "config", mode="ai_agent", ai_agent={"tools": [tool]}, help_chat=None)
    minds = Minds(config, store, Guard())
    world = TestWorld(tmp_path / "calls")
    told: list[ToolCalled] = []
    world.world.bus.listen(lambda event: told.append(event) if isinstance(event, ToolCalled) else None)
    session = world.session()
    tools = minds._tools(mode_of(config), session)
    assert tools is not None
    for number in (1, 2):
        used = await tools.call(f"call_{number}", "lookup", '{"what": "x"}')
        assert used.error == "OSError: x"
    await tools.call("call_3", "lookup", '{"what": 5}')
    assert told == [ToolCalled(session.session_id, f"call_{number}", "lookup", {"what": "x"}) for number in (1, 2)]
    await minds.close()


async def test_a_python_tool_that_is_not_there_stops_the_start_with_its_mend(tmp_path: Path, store: Store) -> None:
    agent = {"tools": [{"name": "lookup", "python": "no.such.module:lookup"}]}
    config = configured(tmp_path / "config", mode="ai_agent", ai_agent=agent, help_chat=None)
    minds = Minds(config, store, Guard())
    with pytest.raises(SetupError) as wrong:
        await minds.prepare()
    assert "tools lookup" in wrong.value.where
    assert "PYTHONPATH" in wrong.value.mend
    await minds.close()
