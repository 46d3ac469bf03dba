"""The pairs that the starter translator learns from: what is held out, what is cut up, what is made up."""

from __future__ import annotations

import json
import random
from pathlib import Path

import pytest
from train_starter.mt_texts import as_heard, by_sentences, gather, made_up
from train_starter.texts import Pair, normalized


def chat(path: Path, turns: list[tuple[str, str]]) -> None:
    """A part of BConTrasT in which an agent says English."""
    listed = [{"speaker": "agent", "source": en, "target": de} for de, en in turns]
    path.parent.mkdir(exist_ok=True)
    path.write_text(json.dumps({"dlg": listed}), encoding="utf-8")


LONG = ("Wie viele Karten hätten Sie gern?", "How many tickets would you like?")
SHORT = ("Vielen Dank.", "Thank you.")


def test_no_line_of_the_held_out_chats_is_trained_on_nor_half_of_one(tmp_path: Path) -> None:
    """The German of one held-out line, the English of another, and one as a sentence of a longer turn."""
    other = ("Dann sehe ich einmal für Sie nach.", "Let me have a look for you then.")
    chat(tmp_path / "bcontrast" / "dev.json", [LONG, other, SHORT])
    twisted = [(LONG[0].upper(), "How many do you want to have?"), ("Ich sehe nach.", other[1]), SHORT]
    longer = [(f"Gern geschehen. {LONG[0]}", f"You are welcome. {LONG[1]}")]
    chat(tmp_path / "bcontrast" / "train.json", [*twisted, *longer])
    texts = gather(tmp_path)
    assert [(pair.de, pair.en) for pair in texts.chats] == [SHORT, *longer, ("Gern geschehen.", "You are welcome.")]
    assert len(texts.tune) + len(texts.test) == 3


def test_without_corpora_there_is_the_grammar_alone() -> None:
    texts = gather(None)
    assert not any((texts.chats, texts.everyday, texts.tune, texts.test))
    assert len(made_up(7, random.Random(0))) == 7


@pytest.mark.parametrize(
    ("de", "en", "parts"),
    [
        ("Ja. Das ist gut.", "Yes. That is good.", 2),
        ("Ja. Das ist gut.", "Yes, that is good.", 0),
        ("Ja. Das ist gut.", "Yes, that is how I want it. Good.", 0),
        ("Das ist gut.", "That is good.", 0),
    ],
)
def test_a_turn_is_cut_only_where_both_sides_are_cut_alike(de: str, en: str, parts: int) -> None:
    assert len(list(by_sentences(Pair(de, en)))) == parts


def test_made_up_pairs_say_the_same_numbers_and_names_on_both_sides() -> None:
    for pair in made_up(300, random.Random(5)):
        de, en = (set(filter(str.isdigit, text)) for text in (pair.de, pair.en))
        assert de == en or ":" in pair.en or ".m." in pair.en, pair


def test_a_source_without_marks_and_capitals_keeps_its_words() -> None:
    rng = random.Random(0)
    heard = {as_heard("Guten Tag, Frau Weber. Um 14:30 Uhr?", rng) for _ in range(200)}
    assert heard == {"Guten Tag, Frau Weber. Um 14:30 Uhr?", "guten tag frau weber um 14:30 uhr"}
    assert len({normalized(one) for one in heard}) == 1
