"""Holding entities fast through a translator that knows nothing of them: choose, put right, or translate around."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from kallglot_media.speech.entities import Entity, entities, in_digits, missing, repaired, surplus, written


@dataclass(frozen=True, slots=True)
class Made:
    """A sentence's translation. repaired: how many entities were put right; missing: how many could not be."""

    text: str
    repaired: int = 0
    missing: int = 0


class Lock:
    """One sentence's entities.

    terms  (as it is in `source`, as it must be in `target`)
    """

    def __init__(self, text: str, source: str, target: str, terms: Sequence[tuple[str, str]] = ()) -> None:
        self._plain = in_digits(text, source) if text else ""
        self._target = target
        self._wanted: list[Entity] = entities(text, source, terms) if text else []

    def best(self, hypotheses: Sequence[str]) -> str:
        """The first one with the fewest mistakes."""
        if len(hypotheses) == 1 or not any(self._mistakes(one) for one in hypotheses[:1]):
            return hypotheses[0]
        return min(hypotheses, key=self._mistakes)

    def hold(self, text: str, translate: Callable[[str], str]) -> Made:
        """The translation with everything that must be in it. translate: for the words between what is locked."""
        lacking = missing(self._wanted, text, self._target)
        invented = surplus(self._wanted, text, self._target)
        if not lacking and not invented:
            return Made(text)
        put_right = repaired(self._wanted, text, self._target)
        if put_right is not None:
            return Made(put_right, repaired=len(lacking))
        if not lacking:
            return Made(text, missing=len(invented))
        around = self._around(translate)
        still = len(missing(self._wanted, around, self._target))
        return Made(around, repaired=len(lacking) - still, missing=still)

    def _mistakes(self, text: str) -> int:
        return len(missing(self._wanted, text, self._target)) + len(surplus(self._wanted, text, self._target))

    def _around(self, translate: Callable[[str], str]) -> str:
        """What stands before, between and behind, each by itself, and the entities as they are."""
        parts: list[str] = []
        at = 0
        for one in [each for each in self._wanted if each.strict]:
            parts += [_by_itself(self._plain[at : one.start], translate), written(one, self._target)]
            at = one.end
        parts.append(_by_itself(self._plain[at:], translate))
        return _closed_up(parts)


def _by_itself(text: str, translate: Callable[[str], str]) -> str:
    """Words translated, marks kept as they are."""
    return translate(text.strip()) if any(letter.isalpha() for letter in text) else text.strip()


def _closed_up(parts: Sequence[str]) -> str:
    made = ""
    for part in parts:
        if part:
            made += part if not made or part[0] in ".,;:!?%)" else f" {part}"
    return made


NO_LOCK = Lock("", "", "")
