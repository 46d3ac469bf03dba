"""Subtitles: what the agent reads, growing and final. No sleeping."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kallglot_media.call.events import PartialTranscript
from kallglot_media.call.leg import Leg
from kallglot_media.call.subtitles import LiveSubtitles, SubtitleRules, Subtitles
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.modes.plan import Party
from tests.support.call_world import TestWorld, answered


async def settle() -> None:
    for _ in range(50):
        await asyncio.sleep(0)


async def test_partials_are_told_again_with_their_translation(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    told: list[PartialTranscript] = []
    world.world.bus.listen(lambda event: told.append(event) if isinstance(event, PartialTranscript) else None)
    LiveSubtitles(session, "en").watch()
    session.partial(Party.CUSTOMER, "Ich", "", "de", 100)
    session.partial(Party.CUSTOMER, "Ich habe", "Ich", "de", 100)
    session.partial(Party.AGENT, "One moment", "", "en", 200)
    session.partial(Party.CUSTOMER, "I do", "", "en", 300)
    await settle()
    shown = [(event.text, event.translation.text) for event in told if event.translation is not None]
    assert shown == [("Ich habe", "<en>Ich habe")], "newer words take the place of those that wait"
    assert [event.text for event in told if event.translation is None] == ["Ich", "Ich habe", "One moment", "I do"]


async def test_a_translator_that_fails_costs_the_subtitle_not_the_call(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    LiveSubtitles(session, "en").watch()
    world.engines.broken = {"translate"}
    session.partial(Party.CUSTOMER, "Ich", "", "de", 100)
    await settle()
    world.engines.broken = set()
    session.partial(Party.CUSTOMER, "Ich habe", "", "de", 100)
    await settle()
    assert ("translate", "Ich habe", "de", "en") in world.engines.asked
    assert not session.stop.done()


async def test_finals_go_to_the_agents_phone_with_the_original_below(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    Subtitles(session, SubtitleRules(sip_message=True)).watch()
    final = Turn(1, "customer", "de", "Guten Tag.", TranslatedText("en", "Hello."), 0, 900, 1.0)
    session.turn_done(final)  # nobody is there yet
    agent: Leg = session.new_leg(Party.AGENT)
    await agent.open()
    await agent.dial("sip:a@192.0.2.1", "sip:b@192.0.2.2")
    agent.on_sip(answered())
    session.turn_done(final)
    session.turn_done(Turn(2, "agent", "en", "Hello.", None, 0, 900, 1.0))
    messages = [verb for verb in world.signalling.verbs if verb[0] == "message"]
    assert messages == [("message", "agent-call", "Hello.\n(Guten Tag.)")]
