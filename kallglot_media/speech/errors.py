"""What is wrong with the speech set-up, for the person who can mend it."""

from __future__ import annotations


class SpeechSetupError(Exception):
    """A model is missing or wrong, or an engine did not start: nothing to do with one utterance.

    Reads as one line: `<where>: <what is wrong>; <what to do>`.

    where  a file, a folder or a setting
    mend   what to do about it, as an order
    """

    def __init__(self, where: str, wrong: str, mend: str) -> None:
        super().__init__(f"{where}: {wrong}; {mend}")
        self.where = where
        self.wrong = wrong
        self.mend = mend
