"""What is typed while a translation grows. A screen shows it as a person would see it."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.call.subtitle_line import SubtitleLine, plain
from kallglot_media.rtp.realtime_text import TextScreen


def test_only_what_two_translations_agree_on_is_typed() -> None:
    line = SubtitleLine()
    assert line.grow(0, "I") == ""
    assert line.grow(0, "I have a") == "I"
    assert line.grow(0, "I have an order") == " have"
    assert line.grow(0, "We have an order") == "", "it is not erased for a guess"
    assert line.finish("I have an order.") == " an order.\u2028"


def test_what_turned_out_otherwise_is_erased_from_the_first_wrong_letter() -> None:
    line = SubtitleLine()
    line.grow(0, "the lawn mower")
    assert line.grow(0, "the lawn mower is") == "the lawn mower"
    assert line.finish("the lawnmower", "(der Rasenmäher)") == "\b" * 6 + "mower\u2028(der Rasenmäher)\u2028"


def test_a_later_turn_waits_until_the_earlier_one_is_final() -> None:
    line = SubtitleLine()
    line.grow(0, "Good day")
    assert line.grow(0, "Good day") == "Good day"
    assert line.grow(1500, "And now") == line.grow(1500, "And now") == ""
    assert line.finish("Good day.") == ".\u2028"
    assert line.grow(1500, "And now") == ""
    assert line.grow(1500, "And now") == "And now"


def test_one_backspace_erases_one_letter_however_it_was_written() -> None:
    assert plain("Gru\u0308\u00df\n  Gott\x07\u2028!") == "Grüß Gott !"
    line = SubtitleLine()
    line.grow(0, "x\u0323\u0307")  # no composed letter for both dots
    assert len(line.grow(0, "x\u0323\u0307")) > 1
    assert line.finish("y") == "\by\u2028"


@given(some.lists(some.text("ab ü", max_size=12), max_size=8), some.text("ab ü", max_size=12))
def test_the_screen_shows_the_final_text_whatever_grew_before(grown: list[str], final: str) -> None:
    line, screen = SubtitleLine(), TextScreen()
    for text in grown:
        screen.show(line.grow(0, text))
    screen.show(line.finish(final))
    assert screen.lines == [plain(final)]
    assert screen.line == ""
