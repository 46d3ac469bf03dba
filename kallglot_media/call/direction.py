"""One direction of a session: whose words become whose, and how long that may take."""

from __future__ import annotations

from dataclasses import dataclass, field

from kallglot_media.call.spoken import SpokenLanguages
from kallglot_media.modes.plan import Party


@dataclass(frozen=True, slots=True)
class Direction:
    """Whose words become whose, and in which languages.

    source  the talker's language; None: found out from each utterance, out of `target` and its other
    target  what the listener hears; None: what `spoken` says the listener speaks
    pair    with source None: the two languages, each translated into the other
    voices  language -> voice name; a missing language gets its default voice
    aloud   False: the translation is written down, not spoken
    """

    talker: Party
    listener: Party
    source: str | None
    target: str | None
    pair: tuple[str, str] | None = None
    voices: dict[str, str | None] = field(default_factory=dict)
    spoken: SpokenLanguages | None = None
    aloud: bool = True

    def target_for(self, language: str) -> str:
        """What to translate `language` into; `language` itself when the listener's is not known yet."""
        if self.pair is None:
            found = self.spoken.of(self.listener) if self.spoken else None
            return self.target or found or language
        return self.pair[1] if language == self.pair[0] else self.pair[0]


@dataclass(frozen=True, slots=True)
class Deadlines:
    """How long each engine may take for one utterance, waiting in line included, in seconds."""

    transcribe_s: float
    translate_s: float
    synthesize_s: float
