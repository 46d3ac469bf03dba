"""The calls of scripts/demo_calls: their recordings are there, and no line of them can be a training text."""

from __future__ import annotations

from pathlib import Path

import pytest
from demo_call import LANGUAGES, RATE_HZ, calls, read_call
from train_starter.call_recordings import must_be_new
from train_starter.speakers import HELD_OUT_VARIANTS
from train_starter.splits import must_not_meet
from train_starter.texts import known_pairs

from kallglot_media.phone.sounds import load_sound


@pytest.mark.parametrize("name", calls())
def test_a_call_is_new_to_the_models_and_whole(name: str) -> None:
    voices, lines = read_call(name)
    must_be_new([line["text"] for line in lines], None)
    assert {voice.split("+")[1] for voice in voices.values()} <= set(HELD_OUT_VARIANTS)
    assert [line["speaker"] for line in lines] == list(LANGUAGES) * (len(lines) // 2)
    assert sum(len(load_sound(Path(line["file"]), RATE_HZ)) for line in lines) > 90 * RATE_HZ


@pytest.mark.parametrize(
    "known", [known_pairs()[3].de, "mein router ist noch nicht angekommen", "I would like to cancel my coffee machine."]
)
def test_a_line_that_is_trained_on_or_can_be_made_of_the_grammar_is_refused(known: str) -> None:
    with pytest.raises(AssertionError, match=r"trained on|can be made"):
        must_be_new(["Ganz neu.", known], None)


def test_the_lines_of_different_calls_differ() -> None:
    lines = [[line["text"] for line in read_call(name)[1]] for name in calls()]
    for n, one in enumerate(lines):
        must_not_meet(one, [text for other in lines[n + 1 :] for text in other])
