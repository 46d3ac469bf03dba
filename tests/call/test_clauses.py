"""Pieces that can be spoken one after the other."""

import pytest
from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.call.clauses import speakable


@pytest.mark.parametrize(
    ("text", "pieces"),
    [
        ("", []),
        ("  Hello.  ", ["Hello."]),
        ("Yes. Your order has left the house.", ["Yes. Your order has left the house."]),
        (
            "Your order has left the house. Is there anything else?",
            ["Your order has left the house.", "Is there anything else?"],
        ),
        (
            "It was delivered on the 3. of May by Dr. Meyer himself.",
            ["It was delivered on the 3. of May by Dr. Meyer himself."],
        ),
        ("The price is 3.50 euros and no more than that.", ["The price is 3.50 euros and no more than that."]),
    ],
)
def test_pieces_end_where_a_speaker_breathes(text: str, pieces: list[str]) -> None:
    assert speakable(text) == pieces


@given(some.text(max_size=200))
def test_no_word_is_lost_or_said_twice(text: str) -> None:
    assert " ".join(speakable(text)).split() == text.split()
