"""Where one may stop and translate."""

import pytest

from kallglot_media.call.stretches import as_said, complete_words
from kallglot_media.modes.policy import Policy
from kallglot_media.speech.types import Word

CLAUSE = Policy(interpret="clause")
TURN = Policy(interpret="turn")


def words(text: str, *, gaps: dict[int, int] | None = None) -> list[Word]:
    """300 ms a word; gaps: index of a word -> silence behind it in ms."""
    made, at_ms = [], 0
    for n, one in enumerate(text.split()):
        made.append(Word(one, at_ms, at_ms + 280, 0.9))
        at_ms += 280 + (gaps or {}).get(n, 20)
    return made


def passed_on(
    text: str, stable: int, policy: Policy = CLAUSE, *, paused: bool = False, gaps: dict[int, int] | None = None
) -> str:
    said = words(text, gaps=gaps)
    count = complete_words(said, stable, policy, "de", paused=paused)
    return " ".join(word.text for word in said[:count])


def test_a_sentence_is_passed_on_as_soon_as_the_next_begins() -> None:
    assert passed_on("Guten Tag. Ich habe", 3) == "Guten Tag."
    assert passed_on("Guten Tag. Ich habe", 2) == "", "the full stop goes away if it goes on"
    assert passed_on("Guten Tag.", 2) == "", "it may go on: Guten Tag Herr Braun"


@pytest.mark.parametrize(
    "text", ["ich bin Dr. Braun aus", "kommen Sie am 3. Mai zu", "das ist z.B. eine Uhr und", "hier ist Hr. Braun aus"]
)
def test_the_full_stop_of_an_abbreviation_or_a_number_ends_no_sentence(text: str) -> None:
    assert passed_on(text, len(text.split()) - 1) == ""


def test_a_full_stop_before_a_small_letter_ends_no_sentence() -> None:
    """It works since Thursday no more: passed on at the full stop, it would say the opposite."""
    assert passed_on("Mein Konto funktioniert. seit Donnerstag nicht", 5) == ""
    assert passed_on("Mein neues Konto funktioniert. seit Donnerstag", 5) == ""
    assert passed_on("Mein neues Konto funktioniert. Seit Donnerstag", 5) == "Mein neues Konto funktioniert."
    assert passed_on("Und Ihre Nummer? eins acht", 4) == "Und Ihre Nummer?"
    spoken_with_a_pause = passed_on("Mein neues Konto funktioniert. seit Donnerstag", 5, gaps={3: 400})
    assert spoken_with_a_pause == "Mein neues Konto funktioniert."


def test_such_a_full_stop_is_not_said() -> None:
    assert as_said(["Mein", "Konto", "funktioniert.", "seit", "Donnerstag", "nicht."]) == (
        "Mein Konto funktioniert seit Donnerstag nicht."
    )
    assert as_said(["Ja.", "Gut.", "und", "Dr.", "hc"]) == "Ja. Gut und Dr. hc"


def test_silence_behind_an_abbreviation_ends_nothing_and_behind_a_number_does() -> None:
    assert passed_on("mein Name ist Dr.", 4, paused=True) == ""
    assert passed_on("mein Name ist Dr.", 4, TURN, paused=True) == ""
    assert passed_on("Nein. Es sind 19.", 4, paused=True) == "Nein. Es sind 19."


def test_a_comma_ends_a_clause_that_is_long_enough() -> None:
    assert passed_on("Ich habe gestern etwas bestellt, aber es", 6) == "Ich habe gestern etwas bestellt,"
    assert passed_on("Ja, aber es ist", 4) == ""


def test_a_conjunction_begins_a_clause_after_more_words() -> None:
    text = "ich habe am Mittwoch etwas bestellt weil es"
    assert passed_on(text, 7) == "ich habe am Mittwoch etwas bestellt"
    assert passed_on("der Hund und die Katze", 4) == ""


def test_a_pause_between_words_ends_a_clause() -> None:
    assert passed_on("die Nummer ist eins sieben acht", 5, gaps={3: 400}) == "die Nummer ist eins"


def test_words_that_are_not_stable_are_never_passed_on() -> None:
    assert passed_on("Guten Tag. Ich habe eine Frage. Wo", 3) == "Guten Tag."


def test_silence_behind_the_last_word_passes_on_what_there_is() -> None:
    assert passed_on("Hier ist Maria Weber.", 4, paused=True) == "Hier ist Maria Weber."
    assert passed_on("die Nummer ist eins", 4, paused=True) == "die Nummer ist eins"
    assert passed_on("ich habe", 2, paused=True) == "", "two words are no clause"
    assert passed_on("Guten Tag.", 2, paused=True) == "", "a recogniser writes that of a comma, too: mein Name ist"
    assert passed_on("Guten Tag.", 2, TURN, paused=True) == "Guten Tag.", "by turns the silence is longer"


@pytest.mark.parametrize("text", ["ich möchte gerne mit der", "das ist für heute alles und", "ich habe gestern am"])
def test_who_stops_behind_a_word_that_goes_on_has_not_finished(text: str) -> None:
    count = len(text.split())
    assert passed_on(text, count, paused=True) == ""
    assert passed_on(f"{text} zwei drei", count + 1, gaps={count - 1: 400}) == ""
    assert passed_on(f"{text} Müller", count + 1, paused=True) == f"{text} Müller"


def test_a_clause_that_has_waited_too_long_ends_behind_a_word_that_may_be_last() -> None:
    text = " ".join(f"wort{n}" for n in range(15)) + " mit der Karte zahlen können"
    assert passed_on(text, 18).endswith("wort14")


def test_a_clause_without_an_end_is_passed_on_when_it_has_waited_long_enough() -> None:
    text = " ".join(f"wort{n}" for n in range(20))
    assert passed_on(text, 12) == ""
    assert len(passed_on(text, 18).split()) == 17


@pytest.mark.parametrize(
    ("text", "paused", "passes"),
    [
        ("Guten Tag. Ich habe eine Frage.", True, True),
        ("Guten Tag. Ich habe eine Frage.", False, False),
        ("Guten Tag. Ich habe eine", True, False),
    ],
)
def test_by_turns_only_a_whole_sentence_before_a_pause_is_passed_on(text: str, paused: bool, passes: bool) -> None:
    assert passed_on(text, len(text.split()), TURN, paused=paused) == (text if passes else "")


def test_by_turns_a_pause_of_zero_waits_for_the_end_of_the_utterance() -> None:
    assert passed_on("Guten Tag.", 2, Policy(pause_ms=0), paused=True) == ""
