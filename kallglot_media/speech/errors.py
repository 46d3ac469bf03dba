"""What is wrong with the speech set-up, for the person who can mend it."""

from __future__ import annotations

from kallglot_media.errors import SetupError


class SpeechSetupError(SetupError):
    """A model is missing or wrong, or an engine did not start: nothing to do with one utterance."""
