"""LocalAgreement-2: of what a recogniser makes of growing sound, the beginning that two hypotheses in a row share.

    agreement = Agreement()
    agreement.take(words("ich habe eine Fr"))
    agreement.take(words("ich habe eine Frage zu"))
    agreement.text == "ich habe eine Frage zu"; agreement.stable_text == "ich habe eine"

What was stable once stays as it was: text after it may be revised, itself never. Only the mark behind the last word
before a silence may still change: a recogniser ends with a full stop what ends in silence, until it hears more.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from kallglot_media.speech.types import Word

_MARKS = ".,;:!?…\"'»«“”„‚‘’()[]¿¡-–—"


def plain(word: str) -> str:
    """A word as it is compared: without case and the marks around it; a mark alone stays."""
    return word.casefold().strip(_MARKS) or word


class Agreement:
    """Hypotheses of one stretch of sound in, stable words out.

    words   the newest hypothesis, its stable beginning in the words that it had when it became stable
    stable  how many of them are
    """

    def __init__(self) -> None:
        self.words: list[Word] = []
        self.stable = 0
        self._mark_is_open = False

    @property
    def text(self) -> str:
        """All words."""
        return joined(self.words)

    @property
    def stable_text(self) -> str:
        """Those that will not change."""
        return joined(self.words[: self.stable])

    def take(self, words: Sequence[Word], *, final: bool = False) -> None:
        """The next hypothesis. final: nothing was said behind it, so that all of it is stable."""
        shared = 0
        for before, now in zip(self.words, words, strict=False):
            if plain(before.text) != plain(now.text):
                break
            shared += 1
        kept = self.words[: self.stable]
        last = len(kept) - 1
        if self._mark_is_open and 0 <= last < len(words) and plain(kept[last].text) == plain(words[last].text):
            kept[last] = words[last]
        self._mark_is_open = final
        # The newest spelling and times of what only now became stable: they were made from more sound.
        self.words = [*kept, *words[len(kept) :]]
        self.stable = len(self.words) if final else max(self.stable, shared)

    def drop(self, count: int) -> None:
        """The first words have been passed on, and their sound is gone."""
        del self.words[:count]
        self.stable = max(0, self.stable - count)


def joined(words: Iterable[Word]) -> str:
    """The words as a text."""
    return " ".join(word.text for word in words)
