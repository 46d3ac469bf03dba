"""Passages by meaning: beside those by words, and nothing without when the model fails."""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from kallglot_media.agent import meaning
from kallglot_media.agent.conversation import Conversation
from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.llm import Words
from kallglot_media.agent.meaning import Meaning, search
from kallglot_media.agent.types import Heard, Say, Source
from kallglot_media.knowledge.embeddings import EmbeddingFailed, unit
from tests.agent.test_conversation import MANNERS, Script

TOPICS = (("passwort", "ausgesperrt", "anmeld"), ("versand", "paket", "liefer"), ("geld", "erstatt", "rückzahl"))
SOURCES = [
    Source("faq", "Ein neues Passwort gibt es auf unserer Seite.", "de", "Passwort vergessen"),
    Source("faq", "Der Versand kostet 4,90 Euro.", "de", "Versandkosten"),
    Source("faq", "Die Erstattung dauert fünf Tage.", "de", "Erstattung"),
]


class Topics:
    """A model that knows three topics; broken: it fails, or does not answer at all."""

    model = "topics"

    def __init__(self) -> None:
        self.broken: str = ""
        self.asked: list[str] = []

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        self.asked += texts
        if self.broken == "fails":
            raise EmbeddingFailed("scripted")
        if self.broken == "hangs":
            await asyncio.Event().wait()
        rows = [[0.01 + sum(text.casefold().count(word) for word in topic) for topic in TOPICS] for text in texts]
        return [unit(row if self.broken != "shorter" else row[:2]) for row in rows]


async def knowledge(embedder: Topics, least: float = 0.5) -> Knowledge:
    return Knowledge(SOURCES, await Meaning.of(embedder, SOURCES, least))


async def found(known: Knowledge, text: str, most: int = 2) -> list[str | None]:
    return [one.source.heading for one in await search(known, text, "de", most)]


async def test_a_passage_without_a_word_of_the_question_is_found() -> None:
    known = await knowledge(Topics())
    assert known.find("Ich bin ausgesperrt.", "de", 2) == []
    assert await found(known, "Ich bin ausgesperrt.") == ["Passwort vergessen"]


async def test_what_both_ways_find_comes_first() -> None:
    known = await knowledge(Topics(), least=0.0)
    assert (await found(known, "Was kostet der Versand fürs Paket?", 3))[0] == "Versandkosten"
    scores = [one.score for one in await search(known, "Was kostet der Versand fürs Paket?", "de", 3)]
    assert scores == sorted(scores, reverse=True)
    assert scores[0] == 1.0


async def test_what_is_not_near_enough_is_not_found() -> None:
    known = await knowledge(Topics(), least=0.9)
    assert await found(known, "Wie ist das Wetter?") == []


@pytest.mark.parametrize("broken", ["fails", "hangs", "shorter"])
async def test_a_model_that_fails_costs_the_meaning_not_the_words(broken: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(meaning, "QUESTION_S", 0.05)
    embedder = Topics()
    known = await knowledge(embedder)
    embedder.broken = broken
    assert await found(known, "Was kostet der Versand?") == ["Versandkosten"]
    assert await found(known, "Ich bin ausgesperrt.") == []


async def test_passages_of_two_places_keep_their_order() -> None:
    embedder = Topics()
    files = await Meaning.of(embedder, SOURCES[:1], 0.5)
    base = await Meaning.of(embedder, SOURCES[1:], 0.5)
    both = Knowledge(SOURCES, files.with_more(base))
    assert await found(both, "Wann kommt die Rückzahlung?", 1) == ["Erstattung"]
    assert both.meaning is not None
    assert both.meaning.vectors.dtype == np.float32


async def test_a_help_desk_asks_the_model_about_what_is_near_in_meaning() -> None:
    llm = Script([Words("Auf unserer Seite [1].")])
    known = await knowledge(Topics())
    desk = Conversation(replace(MANNERS, only_documents=True), known, llm=llm)
    pieces = [piece async for piece in desk.respond(Heard("Ich bin ausgesperrt.", "Ich bin ausgesperrt."))]
    assert [(one.text, one.sources) for one in pieces if isinstance(one, Say)] == [
        ("Auf unserer Seite.", ("faq › Passwort vergessen",))
    ]
