"""All engines of a server: what a call asks for words and voices. Implements `types.SpeechEngines`.

pool = SpeechPool(SpeechSettings())
await pool.start()                       # SpeechSetupError: one line, with the mend
heard = await pool.transcribe(pcm, "de", deadline_s=3.0)
await pool.stop()                        # no worker outlives this
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping
from dataclasses import replace
from typing import Any

from kallglot_media.speech import wire, worker
from kallglot_media.speech.cache import Cache
from kallglot_media.speech.child import Command, python_worker
from kallglot_media.speech.errors import SpeechSetupError
from kallglot_media.speech.glossary import GlossaryFile
from kallglot_media.speech.group import Answer, EngineGroup, EngineStatus
from kallglot_media.speech.load import Load, Step
from kallglot_media.speech.model_check import check
from kallglot_media.speech.models import Installed, Model, find_models
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from kallglot_media.speech.types import (
    NO_HINTS,
    RECOGNIZER_RATE_HZ,
    Context,
    EngineBusy,
    EngineFailed,
    Hints,
    Pcm16,
    Speech,
    Transcript,
    Translation,
)

OnChange = Callable[[EngineKind, bool], None]
OnStep = Callable[[Step], None]

LOOK_EVERY_S = 1.0
ALIKE_SAMPLES = 2 * RECOGNIZER_RATE_HZ
"""Sounds that share a multiple of two seconds are recognised in one go: the shorter ones cost little more."""

LONGEST_ALIKE_SAMPLES = 10 * RECOGNIZER_RATE_HZ

ENTRY_BYTES = 200
"""What keeping something takes besides itself, about."""


class SpeechPool:
    """One group of worker processes per kind of engine, shared by all calls.

    settings   see SpeechSettings
    on_change  called as on_change(kind, works) when the last worker of a kind is lost and when one is back
    translations, phrases  what was made before and may come again
    load       how busy the engines are
    on_step    called when something is given up because the engines are too busy, or taken up again
    commands   how to start a worker of a kind; left out: the real one (tests put scripts here)
    smaller    the same for the smaller recogniser
    """

    def __init__(
        self,
        settings: SpeechSettings,
        *,
        on_change: OnChange = lambda kind, works: None,
        on_step: OnStep = lambda step: None,
        commands: Mapping[EngineKind, Command] | None = None,
        smaller: Command | None = None,
    ) -> None:
        self._settings = settings
        self._on_change = on_change
        self._on_step = on_step
        self.load = Load(smaller=settings.smaller is not None)
        self._smaller: EngineGroup | None = None
        self._watching: asyncio.Task[None] | None = None
        self._commands = commands
        self._smaller_command = smaller
        self._groups: dict[EngineKind, EngineGroup] = {}
        self._glossary = GlossaryFile(settings.glossary)
        self.translations: Cache[tuple[object, ...], Translation] = Cache(settings.cache_bytes // 8)
        self.phrases: Cache[tuple[object, ...], Speech] = Cache(settings.cache_bytes)
        self.installed: Installed | None = None
        self._chosen: dict[EngineKind, list[Model]] | None = None

    async def look(self) -> None:
        """Find and check the models before anything is started or written. Raises SpeechSetupError like start()."""
        self._chosen = await asyncio.to_thread(self._choose)

    async def start(self) -> None:
        """Check the models if nobody has, start all workers, wait until every model is loaded.

        Raises SpeechSetupError when a model is missing, wrong or does not load in time; no process is left then.
        """
        await asyncio.to_thread(self._glossary.load)
        commands = self._commands if self._commands is not None else await self._real_commands()
        self._groups = {kind: self._group(kind, command) for kind, command in commands.items()}
        if self._smaller_command is not None:
            self._smaller = self._group(EngineKind.RECOGNIZER, self._smaller_command, self._smaller_changed)
        try:
            async with asyncio.timeout(self._settings.start_within_s):
                await self._start_groups()
        except TimeoutError:
            await self.stop()
            raise SpeechSetupError(
                "the speech engines",
                f"were not ready after {self._settings.start_within_s:.0f} s",
                "take smaller models or fewer workers, or wait until the machine is less busy",
            ) from None
        except BaseException:
            await self.stop()
            raise
        self._watching = asyncio.create_task(self._watch(), name="speech load")

    async def stop(self) -> None:
        """End every worker. Jobs under way fail with EngineFailed."""
        if self._watching is not None:
            self._watching.cancel()
            await asyncio.gather(self._watching, return_exceptions=True)
        await asyncio.gather(*(group.stop() for group in self._all_groups()))

    async def transcribe(
        self,
        pcm: Pcm16,
        language: str | None,
        *,
        deadline_s: float,
        partial: bool = False,
        hints: Hints = NO_HINTS,
    ) -> Transcript:
        """The words in `pcm` (16 kHz mono). partial: everything else goes first."""
        self._must_do(Step.NO_PARTIALS if partial else Step.THROUGH, "partial transcripts" if partial else "words")
        glossary = self._glossary.now()
        words = (*hints.words, *glossary.words)
        arguments = [wire.pack_pcm(pcm), language, hints.usual, hints.among, words, hints.before]
        alike = len(pcm) // ALIKE_SAMPLES if len(pcm) < LONGEST_ALIKE_SAMPLES else None
        if self.step >= Step.SMALLER and self._smaller is not None and self._smaller.status().ready:
            answer = await self._smaller.ask(arguments, deadline_s, can_wait=partial, alike=alike)
        else:
            answer = await self._ask(EngineKind.RECOGNIZER, arguments, deadline_s, can_wait=partial, alike=alike)
        return glossary.corrected(wire.unpack_transcript(answer))

    async def translate(
        self, text: str, source: str, target: str, *, deadline_s: float, after: Context | None = None
    ) -> Translation:
        """`text` in another language, going on where `after` ends."""
        before = [after.source, after.target] if after is not None else ["", ""]
        terms = self._glossary.now().pairs(text, source, target)
        key = (text, source, target, *before, *terms)
        if (known := self.translations.get(key)) is not None:
            return replace(known, engine_ms=0.0)
        alike = (source, target) if after is None else None
        arguments = [text, source, target, *before, terms]
        answer = await self._ask(EngineKind.TRANSLATOR, arguments, deadline_s, alike=alike)
        made = wire.unpack_translation(answer)
        self.translations.put(key, made, ENTRY_BYTES + 2 * len(text + made.text))
        return made

    async def synthesize(
        self, text: str, language: str, voice: str | None, *, deadline_s: float, speed: float = 1.0
    ) -> Speech:
        """`text` spoken, faster than the voice's own pace with a speed above 1.0."""
        self._must_do(Step.CAPTIONS, "voices")
        said = self._glossary.now().said(text, language)
        key = (said, language, voice, speed)
        if (known := self.phrases.get(key)) is not None:
            return replace(known, engine_ms=0.0)
        answer = await self._ask(EngineKind.SYNTHESIZER, [said, language, voice, speed], deadline_s)
        made = wire.unpack_speech(answer)
        self.phrases.put(key, made, ENTRY_BYTES + made.pcm.nbytes)
        return made

    @property
    def step(self) -> Step:
        """What is given up now because the engines are too busy."""
        return self.load.step

    def shares(self) -> dict[EngineKind, float]:
        """How busy each kind is, 0 to 1."""
        return dict(self.load.shares)

    def why_no_room(self, calls: int) -> str | None:
        """Why one call more than `calls` could not be served in time; None when it could.

        With when_busy "smaller", the smaller recogniser takes over here when there would be no room otherwise.
        """
        when_busy = self._settings.when_busy
        if when_busy == "degrade" or (self.load.has_room(calls) and self.step < Step.CAPTIONS):
            return None
        if when_busy == "smaller" and self.load.give_up(Step.SMALLER):
            self._on_step(self.step)
            return None
        return "engines_busy"

    async def _watch(self) -> None:
        while True:
            await asyncio.sleep(LOOK_EVERY_S)
            before = self.step
            work = {kind: status.work for kind, status in self.status().items()}
            if self._smaller is not None:  # whichever of the two works, it is recognition
                work[EngineKind.RECOGNIZER] = work[EngineKind.RECOGNIZER].and_also(self._smaller.status().work)
            if self.load.take(asyncio.get_running_loop().time(), work) is not before:
                self._on_step(self.step)

    def _must_do(self, least: Step, what: str) -> None:
        if self.step >= least:
            raise EngineBusy(f"the engines are too busy for {what}; add workers or take fewer calls at once")

    def status(self) -> dict[EngineKind, EngineStatus]:
        """How each kind is doing."""
        return {kind: group.status() for kind, group in self._groups.items()}

    async def _ask(
        self,
        kind: EngineKind,
        arguments: list[Any],
        deadline_s: float,
        *,
        can_wait: bool = False,
        alike: object = None,
    ) -> Answer:
        group = self._groups.get(kind)
        if group is None:
            raise EngineFailed(f"no {kind} was started")
        return await group.ask(arguments, deadline_s, can_wait=can_wait, alike=alike)

    async def _start_groups(self) -> None:
        started = await asyncio.gather(*(group.start() for group in self._all_groups()), return_exceptions=True)
        wrong = next((error for error in started if isinstance(error, BaseException)), None)
        if wrong is not None:
            raise wrong

    def _all_groups(self) -> list[EngineGroup]:
        return [*self._groups.values(), *([self._smaller] if self._smaller is not None else [])]

    def _smaller_changed(self, kind: EngineKind, works: bool) -> None:
        """Calls do not depend on it: the larger one goes on while it is away."""

    def _group(self, kind: EngineKind, command: Command, on_change: OnChange | None = None) -> EngineGroup:
        return EngineGroup(
            kind,
            command,
            workers=self._settings.workers(kind),
            longest_line=self._settings.longest_line,
            hung_after_s=self._settings.hung_after_s,
            ready_within_s=self._settings.start_within_s,
            most_at_once=self._settings.most_at_once,
            on_change=on_change or self._on_change,
        )

    async def _real_commands(self) -> dict[EngineKind, Command]:
        if self._chosen is None:
            await self.look()
        assert self._chosen is not None
        return {kind: self._command(kind, models) for kind, models in self._chosen.items()}

    def _choose(self) -> dict[EngineKind, list[Model]]:
        self.installed = find_models(self._settings)
        used = self.installed.used(self._settings)
        mistakes = []
        for model in used:
            try:
                check(model)
            except SpeechSetupError as mistake:
                mistakes.append(mistake)
        if mistakes:
            raise SpeechSetupError.of(mistakes)
        by_kind = {kind: [model for model in used if model.kind is kind] for kind in EngineKind}
        *_, smaller = by_kind[EngineKind.RECOGNIZER]
        by_kind[EngineKind.RECOGNIZER] = by_kind[EngineKind.RECOGNIZER][:1]
        if self._settings.smaller is not None:
            self._smaller_command = self._command(EngineKind.RECOGNIZER, [smaller])
        return by_kind

    def _command(self, kind: EngineKind, models: list[Model]) -> Command:
        return python_worker(lambda fd: worker.spec(kind, models, self._settings, fd))
