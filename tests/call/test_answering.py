"""An AI answers: who speaks when, what interrupts, and every way that handing over to a human can end. No sleeping."""

from __future__ import annotations

import asyncio
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.agent.conversation import Conversation
from kallglot_media.agent.endpoint import Patience
from kallglot_media.agent.llm import Call as ToolCall
from kallglot_media.agent.llm import Words
from kallglot_media.audio.segment import SegmentRules
from kallglot_media.call.answering import Answering
from kallglot_media.call.answering_rules import AnsweringRules, HandoffRules, VoiceRules
from kallglot_media.call.events import Escalated
from kallglot_media.call.leg import Leg
from kallglot_media.call.session import Session
from kallglot_media.call.transferring import AgentTarget
from kallglot_media.call.world import EndReason
from kallglot_media.media import messages as m
from kallglot_media.modes.plan import AI_AGENT, BIDIRECTIONAL_TRANSLATION, BRIDGED, Party
from kallglot_media.sip.events import TransferProgress
from tests.agent.test_conversation import MANNERS, PHRASES, SHOP, Script, tools
from tests.support.call_world import TestWorld, answered, failed, hung_up, utterance
from tests.support.server import read_json, read_lines

HUMAN = HandoffRules(AgentTarget("sip:human@192.0.2.40", "sip:desk@192.0.2.10", None, 0.3))
RULES = AnsweringRules(
    converse=lambda session: _plain(),
    phrase=PHRASES.text,
    greeting="Hallo.",
    caller_language="de",
    inner_language="de",
    human_language="en",
    voice=VoiceRules(),
    voices={},
    segment=SegmentRules(),
    gains=m.Gains(),
    patience=Patience(20, 20),
    max_call_s=60.0,
    max_turns=50,
    silence_s=5.0,
    keys_ms=20,
    handoff=HUMAN,
)
SAID = {
    2000: "Was kostet der Versand?",
    2160: "Ich möchte mit einem Menschen sprechen.",
    2320: "Auf Wiederhören.",
    2480: "Mhm.",
    2640: "",
    2800: "Meine Bestellnummer ist",
    2960: "vier eins sieben.",
    3120: "Nein, danke.",
    3280: "Bitte rufen Sie mich wegen der Rechnung an.",
    9000: "",
}


async def _plain() -> Conversation:
    return Conversation(MANNERS, SHOP)


class Desk:
    """A call with an AI, moved on by hand."""

    def __init__(self, folder: Path, rules: AnsweringRules) -> None:
        self.world = TestWorld(folder)
        self.world.engines.heard = {length: (text, "de") for length, text in SAID.items()}
        self.rules = rules
        self.told: list[Escalated] = []
        self.world.world.bus.listen(lambda event: self.told.append(event) if isinstance(event, Escalated) else None)
        self.session: Session
        self.caller: Leg
        self.conversation: Conversation
        self.task: asyncio.Task[tuple[EndReason, str]]

    async def start(self, *, keep: bool = True) -> Desk:
        self.session = self.world.session(keep=keep)
        self.caller, sdp = await self.world.customer(self.session)
        converse = self.rules.converse

        async def kept(session: Session) -> Conversation:
            self.conversation = await converse(session)
            return self.conversation

        scenario = Answering(self.session, self.caller, sdp, replace(self.rules, converse=kept))
        self.task = asyncio.create_task(scenario.run())
        await self.settle()
        return self

    async def settle(self) -> None:
        for _ in range(200):
            await asyncio.sleep(0)

    async def says(self, samples: int, *, end: int = 12_000) -> None:
        """The caller says what SAID has for this length."""
        self.session.on_media(m.SpeechStarted("sess_1/customer", end - samples))
        self.session.on_media(utterance(Party.CUSTOMER, samples, speech_end_sample=end))
        await self.settle()

    def hang_up_saying(self, samples: int) -> None:
        """The caller hangs up; the utterance of so many samples comes only as their leg is closed."""
        plain = self.world.media.send

        def flushing(message: m.ToMedia) -> None:
            if isinstance(message, m.CloseLeg):
                self.session.on_media(utterance(Party.CUSTOMER, samples))
            plain(message)

        self.world.media.send = flushing  # type: ignore[method-assign]
        self.caller.on_sip(hung_up("customer-call"))

    async def until(self, holds: Any) -> None:
        async with asyncio.timeout(5):
            while not holds():  # noqa: ASYNC110 - what is waited for happens in timers, tasks and events alike
                await asyncio.sleep(0.001)

    @property
    def human(self) -> Leg:
        leg = self.session.legs[Party.AGENT]
        assert isinstance(leg, Leg)
        return leg

    def spoken(self) -> list[str]:
        """What was made into speech, in order."""
        return [asked[1] for asked in self.world.engines.asked if asked[0] == "synthesize"]

    def asked(self) -> list[str]:
        """What the conversation was asked."""
        return [line.text for line in self.conversation.history if line.role == "user"]

    def phrase(self, name: str) -> str:
        return PHRASES.text(name, "de")

    def turns(self) -> list[tuple[str, str]]:
        return [(turn.speaker, turn.text) for turn in self.session.turns_after(0)]

    def steps(self) -> list[tuple[str, str]]:
        return [(event.step, event.detail) for event in self.told]

    async def over(self) -> tuple[EndReason, str]:
        outcome = await asyncio.wait_for(self.task, 10)
        await self.session.close(*outcome)
        return outcome


async def start(folder: Path, **changes: Any) -> Desk:
    return await Desk(folder, replace(RULES, **changes)).start()


# ── a conversation ───────────────────────────────────────────────────────────────


async def test_greeting_question_answer_goodbye(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    assert ("answer", "customer-call") in desk.world.signalling.verbs
    assert desk.world.media.of(m.SetPlan)[-1].plan == AI_AGENT
    await desk.says(2000)
    await desk.says(2320)
    assert await desk.over() == (EndReason.COMPLETED, "goodbye")
    assert desk.turns() == [
        ("ai", "Hallo."), ("customer", "Was kostet der Versand?"), ("ai", "Der Versand kostet 4,90 Euro."),
        ("customer", "Auf Wiederhören."), ("ai", "Auf Wiederhören."),
    ]  # fmt: skip
    turns = read_json(tmp_path / "sess_1" / "transcript.json")["turns"]
    answer = next(turn for turn in turns if turn["text"].startswith("Der Versand"))
    assert answer["sources"] == ["faq › FAQ › Versandkosten"]
    assert answer["timings"]["speech_end_to_first_sample_ms"] == pytest.approx(500.0)
    assert ("hangup", "customer-call") in desk.world.signalling.verbs


async def test_the_caller_hangs_up(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    desk.caller.on_sip(hung_up("customer-call"))
    assert (await desk.over())[0] is EndReason.CUSTOMER_HANGUP


async def test_a_caller_who_never_speaks_is_asked_twice_then_let_go(tmp_path: Path) -> None:
    desk = await start(tmp_path, silence_s=0.05)
    assert await desk.over() == (EndReason.TIMEOUT, "the caller said nothing any more")
    assert desk.spoken() == ["Hallo.", desk.phrase("silence"), desk.phrase("goodbye")]
    assert [text for _, text in desk.turns()].count(desk.phrase("silence")) == 2


async def test_what_is_not_understood_is_asked_for_again_but_a_cough_is_not(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    await desk.says(2640)
    assert desk.spoken() == ["Hallo."]
    await desk.says(9000, end=20_000)
    assert desk.spoken()[-1] == desk.phrase("not_understood")


async def test_an_unfinished_sentence_is_joined_with_its_rest(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    for samples, end in ((2800, 12_000), (2960, 20_000)):  # they go on before anybody has lost patience
        desk.session.on_media(m.SpeechStarted("sess_1/customer", end - samples))
        desk.session.on_media(utterance(Party.CUSTOMER, samples, speech_end_sample=end))
    await desk.until(lambda: desk.asked())
    assert desk.asked()[-1] == "Meine Bestellnummer ist vier eins sieben."


async def test_too_many_turns_and_too_much_time_end_the_call(tmp_path: Path) -> None:
    desk = await start(tmp_path, max_turns=1)
    await desk.says(2000)
    await desk.says(2000, end=30_000)
    assert (await desk.over())[1].startswith("limits.max_turns")
    late = await start(tmp_path / "late", max_call_s=0.05)
    assert (await late.over())[0] is EndReason.TIMEOUT
    assert late.spoken()[-1] == late.phrase("time_up")


async def test_typed_words_are_answered_too(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    assert desk.session.clients.chat("Was kostet  der\nVersand?")
    await desk.until(lambda: "Der Versand kostet 4,90 Euro." in desk.spoken())
    assert ("customer", "Was kostet der Versand?") in desk.turns()


async def test_a_message_of_the_callers_phone_is_answered_too(tmp_path: Path) -> None:
    """RFC 3428: what a customer types on the phone is chat."""
    desk = await start(tmp_path)
    desk.session.words_typed(Party.CUSTOMER, "Was kostet der Versand?")
    await desk.until(lambda: "Der Versand kostet 4,90 Euro." in desk.spoken())
    assert ("customer", "Was kostet der Versand?") in desk.turns()


async def test_a_recogniser_that_fails_is_an_apology_not_the_end(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    desk.world.engines.broken = {"transcribe"}
    await desk.says(2000)
    assert desk.spoken()[-1] == desk.phrase("trouble")
    desk.world.engines.broken = set()
    await desk.says(2000, end=30_000)
    assert desk.spoken()[-1] == "Der Versand kostet 4,90 Euro."


async def test_the_prompts_language_may_be_another_than_the_callers(tmp_path: Path) -> None:
    llm = Script([Words("It is on its way.")])

    async def english() -> Conversation:
        return Conversation(replace(MANNERS, inner_language="en"), llm=llm)

    desk = await start(tmp_path, inner_language="en", converse=lambda session: english())
    await desk.says(2000)
    assert ("translate", "Was kostet der Versand?", "de", "en") in desk.world.engines.asked
    assert llm.asked[0][-1]["content"] == "<en>Was kostet der Versand?"
    assert desk.spoken()[-1] == "<de>It is on its way."
    turn = desk.session.turns_after(0)[-1]
    assert (turn.language, turn.text, turn.translation and turn.translation.text) == (
        "en", "It is on its way.", "<de>It is on its way.",
    )  # fmt: skip


async def test_a_tool_call_is_a_line_of_the_transcript_and_a_word_of_patience(tmp_path: Path) -> None:
    llm = Script([ToolCall("1", "lookup", '{"number": "7"}')], [Words("Siebenundsiebzig.")])

    async def with_tools() -> Conversation:
        return Conversation(MANNERS, llm=llm, tools=tools())

    desk = await start(tmp_path, converse=lambda session: with_tools())
    await desk.says(2000)
    await desk.until(lambda: desk.spoken()[-1] == "Siebenundsiebzig.")
    assert desk.spoken()[1] == desk.phrase("filler")
    desk.caller.on_sip(hung_up("customer-call"))
    await desk.over()
    lines = read_lines(tmp_path / "sess_1" / "transcript.jsonl")
    (action,) = (line["action"] for line in lines if "action" in line)
    assert action == {
        "type": "tool.call",
        "name": "lookup",
        "arguments": {"number": "7"},
        "output": "77",
        "error": None,
    }


# ── who speaks when ──────────────────────────────────────────────────────────────


async def speaking(folder: Path, **changes: Any) -> Desk:
    """The AI is in the middle of its greeting."""
    desk = Desk(folder, replace(RULES, greeting="eins zwei drei vier", **changes))
    desk.world.media.deaf = True
    await desk.start()
    desk.session.on_media(m.PlayoutStarted("sess_1/customer", "ai.1", 100))
    return desk


def cleared(desk: Desk, played: int, play: str = "ai.1") -> None:
    """The media plane has thrown away the rest (800 samples are a sentence here)."""
    desk.session.on_media(m.PlayoutFinished("sess_1/customer", play, 100 + played, played, 800))


async def test_the_ai_is_silent_as_soon_as_the_caller_speaks(tmp_path: Path) -> None:
    desk = await speaking(tmp_path)
    desk.session.on_media(m.SpeechStarted("sess_1/customer", 500))
    assert desk.world.media.of(m.Clear) == [m.Clear("sess_1/customer")]


@pytest.mark.parametrize("samples", [2480, 2640])
async def test_a_backchannel_or_a_cough_does_not_interrupt_it_goes_on_where_it_stopped(
    tmp_path: Path, samples: int
) -> None:
    desk = await speaking(tmp_path)
    desk.session.on_media(m.SpeechStarted("sess_1/customer", 500))
    cleared(desk, 600)
    desk.session.on_media(utterance(Party.CUSTOMER, samples))
    await desk.settle()
    first, again = desk.world.media.of(m.Play)
    assert (len(first.pcm), len(again.pcm)) == (1600, 1600)  # 600 played, less than the 240 ms it backs up: whole
    assert desk.conversation.history == []
    desk.world.media.deaf = False
    cleared(desk, 800, "ai.2")
    await desk.settle()
    assert ("ai", "eins zwei drei vier") in desk.turns()


async def test_a_click_does_not_interrupt(tmp_path: Path) -> None:
    desk = await speaking(tmp_path)
    desk.session.on_media(m.SpeechStarted("sess_1/customer", 500))
    cleared(desk, 100)
    desk.session.on_media(m.SpeechDropped("sess_1/customer", 600))
    await desk.settle()
    assert len(desk.world.media.of(m.Play)) == 2


async def test_an_interruption_keeps_what_was_really_heard(tmp_path: Path) -> None:
    desk = await speaking(tmp_path)
    desk.session.on_media(m.SpeechStarted("sess_1/customer", 500))
    cleared(desk, 640)  # 0.8 of four words
    desk.world.media.deaf = False
    desk.session.on_media(utterance(Party.CUSTOMER, 2000))
    await desk.until(lambda: "Der Versand kostet 4,90 Euro." in desk.spoken())
    assert ("ai", "eins zwei drei —") in desk.turns()
    assert desk.conversation.history[0].text == "eins zwei drei —"


async def test_without_barge_in_the_ai_finishes_its_sentence(tmp_path: Path) -> None:
    desk = await speaking(tmp_path, barge_in=False)
    desk.session.on_media(m.SpeechStarted("sess_1/customer", 500))
    await desk.settle()
    assert desk.world.media.of(m.Clear) == []


async def test_who_goes_on_before_the_answer_is_answered_once_for_all_of_it(tmp_path: Path) -> None:
    desk = await start(tmp_path, patience=Patience(0, 0))
    desk.world.engines.gate = asyncio.Event()
    desk.session.on_media(utterance(Party.CUSTOMER, 2800))
    desk.session.on_media(utterance(Party.CUSTOMER, 2960, speech_end_sample=30_000))
    desk.world.engines.gate.set()
    await desk.until(lambda: desk.asked())
    await desk.settle()
    assert desk.asked() == ["Meine Bestellnummer ist vier eins sieben."]


async def test_keys_are_an_answer_and_one_of_them_a_human(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    for key in "4711#":
        desk.session.key_pressed(Party.CUSTOMER, key)
    await desk.until(lambda: desk.asked())
    assert desk.asked() == ["4711"]
    desk.session.key_pressed(Party.CUSTOMER, "0")
    await desk.until(lambda: desk.told)
    assert desk.steps() == [("started", "key")]


# ── to a human ───────────────────────────────────────────────────────────────────


async def wants_human(folder: Path, **changes: Any) -> Desk:
    desk = await start(folder, **changes)
    await desk.says(2000)
    await desk.says(2160, end=20_000)
    await desk.until(lambda: Party.AGENT in desk.session.legs)
    return desk


async def test_a_human_is_told_what_it_is_about_and_joined_in_two_languages(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    assert ("dial", "sip:human@192.0.2.40", "sip:desk@192.0.2.10") in desk.world.signalling.verbs
    assert desk.world.media.of(m.PlayTone)[-1].tone == "ringback"
    desk.human.on_sip(answered())
    await desk.until(lambda: len(desk.told) == 2)
    assert desk.steps() == [("started", "asked"), ("answered", "")]
    assert "A call from the assistant. It is about: <en>Was kostet der Versand?" in desk.spoken()
    assert desk.world.media.of(m.SetPlan)[-1].plan == BIDIRECTIONAL_TRANSLATION
    await desk.says(2000, end=40_000)
    assert ("translate", "Was kostet der Versand?", "de", "en") in desk.world.engines.asked
    desk.caller.on_sip(hung_up("customer-call"))
    assert (await desk.over())[0] is EndReason.CUSTOMER_HANGUP
    assert ("hangup", "agent-call") in desk.world.signalling.verbs


async def test_those_who_share_a_language_hear_each_other_as_they_are(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path, human_language="de")
    desk.human.on_sip(answered())
    await desk.until(lambda: len(desk.told) == 2)
    assert desk.world.media.of(m.SetPlan)[-1].plan == BRIDGED


async def test_when_the_human_leaves_the_ai_is_back(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    desk.human.on_sip(answered())
    await desk.until(lambda: len(desk.told) == 2)
    desk.human.on_sip(hung_up("agent-call"))
    await desk.until(lambda: desk.phrase("anything_else") in desk.spoken())
    await desk.settle()
    assert desk.world.media.of(m.SetPlan)[-1].plan == AI_AGENT
    await desk.says(2000, end=60_000)
    assert desk.spoken()[-1] == "Der Versand kostet 4,90 Euro."
    assert desk.session.legs.keys() == {Party.CUSTOMER}


@pytest.mark.parametrize(
    ("status", "phrase", "detail"),
    [
        (486, "human_busy", "busy"),
        (600, "human_busy", "busy"),
        (603, "human_declined", "declined"),
        (480, "human_no_answer", "no_answer"),
        (503, "human_unreachable", "unreachable"),
        (404, "human_unreachable", "unreachable"),
    ],
)
async def test_a_human_who_cannot_be_had_is_a_word_a_callback_and_a_proper_end(
    tmp_path: Path, status: int, phrase: str, detail: str
) -> None:
    desk = await wants_human(tmp_path)
    desk.human.on_sip(failed(status))
    await desk.until(lambda: desk.phrase("callback") in desk.spoken())
    assert desk.phrase(phrase) in desk.spoken()
    assert desk.steps() == [("started", "asked"), ("failed", detail)]
    await desk.settle()
    await desk.says(3280, end=50_000)
    assert await desk.over() == (EndReason.COMPLETED, "a callback was asked for")
    lines = read_lines(tmp_path / "sess_1" / "transcript.jsonl")
    actions = [line["action"]["type"] for line in lines if "action" in line]
    assert actions == ["escalation.started", "escalation.failed", "callback"]


async def test_nobody_answers_in_time(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    await desk.until(lambda: desk.phrase("human_no_answer") in desk.spoken())
    assert ("hangup", "agent-call") in desk.world.signalling.verbs
    await desk.until(lambda: desk.phrase("callback") in desk.spoken())
    await desk.settle()
    await desk.says(3120, end=50_000)
    assert await desk.over() == (EndReason.COMPLETED, "no human could be had")


async def test_the_trunk_is_down(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    desk.world.signalling.unresolvable = True
    await desk.says(2160)
    await desk.until(lambda: desk.phrase("callback") in desk.spoken())
    assert desk.steps()[-1][0] == "failed"
    assert desk.session.legs.keys() == {Party.CUSTOMER}


async def test_the_caller_hangs_up_while_it_rings(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    desk.caller.on_sip(hung_up("customer-call"))
    assert (await desk.over())[0] is EndReason.CUSTOMER_HANGUP
    assert desk.steps() == [("started", "asked"), ("failed", "the caller hung up")]
    assert ("hangup", "agent-call") in desk.world.signalling.verbs


async def test_the_human_hangs_up_while_being_told(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    desk.world.media.deaf = True
    desk.human.on_sip(answered())
    await desk.settle()
    desk.world.media.deaf = False
    desk.human.on_sip(hung_up("agent-call"))
    await desk.until(lambda: desk.phrase("human_declined") in desk.spoken())
    assert desk.steps()[-1] == ("failed", "declined")


async def test_outside_of_the_hours_nobody_is_called(tmp_path: Path) -> None:
    desk = await start(tmp_path, handoff=replace(HUMAN, is_open=lambda now: False))
    await desk.says(2160)
    await desk.until(lambda: desk.phrase("callback") in desk.spoken())
    assert desk.phrase("closed") in desk.spoken()
    assert not any(verb[0] == "dial" for verb in desk.world.signalling.verbs)


async def test_without_a_human_the_wish_is_answered(tmp_path: Path) -> None:
    desk = await start(tmp_path, handoff=None)
    await desk.says(2160)
    await desk.until(lambda: desk.phrase("no_human") in desk.spoken())
    await desk.settle()
    await desk.says(2000, end=40_000)
    assert desk.spoken()[-1] == "Der Versand kostet 4,90 Euro."


@pytest.mark.parametrize(
    ("status", "reason"), [(200, EndReason.TRANSFERRED), (486, EndReason.COMPLETED), (603, EndReason.COMPLETED)]
)
async def test_a_cold_handoff_asks_the_callers_side(tmp_path: Path, status: int, reason: EndReason) -> None:
    desk = await start(tmp_path, handoff=replace(HUMAN, refer_to="sip:human@pbx.example"))
    await desk.says(2160)
    await desk.until(lambda: ("refer", "customer-call", "sip:human@pbx.example") in desk.world.signalling.verbs)
    desk.caller.on_sip(TransferProgress("customer-call", 180, "Ringing", False))
    desk.caller.on_sip(TransferProgress("customer-call", status, "", True))
    if status != 200:
        await desk.until(lambda: desk.phrase("callback") in desk.spoken())
        await desk.settle()
        await desk.says(3120, end=50_000)
    assert (await desk.over())[0] is reason


async def test_the_session_is_ended_while_it_rings(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    desk.session.end(EndReason.EXPLICIT_END, "asked by a client")
    assert await desk.over() == (EndReason.EXPLICIT_END, "asked by a client")


async def test_what_the_caller_said_while_hanging_up_is_in_the_transcript(tmp_path: Path) -> None:
    desk = await start(tmp_path)
    desk.hang_up_saying(2000)
    assert (await desk.over())[0] is EndReason.CUSTOMER_HANGUP
    assert ("customer", "Was kostet der Versand?") in desk.turns()


async def test_a_callback_may_be_said_into_the_offer(tmp_path: Path) -> None:
    desk = await wants_human(tmp_path)
    desk.world.media.deaf = True
    desk.human.on_sip(failed(486))
    await desk.settle()
    for play in desk.world.media.of(m.Play):
        desk.session.on_media(m.PlayoutFinished("sess_1/customer", play.play_id, 900, 800, 800))
    await desk.until(lambda: desk.phrase("callback") in desk.spoken())
    await desk.settle()
    desk.world.media.deaf = False
    await desk.says(3280, end=60_000)
    assert (await desk.over())[1] == "a callback was asked for"
    assert ("customer", SAID[3280]) in desk.turns()
