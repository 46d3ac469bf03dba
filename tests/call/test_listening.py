"""What is heard of somebody who goes on speaking: sound is made of numbers, hypotheses are written by hand."""

import numpy as np

from kallglot_media.call.listening import Heard, Listening, Snapshot
from kallglot_media.media.messages import SpeechGrew, Utterance
from kallglot_media.modes.policy import Policy
from kallglot_media.speech.types import Transcript, Word

RATE_HZ = 8000
MS = RATE_HZ // 1000
WORD_MS = 300
BY_CLAUSE = Policy(interpret="clause")


class Talk:
    """Somebody whose every word takes 300 ms, the first at `start_ms`."""

    def __init__(self, policy: Policy = BY_CLAUSE, start_ms: int = 1000) -> None:
        self.listening = Listening(policy)
        self.start_ms = self.at_ms = start_ms
        noise = np.random.default_rng(3).integers(-8000, 8000, 60_000 * MS)
        self.sound = noise.astype(np.int16)

    def say(self, ms: int, *, paused: bool = False, speech_ms: int | None = None) -> Snapshot | None:
        speech_ms = ms if speech_ms is None else speech_ms
        piece = self.sound[self.at_ms * MS : (self.at_ms + ms) * MS]
        grew = SpeechGrew("l", piece.tobytes(), RATE_HZ, self.at_ms * MS, (self.at_ms + speech_ms) * MS, paused)
        self.at_ms += ms
        self.listening.grow(grew)
        return self.listening.sound()

    def hear(self, snapshot: Snapshot | None, text: str) -> Heard | None:
        """The recogniser's words, as if each of the snapshot's took 300 ms."""
        assert snapshot is not None
        words = tuple(Word(one, n * WORD_MS, n * WORD_MS + 280, 0.9) for n, one in enumerate(text.split()))
        return self.listening.heard(snapshot, Transcript(text, "de", 1.0, 0.9, 0.0, words, 5.0))

    def end(self) -> Utterance:
        sound = self.sound[self.start_ms * MS : (self.at_ms + 200) * MS]
        return Utterance("l", sound.tobytes(), RATE_HZ, self.start_ms * MS, self.at_ms * MS, "silence")


def test_words_become_stable_and_a_sentence_is_passed_on_once() -> None:
    talk = Talk()
    first = talk.hear(talk.say(900), "Guten Tag. Ich")
    assert first is not None
    assert (first.text, first.stable, first.clause) == ("Guten Tag. Ich", "", None)
    second = talk.hear(talk.say(600), "Guten Tag. Ich habe eine")
    assert second is not None
    assert second.clause is not None
    assert second.clause.transcript.text == "Guten Tag."
    assert (second.clause.start_ms, second.clause.end_ms) == (1000, 1580)
    assert (second.text, second.stable) == ("Ich habe eine", "Ich")


def test_the_sound_of_what_was_passed_on_is_not_recognised_again() -> None:
    talk = Talk()
    talk.hear(talk.say(900), "Guten Tag. Ich")
    talk.hear(talk.say(600), "Guten Tag. Ich habe eine")
    snapshot = talk.say(300)
    assert snapshot is not None
    cut_ms = snapshot.first_sample // MS
    assert 1580 - 160 <= cut_ms <= 1600 + 160, "near the gap between the words"
    rest = talk.listening.rest_of(talk.end())
    assert rest is not None
    assert rest.utterance.first_sample == snapshot.first_sample
    assert np.array_equal(
        np.frombuffer(rest.utterance.pcm, np.int16), talk.sound[snapshot.first_sample : (talk.at_ms + 200) * MS]
    )


def test_the_cut_goes_to_the_quietest_place_between_two_words() -> None:
    talk = Talk()
    quiet = slice(1650 * MS, 1690 * MS)
    talk.sound[quiet] = 0
    talk.hear(talk.say(900), "Guten Tag. Ich")
    talk.hear(talk.say(600), "Guten Tag. Ich habe eine")
    snapshot = talk.say(300)
    assert snapshot is not None
    assert quiet.start <= snapshot.first_sample <= quiet.stop


def test_a_hypothesis_of_sound_that_is_gone_is_of_no_use() -> None:
    talk = Talk()
    old = talk.say(900)
    talk.listening.rest_of(talk.end())
    assert talk.hear(old, "Guten Tag.") is None


def test_silence_behind_a_sentence_passes_it_on_and_leaves_nothing_for_the_end() -> None:
    talk = Talk()
    heard = talk.hear(talk.say(840, paused=True, speech_ms=600), "Hier ist Maria Weber.")
    assert heard is not None
    assert heard.clause is not None
    talk.at_ms -= 240
    assert talk.listening.rest_of(talk.end()) is None


def test_what_comes_after_such_a_silence_is_passed_on_by_itself() -> None:
    talk = Talk()
    talk.hear(talk.say(840, paused=True, speech_ms=600), "Hier ist Maria Weber.")
    assert talk.say(400) is not None
    rest = talk.listening.rest_of(talk.end())
    assert rest is not None
    assert rest.utterance.first_sample == (1000 + 840) * MS


def test_an_utterance_that_was_recognised_in_its_last_pause_is_not_recognised_again() -> None:
    talk = Talk(Policy(interpret="turn", pause_ms=0))
    heard = talk.hear(talk.say(840, paused=True, speech_ms=600), "Guten Tag.")
    assert heard is not None
    assert heard.clause is None
    talk.at_ms -= 240
    rest = talk.listening.rest_of(talk.end())
    assert rest is not None
    assert rest.transcript is not None
    assert rest.transcript.text == "Guten Tag."


def test_more_speech_after_the_pause_makes_it_old() -> None:
    talk = Talk(Policy(interpret="turn", pause_ms=0))
    talk.hear(talk.say(840, paused=True, speech_ms=600), "Guten Tag.")
    talk.say(500)
    rest = talk.listening.rest_of(talk.end())
    assert rest is not None
    assert rest.transcript is None


def test_a_long_monologue_holds_only_the_last_seconds() -> None:
    talk = Talk(Policy(interpret="turn", longest_held_s=3.0))
    said: list[str] = []
    longest_ms = 0
    for n in range(60):
        snapshot = talk.say(WORD_MS)
        if snapshot is None:
            continue
        longest_ms = max(longest_ms, len(snapshot.pcm) // MS)
        first_word = round((snapshot.first_sample // MS - 1000) / WORD_MS)
        said = [f"w{k}" for k in range(first_word, n + 1)]
        heard = talk.hear(snapshot, " ".join(said))
        assert heard is not None
        words = heard.text.split()
        assert words[:3] == ["w0", "w1", "w2"][: len(words)], "the subtitle keeps its beginning"
    assert longest_ms <= 3000 + 2 * WORD_MS
    rest = talk.listening.rest_of(talk.end())
    assert rest is not None
    assert rest.utterance.first_sample == 1000 * MS, "by turns the whole utterance is recognised once more"


def test_an_utterance_of_which_nothing_was_told_is_passed_on_whole() -> None:
    talk = Talk()
    talk.at_ms = 2000
    rest = talk.listening.rest_of(talk.end())
    assert rest is not None
    assert (rest.utterance, rest.transcript) == (talk.end(), None)


def test_less_speech_than_a_syllable_is_not_recognised_and_160_ms_are() -> None:
    """Silence behind the speech does not count, and what was passed on does not either."""
    assert Talk().say(400, speech_ms=159) is None
    snapshot = Talk().say(400, speech_ms=160)
    assert snapshot is not None
    assert snapshot.speech_end_sample == (1000 + 160) * MS
    talk = Talk()
    assert talk.say(100) is None
    assert talk.say(60) is not None, "it is the sum that counts"
