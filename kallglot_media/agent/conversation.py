"""One conversation: what the caller said in, what is said and done out. Sound and calls are somebody else's business.

    async for piece in conversation.respond(Heard("Was kostet der Versand?", "Was kostet der Versand?")):
        …                                   # Say, HandOver, Finish, ToolUsed, Waiting
    conversation.spoken("Der Versand kostet 4,90 Euro.")     # what was really heard of it

Wishes that need no knowledge (a human, again, goodbye) are understood here, so they work when no model does. Everything
else is answered by the model when there is one, else word for word from the documents.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from dataclasses import dataclass, field

from kallglot_media.agent.extract import answer
from kallglot_media.agent.generate import Generator
from kallglot_media.agent.guards import Topics, redacted, with_figures
from kallglot_media.agent.intents import Intent, intent_of
from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.llm import Llm, LlmFailed
from kallglot_media.agent.meaning import search
from kallglot_media.agent.tools import ToolBox
from kallglot_media.agent.types import Finish, HandOver, Heard, Line, Piece, Say, Waiting

SUMMARY_CHARACTERS = 220
EMPTY = Knowledge(())


@dataclass(frozen=True, slots=True)
class Manners:
    """How a conversation goes.

    caller_language  what the caller speaks and hears
    inner_language   what prompt and knowledge are in
    phrase           phrase(name) in the caller's language, "" for nothing
    only_documents   a help desk: what the documents do not answer is not asked of the model
    has_human        there is somebody to hand over to
    keywords         words that ask for a human, besides the usual ones
    after_failures   so many answers in a row that did not help end with a human; None: never
    redact           kinds of personal data that the summary must not have
    """

    caller_language: str
    inner_language: str
    phrase: Callable[[str], str]
    system_prompt: str = ""
    language_name: str = "English"
    temperature: float = 0.3
    only_documents: bool = False
    threshold: float = 0.5
    passages: int = 4
    has_human: bool = False
    keywords: tuple[str, ...] = ()
    after_failures: int | None = 2
    angry: bool = True
    tool_rounds: int = 5
    answer_characters: int = 1200
    redact: tuple[str, ...] = ()
    topics: Topics = field(default_factory=Topics)


class Conversation:
    """See the module. history: what was said so far, as it was heard; grows with respond() and spoken()."""

    def __init__(
        self,
        manners: Manners,
        knowledge: Knowledge = EMPTY,
        *,
        llm: Llm | None = None,
        tools: ToolBox | None = None,
        history: Sequence[Line] = (),
    ) -> None:
        self.manners = manners
        self.history: list[Line] = list(history)
        self.failures = 0
        self._knowledge = knowledge
        self._llm = llm
        self._tools = tools
        self._last: tuple[Say, ...] = ()
        self._offered = False
        self._asked_else = False
        self._ruled = 0

    @property
    def has_model(self) -> bool:
        """Whether answers come from a language model."""
        return self._llm is not None

    def spoken(self, text: str, *, cut: bool = False) -> None:
        """What the caller really heard of an answer. cut: it was interrupted there; "": after what was heard before."""
        if not text and cut and self.history and self.history[-1].role == "assistant":
            text = self.history.pop().text
        if text:
            self.history.append(Line("assistant", text + (" —" if cut else "")))

    def unsay(self) -> None:
        """The caller went on: what they said last comes again, with the rest."""
        if self.history and self.history[-1].role == "user":
            self.history.pop()

    def summary(self) -> str:
        """What the caller wants, in their own words, for a human who takes over."""
        asked = [line.text for line in self.history if line.role == "user"]
        wanted = [text for text in asked if intent_of(text, self.manners.inner_language) in (None, Intent.UPSET)]
        text = " ".join((wanted or asked)[-3:])
        return redacted(text[-SUMMARY_CHARACTERS:], self.manners.redact)

    # ── answering ────────────────────────────────────────────────────────────────

    async def respond(self, heard: Heard) -> AsyncIterator[Piece]:
        """What to say and do; closing it early stops the model."""
        manners = self.manners
        self.history.append(Line("user", heard.inner))
        offered, asked_else = self._offered, self._asked_else
        self._offered = self._asked_else = False
        if manners.topics.touched(heard.text) is not None:
            yield self._phrase("off_topic")
            return
        intent = intent_of(heard.text, manners.caller_language, manners.keywords)
        settled = self._settled(intent, offered=offered, asked_else=asked_else)
        if settled is not None:
            for piece in settled:
                yield piece
            return
        said: list[Say] = []
        async for piece in self._answered(heard):
            if isinstance(piece, Say):
                said.append(piece)
            yield piece
        self._last = tuple(said) or self._last

    def _settled(self, intent: Intent | None, *, offered: bool, asked_else: bool) -> list[Piece] | None:
        """What needs no knowledge; None when it has to be answered."""
        manners = self.manners
        if intent is Intent.HUMAN or (offered and intent is Intent.YES):
            return [HandOver("asked")]
        if intent is Intent.UPSET and manners.angry and manners.has_human:
            return [HandOver("upset")]
        if intent is Intent.REPEAT:
            return list(self._last) or [self._phrase("nothing_to_repeat")]
        if intent is Intent.GOODBYE or (asked_else and intent is Intent.NO):
            return [self._phrase("goodbye"), Finish("goodbye")]
        if offered and intent is Intent.NO:
            return [self._else()]
        if intent is Intent.BACKCHANNEL and not asked_else and not self.has_model:
            return []
        if self.has_model:
            return None
        if intent in (Intent.THANKS, Intent.YES, Intent.NO, Intent.BACKCHANNEL):
            return [self._else()]
        return [self._phrase("greeting")] if intent is Intent.GREETING else None

    async def _answered(self, heard: Heard) -> AsyncIterator[Piece]:
        """From the model, else from the documents; when both have nothing, that is said."""
        if self._llm is None:
            async for piece in self._by_rule(heard):
                yield piece
            return
        manners = self.manners
        found = await search(self._knowledge, heard.inner, manners.inner_language, manners.passages)
        if manners.only_documents and not found:
            for piece in self._not_found():
                yield piece
            return
        helped = False
        generator = Generator(manners, self._llm, self._tools, self._knowledge, found)
        try:
            async for piece in generator.run(heard, self.history):
                helped = helped or isinstance(piece, Say)
                yield piece
        except LlmFailed as failed:
            for piece in self._without_model(heard, failed, said_something=helped):
                yield piece
            return
        if generator.handed_over:
            return
        if helped:
            self.failures = 0
        else:
            for piece in self._not_found():
                yield piece

    async def _by_rule(self, heard: Heard) -> AsyncIterator[Piece]:
        """A tool whose rule fits, else the documents."""
        found = self._tools.by_rule(with_figures(heard.inner)) if self._tools is not None else None
        if found is None or self._tools is None or found[0].rule is None:
            for piece in self._extracted(heard):
                yield piece
            return
        tool, arguments = found
        yield Waiting(tool.spec.name)
        self._ruled += 1
        used = await self._tools.call(f"rule_{self._ruled}", tool.spec.name, arguments)
        yield used
        text = tool.rule.said(used) if tool.rule is not None else ""
        if text:
            self.failures = 0
            yield Say(text, self.manners.inner_language)
        else:
            for piece in self._not_found():
                yield piece

    def _extracted(self, heard: Heard) -> list[Piece]:
        """The sentence of the documents that answers, or the admission that there is none."""
        manners = self.manners
        found = answer(self._knowledge, heard.inner, manners.inner_language)
        if found is None or found.confidence < manners.threshold:
            return self._not_found()
        self.failures = 0
        title = " › ".join(filter(None, (found.source.title, found.source.heading)))
        return [Say(found.text, found.source.language, (title,))]

    def _not_found(self) -> list[Piece]:
        self.failures += 1
        manners = self.manners
        if manners.has_human and manners.after_failures is not None and self.failures >= manners.after_failures:
            return [self._phrase("not_found"), HandOver("failures")]
        if not manners.has_human:
            return [self._phrase("not_found")]
        self._offered = True
        return [self._phrase("not_found"), self._phrase("offer_human")]

    def _without_model(self, heard: Heard, failed: LlmFailed, *, said_something: bool) -> list[Piece]:
        """The model is of no use now: the documents, else an apology and a human."""
        if said_something:
            return []  # what came is said; the caller asks again when it was not enough
        if len(self._knowledge):
            found = answer(self._knowledge, heard.inner, self.manners.inner_language)
            if found is not None and found.confidence >= self.manners.threshold:
                return self._extracted(heard)
        self.failures += 1
        manners = self.manners
        trouble: list[Piece] = [self._phrase("trouble")]
        if not manners.has_human:
            return trouble
        if manners.after_failures is not None and self.failures >= manners.after_failures:
            return [*trouble, HandOver("failures")]
        self._offered = True
        return [*trouble, self._phrase("offer_human")]

    def not_understood(self) -> list[Piece]:
        """Nothing was recognised in what the caller said."""
        self.failures += 1
        manners = self.manners
        if manners.has_human and manners.after_failures is not None and self.failures > manners.after_failures:
            return [HandOver("failures")]
        return [self._phrase("not_understood")]

    def _else(self) -> Say:
        self._asked_else = True
        return self._phrase("anything_else")

    def _phrase(self, name: str) -> Say:
        return Say(self.manners.phrase(name), self.manners.caller_language, phrase=name)


async def drained(pieces: AsyncIterator[Piece], limit_s: float) -> list[Piece]:
    """All pieces at once, for whoever has no mouth: tests, the command line."""
    async with asyncio.timeout(limit_s):
        return [piece async for piece in pieces]
