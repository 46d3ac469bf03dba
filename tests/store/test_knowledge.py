"""Knowledge: what was added is found by other forms of its words, in the right base, best first."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from kallglot_media.knowledge.embeddings import EmbeddingFailed, unit
from kallglot_media.knowledge.reader import DocumentReader
from kallglot_media.store import knowledge, search
from kallglot_media.store.knowledge import Chunk, Document, NewDocument
from kallglot_media.store.page import Page
from kallglot_media.store.search import Vector
from kallglot_media.store.store import Store

HANDBOOK = """# Rückgabe
Sie können gekaufte Waren innerhalb von 30 Tagen zurückgeben.

# Bezahlung
Wir nehmen Kreditkartenzahlungen und Überweisungen an. Rechnungen sind sofort fällig.

# Öffnungszeiten
Montag bis Freitag von 9 bis 17 Uhr.
"""


async def base(store: Store, language: str = "de") -> str:
    return (await store.write(knowledge.create_base, "Shop", language=language)).id


async def added(store: Store, base_id: str, text: str, **changes: object) -> Document:
    new = NewDocument(base_id, "Handbuch", "text/markdown", text.encode(), **changes)  # type: ignore[arg-type]
    document = await store.write(knowledge.add_document, new)
    assert document is not None
    assert await DocumentReader(store).read_one()
    found = await store.read(knowledge.get_document, document.id)
    assert found is not None
    return found


async def headings(store: Store, base_id: str, query: str, **more: object) -> list[str | None]:
    found = await store.read(search.find, base_id, query, **more)  # type: ignore[arg-type]
    return [passage.heading for passage in found]


async def test_a_document_is_read_once_and_then_found(store: Store) -> None:
    base_id = await base(store)
    document = await added(store, base_id, HANDBOOK, source="https://example.com/handbuch")
    assert (document.status, document.chunk_count, document.error) == ("ready", 3, None)
    assert not await DocumentReader(store).read_one()
    (best, *_) = await store.read(search.find, base_id, "Kann ich eine Ware zurückgeben?")
    assert (best.heading, best.title, best.source, best.score) == (
        "Rückgabe",
        "Handbuch",
        "https://example.com/handbuch",
        1.0,
    )
    assert "30 Tagen" in best.text


@pytest.mark.parametrize(
    ("query", "heading"),
    [
        ("Rechnung", "Bezahlung"),
        ("überweisung", "Bezahlung"),
        ("Kreditkarte", "Bezahlung"),
        ("RÜCKGABE", "Rückgabe"),
        ("freitags öffnungszeit", "Öffnungszeiten"),
    ],
)
async def test_other_forms_of_a_german_word_find_it(store: Store, query: str, heading: str) -> None:
    base_id = await base(store)
    await added(store, base_id, HANDBOOK)
    assert (await headings(store, base_id, query))[0] == heading


@pytest.mark.parametrize(
    ("language", "text", "query"),
    [
        ("en", "Orders are shipped within two days.", "when does my order ship"),
        ("fr", "Les commandes sont livrées en deux jours.", "livraison de la commande livrée"),
        ("es", "Los pedidos se entregan en dos días.", "pedido entregado"),
        ("pl", "Zamówienia wysyłamy w dwa dni.", "zamówienie"),
        ("ja", "返品は三十日以内です。", "返品できますか"),
        ("xx", "Qapla' batlh je", "batlh"),
    ],
)
async def test_every_language_is_found_in_its_way(store: Store, language: str, text: str, query: str) -> None:
    base_id = await base(store, language)
    await added(store, base_id, text)
    assert len(await store.read(search.find, base_id, query)) == 1


async def test_a_base_may_hold_several_languages(store: Store) -> None:
    base_id = await base(store)
    await added(store, base_id, HANDBOOK)
    await added(store, base_id, "# Refunds\nRefunds are paid within a week.", language="en")
    assert (await headings(store, base_id, "refund paid"))[0] == "Refunds"
    assert (await headings(store, base_id, "Rechnung"))[0] == "Bezahlung"


async def test_rare_words_count_more_than_common_ones(store: Store) -> None:
    base_id = await base(store, "en")
    pages = [f"# Page {at}\nThe order of the order department number {at}." for at in range(20)]
    await added(store, base_id, "\n".join([*pages, "# Warranty\nThe warranty of an item."]))
    assert (await headings(store, base_id, "order warranty"))[0] == "Warranty"


@pytest.mark.parametrize("query", ["", "  ", "?!", '" OR *', "NEAR(a b)", "a:b", "\\", "'", "\0", "\ud800", "x" * 9999])
async def test_no_query_is_a_mistake(store: Store, query: str) -> None:
    base_id = await base(store, "en")
    await added(store, base_id, "It's O'Neill's back\\slash.")
    assert len(await store.read(search.find, base_id, query)) <= 1
    assert len(await store.read(search.find, base_id, "O'Neill")) == 1


async def test_other_bases_are_not_searched_and_what_is_deleted_is_gone(store: Store) -> None:
    mine, other = await base(store), await base(store)
    document = await added(store, mine, HANDBOOK)
    assert await headings(store, other, "Rechnung") == []
    assert await store.write(knowledge.delete_document, document.id)
    assert not await store.write(knowledge.delete_document, document.id)
    assert await headings(store, mine, "Rechnung") == []
    await added(store, mine, HANDBOOK)
    assert await store.read(knowledge.count_documents, mine) == 1
    assert await store.write(knowledge.delete_base, mine)
    assert await store.read(knowledge.get_base, mine) is None
    assert (await store.read(knowledge.page_documents, Page(), base_id=mine)).items == ()
    assert [one.id for one in (await store.read(knowledge.page_bases, Page())).items] == [other]


async def test_the_same_content_again_is_the_same_document(store: Store) -> None:
    base_id = await base(store)
    first = await added(store, base_id, HANDBOOK)
    new = NewDocument(base_id, "Again", "text/markdown", HANDBOOK.encode())
    assert await store.write(knowledge.add_document, new) == first
    nowhere = NewDocument("kb_nobody", "x", "text/plain", b"x")
    assert await store.write(knowledge.add_document, nowhere) is None


async def test_a_document_that_cannot_be_read_says_why(store: Store) -> None:
    base_id = await base(store)
    document = await added(store, base_id, " \n")
    assert (document.status, document.error) == ("failed", "has no words in it")


async def test_a_document_deleted_while_it_is_read_stays_deleted(store: Store) -> None:
    base_id = await base(store)
    document = await store.write(knowledge.add_document, NewDocument(base_id, "x", "text/plain", b"words"))
    assert document is not None
    await store.write(knowledge.delete_document, document.id)
    assert await store.write(knowledge.document_ready, document.id, [Chunk("words")]) is None
    assert await store.write(knowledge.document_failed, document.id, "late") is None


class Meaning:
    """An embedder that knows two meanings: money and time."""

    model = "two"
    fails = False

    async def embed(self, texts: Sequence[str]) -> list[bytes]:
        if self.fails:
            raise EmbeddingFailed("503")
        return [unit([1.0 if "zahl" in text.lower() else 0.1, 1.0 if "uhr" in text.lower() else 0.1]) for text in texts]


async def test_meaning_finds_what_no_word_does(store: Store) -> None:
    base_id = await base(store)
    new = NewDocument(base_id, "Handbuch", "text/markdown", HANDBOOK.encode())
    await store.write(knowledge.add_document, new)
    await DocumentReader(store, Meaning()).read_one()
    assert await headings(store, base_id, "Wann macht ihr auf?") == []
    vector = Vector("two", unit([0.0, 1.0]))
    assert (await headings(store, base_id, "Wann macht ihr auf?", vector=vector))[0] == "Öffnungszeiten"
    assert (await headings(store, base_id, "Rechnung", vector=Vector("two", unit([1.0, 0.0]))))[0] == "Bezahlung"
    other_model = Vector("three", unit([0.0, 1.0]))
    assert await headings(store, base_id, "Wann macht ihr auf?", vector=other_model) == []
    other_size = Vector("two", unit([0.0, 1.0, 0.0]))
    assert await headings(store, base_id, "Wann macht ihr auf?", vector=other_size) == []


async def test_without_vectors_words_still_do(store: Store) -> None:
    base_id = await base(store)
    embedder = Meaning()
    embedder.fails = True
    new = NewDocument(base_id, "Handbuch", "text/markdown", HANDBOOK.encode())
    document = await store.write(knowledge.add_document, new)
    await DocumentReader(store, embedder).read_one()
    assert document is not None
    found = await store.read(knowledge.get_document, document.id)
    assert found is not None
    assert (found.status, found.error) == ("ready", "503 (words can be searched, meaning not)")
    assert (await headings(store, base_id, "Rechnung"))[0] == "Bezahlung"


def test_a_vector_has_length_one_or_is_refused() -> None:
    values = np.frombuffer(unit([3.0, 4.0]), np.float32)
    assert values == pytest.approx([0.6, 0.8])
    for wrong in ([0.0, 0.0], [float("inf"), 1.0], [float("nan")]):
        with pytest.raises(EmbeddingFailed):
            unit(wrong)
