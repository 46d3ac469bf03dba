"""The texts of the starter models: the grammar, how numbers are said, and that training and judging never meet."""

from __future__ import annotations

import json
import random
import re
import zipfile
from pathlib import Path

import pytest
from train_starter.asr_texts import asr_texts, grammar_line
from train_starter.grammar import fill, read_blocks
from train_starter.mix import MIXES, Mix
from train_starter.slots import LANGUAGES, amount, clock, date, digits, spelled
from train_starter.splits import block_is_held_out, is_held_out, must_not_meet, without
from train_starter.texts import known_pairs, normalized, read_bcontrast, read_tatoeba, spoken


def test_every_block_can_be_filled_in_every_language() -> None:
    blocks = read_blocks()
    rng = random.Random(1)
    for number in range(len(blocks)):
        made = fill(blocks, number, rng)
        assert set(made.written) == set(made.spoken) == set(LANGUAGES)
        for text in (*made.written.values(), *made.spoken.values()):
            assert not re.search(r"[{}]|  |\.\.", text)
        assert not any(re.search(r"\d", text) for text in made.spoken.values())


def test_a_block_without_a_line_for_every_language_is_named(tmp_path: Path) -> None:
    (tmp_path / "g.txt").write_text("Ja.\nYes.\nSí.\n", encoding="utf-8")
    with pytest.raises(ValueError, match="block 0 has 3 lines"):
        read_blocks(tmp_path / "g.txt")


def test_the_same_seed_makes_the_same_sentence() -> None:
    blocks = read_blocks()
    assert fill(blocks, 19, random.Random(4)) == fill(blocks, 19, random.Random(4))
    assert fill(blocks, 19, random.Random(4)) != fill(blocks, 19, random.Random(5))


def test_slots_say_what_they_write() -> None:
    rng = random.Random(2)
    number = digits(rng)
    assert len(number["de"].written) == len(number["fr"].spoken.split())
    money = amount(random.Random(3))["en"]
    assert re.fullmatch(r"\d+(\.\d\d)? (euros|dollars)", money.written)
    assert {date(random.Random(seed))["de"].spoken.split()[0][-3:] for seed in range(30)} == {"ten"}
    assert clock(random.Random(1))["es"].spoken.startswith(("la ", "las "))
    assert spelled(rng, "Weiß")["de"].spoken == "W E I S S"


@pytest.mark.parametrize(
    ("text", "language", "said"),
    [
        ("um 18:30 Uhr", "de", "Um achtzehn Uhr dreißig"),
        ("i want 2 tickets", "en", "I want two tickets"),
        ("at 6:05?", "en", "At six 5?"),
        ("Das kostet 5 €.", "de", "Das kostet fünf Euro."),
        ("schreib mir @ 你好", "de", None),
    ],
)
def test_a_text_is_written_as_it_is_said(text: str, language: str, said: str | None) -> None:
    assert spoken(text, language) == (said.replace("six 5", "six five") if said else None)


def test_blocks_of_one_side_never_make_a_sentence_of_the_other() -> None:
    rng = random.Random(1)
    for language in LANGUAGES:
        trained = {grammar_line(rng, language, held_out=False) for _ in range(300)}
        judged = {grammar_line(rng, language, held_out=True) for _ in range(300)}
        must_not_meet(trained, judged)
    assert 0 < sum(map(block_is_held_out, range(len(read_blocks())))) < len(read_blocks()) / 8


def test_texts_that_meet_are_told() -> None:
    with pytest.raises(AssertionError, match="such as 'ja genau'"):
        must_not_meet(["Ja, genau."], ["ja genau!"])
    assert without([("de", "Ja, genau."), ("de", "Nein.")], ["ja genau!"]) == [("de", "Nein.")]


def test_every_copy_of_a_sentence_is_on_the_same_side() -> None:
    texts = [f"Satz Nummer {number}" for number in range(400)]
    share = sum(map(is_held_out, texts)) / len(texts)
    assert 0.02 < share < 0.09
    assert all(is_held_out(text.upper() + "!") == is_held_out(text) for text in texts)


def test_corpora_are_read_where_a_folder_has_them(tmp_path: Path) -> None:
    (tmp_path / "bcontrast").mkdir()
    turns = [
        {"speaker": "customer", "source": "Ich  warte.", "target": "I am waiting."},
        {"speaker": "agent", "source": "What time is it?", "target": "Wie spät ist es?"},
    ]
    for part in ("train", "dev"):
        (tmp_path / "bcontrast" / f"{part}.json").write_text(json.dumps({"one": turns}), encoding="utf-8")
    with zipfile.ZipFile(tmp_path / "tatoeba-deu-eng-2018.zip", "w") as packed:
        packed.writestr("deu.txt", "\n".join(f"Go to {word}.\tGeh nach {word}." for word in ("Rome", "Bonn", "Ulm")))
    assert [pair.de for pair in read_bcontrast(tmp_path, "train")] == ["Ich warte.", "Wie spät ist es?"]
    assert [pair.en for pair in read_tatoeba(tmp_path)] == ["Go to Rome.", "Go to Bonn.", "Go to Ulm."]
    assert read_bcontrast(None, "train") == read_tatoeba(tmp_path / "none") == []
    texts = asr_texts(tmp_path)
    assert "Ich warte." not in texts.held_out["de"]  # it is in the train part as well
    assert texts.everyday


def test_what_is_drawn_to_train_on_is_not_held_out() -> None:
    texts, rng = asr_texts(None), random.Random(1)
    drawn = [texts.draw(rng) for _ in range(500)]
    assert {language for language, _ in drawn} == set(LANGUAGES)
    must_not_meet((text for _, text in drawn), [text for lines in texts.held_out.values() for text in lines])
    assert {language for language, _ in (texts.draw(rng, "fr") for _ in range(20))} == {"fr"}


def test_the_recordings_of_the_tests_are_known_sentences() -> None:
    known = {normalized(text) for pair in known_pairs() for _, text in pair.items()}
    listed = json.loads((Path(__file__).parents[1] / "data" / "speech" / "manifest.json").read_text(encoding="utf-8"))
    assert {normalized(one["text"]) for one in listed} <= known


@pytest.mark.parametrize("mix", MIXES.values(), ids=MIXES)
def test_a_mix_is_what_it_says(mix: Mix) -> None:
    texts, rng = asr_texts(None, mix=mix), random.Random(1)
    drawn = [texts.draw(rng) for _ in range(600)]
    known = {normalized(text) for _, text in texts.known}
    shares = [sum(language == one for language, _ in drawn) / len(drawn) for one in LANGUAGES]
    assert all(abs(share - wanted) < 0.12 for share, wanted in zip(shares, mix.languages, strict=True))
    assert sum(normalized(text) in known for _, text in drawn) > 0.6 * mix.known * len(drawn)
    assert abs(sum(mix.languages) - 1) < 1e-9
    assert mix.known + mix.grammar + mix.chats <= 1
