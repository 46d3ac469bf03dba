"""Numbers to call by oneself."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path

from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.services import Service, ServiceRules
from kallglot_media.call.world import EndReason
from kallglot_media.config.announcements import Announcements
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import ECHO, INTERPRETER, Party
from tests.support.call_world import TestWorld, hung_up, utterance

ECHO_RULES = ServiceRules(
    None, only_starter=False, max_call_s=60.0, segment=SegmentRules(), announcements=Announcements()
)
INTERPRETER_RULES = replace(ECHO_RULES, languages=("de", "en"), only_starter=True)


class Caller:
    def __init__(self, world: TestWorld, task: asyncio.Task[tuple[EndReason, str]]) -> None:
        self.world = world
        self.task = task

    async def settle(self) -> None:
        for _ in range(50):
            await asyncio.sleep(0)


async def call(folder: Path, rules: ServiceRules, *, deaf: bool = False) -> tuple[Caller, TestWorld]:
    world = TestWorld(folder)
    world.media.deaf = deaf
    session = world.session()
    leg, sdp = await world.customer(session)
    caller = Caller(world, asyncio.create_task(Service(session, leg, sdp, rules).run()))
    await caller.settle()
    return caller, world


async def hang_up(caller: Caller) -> EndReason:
    caller.world.calls["customer-call"].on_sip(hung_up("customer-call"))
    reason, _ = await caller.task
    return reason


async def test_echo_is_answered_and_hears_itself(tmp_path: Path) -> None:
    caller, world = await call(tmp_path, ECHO_RULES)
    assert world.signalling.verbs == [("answer", "customer-call")]
    plan = world.media.of(m.SetPlan)[-1]
    assert (plan.plan, plan.gains.original_idle_db) == (ECHO, 0.0)
    assert world.media.of(m.Listen) == []
    assert await hang_up(caller) is EndReason.CUSTOMER_HANGUP


async def test_the_interpreter_explains_itself_in_both_languages(tmp_path: Path) -> None:
    caller, world = await call(tmp_path, INTERPRETER_RULES)
    said = [(asked[2], asked[1]) for asked in world.engines.asked]
    texts = Announcements()
    assert said == [
        (language, texts.text(name, language)) for language in ("de", "en") for name in ("interpreter", "starter_only")
    ]
    assert world.media.of(m.SetPlan)[-1].plan == INTERPRETER
    await hang_up(caller)


async def test_with_real_models_it_does_not_speak_of_starter_models(tmp_path: Path) -> None:
    caller, world = await call(tmp_path, replace(INTERPRETER_RULES, only_starter=False))
    assert len(world.engines.asked) == 2
    await hang_up(caller)


async def test_a_caller_who_speaks_stops_the_explanation(tmp_path: Path) -> None:
    caller, world = await call(tmp_path, INTERPRETER_RULES, deaf=True)
    assert len(world.media.of(m.Play)) == 1, "the first explanation plays"
    world.media.on_event(m.SpeechStarted("sess_1/customer", 4000))
    assert world.media.of(m.Clear) == [m.Clear("sess_1/customer")]
    world.media.on_event(m.PlayoutFinished("sess_1/customer", world.media.of(m.Play)[0].play_id, 4160, 160, 800))
    await caller.settle()
    assert len(world.media.of(m.Play)) == 1, "nothing more is explained"
    world.media.deaf = False
    world.engines.heard = {4000: ("Guten Tag.", "de")}
    world.media.on_event(utterance(Party.CUSTOMER, 4000))
    await caller.settle()
    assert world.media.of(m.Play)[-1].play_id == "1.0"
    await hang_up(caller)


async def test_a_call_that_lasts_too_long_ends(tmp_path: Path) -> None:
    caller, _ = await call(tmp_path, replace(ECHO_RULES, max_call_s=0.01))
    assert (await caller.task)[0] is EndReason.TIMEOUT
