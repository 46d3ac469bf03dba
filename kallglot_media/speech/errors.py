"""What is wrong with the speech set-up, for the person who can mend it."""

from __future__ import annotations

from collections.abc import Sequence

from kallglot_media.errors import SetupError


class SpeechSetupError(SetupError):
    """A model is missing or wrong, or an engine did not start: nothing to do with one utterance."""

    @classmethod
    def of(cls, mistakes: Sequence[SpeechSetupError]) -> SpeechSetupError:
        """One error that names them all; the one itself when it is alone."""
        if len(mistakes) == 1:
            return mistakes[0]
        lines = "".join(f"\n  {one.where}: {one.wrong}; {one.mend}" for one in mistakes)
        return cls("models", f"{len(mistakes)} cannot be used", f"mend each of them:{lines}")
