"""Where in a stream of words one may stop, translate what came before, and speak it: stable clauses."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.modes.policy import Policy
from kallglot_media.speech.sentences import NEVER_LAST
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

_DANGLING = {
    "de": """der die das den dem des ein eine einen einem einer eines kein keine mein meine meinen meiner ihr ihre ihren
        ihrer in im an am auf aus bei mit nach von vom zu zum zur für über unter gegen ohne um und oder aber dass weil
        wenn ist sind sehr""",
    "en": """the a an my your his her our their this of to in on at for from with by about into and or but that because
        if is are was were very i we they""",
    "es": "el la los las un una unos unas mi su sus de del a al en con por para sin y o pero que porque si es muy",
    "fr": """le la les un une des mon ma mes votre vos de du à au aux en avec pour par sans et ou mais que parce si
        est très""",
}
DANGLING = {language: frozenset(words.split()) for language, words in _DANGLING.items()}
"""Words behind which nobody has finished, unless a mark says so: what follows belongs to them, by language."""


def ends_sentence(text: str) -> bool:
    """Whether a text ends where a sentence does: "I see." does, "I see Mr." does not."""
    text = text.rstrip(_CLOSING)
    return text[-1:] in tuple(_SENTENCE_MARKS) and not _is_abbreviation(text)


def _is_abbreviation(text: str) -> bool:
    return text.endswith(".") and text[:-1].rpartition(" ")[2].lower() in NEVER_LAST


def goes_on_after(text: str, following: str) -> bool:
    """Whether a full stop ends no sentence, for the next word is written small: "It works. since Thursday no more".

    Behind a question mark one may be: dictated digits are written so.
    """
    return text.rstrip(_CLOSING)[-1:] == "." and following[:1].islower() and ends_sentence(text)


def as_said(words: Sequence[str]) -> str:
    """The words as a text, without full stops that end no sentence."""
    told = [
        word.rstrip(_SENTENCE_MARKS) if goes_on_after(word, following) else word
        for word, following in zip(words, [*words[1:], ""], strict=True)
    ]
    return " ".join(told)


def ends_clause(text: str) -> bool:
    """Whether a text ends with a mark that ends a sentence or a part of one."""
    return text.rstrip(_CLOSING)[-1:] in tuple(_SENTENCE_MARKS + _CLAUSE_MARKS)


def complete_words(words: Sequence[Word], stable: int, policy: Policy, language: str, *, paused: bool) -> int:
    """How many of the first `stable` words may be passed on now; 0: none yet.

    paused: the talker is silent behind the last word. Nothing ends behind words that something has to follow.
    In turn mode only a whole sentence before a pause counts.
    """
    if policy.interpret == "turn":
        whole = paused and policy.pause_ms and stable == len(words) > 0 and ends_sentence(words[-1].text)
        return stable if whole else 0
    for count in range(stable, 0, -1):
        if _is_end(words, count, stable, policy, language, paused=paused):
            return count
    return _held_too_long(words, stable, policy, language)


def _is_end(words: Sequence[Word], count: int, stable: int, policy: Policy, language: str, *, paused: bool) -> bool:
    last = words[count - 1].text
    if count == len(words):
        return paused and count >= policy.shortest_words and not _dangles(last, language)
    is_stray = goes_on_after(last, words[count].text)  # a recogniser ends with a full stop what it has heard so far
    if ends_sentence(last) and not is_stray:
        # Until the next word is sure, too, the mark may go away again. "3." is mostly a date's.
        return 1 < count < stable and not last.rstrip(_CLOSING)[:-1].isdigit()
    if count < policy.shortest_words or _dangles(last, language):
        return False
    following = words[count]
    if (ends_clause(last) and not is_stray) or following.start_ms - words[count - 1].end_ms >= PAUSE_BETWEEN_WORDS_MS:
        return True
    joins = following.text.casefold() in CONJUNCTIONS.get(language, ())
    return joins and count >= policy.shortest_words + LONGER_BEFORE_A_CONJUNCTION


def _dangles(word: str, language: str) -> bool:
    """Whether what follows belongs to this word."""
    return _is_abbreviation(word) or word.casefold() in DANGLING.get(language, ())


def _held_too_long(words: Sequence[Word], stable: int, policy: Policy, language: str) -> int:
    """Stable words without the last, which its next may belong to, nor what dangles; 0 while there is still time."""
    if stable <= policy.shortest_words or words[stable - 1].end_ms - words[0].start_ms < policy.longest_hold_ms:
        return 0
    count = stable - 1
    while count > policy.shortest_words and _dangles(words[count - 1].text, language):
        count -= 1
    return count
