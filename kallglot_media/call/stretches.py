"""Where in a stream of words one may stop, translate what came before, and speak it: stable clauses."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.modes.policy import Policy
from kallglot_media.speech.types import Word

PAUSE_BETWEEN_WORDS_MS = 300
"""Somebody who stops so long between two words has ended a clause."""

LONGER_BEFORE_A_CONJUNCTION = 2
"""So many more words than policy.shortest_words stand before an "and": it may join words, not clauses."""

_SENTENCE_MARKS = ".!?…"
_CLAUSE_MARKS = ",;:–"
_CLOSING = "\"'»“”’)]"

_CONJUNCTIONS = {
    "de": "und aber oder denn sondern weil dass wenn ob obwohl damit während bevor nachdem sodass",
    "en": "and but or so because that which when if although while before after since unless",
    "es": "y pero o porque que cuando si aunque mientras pues sino",
    "fr": "et mais ou car parce que quand si quoique donc puisque lorsque",
    "it": "e ma o perché che quando se anche mentre poiché quindi",
    "pt": "e mas ou porque que quando se embora enquanto pois",
    "nl": "en maar of want omdat dat als hoewel terwijl zodat voordat nadat",
}
CONJUNCTIONS = {language: frozenset(words.split()) for language, words in _CONJUNCTIONS.items()}
"""Words that begin a clause, by language."""


def ends_sentence(text: str) -> bool:
    """Whether a text ends where a sentence does."""
    return text.rstrip(_CLOSING)[-1:] in tuple(_SENTENCE_MARKS)


def ends_clause(text: str) -> bool:
    """Whether a text ends with a mark that ends a sentence or a part of one."""
    return text.rstrip(_CLOSING)[-1:] in tuple(_SENTENCE_MARKS + _CLAUSE_MARKS)


def complete_words(words: Sequence[Word], stable: int, policy: Policy, language: str, *, paused: bool) -> int:
    """How many of the first `stable` words may be passed on now; 0: none yet.

    paused: the talker is silent behind the last word. In turn mode only a whole sentence before a pause counts.
    """
    if policy.interpret == "turn":
        whole = paused and policy.pause_ms and stable == len(words) > 0 and ends_sentence(words[-1].text)
        return stable if whole else 0
    for count in range(stable, 0, -1):
        if _is_end(words, count, stable, policy, language, paused=paused):
            return count
    return _held_too_long(words, stable, policy)


def _is_end(words: Sequence[Word], count: int, stable: int, policy: Policy, language: str, *, paused: bool) -> bool:
    last = words[count - 1]
    if count == len(words):
        return paused and (ends_sentence(last.text) or count >= policy.shortest_words)
    if ends_sentence(last.text):
        return 1 < count < stable  # until the next word is sure, too, the mark may go away again
    if count < policy.shortest_words:
        return False
    following = words[count]
    if ends_clause(last.text) or following.start_ms - last.end_ms >= PAUSE_BETWEEN_WORDS_MS:
        return True
    joins = following.text.casefold() in CONJUNCTIONS.get(language, ())
    return joins and count >= policy.shortest_words + LONGER_BEFORE_A_CONJUNCTION


def _held_too_long(words: Sequence[Word], stable: int, policy: Policy) -> int:
    """All stable words but the last, which its next may belong to; 0 while there is still time."""
    if stable <= policy.shortest_words or words[stable - 1].end_ms - words[0].start_ms < policy.longest_hold_ms:
        return 0
    return stable - 1
