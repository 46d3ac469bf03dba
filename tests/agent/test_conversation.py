"""A conversation by itself: answered, refused, repeated, handed over; with documents, with a model, with neither."""

from __future__ import annotations

import json
import re
from collections.abc import AsyncIterator, Sequence
from dataclasses import replace
from typing import Any

import pytest

from kallglot_media.agent.conversation import Conversation, Manners, drained
from kallglot_media.agent.guards import Topics
from kallglot_media.agent.knowledge import Knowledge
from kallglot_media.agent.llm import Call, LlmFailed, Message, Output, Words
from kallglot_media.agent.tools import Tool, ToolBox, ToolRule, ToolSettings
from kallglot_media.agent.types import Finish, HandOver, Heard, Line, Piece, Say, Source, ToolSpec, ToolUsed, Waiting
from kallglot_media.config.phrases import Phrases

PHRASES = Phrases()
MANNERS = Manners("de", "de", lambda name: PHRASES.text(name, "de"), language_name="German", has_human=True)
SHOP = Knowledge(
    [
        Source("faq", "Der Versand kostet 4,90 Euro.", "de", "FAQ › Versandkosten"),
        Source("faq", "Wir sind montags bis freitags von 8 bis 18 Uhr da.", "de", "FAQ › Öffnungszeiten"),
        Source("faq", "Ihr Geld bekommen Sie in fünf Tagen zurück.", "de", "FAQ › Erstattung"),
    ]
)


class Script:
    """A model that plays lists of outputs, one for each request; an exception in a list is raised there."""

    def __init__(self, *rounds: Sequence[Output | Exception]) -> None:
        self.rounds = list(rounds)
        self.asked: list[Sequence[Message]] = []
        self.tools: list[Sequence[ToolSpec]] = []

    async def stream(
        self, messages: Sequence[Message], tools: Sequence[ToolSpec], temperature: float
    ) -> AsyncIterator[Output]:
        self.asked.append(list(messages))
        self.tools.append(tools)
        for one in self.rounds.pop(0):
            if isinstance(one, Exception):
                raise one
            yield one


async def say(conversation: Conversation, text: str) -> list[Piece]:
    return await drained(conversation.respond(Heard(text, text)), 5.0)


def texts(pieces: Sequence[Piece]) -> list[str]:
    return [piece.text for piece in pieces if isinstance(piece, Say)]


def phrases(pieces: Sequence[Piece]) -> list[str]:
    return [piece.phrase for piece in pieces if isinstance(piece, Say) and piece.phrase]


# ── without a model ──────────────────────────────────────────────────────────────


async def test_the_documents_answer_with_their_source() -> None:
    (answer,) = await say(Conversation(MANNERS, SHOP), "Was kostet der Versand?")
    assert answer == Say("Der Versand kostet 4,90 Euro.", "de", ("faq › FAQ › Versandkosten",))


async def test_what_is_not_there_is_admitted_a_human_is_offered_and_taken() -> None:
    conversation = Conversation(MANNERS, SHOP)
    assert phrases(await say(conversation, "Verkaufen Sie Fahrräder?")) == ["not_found", "offer_human"]
    assert await say(conversation, "Ja, bitte.") == [HandOver("asked")]


async def test_an_offer_that_is_turned_down_is_forgotten() -> None:
    conversation = Conversation(MANNERS, SHOP)
    await say(conversation, "Verkaufen Sie Fahrräder?")
    assert phrases(await say(conversation, "Nein, danke.")) == ["anything_else"]
    assert await say(conversation, "Nein.") == [Say("Auf Wiederhören.", "de", phrase="goodbye"), Finish("goodbye")]


async def test_twice_without_help_ends_with_a_human_and_an_answer_in_between_counts_anew() -> None:
    conversation = Conversation(MANNERS, SHOP)
    await say(conversation, "Verkaufen Sie Fahrräder?")
    assert texts(await say(conversation, "Wann ist geöffnet?")) == [
        "Wir sind montags bis freitags von 8 bis 18 Uhr da."
    ]
    await say(conversation, "Verkaufen Sie Autos?")
    assert (await say(conversation, "Verkaufen Sie Boote?"))[-1] == HandOver("failures")


async def test_without_a_human_nobody_is_promised() -> None:
    conversation = Conversation(replace(MANNERS, has_human=False), SHOP)
    for _ in range(4):
        assert phrases(await say(conversation, "Verkaufen Sie Fahrräder?")) == ["not_found"]


async def test_again_says_the_last_answer_again() -> None:
    conversation = Conversation(MANNERS, SHOP)
    assert phrases(await say(conversation, "Wie bitte?")) == ["nothing_to_repeat"]
    first = await say(conversation, "Was kostet der Versand?")
    assert await say(conversation, "Können Sie das bitte wiederholen?") == first


async def test_an_empty_base_says_so() -> None:
    assert phrases(await say(Conversation(MANNERS), "Was kostet der Versand?")) == ["not_found", "offer_human"]


async def test_chat_history_counts() -> None:
    conversation = Conversation(MANNERS, SHOP, history=[Line("user", "Mein Paket fehlt."), Line("assistant", "Oh.")])
    await say(conversation, "Ich möchte mit einem Menschen sprechen.")
    assert "Mein Paket fehlt." in conversation.summary()
    assert "Menschen" not in conversation.summary()


def test_the_summary_has_no_card_number() -> None:
    manners = replace(MANNERS, redact=("card",))
    conversation = Conversation(manners, history=[Line("user", "Meine Karte ist 4111 1111 1111 1111.")])
    assert conversation.summary() == "Meine Karte ist [card]."


async def test_an_upset_caller_gets_a_human() -> None:
    assert await say(Conversation(MANNERS, SHOP), "Das ist eine Frechheit!") == [HandOver("upset")]
    calm = Conversation(replace(MANNERS, angry=False), SHOP)
    assert not any(isinstance(piece, HandOver) for piece in await say(calm, "Das ist eine Frechheit!"))


async def test_a_blocked_topic_is_not_talked_about() -> None:
    manners = replace(MANNERS, topics=Topics({"politics": ["Wahl"]}))
    assert phrases(await say(Conversation(manners, SHOP), "Wer gewinnt die Wahl?")) == ["off_topic"]


# ── with a model ─────────────────────────────────────────────────────────────────


async def test_sentences_come_while_the_model_still_writes_with_the_sources_it_names() -> None:
    llm = Script([Words("Der Versand kostet 4,90 Euro [1]. "), Words("Kann ich sonst "), Words("helfen?")])
    conversation = Conversation(MANNERS, SHOP, llm=llm)
    seen: list[str] = []
    async for piece in conversation.respond(Heard("Was kostet der Versand?", "Was kostet der Versand?")):
        assert isinstance(piece, Say)
        seen.append(piece.text)
        if len(seen) == 1:
            assert piece.sources == ("faq › FAQ › Versandkosten",)
    assert seen == ["Der Versand kostet 4,90 Euro.", "Kann ich sonst helfen?"]
    system = llm.asked[0][0]["content"]
    assert "4,90" in system
    assert "Speak German" in system
    assert "≪end of faq" in system


async def test_the_model_sees_what_was_heard_not_what_was_written() -> None:
    llm = Script([Words("Eins. Zwei. Drei.")], [Words("Gut.")])
    conversation = Conversation(MANNERS, llm=llm)
    await say(conversation, "Zähle.")
    conversation.spoken("Eins.", cut=True)
    await say(conversation, "Stopp, was kostet das?")
    assert [(one["role"], one["content"]) for one in llm.asked[1][1:]] == [
        ("user", "Zähle."), ("assistant", "Eins. —"), ("user", "Stopp, was kostet das?"),
    ]  # fmt: skip


async def test_the_model_sees_that_it_was_interrupted_between_two_sentences() -> None:
    llm = Script([Words("Eins. Zwei. Drei.")], [Words("Gut.")], [Words("Ja.")])
    conversation = Conversation(MANNERS, llm=llm)
    await say(conversation, "Zähle.")
    conversation.spoken("Eins.")
    conversation.spoken("", cut=True)
    await say(conversation, "Stopp, was kostet das?")
    conversation.spoken("", cut=True)  # before a word of it was heard
    await say(conversation, "Hallo?")
    assert [(one["role"], one["content"]) for one in llm.asked[2][1:]] == [
        ("user", "Zähle."), ("assistant", "Eins. —"), ("user", "Stopp, was kostet das?"), ("user", "Hallo?"),
    ]  # fmt: skip


def tools() -> ToolBox:
    schema = {"type": "object", "properties": {"number": {"type": "string"}}, "required": ["number"]}
    spec = ToolSpec("lookup", "", schema)
    return ToolBox(ToolSettings([Tool(spec, python="tests.agent.test_tools:double")]), "s")


async def test_tools_are_called_side_by_side_and_their_results_go_back_fenced() -> None:
    llm = Script(
        [Call("1", "lookup", '{"number": "12"}'), Call("2", "lookup", '{"no": 1}'), Call("3", "lookup", "{")],
        [Words("Es ist 1212.")],
    )
    pieces = await say(Conversation(MANNERS, llm=llm, tools=tools()), "Verdopple zwölf.")
    assert pieces[0] == Waiting("lookup")
    used = [piece for piece in pieces if isinstance(piece, ToolUsed)]
    assert [(one.output, one.error is None) for one in used] == [("1212", True), (None, False), (None, False)]
    assert texts(pieces) == ["Es ist 1212."]
    told: list[dict[str, Any]] = [dict(one) for one in llm.asked[1][-3:]]
    assert [one["tool_call_id"] for one in told] == ["1", "2", "3"]
    assert json.dumps({"output": "1212"}) in told[0]["content"]
    assert "required property" in told[1]["content"]
    assert llm.asked[1][-4]["tool_calls"][2]["function"]["arguments"] == "{}"


async def test_the_model_can_hand_over_only_where_there_is_a_human() -> None:
    llm = Script([Words("Moment, bitte warten. "), Call("1", "transfer_to_human", "{}")])
    assert (await say(Conversation(MANNERS, llm=llm), "Hilfe"))[-1] == HandOver("tool")
    assert [tool.name for tool in llm.tools[0]] == ["transfer_to_human"]
    alone = Script([Words("Das kann ich nicht.")])
    await say(Conversation(replace(MANNERS, has_human=False), llm=alone), "Hilfe")
    assert alone.tools[0] == []


async def test_tools_without_end_are_stopped() -> None:
    llm = Script(*[[Call("1", "lookup", '{"number": "1"}')]] * 9)
    pieces = await say(Conversation(MANNERS, llm=llm, tools=tools()), "Los.")
    assert len(llm.asked) == MANNERS.tool_rounds
    assert phrases(pieces) == ["trouble", "offer_human"]


@pytest.mark.parametrize("kind", ["unreachable", "slow", "busy", "garbage", "error"])
async def test_without_its_model_it_falls_back_on_the_documents_then_on_a_human(kind: str) -> None:
    def down() -> Script:
        return Script([LlmFailed(kind, "x")], [LlmFailed(kind, "x")], [LlmFailed(kind, "x")])

    conversation = Conversation(MANNERS, SHOP, llm=down())
    assert texts(await say(conversation, "Was kostet der Versand?")) == ["Der Versand kostet 4,90 Euro."]
    assert phrases(await say(conversation, "Erzählen Sie mir einen Witz.")) == ["trouble", "offer_human"]
    assert (await say(conversation, "Was ist mit dem Witz?"))[-1] == HandOver("failures")


async def test_an_answer_cut_off_keeps_its_whole_sentences() -> None:
    llm = Script([Words("Ihr Paket ist unterwegs. Es kommt"), LlmFailed("cut", "x")])
    assert texts(await say(Conversation(MANNERS, llm=llm), "Wo ist mein Paket?")) == ["Ihr Paket ist unterwegs."]


async def test_an_answer_that_runs_over_keeps_its_whole_sentences() -> None:
    llm = Script([Words("Das ist ein ganzer Satz. " * 3 + "und noch einer ohne")])
    manners = replace(MANNERS, answer_characters=60)
    assert texts(await say(Conversation(manners, llm=llm), "Erzähle.")) == ["Das ist ein ganzer Satz."] * 3


async def test_a_help_desk_does_not_ask_the_model_what_the_documents_do_not_know() -> None:
    llm = Script()
    conversation = Conversation(replace(MANNERS, only_documents=True), SHOP, llm=llm)
    assert phrases(await say(conversation, "Verkaufen Sie Fahrräder?")) == ["not_found", "offer_human"]
    assert llm.asked == []


async def test_an_answer_about_a_blocked_topic_is_not_said() -> None:
    manners = replace(MANNERS, topics=Topics({"politics": ["Wahl"]}, ["verdammt"]))
    llm = Script([Words("Das ist verdammt gut. Zur Wahl sage ich: nichts. Und noch mehr dazu.")])
    assert phrases(await say(Conversation(manners, llm=llm), "Und sonst?")) == ["off_topic"]


async def test_a_goodbye_needs_no_model() -> None:
    llm = Script()
    assert (await say(Conversation(MANNERS, llm=llm), "Auf Wiederhören."))[-1] == Finish("goodbye")
    assert llm.asked == []


# ── tools without a model ────────────────────────────────────────────────────────


@pytest.mark.parametrize(
    ("text", "said"),
    [
        ("Die Nummer ist vier eins sieben.", "Gefunden: 417417."),
        ("4711", "Gefunden: 47114711."),
        ("Was kostet der Versand?", "Der Versand kostet 4,90 Euro."),
    ],
)
async def test_a_rule_calls_a_tool_where_there_is_no_model(text: str, said: str) -> None:
    rule = ToolRule(re.compile("(?P<number>[0-9]{3,8})"), "Gefunden: {output}.")
    tool = Tool(ToolSpec("lookup", "", {"type": "object"}), python="tests.agent.test_tools:double", rule=rule)
    pieces = await say(Conversation(MANNERS, SHOP, tools=ToolBox(ToolSettings([tool]), "s")), text)
    assert texts(pieces) == [said]


async def test_a_rule_whose_tool_fails_says_so() -> None:
    rule = ToolRule(re.compile("(?P<number>[0-9]+)"), "{x}", "Die Nummer gibt es nicht.")
    tool = Tool(ToolSpec("lookup", "", {"type": "object"}), python="tests.agent.test_tools:later", rule=rule)
    conversation = Conversation(MANNERS, SHOP, tools=ToolBox(ToolSettings([tool]), "s"))
    assert texts(await say(conversation, "0")) == ["Die Nummer gibt es nicht."]


async def test_a_source_that_is_named_after_its_sentence_still_counts() -> None:
    llm = Script([Words("Der Versand kostet 4,90 Euro. [1]")])
    pieces = await say(Conversation(MANNERS, SHOP, llm=llm), "Was kostet der Versand?")
    assert pieces == [
        Say("Der Versand kostet 4,90 Euro.", "de"), Say("", "de", ("faq › FAQ › Versandkosten",)),
    ]  # fmt: skip
