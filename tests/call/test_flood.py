"""Two directions, and what other calls want, flood real engines with one worker each: what is given up, in which order,
what listeners get meanwhile, and that it comes back. The load's patience is shortened, its rules are not.
"""

from __future__ import annotations

import asyncio
import os
from collections.abc import AsyncIterator, Coroutine
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass, field, replace
from itertools import count, groupby
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.audio.pcm import Pcm16
from kallglot_media.audio.resample import resample
from kallglot_media.call.direction import Deadlines, Direction
from kallglot_media.call.interpreter import Interpreter
from kallglot_media.media.messages import Utterance
from kallglot_media.modes.plan import Party
from kallglot_media.speech import pool as pools
from kallglot_media.speech.evaluate import Recording, padded, read_set, through_telephone
from kallglot_media.speech.load import LOAD_RULES, Load, Step
from kallglot_media.speech.models import MODELS_VARIABLE, find_models
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import EngineKind, SpeechSettings
from kallglot_media.speech.types import EngineBusy, EngineTimeout, SpeechError
from tests.call.test_interpreter import FakeFloor

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]

RECORDINGS = Path(__file__).parents[1] / "data" / "speech"
LONG_S = 100.0
"""Nothing that counts is late, however slow the machine is."""

DEADLINES = Deadlines(LONG_S, LONG_S, LONG_S)
DIRECTIONS = {
    "de": Direction(Party.CUSTOMER, Party.AGENT, "de", "en"),
    "en": Direction(Party.AGENT, Party.CUSTOMER, "en", "de"),
}
OTHERS = 4
"""Jobs of other calls in each direction, always."""

HASTY = replace(LOAD_RULES, raise_after_s=0.6, lower_after_s=0.6, memory_s=1.0)
LOOK_EVERY_S = 0.2


@dataclass
class Place:
    """A pool, what it told of itself, and two directions of one call."""

    pool: SpeechPool
    floors: dict[str, FakeFloor]
    interpreters: dict[str, Interpreter]
    recordings: dict[str, list[Recording]]
    steps: list[Step] = field(default_factory=list)
    refused: dict[str, set[Step]] = field(default_factory=dict)
    busiest: float = 0.0
    stepped: asyncio.Event = field(default_factory=asyncio.Event)
    flooding: bool = True

    def on_step(self, step: Step) -> None:
        self.steps.append(step)
        self.busiest = max(self.busiest, *self.pool.shares().values())
        self.stepped.set()

    async def until(self, step: Step) -> None:
        """Whatever happens on the way there."""
        while self.pool.step is not step:
            self.stepped.clear()
            await self.stepped.wait()

    # ── what floods ──────────────────────────────────────────────────────────────

    async def speak(self, language: str) -> None:
        """One direction of the call: an utterance as soon as nothing waits."""
        floor, interpreter = self.floors[language], self.interpreters[language]
        for number in count():
            if not self.flooding:
                return
            floor.idle.clear()
            interpreter.hear(self.utterance(language, number))
            await floor.idle.wait()
            await asyncio.sleep(0)

    async def others(self, language: str, first: int) -> None:
        """What another call wants: words, translations, voices, one after the other."""
        other = {"de": "en", "en": "de"}[language]
        for number in count(first):
            if not self.flooding:
                return
            text, pcm = self.said(language, number)
            await self._ask("words", self.pool.transcribe(pcm, language, deadline_s=LONG_S))
            await self._ask("texts", self.pool.translate(f"{number}. {text}", language, other, deadline_s=LONG_S))
            await self._ask("voices", self.pool.synthesize(f"{text} {number}", language, None, deadline_s=LONG_S))

    async def watchers(self, language: str) -> None:
        """Partial transcripts: under a flood their turn does not come, and newer ones are asked for."""
        for number in count():
            if not self.flooding:
                return
            _, pcm = self.said(language, number)
            await self._ask("partials", self.pool.transcribe(pcm, language, deadline_s=1.0, partial=True))

    async def _ask(self, what: str, job: Coroutine[Any, Any, object]) -> None:
        step = self.pool.step
        try:
            await job
        except EngineBusy:
            self.refused.setdefault(what, set()).add(step)
        except EngineTimeout:
            assert what == "partials", what
        await asyncio.sleep(0)  # what is refused at once is not to keep everybody else from working

    def said(self, language: str, number: int) -> tuple[str, Pcm16]:
        one = self.recordings[language][number % len(self.recordings[language])]
        return one.text, through_telephone(padded(one.pcm))

    def utterance(self, language: str, number: int) -> Utterance:
        one = self.recordings[language][number % len(self.recordings[language])]
        pcm = resample(padded(one.pcm), 16_000, 8000)
        first = 8000 * 10 * number
        return Utterance("l", pcm.tobytes(), 8000, first, first + len(pcm), "silence")


@asynccontextmanager
async def place(monkeypatch: pytest.MonkeyPatch) -> AsyncIterator[Place]:
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    monkeypatch.setattr(pools, "LOOK_EVERY_S", LOOK_EVERY_S)
    same = (
        find_models(SpeechSettings()).recognizer(None).name
    )  # in a worker of its own; one that is smaller would do the same
    settings = SpeechSettings(
        smaller=same,
        when_busy="degrade",
        cache_bytes=0,
        hung_after_s=LONG_S,
        start_within_s=120.0,
        niceness=0,
    )
    known: list[Place] = []
    pool = SpeechPool(settings, on_step=lambda step: known[0].on_step(step))
    pool.load = Load(HASTY, smaller=True)
    floors = {language: FakeFloor() for language in DIRECTIONS}
    loop = asyncio.get_running_loop()
    interpreters = {
        language: Interpreter(direction, pool, floors[language], loop.time, DEADLINES)
        for language, direction in DIRECTIONS.items()
    }
    recordings: dict[str, list[Recording]] = {language: [] for language in DIRECTIONS}
    for one in read_set(RECORDINGS):
        if one.language in recordings:
            recordings[one.language].append(one)
    known.append(Place(pool, floors, interpreters, recordings))
    await pool.start()
    running = [asyncio.create_task(one.run()) for one in interpreters.values()]
    try:
        yield known[0]
    finally:
        known[0].flooding = False
        for interpreter in interpreters.values():
            interpreter.close()
        with suppress(SpeechError):
            await asyncio.gather(*running)
        await pool.stop()


async def test_a_flood_is_met_step_by_step_and_all_of_it_comes_back(monkeypatch: pytest.MonkeyPatch) -> None:
    os.environ.setdefault("OMP_NUM_THREADS", "1")
    async with place(monkeypatch) as there, asyncio.timeout(200):
        flood = [asyncio.create_task(there.speak(language)) for language in DIRECTIONS]
        flood += [asyncio.create_task(there.others(language, n)) for language in DIRECTIONS for n in range(OTHERS)]
        flood += [asyncio.create_task(there.watchers(language)) for language in DIRECTIONS]
        _, pcm = there.said("de", 0)
        await there.until(Step.NO_PARTIALS)
        with pytest.raises(EngineBusy, match="partial"):
            await there.pool.transcribe(pcm, "de", deadline_s=LONG_S, partial=True)
        await there.until(Step.CAPTIONS)
        with pytest.raises(EngineBusy, match="voices"):
            await there.pool.synthesize("Guten Tag.", "de", None, deadline_s=LONG_S)
        await there.until(Step.THROUGH)
        with pytest.raises(EngineBusy, match="words"):
            await there.pool.transcribe(pcm, "de", deadline_s=LONG_S)
        there.flooding = False
        await asyncio.gather(*flood)
        await there.until(Step.ALL)

        # In order, up and down again, nothing left out.
        up = there.steps[: there.steps.index(Step.THROUGH) + 1]
        assert list(dict.fromkeys(up)) == [Step.NO_PARTIALS, Step.SMALLER, Step.CAPTIONS, Step.THROUGH]
        assert all(abs(one - other) == 1 for one, other in zip(there.steps, there.steps[1:], strict=False))
        assert there.steps[-1] is Step.ALL
        assert there.busiest > 0.5, "it is shown how busy they are"

        # Nothing is refused before its turn comes.
        for what, first in (("partials", Step.NO_PARTIALS), ("voices", Step.CAPTIONS), ("words", Step.THROUGH)):
            assert min(there.refused.get(what, {first})) >= first
        assert "texts" not in there.refused
        smaller = there.pool._smaller
        assert smaller is not None
        assert smaller.status().counters["done"] > 0
        assert there.pool.status()[EngineKind.RECOGNIZER].counters["done"] > 0

        # What the call's parties get: captions without a voice, their own voices, and then an interpreter again.
        for language, floor in there.floors.items():
            await _once_more(there, language)
            kinds = [kind for kind, _ in floor.events if kind.startswith("interpreter.")]
            changes = [kind for kind, _ in groupby(kinds)]
            assert "interpreter.through" in changes, language
            assert changes[-1] == "interpreter.back", language
            why = [fields["reason"] for kind, fields in floor.events if kind == "interpreter.through"]
            assert set(why) == {"EngineBusy"}
            assert floor.through[-1] == (DIRECTIONS[language].talker, False)


async def _once_more(there: Place, language: str) -> None:
    """In the calm what somebody says is made over and spoken; not each recording is understood."""
    floor = there.floors[language]
    plays = len(floor.plays)
    for number in range(len(there.recordings[language])):
        floor.idle.clear()
        there.interpreters[language].hear(there.utterance(language, number))
        await floor.idle.wait()
        if len(floor.plays) > plays:
            break
    listener, play_id, _ = floor.plays[-1]
    assert len(floor.plays) > plays
    assert listener is DIRECTIONS[language].listener
    assert not play_id.startswith("through")
    assert floor.turns[-1].translation is not None
