"""The AI's voice: an installed voice, higher or lower, faster or slower; phrases are made once and kept."""

from __future__ import annotations

import asyncio

from kallglot_media.audio.voice import shaped
from kallglot_media.call.answering_rules import VoiceRules
from kallglot_media.call.world import World
from kallglot_media.speech.types import Speech, SpeechError


class Voice:
    """Speaks for one session."""

    def __init__(self, world: World, rules: VoiceRules) -> None:
        self._world = world
        self._rules = rules

    async def speech(self, text: str, language: str, *, kept: bool = False) -> Speech | None:
        """`text` spoken; None when it cannot be. kept: a phrase that will be said again."""
        rules = self._rules
        name = rules.voices.get(language)
        made: Speech | None
        if kept:
            made = await self._world.announcer.speech(text, language, name)
        else:
            try:
                made = await self._world.engines.synthesize(
                    text, language, name, deadline_s=self._world.deadlines.synthesize_s
                )
            except SpeechError:
                made = None
        if made is None or not len(made.pcm) or (rules.pitch == 1.0 and rules.speed == 1.0):
            return made
        pcm, rate_hz = await asyncio.to_thread(shaped, made.pcm, made.rate_hz, rules.pitch, rules.speed)
        return Speech(pcm, rate_hz, made.engine_ms)
