"""Subtitles: what the agent reads, growing and final. No sleeping."""

from __future__ import annotations

import asyncio
from pathlib import Path

from kallglot_media.call.events import PartialTranscript
from kallglot_media.call.leg import Leg
from kallglot_media.call.session import Session
from kallglot_media.call.subtitles import LiveSubtitles, SubtitleRules, Subtitles
from kallglot_media.call.turn import TranslatedText, Turn
from kallglot_media.call.world import EndReason
from kallglot_media.media.messages import OpenLeg, SendText, SetText, TextShown
from kallglot_media.modes.plan import Party
from kallglot_media.sdp.parse import parse_sdp
from kallglot_media.sip.events import Peer
from tests.support.call_world import PHONE_SDP, TestWorld, answered


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


TEXT_SDP = PHONE_SDP + (
    b"m=text 6000 RTP/AVP 97 96\r\na=rtpmap:96 t140/1000\r\na=rtpmap:97 red/1000\r\na=fmtp:97 96/96/96\r\n"
)
SOURCE = Peer("udp", "192.0.2.20", 5060)
TYPED = SubtitleRules(real_time_text=True)


async def agent_with(session: Session, sdp: bytes) -> Leg:
    agent: Leg = session.new_leg(Party.AGENT)
    await agent.open()
    await agent.dial("sip:a@192.0.2.1", "sip:b@192.0.2.2")
    agent.on_sip(answered(sdp))
    return agent


def typed(world: TestWorld) -> str:
    return "".join(message.text for message in world.media.of(SendText))


async def test_words_are_typed_as_they_are_sure_and_put_right_when_final(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    session.real_time_text = True
    await agent_with(session, TEXT_SDP)
    subtitles = Subtitles(session, TYPED)
    subtitles.watch()
    LiveSubtitles(session, "en", subtitles).watch()
    assert session.partials_wanted(), "though nobody is at the stream"
    for text in ("Ich habe", "Ich habe eine", "Ich habe einen Rasen"):
        session.partial(Party.CUSTOMER, text, "", "de", 100)
        await settle()
    assert typed(world) == "<en>Ich habe"
    session.partial(Party.CUSTOMER, "Und", "", "de", 2000)
    session.partial(Party.AGENT, "One moment", "", "en", 200)
    await settle()
    final = Turn(1, "customer", "de", "Ich hatte.", TranslatedText("en", "<en>Ich hatte."), 100, 900, 1.0)
    session.turn_done(final)
    session.turn_done(Turn(2, "agent", "en", "Hello.", None, 0, 900, 1.0))
    assert typed(world) == "<en>Ich habe" + "\b\b" + "tte.\u2028(Ich hatte.)\u2028"
    session.turn_done(Turn(3, "customer", "en", "Okay.", None, 2000, 2900, 1.0))
    assert typed(world).endswith("\u2028Okay.\u2028"), "what was said in the agent's language has no original below"
    (told,) = world.media.of(SetText)
    assert (told.host, told.port) == ("192.0.2.20", 6000)
    assert (told.send_text_payload_type, told.send_red_payload_type) == (96, 97)


async def test_a_phone_without_a_text_line_is_said_once_and_nothing_is_typed(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    session.real_time_text = True
    await agent_with(session, PHONE_SDP)
    subtitles = Subtitles(session, TYPED)
    subtitles.watch()
    LiveSubtitles(session, "en", subtitles).watch()
    assert not session.partials_wanted()
    for sequence in (1, 2):
        session.turn_done(Turn(sequence, "customer", "de", "Ja.", TranslatedText("en", "Yes."), 0, 900, 1.0))
    assert world.media.of(SendText) == []
    assert [message.port for message in world.media.of(SetText)] == [0]
    events = (tmp_path / session.session_id / "events.jsonl").read_text("utf-8")
    assert events.count("subtitles.no_real_time_text") == 1
    assert "the phone has no text line" in events


async def test_the_agents_phone_is_hung_up_when_it_has_shown_what_was_said_last(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    session.real_time_text = True
    agent = await agent_with(session, TEXT_SDP)
    Subtitles(session, TYPED).watch()
    world.media.deaf = True
    session.turn_done(Turn(1, "customer", "de", "Ja.", TranslatedText("en", "Yes."), 0, 900, 1.0))
    closing = asyncio.create_task(session.close(EndReason.CUSTOMER_HANGUP, "hung up"))
    await settle()
    assert ("hangup", "agent-call") not in world.signalling.verbs
    session.on_media(TextShown(agent.leg_id, 1))
    await asyncio.wait_for(closing, 5)
    assert ("hangup", "agent-call") in world.signalling.verbs


async def test_another_phone_of_the_agent_begins_with_an_empty_line(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    session.real_time_text = True
    await agent_with(session, TEXT_SDP)
    subtitles = Subtitles(session, TYPED)
    subtitles.watch()
    LiveSubtitles(session, "en", subtitles).watch()
    for text in ("Ich", "Ich habe"):
        session.partial(Party.CUSTOMER, text, "", "de", 100)
        await settle()
    other = await agent_with(session, TEXT_SDP)
    session.turn_done(Turn(1, "customer", "de", "Ja.", TranslatedText("en", "<en>Yes."), 100, 900, 1.0))
    shown = [message.text for message in world.media.of(SendText) if message.leg_id == other.leg_id]
    assert shown == ["<en>Yes.\u2028(Ja.)\u2028"], "no backspaces for words that only the other one has shown"


async def test_nobody_else_is_offered_text(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    customer: Leg = session.new_leg(Party.CUSTOMER)
    session.real_time_text = True
    other: Leg = session.new_leg(Party.CUSTOMER)
    for leg in (customer, other):
        await leg.open()
        await leg.dial("sip:a@192.0.2.1", "sip:b@192.0.2.2")
    assert not any(message.text for message in world.media.of(OpenLeg))
    assert all(b"m=text" not in sdp for sdp in world.signalling.offers)


async def test_an_agent_who_calls_us_with_a_text_line_gets_one(tmp_path: Path) -> None:
    world = TestWorld(tmp_path)
    session = world.session()
    session.real_time_text = True
    agent, customer = session.new_leg(Party.AGENT), session.new_leg(Party.CUSTOMER)
    for leg, name in ((agent, "agent-in"), (customer, "customer-in")):
        leg.take_call(name, SOURCE)
        await leg.open()
    assert [line.port > 0 for line in parse_sdp(agent.take_offer(TEXT_SDP)).media] == [True, True]
    assert [line.port > 0 for line in parse_sdp(customer.take_offer(TEXT_SDP)).media] == [True, False]
    assert agent.why_no_text is None
