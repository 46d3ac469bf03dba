"""What stands behind the AI of a mode: its knowledge, its language model, its tools. Made once, shared by its calls.

minds = Minds(config, store, guard)
await minds.prepare()                       # documents read, clients made, Python tools found: before the first call
conversation = await minds.conversation(mode, session)
"""

from __future__ import annotations

import asyncio
import os
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path

from kallglot_media.agent.conversation import EMPTY, Conversation, Manners
from kallglot_media.agent.documents import read_documents
from kallglot_media.agent.guards import Topics
from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.llm import LlmSettings, OpenAiLlm
from kallglot_media.agent.meaning import Meaning
from kallglot_media.agent.tools import Failed, NotTaken, Tool, ToolBox, ToolRule, ToolSettings, load_python
from kallglot_media.agent.types import Line, Source, ToolSpec
from kallglot_media.call.clients import NoClient
from kallglot_media.call.events import ToolCalled
from kallglot_media.call.session import Session
from kallglot_media.config import Config
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.languages import LANGUAGES
from kallglot_media.config.store import ModelEndpoint
from kallglot_media.errors import SetupError
from kallglot_media.knowledge.embeddings import Embedder, EmbeddingFailed
from kallglot_media.log import logger
from kallglot_media.store import knowledge as kept
from kallglot_media.store.errors import StoreUnavailable
from kallglot_media.store.store import Store
from kallglot_media.webhooks.guard import Guard
from kallglot_media.webhooks.post import HttpPost

MOST_PASSAGES = 5000
"""Of a base of the store; larger ones are cut off here, and the log says so."""

log = logger("minds")


@dataclass(frozen=True, slots=True)
class _Shelf:
    """Passages of a base as they were at a time."""

    stamp: tuple[int, int]
    knowledge: Knowledge


class Minds:
    """See the module. use() when the configuration is another."""

    def __init__(self, config: Config, store: Store, guard: Guard, embedder: Embedder | None = None) -> None:
        self._embedder = embedder
        self._config = config
        self._store = store
        self._post = HttpPost(guard)
        self._documents: dict[tuple[tuple[Path, ...], str, float], Knowledge] = {}
        self._shelves: dict[str, _Shelf] = {}
        self._models: dict[LlmSettings, OpenAiLlm] = {}

    async def prepare(self) -> None:
        """Everything that the configured modes need. Raises SetupError for tools that are not there."""
        for path, mode in self._config.modes.items():
            if isinstance(mode, AnsweringMode):
                await self._prepare(path, mode)

    async def _prepare(self, path: Path, mode: AnsweringMode) -> None:
        await self._read(mode)
        for tool in mode.ai_agent.tools if mode.ai_agent else ():
            if tool.python is not None:
                try:
                    load_python(tool.python)
                except ValueError as wrong:
                    mend = "put its folder into PYTHONPATH, or correct the name"
                    raise SetupError(f"{path} tools {tool.name}", str(wrong), mend) from None
        model = self._llm(mode)
        if model is not None:
            await asyncio.to_thread(model.warm)

    async def use(self, config: Config) -> None:
        """Another configuration: documents are read anew. Calls that are there keep what they have."""
        self._config = config
        self._documents = {}
        try:
            await self.prepare()
        except SetupError as wrong:
            log.error("not ready", sign="x", where=wrong.where, wrong=wrong.wrong, mend=wrong.mend)

    async def close(self) -> None:
        """Close the connections."""
        await self._post.close()
        for model in self._models.values():
            await model.close()

    # ── conversations ────────────────────────────────────────────────────────────

    async def conversation(
        self, mode: AnsweringMode, session: Session, *, has_human: bool, history: Sequence[Line] = ()
    ) -> Conversation:
        """The conversation of one session."""
        return Conversation(
            self._manners(mode, has_human=has_human),
            await self._knowledge(mode),
            llm=self._llm(mode),
            tools=self._tools(mode, session),
            history=history,
        )

    def _manners(self, mode: AnsweringMode, *, has_human: bool) -> Manners:
        agent, handoff, limits = mode.ai_agent, mode.handoff, mode.limits
        language, phrases = mode.source_language, mode.phrases
        return Manners(
            caller_language=language,
            inner_language=mode.inner_language,
            phrase=lambda name: phrases.text(name, language),
            system_prompt=agent.system_prompt if agent else _HELP_DESK,
            language_name=LANGUAGES[mode.inner_language].title(),
            temperature=agent.temperature if agent else 0.2,
            only_documents=mode.mode == "help_chat_voice",
            threshold=mode.knowledge.threshold,
            passages=mode.knowledge.passages,
            has_human=has_human,
            keywords=handoff.keywords if handoff else (),
            after_failures=handoff.after_failures if handoff else 2,
            angry=handoff.angry if handoff else True,
            tool_rounds=limits.tool_rounds,
            answer_characters=limits.answer_characters,
            redact=mode.guards.redact,
            topics=Topics(mode.guards.blocked_topics, mode.guards.blocked_words),
        )

    def _llm(self, mode: AnsweringMode) -> OpenAiLlm | None:
        endpoint: ModelEndpoint | None = mode.llm or self._config.server.llm
        if endpoint is None:
            return None
        limits = mode.limits
        settings = LlmSettings(
            endpoint.base_url,
            endpoint.model,
            endpoint.api_key(),
            first_words_s=limits.first_words_s,
            answer_s=limits.answer_s,
            longest_characters=limits.answer_characters,
        )
        if settings not in self._models:
            self._models[settings] = OpenAiLlm(settings)
        return self._models[settings]

    def _tools(self, mode: AnsweringMode, session: Session) -> ToolBox | None:
        if mode.ai_agent is None or not mode.ai_agent.tools:
            return None
        tools = [
            Tool(
                ToolSpec(one.name, one.description, one.parameters),
                one.url,
                one.python,
                one.timeout_s,
                one.idempotent,
                ToolRule(re.compile(one.match), one.reply, one.not_found) if one.match is not None else None,
            )
            for one in mode.ai_agent.tools
        ]
        secret = os.environ.get(mode.tools_secret_env, "") if mode.tools_secret_env else ""
        settings = ToolSettings(tools, mode.tools_url, secret, self._post)
        return ToolBox(settings, session.session_id, _stream_of(session))

    # ── knowledge ────────────────────────────────────────────────────────────────

    async def _knowledge(self, mode: AnsweringMode) -> Knowledge:
        """Documents of the file and the base of the store, as they are now."""
        files = await self._read(mode)
        if mode.knowledge_base_id is None:
            return files
        base = await self._base(mode.knowledge_base_id, mode)
        if not len(files):
            return base
        both = files.meaning is not None and base.meaning is not None
        meaning = files.meaning.with_more(base.meaning) if both and files.meaning and base.meaning else None
        return Knowledge([piece.source for piece in (*files.pieces, *base.pieces)], meaning)

    async def _index(self, sources: Sequence[Source], mode: AnsweringMode) -> Knowledge:
        """By words and, with a language model to read what is found and one for vectors, by meaning."""
        made = await asyncio.to_thread(Knowledge, sources)
        if self._embedder is not None and sources and self._llm(mode) is not None:
            try:
                made.meaning = await Meaning.of(self._embedder, sources, mode.knowledge.likeness)
            except EmbeddingFailed as why:
                log.warning("knowledge by words alone", why=str(why), mend="look at embeddings of server.yaml")
        return made

    async def _read(self, mode: AnsweringMode) -> Knowledge:
        paths = mode.knowledge.documents
        if not paths:
            return EMPTY
        key = (paths, mode.inner_language, mode.knowledge.likeness)
        if key not in self._documents:
            library = await read_documents(paths, mode.inner_language, self._config.languages())
            for path, why in library.unread:
                log.warning("document not read", document=str(path), why=why)
            if not library.sources:
                log.warning("no knowledge", mend="put documents with words in them into knowledge.documents")
            self._documents[key] = await self._index(library.sources, mode)
        return self._documents[key]

    async def _base(self, base_id: str, mode: AnsweringMode) -> Knowledge:
        """A base of the store; the one from before when the store cannot be reached."""
        shelf = self._shelves.get(base_id)
        try:
            base = await self._store.read(kept.get_base, base_id)
            if base is None:
                log.warning("no such knowledge base", base=base_id)
                return EMPTY
            count = await self._store.read(kept.count_chunks, base_id)
            stamp = (base.updated_at_ms, count)
            if shelf is not None and shelf.stamp == stamp:
                return shelf.knowledge
            found = await self._store.read(kept.passages_of, base_id, MOST_PASSAGES)
        except StoreUnavailable as error:
            log.warning("knowledge as it was", base=base_id, why=str(error))
            return shelf.knowledge if shelf is not None else EMPTY
        if count > MOST_PASSAGES:
            log.warning("knowledge cut off", base=base_id, passages=count, kept=MOST_PASSAGES)
        sources = [Source(one.title, one.text, one.language, one.heading, one.page, one.source) for one in found]
        made = await self._index(sources, mode)
        self._shelves[base_id] = _Shelf(stamp, made)
        return made


_HELP_DESK = "You are the voice of a help desk. Answer only what the material says."


def _stream_of(session: Session):  # type: ignore[no-untyped-def]  # its type is agent.tools.StreamTools
    told: set[str] = set()

    async def ask(call_id: str, name: str, arguments: Mapping[str, object], limit_s: float) -> object:
        call = ToolCalled(session.session_id, call_id, name, arguments)
        try:
            outcome = await session.clients.call_tool(call, limit_s)
        except NoClient:
            if call_id not in told:  # an idempotent tool may be asked twice, which is one call
                told.add(call_id)
                session.world.bus.publish(call)  # webhooks are told of tools that somebody else does, too
            raise NotTaken from None
        if outcome.error is not None:
            raise Failed(outcome.error[:500])
        return outcome.output

    return ask
