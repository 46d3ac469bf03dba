"""ai_agent and help_chat_voice on real calls: each row of their feature lists has its test.

Three calls in all, each looked at by several tests: a help desk that hands over to a human in another language, an AI
agent with tools that is interrupted, and a help desk whose caller types.
"""

from __future__ import annotations

import json
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import pytest

from tests.support import correlate
from tests.support.baresip import Baresip
from tests.support.llm_server import LlmServer
from tests.support.looks import looks_right
from tests.support.processes import HOST, free_port, pass_time
from tests.support.rest import Rest, make_key
from tests.support.server import Server, events, read_json
from tests.support.stream_client import StreamClient
from tests.support.voices import said
from tests.support.waves import Pcm16, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

KNOWLEDGE = str(Path(__file__).with_name("knowledge"))
LONG = "Ihr Telefon ist unterwegs. Ich schaue gleich nach. Bitte bleiben Sie am Apparat. Einen Moment, bitte."
RULES: list[dict[str, Any]] = [
    {"when": "unterwegs", "say": LONG, "pace_ms": 10},
    {"when": "Telefon", "tools": [{"name": "lookup", "arguments": {"what": "Telefon"}}]},
    {"when": "Passwort", "say": "Wie lautet Ihre Kundennummer? [1]"},
    {"when": "Geld", "tools": [{"name": "transfer_to_human", "arguments": {"reason": "refund"}}]},
]


@dataclass(frozen=True, slots=True)
class Place:
    """A server, its REST side, the model server, and where the human's phone is."""

    server: Server
    rest: Rest
    llm: LlmServer
    human_port: int


def lookup(what: str) -> dict[str, str]:
    """The tool of the agent's desk: called by the server, in its process."""
    return {"item": what, "status": "unterwegs"}


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Place]:
    folder, human_port = tmp_path_factory.mktemp("answering"), free_port()
    human = {"to": f"sip:human@{HOST}:{human_port}", "language": "en", "ring_s": 3}
    desk = {"mode": "help_chat_voice", "source_language": "de", "target_language": None}
    parameters = {"type": "object", "properties": {"what": {"type": "string"}}, "required": ["what"]}
    tool = {"name": "lookup", "parameters": parameters, "python": "tests.interop.test_answering:lookup"}
    with LlmServer(folder / "llm", RULES) as llm:
        modes: dict[str, dict[str, Any]] = {
            "help": {
                **desk,
                "help_chat": {"escalation_enabled": True},
                "knowledge": {"documents": [KNOWLEDGE]},
                "handoff": human,
            },
            "agent": {
                "mode": "ai_agent",
                "source_language": "de",
                "target_language": None,
                "ai_agent": {
                    "system_prompt": "Du bist die Auskunft der Firma Acme.",
                    "voice": "alloy",
                    "tools": [tool],
                },
                "knowledge": {"documents": [KNOWLEDGE]},
                "llm": {"base_url": llm.url, "model": "script"},
                "handoff": {**human, "ring_s": 1.5},
            },
        }
        with Server(folder / "server", modes=modes, settings={"api": {"requests_per_minute": 0}}) as server:
            rest = Rest(server, make_key(server))
            yield Place(server, rest, llm, human_port)
            rest.close()


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a call."""

    caller_heard: Pcm16
    human_heard: Pcm16
    folder: Path

    def turns(self, speaker: str) -> list[dict[str, Any]]:
        turns: list[dict[str, Any]] = read_json(self.folder / "transcript.json")["turns"]
        return [turn for turn in turns if turn["speaker"] == speaker]

    def texts(self, speaker: str) -> list[str]:
        return [turn["text"] for turn in self.turns(speaker) if "action" not in turn]

    def actions(self) -> list[dict[str, Any]]:
        return [turn["action"] for turn in self.turns("ai") if "action" in turn]

    def kinds(self) -> list[str]:
        return [event["type"] for event in events(self.folder)]


# ── a help desk ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def helped(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A session that a client made, with a chat that went before: asked, repeated, handed over to a human."""
    folder = tmp_path_factory.mktemp("helped")
    history = [{"role": "user", "text": "Ich wohne in Leipzig."}, {"role": "assistant", "text": "Gut."}]
    made = place.rest.call(
        "POST", "/v1/sessions", {"mode": "help_chat_voice", "source_language": "de", "help_chat": {"history": history}}
    )
    caller = script(
        3.2, said("Ich habe mein Passwort vergessen.", "de"),
        6.6, said("Können Sie das bitte wiederholen?", "de"),
        6.2, said("Ich möchte mit Frau Weber sprechen.", "de"),
        10.0, said("Ich möchte mein Geld zurück.", "de"), 60.0,
    )  # fmt: skip
    human = script(8.5, said("I'll check that for you.", "en"), 60.0)
    with (
        Baresip(folder / "human", "human", port=place.human_port, microphone=human) as bob,
        Baresip(folder / "caller", "caller", microphone=caller) as alice,
    ):
        alice.dial(place.server.uri(made["id"]))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(39.0)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
        session = place.server.session()
        assert session.name == made["id"]
        return Told(alice.heard().pcm, bob.heard().pcm, session)


def test_ai_powered_answers_from_knowledge_base(helped: Told) -> None:
    """help_chat_voice: "AI-powered answers from knowledge base" — with no language model, and with its source."""
    answer = next(turn for turn in helped.turns("ai") if turn.get("sources"))
    assert answer["text"] == "Ein neues Passwort gibt es auf unserer Seite. Wie lautet Ihre Kundennummer?"
    assert answer["sources"] == ["desk-de › Hilfe › Passwort vergessen"]
    assert [turn["text"] for turn in helped.turns("ai") if turn.get("sources")] == [answer["text"]] * 2, "not repeated"


def test_voice_input_and_output(helped: Told) -> None:
    """help_chat_voice: "Voice input and output": what was said is in the transcript, the answer in the caller's ear."""
    assert helped.texts("customer")[:2] == ["Ich habe mein Passwort vergessen.", "Können Sie das bitte wiederholen?"]
    question = said("Wie lautet Ihre Kundennummer?", "de")
    assert correlate.match(question, helped.caller_heard).window_median > 0.8
    answer = next(turn for turn in helped.turns("ai") if turn["timings"])
    assert answer["timings"]["speech_end_to_first_sample_ms"] > 0


def test_seamless_escalation_to_human_agents(helped: Told) -> None:
    """help_chat_voice: "Seamless escalation to human agents": told what it is about, then each in their language."""
    steps = [action["type"] for action in helped.actions()]
    assert steps == ["escalation.started", "escalation.answered"]
    agent = next(turn for turn in helped.turns("agent"))
    assert agent["translation"]["language"] == "de"
    assert correlate.match(said(agent["translation"]["text"], "de"), helped.caller_heard).window_median > 0.8
    refund = said("I would like my money back.", "en")
    assert correlate.match(refund, helped.human_heard).window_median > 0.8


def test_chat_history_context(helped: Told) -> None:
    """help_chat_voice: "Chat history context": what was typed before the call is in what the human is told."""
    leipzig = said("It is about: I live in Leipzig.", "en")  # whole: a sentence's tune depends on all of it
    assert correlate.match(leipzig, helped.human_heard).window_median > 0.8


def test_the_help_desks_files_are_right(helped: Told) -> None:
    looks_right(helped.folder)
    assert read_json(helped.folder / "session.json")["end_reason"] == "customer_hangup"


# ── an AI agent ──────────────────────────────────────────────────────────────────


@pytest.fixture(scope="module")
def served(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Told:
    """A tool, an interruption in the middle of a long answer, and a handoff to somebody who does not answer."""
    folder = tmp_path_factory.mktemp("served")
    caller = script(
        3.0, said("Wann kommt mein Telefon an?", "de"),
        5.0, said("Ich habe mein Passwort vergessen.", "de"),
        5.0, said("Ich möchte mein Geld zurück.", "de"),
        14.0, said("Nein, danke.", "de"), 60.0,
    )  # fmt: skip
    with (
        Baresip(folder / "human", "human", port=place.human_port, answer="manual") as bob,
        Baresip(folder / "caller", "caller", microphone=caller) as alice,
    ):
        alice.dial(place.server.uri("agent"))
        alice.wait_for("CALL_ESTABLISHED")
        alice.wait_for("CALL_CLOSED", 60.0)
        session = place.server.session()
        assert bob.child.alive()
        return Told(alice.heard().pcm, alice.heard().pcm, session)


def request_about(place: Place, text: str) -> dict[str, Any]:
    """The model server's request whose last word of the caller was this."""
    for request in place.llm.requests():
        if any(one["role"] == "user" and text in str(one["content"]) for one in request["messages"][-1:]):
            return request
    raise AssertionError(f"the model was never asked {text!r}: {json.dumps(place.llm.requests())[:2000]}")


def test_natural_language_understanding(served: Told, place: Place) -> None:
    """ai_agent: "Natural language understanding": what was said reaches the model, what it says is spoken."""
    assert request_about(place, "Wann kommt mein Telefon an?")["model"] == "script"
    assert correlate.match(said("Ihr Telefon ist unterwegs.", "de"), served.caller_heard).window_median > 0.8


def test_custom_system_prompts(served: Told, place: Place) -> None:
    """ai_agent: "Custom system prompts"."""
    system = request_about(place, "Passwort")["messages"][0]
    assert system["role"] == "system"
    assert system["content"].startswith("Du bist die Auskunft der Firma Acme.")


def test_knowledge_base_integration(served: Told, place: Place) -> None:
    """ai_agent: "Knowledge base integration": the passage is in the prompt, and its source in the transcript."""
    assert "Ein neues Passwort gibt es auf unserer Seite." in request_about(place, "Passwort")["messages"][0]["content"]
    answer = next(turn for turn in served.turns("ai") if turn["text"] == "Wie lautet Ihre Kundennummer?")
    assert answer["sources"] == ["desk-de › Hilfe › Passwort vergessen"]


def test_function_calling_for_external_integrations(served: Told) -> None:
    """ai_agent: "Function calling for external integrations"."""
    call = next(action for action in served.actions() if action["type"] == "tool.call")
    assert (call["name"], call["arguments"]) == ("lookup", {"what": "Telefon"})
    assert call["output"] == {"item": "Telefon", "status": "unterwegs"}


def test_handoff_to_human_agents(served: Told) -> None:
    """ai_agent: "Handoff to human agents": nobody answers: it says so, offers a callback and ends properly."""
    steps = [action["type"] for action in served.actions() if action["type"] != "tool.call"]
    assert steps == ["escalation.started", "escalation.failed"]
    assert "Leider nimmt gerade niemand ab." in served.texts("ai")
    facts = read_json(served.folder / "session.json")
    assert (facts["end_reason"], facts["end_detail"]) == ("completed", "no human could be had")


def test_an_interruption_is_silence_and_what_was_not_heard_is_not_in_the_transcript(served: Told, place: Place) -> None:
    assert "interruption" in served.kinds()
    spoken = " ".join(served.texts("ai"))
    assert "Ihr Telefon ist unterwegs." in spoken
    assert "Bitte bleiben Sie am Apparat." not in spoken
    heard = [one["content"] for one in request_about(place, "Passwort")["messages"] if one["role"] == "assistant"]
    assert heard[-1].endswith("—")
    assert "Apparat" not in " ".join(str(one) for one in heard)


def test_the_agents_files_are_right(served: Told) -> None:
    looks_right(served.folder)


# ── typed ────────────────────────────────────────────────────────────────────────


async def test_typed_chat_on_the_same_session_is_answered_in_text_and_voice(place: Place) -> None:
    made = place.rest.call("POST", "/v1/sessions", {"mode": "help_chat_voice", "source_language": "de"})
    async with StreamClient(made["stream"]["url"], made["stream"]["token"]) as client:
        await client.until("agent.message", lambda message: "helfen" in message["text"])
        await client.send("chat.message", text="Mein Internet funktioniert nicht.")
        answer = await client.until("agent.message")
        assert answer["text"] == "Haben Sie den Router schon neu gestartet?"
        await client.until("transcript.final", lambda message: message["text"] == answer["text"])
        await client.send("session.end")
        await client.until_closed()
    assert len(client.sound_for("customer")) > 8000
