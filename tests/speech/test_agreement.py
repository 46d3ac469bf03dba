"""What two hypotheses in a row share does not change any more."""

from hypothesis import given
from hypothesis import strategies as some

from kallglot_media.speech.agreement import Agreement
from kallglot_media.speech.types import Word


def words(text: str) -> list[Word]:
    return [Word(one, 200 * n, 200 * n + 150, 0.9) for n, one in enumerate(text.split())]


def after(*hypotheses: str) -> Agreement:
    agreement = Agreement()
    for one in hypotheses:
        agreement.take(words(one))
    return agreement


def test_one_hypothesis_alone_is_not_sure_of_anything() -> None:
    assert after("ich habe").stable == 0


def test_the_beginning_that_two_share_is_stable() -> None:
    agreement = after("ich habe eine Fr", "ich habe eine Frage zu")
    assert (agreement.stable_text, agreement.text) == ("ich habe eine", "ich habe eine Frage zu")


def test_marks_and_case_do_not_make_another_word() -> None:
    agreement = after("Guten tag.", "guten Tag, ich")
    assert agreement.stable_text == "guten Tag,", "in the newer spelling"


def test_what_was_stable_stays_whatever_comes_after() -> None:
    agreement = after("ich habe eine", "ich habe eine Frage", "sie haben keine Frage")
    assert agreement.text == "ich habe eine Frage"
    assert agreement.stable == 3, "a hypothesis that contradicts it agrees with nothing"


def test_behind_the_last_word_all_is_stable() -> None:
    agreement = after("ich habe")
    agreement.take(words("ich habe Zeit."), final=True)
    assert agreement.stable_text == "ich habe Zeit."


def test_a_full_stop_that_was_only_made_of_a_silence_goes_away_with_more_words() -> None:
    agreement = Agreement()
    agreement.take(words("Guten Tag."), final=True)
    agreement.take(words("Guten Tag, mein Name"))
    assert (agreement.stable_text, agreement.text) == ("Guten Tag,", "Guten Tag, mein Name")
    agreement.take(words("Guten Tag. mein Name ist"))
    assert agreement.stable_text == "Guten Tag, mein Name", "but once, and the words stay"
    agreement.take(words("Gute Nacht"), final=True)
    assert agreement.stable_text == "Guten Tag, mein Name"


def test_dropped_words_are_not_expected_again() -> None:
    agreement = after("eins zwei drei", "eins zwei drei vier")
    agreement.drop(2)
    assert (agreement.text, agreement.stable_text) == ("drei vier", "drei")


@given(some.lists(some.text("abc ", max_size=12), max_size=8))
def test_the_stable_beginning_only_ever_grows(hypotheses: list[str]) -> None:
    agreement = Agreement()
    before: list[str] = []
    for one in hypotheses:
        agreement.take(words(one))
        now = [word.text for word in agreement.words[: agreement.stable]]
        assert now[: len(before)] == before
        before = now
