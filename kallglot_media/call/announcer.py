"""What the server itself says: made once per text and voice, before it is needed.

An announcement that says "the translation is not working" must not depend on the engine
that just died, so everything configured is made at start and kept.
"""

from __future__ import annotations

from collections import OrderedDict

from kallglot_media.speech.types import Speech, SpeechEngines, SpeechError

MOST_KEPT = 256
DEADLINE_S = 10.0


class Announcer:
    """Texts into speech, with a memory."""

    def __init__(self, engines: SpeechEngines) -> None:
        self._engines = engines
        self._kept: OrderedDict[tuple[str, str, str | None], Speech] = OrderedDict()

    async def speech(self, text: str, language: str, voice: str | None) -> Speech | None:
        """`text` spoken; None when it is empty, or cannot be made and was not made before."""
        if not text:
            return None
        key = (text, language, voice)
        kept = self._kept.get(key)
        if kept is not None:
            self._kept.move_to_end(key)
            return kept
        try:
            speech = await self._engines.synthesize(text, language, voice, deadline_s=DEADLINE_S)
        except SpeechError:
            return None
        self._kept[key] = speech
        while len(self._kept) > MOST_KEPT:
            self._kept.popitem(last=False)
        return speech
