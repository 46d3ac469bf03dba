"""Cutting text into sentences."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.speech.sentences import sentences


@pytest.mark.parametrize(
    ("text", "cut"),
    [
        ("", []),
        ("   ", []),
        ("Guten Tag", ["Guten Tag"]),
        ("Guten Tag. Wie geht es?", ["Guten Tag.", "Wie geht es?"]),
        ("Ja!  Nein?\nDoch.", ["Ja!", "Nein?", "Doch."]),
        ("Guten Tag, Dr. Braun. Am 3. Mai? Ja.", ["Guten Tag, Dr. Braun.", "Am 3. Mai?", "Ja."]),
        ("Das kostet 3.50 Euro. Gut.", ["Das kostet 3.50 Euro.", "Gut."]),
        ("I spoke to Mr. A. Smith. He agreed.", ["I spoke to Mr. A. Smith.", "He agreed."]),
        ("Er sagte: „Nein.“ Dann ging er.", ["Er sagte: „Nein.“", "Dann ging er."]),
        ("z.B. morgen. Oder heute.", ["z.B. morgen.", "Oder heute."]),
        ("Well… maybe.", ["Well…", "maybe."]),
        ("one. two", ["one. two"]),
        (". . .", [". . ."]),
    ],
)
def test_where_a_sentence_ends(text: str, cut: list[str]) -> None:
    assert sentences(text) == cut


@given(some.text(alphabet="ab. !?3Z…\n", max_size=60))
def test_no_letter_is_lost_or_moved(text: str) -> None:
    assert "".join("".join(sentences(text)).split()) == "".join(text.split())
