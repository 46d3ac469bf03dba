"""Mode files in which an AI answers: what they give, and what is said about mistakes in them."""

from __future__ import annotations

from pathlib import Path

import pytest
import yaml

from kallglot_media.call.answering_desk import answering_rules, handoff_rules, mode_of_wish, voice_rules
from kallglot_media.config import ConfigErrors, load_config
from kallglot_media.config.answering import AnsweringMode
from kallglot_media.config.load import Config
from kallglot_media.config.phrases import DEFAULT_PHRASES, Phrases

HELP = {"mode": "help_chat_voice", "source_language": "de", "help_chat": {}}
AGENT = {"mode": "ai_agent", "source_language": "en", "ai_agent": {}}
TRUNK = {"name": "carrier", "hosts": ["sip:192.0.2.99"], "dial": {"allow": ["+49*"]}}


def load(folder: Path, mode: dict[str, object], **server: object) -> Config:
    files = {
        "server.yaml": {"routes": "routes.yaml", **server},
        "routes.yaml": {"routes": [{"called": "a", "mode": "m.yaml"}]},
        "m.yaml": mode,
    }
    for name, value in files.items():
        (folder / name).write_text(yaml.safe_dump(value, sort_keys=False), encoding="utf-8")
    return load_config(folder / "server.yaml")


def mode_in(config: Config) -> AnsweringMode:
    mode = config.mode_of(config.routes[0])
    assert isinstance(mode, AnsweringMode)
    return mode


@pytest.mark.parametrize(
    ("mode", "where", "wrong", "mend"),
    [
        ({**HELP, "help_chat": None}, "help_chat", "is missing", "write help_chat: and what it is to do"),
        ({**HELP, "ai_agent": {}}, "ai_agent", "does not go with mode: help_chat_voice", "remove it"),
        ({**AGENT, "ai_agent": {"voice": "aloy"}}, "ai_agent.voice", "is 'aloy'", "did you mean 'alloy'?"),
        ({**AGENT, "ai_agent": {"temperature": 3}}, "ai_agent.temperature", "is 3", "write a number from 0 to 2"),
        ({**AGENT, "ai_agent": {"tool": []}}, "ai_agent.tool", "no such setting", "did you mean 'tools'?"),
        (
            {**AGENT, "ai_agent": {"tools": [{"name": "x", "parameters": {"type": "array"}}]}},
            "ai_agent.tools[0].parameters", "is no JSON Schema of an object", "write type: object and properties:",
        ),
        (
            {**AGENT, "ai_agent": {"tools": [{"name": "x"}, {"name": "x"}]}},
            "ai_agent.tools[1].name", "is 'x' again", "give each tool a name of its own",
        ),
        (
            {**AGENT, "ai_agent": {"tools": [{"name": "x", "match": "("}]}},
            "ai_agent.tools[0].match", "is no regular expression", "write one",
        ),
        ({**AGENT, "handoff": {}}, "handoff", "says nobody to call", "write to: and a SIP address"),
        ({**AGENT, "handoff": {"to": "sip:a@192.0.2.1", "key": "00"}}, "handoff.key", "is '00'", "write"),
        ({**AGENT, "turn_taking": {"silence_s": "8 s"}}, "turn_taking.silence_s", "is '8 s', a str", "silence_s: 8"),
        ({**AGENT, "guards": {"redact": ["cards"]}}, "guards.redact[0]", "is 'cards'", "did you mean 'card'?"),
        ({**HELP, "knowledge": {"documents": ["no.md"]}}, "knowledge.documents[0]", "names", "write the path"),
        ({**HELP, "knowledge": {"documents": ["x.docx"]}}, "knowledge.documents[0]", "no document that can", ".md"),
        ({**HELP, "help_chat": {"escalation_enabled": True}}, "help_chat.escalation_phone", "is missing", "write it"),
        (
            {**HELP, "help_chat": {"escalation_enabled": True, "escalation_phone": "+14155551234"}},
            "help_chat.escalation_phone", "which trunk 'carrier' may not call", "add it to dial.allow",
        ),
        (
            {**AGENT, "llm": {"base_url": "http://x/v1", "model": "m", "api_key_env": "KALLGLOT_NOT_SET"}},
            "llm.api_key_env", "names the environment variable KALLGLOT_NOT_SET", "export KALLGLOT_NOT_SET",
        ),
        ({**AGENT, "mode": "ai_agnet"}, "mode", "is 'ai_agnet'", "did you mean 'ai_agent'?"),
    ],
)  # fmt: skip
def test_a_mistake_is_named_with_its_mend(
    tmp_path: Path, mode: dict[str, object], where: str, wrong: str, mend: str
) -> None:
    with pytest.raises(ConfigErrors) as errors:
        load(tmp_path, mode, sip={"trunks": [TRUNK]})
    found = [error for error in errors.value.errors if error.where.endswith(f" {where}")]
    assert found, errors.value.errors
    assert "m.yaml:" in found[0].where
    assert wrong in found[0].wrong
    assert mend in found[0].mend


def test_every_phrase_has_a_text_in_four_languages() -> None:
    assert DEFAULT_PHRASES.keys() == Phrases.model_fields.keys()
    for name, texts in DEFAULT_PHRASES.items():
        assert texts.keys() == {"de", "en", "es", "fr"}, name
    assert Phrases().text("silence", "it") == "Are you still there?"
    assert Phrases.model_validate({"silence": {"de": ""}}).text("silence", "de") == ""


def test_the_escalation_phone_is_called_over_the_first_trunk(tmp_path: Path) -> None:
    chat = {"escalation_enabled": True, "escalation_phone": "+4930123456"}
    config = load(tmp_path, {**HELP, "help_chat": chat}, sip={"trunks": [TRUNK]})
    found = handoff_rules(config, mode_in(config), lambda target: ("sip:us@192.0.2.1", ()))
    assert found is not None
    assert found.target.to == "trunk:carrier/+4930123456"
    off = load(tmp_path, {**HELP, "help_chat": {**chat, "escalation_enabled": False}}, sip={"trunks": [TRUNK]})
    assert handoff_rules(off, mode_in(off), lambda target: ("", ())) is None


def test_a_voice_may_be_set_up_anew(tmp_path: Path) -> None:
    config = load(tmp_path, {**AGENT, "ai_agent": {"voice": "nova"}, "ai_voices": {"nova": {"pitch": 1.05}}})
    rules = voice_rules(config, mode_in(config))
    assert (rules.name, rules.pitch, rules.speed) == ("nova", 1.05, 1.0)
    assert set(rules.voices.values()) == {None}, "the language's own voice, as it was set up"


def test_each_of_the_six_is_a_speaker_of_the_voice_that_speaks_the_language(tmp_path: Path) -> None:
    config = load(tmp_path, {**HELP, "help_chat": {"voice": "nova"}, "voices": {"de": "thorsten"}})
    rules = voice_rules(config, mode_in(config))
    assert rules.voices["de"] == "thorsten#nova"
    own = load(tmp_path, {**AGENT, "ai_agent": {"voice": "nova"}, "ai_voices": {"nova": {"voices": {"de": "mls#3"}}}})
    rules = voice_rules(own, mode_in(own))
    assert (rules.voices["de"], rules.voices["en"], rules.pitch) == ("mls#3", "#nova", 1.0)


def test_a_client_changes_what_it_says_and_leaves_the_rest(tmp_path: Path) -> None:
    tools = [{"name": "x", "python": "desk:x"}]
    agent = {"system_prompt": "file", "voice": "onyx", "tools": tools}
    config = load(tmp_path, {**AGENT, "ai_agent": agent, "handoff": {"to": "sip:a@192.0.2.1", "ring_s": 7}})
    made = mode_of_wish(
        mode_in(config), "ai_agent", "de", None, {"system_prompt": "wish", "handoff": {"to": "sip:b@h"}}, {}
    )
    assert made.ai_agent is not None
    assert made.handoff is not None
    assert (made.ai_agent.system_prompt, made.ai_agent.voice, made.ai_agent.tools[0].python) == (
        "wish",
        "onyx",
        "desk:x",
    )
    assert (made.handoff.to, made.handoff.ring_s, made.source_language) == ("sip:b@h", 7, "de")


def test_the_agents_greeting_comes_before_the_phrase(tmp_path: Path) -> None:
    class NoMinds:
        async def conversation(self, *args: object, **more: object) -> None:
            raise AssertionError

    config = load(tmp_path, {**AGENT, "ai_agent": {"greeting": "Ahoy."}})
    rules = answering_rules(config, mode_in(config), NoMinds(), lambda target: ("", ()))  # type: ignore[arg-type]
    assert (rules.greeting, rules.segment.stop_ms) == ("Ahoy.", 300)
