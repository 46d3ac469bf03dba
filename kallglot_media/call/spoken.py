"""Which language each party speaks, when nobody said so beforehand."""

from __future__ import annotations

from collections.abc import Mapping

from kallglot_media.modes.plan import Party


class SpokenLanguages:
    """What is configured stays; the rest is found out as the parties speak."""

    def __init__(self, known: Mapping[Party, str | None]) -> None:
        self._known = {party: language for party, language in known.items() if language is not None}
        self._found: dict[Party, str] = {}
        self._last: dict[Party, str] = {}

    def of(self, party: Party) -> str | None:
        """The party's language; None until it has spoken."""
        return self._known.get(party) or self._found.get(party)

    def heard(self, party: Party, language: str) -> None:
        """A recogniser heard this. A change counts when it is heard twice in a row: one utterance may be odd."""
        if party not in self._found or self._last.get(party) == language:
            self._found[party] = language
        self._last[party] = language
