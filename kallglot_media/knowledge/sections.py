"""What every reader of documents gives: sections, each under its heading."""

from __future__ import annotations

from dataclasses import dataclass


@dataclass(frozen=True, slots=True)
class Section:
    """text: paragraphs with an empty line between them; heading: the way down to it; page: of a PDF, from 1."""

    text: str
    heading: str | None = None
    page: int | None = None


class Unreadable(ValueError):
    """The document is not what it says it is. The message says what is wrong, and what to send instead."""


class Outline:
    """The headings above the present place: heading(2, "Returns") under heading(1, "Help") is "Help › Returns"."""

    def __init__(self) -> None:
        self._titles: list[tuple[int, str]] = []

    def heading(self, level: int, title: str) -> None:
        """A heading of this level begins."""
        self._titles = [one for one in self._titles if one[0] < level]
        if title:
            self._titles.append((level, title))

    @property
    def path(self) -> str | None:
        """All headings above, or None."""
        return " › ".join(title for _, title in self._titles) or None
