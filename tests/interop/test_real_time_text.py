"""Subtitles as real-time text on a real call: the softphone's screen, and what it was sent."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.interop.conftest import Place, Sentence
from tests.support.processes import HOST, Child
from tests.support.server import events, read_json
from tests.support.waves import write_wav

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

PHONE = [sys.executable, "-m", "kallglot_media.cli", "phone"]


@dataclass(frozen=True, slots=True)
class Call:
    """What came of one call: the agent's phone's report and output, and the session's folder."""

    report: dict[str, object]
    printed: str
    folder: Path


def call(place: Place, folder: Path, said: Path, *options: str, pause_ms: int = 1500) -> Call:
    """The customer says a sentence and hangs up pause_ms later; the agent's phone has `options`."""
    before = len(place.server.sessions())
    report = folder / "agent.json"
    address = f"{HOST}:{place.new_agent_port()}"
    listening = [*PHONE, "--listen", address, "--script", "wait hangup within 30s", "--report", str(report), *options]
    script = f"pause 500ms; play {said}; pause {pause_ms}ms"
    with Child(listening, folder / "agent.log") as agent:
        agent.wait_log("listening at", 15.0)
        calling = [*PHONE, place.server.uri("typed"), "--script", script, "--local", HOST]
        with Child(calling, folder / "customer.log") as customer:
            assert customer.wait(40.0) == 0, customer.log
        assert agent.wait(10.0) == 0, agent.log
        return Call(read_json(report), agent.log, place.server.session(count=before + 1))


@pytest.fixture(scope="module")
def said(sentences: list[Sentence], tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The customer's first sentence as a file."""
    return write_wav(tmp_path_factory.mktemp("said") / "customer.wav", sentences[0].pcm)


def test_the_agents_phone_shows_what_the_customer_says(place: Place, sentences: list[Sentence], tmp_path: Path) -> None:
    """Somebody who goes on for some seconds: also a slow machine has words before the end."""
    long = np.concatenate([one.pcm for one in sentences[:6:2]])
    told = call(place, tmp_path, write_wav(tmp_path / "long.wav", long), "--text")
    turns = [turn for turn in read_json(told.folder / "transcript.json")["turns"] if turn["speaker"] == "customer"]
    assert turns
    shown = [line for turn in turns for line in (turn["translation"]["text"], f"({turn['text']})")]
    assert told.report["text"] == "\n".join(shown)
    assert all(f"text: {line}" in told.printed for line in shown)
    packets = told.report["text_packets"]
    assert isinstance(packets, dict)
    assert set(packets) == {"received"}, "nothing lost, nothing refused"
    assert packets["received"] > 6, "words came while the customer spoke, each with its redundancy"
    assert not any(event["type"] == "subtitles.no_real_time_text" for event in events(told.folder))


def test_what_is_said_last_is_on_the_screen_before_the_call_ends(place: Place, said: Path, tmp_path: Path) -> None:
    """The customer hangs up with the last word: the agent's phone gets BYE when it has all of it."""
    told = call(place, tmp_path, said, "--text", pause_ms=100)
    (turn,) = [turn for turn in read_json(told.folder / "transcript.json")["turns"] if turn["speaker"] == "customer"]
    assert told.report["text"] == f"{turn['translation']['text']}\n({turn['text']})"
    assert turn["text"]


def test_a_phone_without_a_text_line_has_its_call_and_the_events_say_so(
    place: Place, said: Path, tmp_path: Path
) -> None:
    told = call(place, tmp_path, said)
    assert told.report["result"] == "answered"
    assert told.report["text"] == ""
    (missing,) = [event for event in events(told.folder) if event["type"] == "subtitles.no_real_time_text"]
    assert missing["why"] == "the phone has no text line"
