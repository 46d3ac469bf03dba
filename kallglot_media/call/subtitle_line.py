"""What is typed on a screen of real-time text (T.140) while somebody speaks and a translation of it grows.

Only words on which two successive translations agree are typed, so that the line grows and hardly ever jumps: a
translation that is made anew changes from its middle on, and typing each one whole would mean more backspaces than
words, of which a text phone takes thirty a second. When the turn is final, what turned out otherwise is erased from the
first wrong character on, the rest is typed, and a new line begins: what stands above it stays.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence

from kallglot_media.media.messages import BACKSPACE, LINE_SEPARATOR


class SubtitleLine:
    """The line that is being typed. Each method returns the characters to send."""

    def __init__(self) -> None:
        self._begin()

    def _begin(self) -> None:
        self._shown = ""
        self._start_ms = -1
        self._last: list[str] = []

    def grow(self, start_ms: int, text: str) -> str:
        """A translation of what was said from start_ms on. While an earlier turn is not final, a later one waits."""
        if start_ms != self._start_ms:
            if self._shown:
                return ""
            self._start_ms, self._last = start_ms, []
        words = plain(text).split()
        agreed = " ".join(words[: same_beginning(words, self._last)])
        self._last = words
        if not agreed.startswith(self._shown):
            return ""  # it is put right when it is final
        more = agreed[len(self._shown) :]
        self._shown = agreed
        return more

    def finish(self, text: str, below: str | None = None) -> str:
        """A turn is final. below: another line under it."""
        text = plain(text)
        kept = same_beginning(self._shown, text)
        wrong = sum(not unicodedata.combining(char) for char in self._shown[kept:])
        lines = [text[kept:], *([plain(below)] if below else [])]
        self._begin()
        return BACKSPACE * wrong + "".join(line + LINE_SEPARATOR for line in lines)


def same_beginning(one: Sequence[str], other: Sequence[str]) -> int:
    """How many items both begin with: `same_beginning("Hello", "Help") == 3`."""
    pairs = enumerate(zip(one, other, strict=False))
    return next((at for at, (a, b) in pairs if a != b), min(len(one), len(other)))


def plain(text: str) -> str:
    """One line without control characters, composed (NFC), so that one backspace erases one letter."""
    spaced = " ".join(unicodedata.normalize("NFC", text).split())
    return "".join(char for char in spaced if char.isprintable())
