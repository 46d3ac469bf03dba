"""docs/stream.md: every message in it is one that is really read or written."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from kallglot_media.api.stream import events
from kallglot_media.api.stream.native import _READERS, EVENTS, Native
from kallglot_media.call import events as e
from kallglot_media.call.stream_leg import TELEPHONE
from kallglot_media.call.turn import TranslatedText, Turn, TurnTimings
from kallglot_media.modes.plan import Party

PAGE = (Path(__file__).parents[2] / "docs" / "stream.md").read_text("utf-8")
LINES = [line for block in re.findall(r"```json\n(.*?)```", PAGE, re.S) for line in block.splitlines()]
MESSAGES: list[dict[str, Any]] = [json.loads(line) for line in LINES]
SENT = [message for message in MESSAGES if message["type"] in _READERS]
TOLD = [message for message in MESSAGES if message["type"] not in _READERS]
TURN = Turn(1, "customer", "de", "Ja.", TranslatedText("en", "Yes."), 0, 100, 0.9)
WRITTEN = [
    e.LegConnected("s", "c", Party.CUSTOMER, "sip"),
    e.LegDisconnected("s", "c", Party.CUSTOMER, "sip", True, 0, "BYE"),
    e.SpeechStarted("s", Party.CUSTOMER, 0),
    e.SpeechStopped("s", Party.CUSTOMER, 0),
    e.PartialTranscript("s", Party.CUSTOMER, "Ja", "de"),
    e.FinalTranscript("s", TURN),
    e.TurnHeard("s", 1, 0, TurnTimings(1, 2, 3, 4, 5, 6, 7)),
    e.AgentMessage("s", "Hello."),
    e.ToolCalled("s", "call_1", "lookup", {}),
    *(e.Escalated("s", step, "+1") for step in ("started", "answered", "failed")),
    e.MessageLeft("s", "callback.wanted", "Please."),
    e.MessageLeft("s", "voicemail.left", "Please.", 1, 2),
    e.SessionEnded("s", "completed", "", True, 0),
]


@pytest.mark.parametrize("message", SENT, ids=lambda message: message["type"])
def test_what_the_page_says_can_be_sent_is_understood(message: dict[str, Any]) -> None:
    assert Native(TELEPHONE).read(json.dumps(message))


def test_the_page_has_every_message_there_is() -> None:
    assert {message["type"] for message in SENT} == set(_READERS)
    by_themselves = {"session.ready", "session.error", "session.ended", "pong", "audio.output", "audio.clear"}
    assert {message["type"] for message in TOLD} == set(EVENTS) | by_themselves
    for name in EVENTS:
        assert f"`{name}`" in PAGE or f"`{name.split('.')[0]}.*`" in PAGE, f"{name} is explained"


@pytest.mark.parametrize("event", WRITTEN, ids=lambda event: type(event).__name__)
def test_an_events_fields_are_those_of_the_page(event: e.SessionEvent) -> None:
    written = events.written(event)
    assert written is not None
    name, body = written
    (example,) = [message for message in TOLD if message["type"] == name]
    assert set(json.loads(Native.text(name, body))) == set(example)


def test_sound_is_written_as_the_page_says() -> None:
    native = Native(TELEPHONE)
    (sound,) = (json.loads(frame) for frame in native.sound(Party.AGENT, 29_600, b"\xff" * 4))
    assert sound == next(message for message in TOLD if message["type"] == "audio.output")
    assert json.loads(native.clear(Party.AGENT)) == next(one for one in TOLD if one["type"] == "audio.clear")
