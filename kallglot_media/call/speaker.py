"""From what the conversation wants to say to sound in the ear: translated, spoken in the AI's voice, queued."""

from __future__ import annotations

import asyncio

from kallglot_media.agent.types import Say
from kallglot_media.call.answering_rules import AnsweringRules
from kallglot_media.call.mouth import Asked, Mouth
from kallglot_media.call.session import Session
from kallglot_media.call.voice import Voice
from kallglot_media.speech.types import SpeechError

LAST_SENTENCE_S = 20.0


class Speaker:
    """One session's. spoke: something was said since somebody set it to False."""

    def __init__(self, session: Session, rules: AnsweringRules, mouth: Mouth) -> None:
        self.spoke = False
        self._session = session
        self._rules = rules
        self._mouth = mouth
        self._voice = Voice(session.world, rules.voice)
        self._loop = asyncio.get_running_loop()

    async def speak(self, say: Say, asked: Asked | None = None) -> bool:
        """Queue a sentence in the caller's language; False when it has no words or cannot be made."""
        rules = self._rules
        if not say.text:
            self._mouth.add_sources(say.sources)
            return False
        words_s = self._loop.time()
        text = await self.translated(say.text, say.language, rules.caller_language)
        speech = await self._voice.speech(text, rules.caller_language, kept=bool(say.phrase))
        if speech is None:
            self._session.event("synthesizer.failed")
            return False
        same = say.language == rules.caller_language
        self.spoke = True
        self._mouth.say(
            text,
            say.text,
            speech,
            rules.caller_language,
            translated_from=None if same else say.language,
            sources=say.sources,
            asked=asked,
            words_s=words_s,
        )
        return True

    async def phrase(self, name: str) -> None:
        """Queue a phrase."""
        language = self._rules.caller_language
        await self.speak(Say(self._rules.phrase(name, language), language, phrase=name))

    async def say_and_wait(self, name: str) -> None:
        """A phrase, until it was heard."""
        await self.phrase(name)
        await self._mouth.until_quiet(LAST_SENTENCE_S)

    async def translated(self, text: str, source: str, target: str) -> str:
        """As it is when the languages are the same, or the translator fails: half understood is better than nothing."""
        if source == target or not text:
            return text
        world = self._session.world
        try:
            made = await world.engines.translate(text, source, target, deadline_s=world.deadlines.translate_s)
        except SpeechError as error:
            self._session.event("translator.failed", why=type(error).__name__)
            return text
        return made.text
