"""assistive_translation on a real call: each row of its feature list has its test."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import pytest

from tests.interop.conftest import Place, Sentence
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.looks import looks_right
from tests.support.processes import pass_time
from tests.support.recognise import Ear
from tests.support.server import read_json
from tests.support.waves import Pcm16, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of the call."""

    customer_heard: Pcm16
    agent_heard: Pcm16
    agent_log: str
    folder: Path


@pytest.fixture(scope="module")
def told(place: Place, sentences: list[Sentence], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One call: the customer's sentence, then the agent's."""
    before = len(place.server.sessions())
    folder = tmp_path_factory.mktemp("assistive")
    with (
        Baresip(
            folder / "agent", "agent", microphone=script(5.0, sentences[3].pcm, 60.0), port=place.new_agent_port()
        ) as bob,
        Baresip(folder / "customer", "customer", microphone=script(1.0, sentences[0].pcm, 60.0)) as alice,
    ):
        alice.dial(place.server.uri("assistive"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(11.0)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
        session = place.server.session(count=before + 1)
        return Told(alice.heard().pcm, bob.heard().pcm, bob.child.log, session)


def test_agent_hears_original_customer_audio(told: Told, sentences: list[Sentence]) -> None:
    """assistive_translation: "Agent hears original customer audio": at its own level, with nothing over it."""
    found = match(sentences[0].pcm, told.agent_heard)
    assert found.window_median >= 0.98, found
    assert found.gain_db == pytest.approx(0.0, abs=0.5), found


def test_real_time_translated_subtitles_for_agent(told: Told, sentences: list[Sentence]) -> None:
    """assistive_translation: "Real-time translated subtitles for agent": both texts, and on the agent's phone."""
    customer = [turn for turn in read_json(told.folder / "transcript.json")["turns"] if turn["speaker"] == "customer"]
    assert [turn["translation"]["language"] for turn in customer] == ["en"]
    shown = customer[0]["translation"]["text"]
    assert shown in told.agent_log, told.agent_log[-2000:]
    assert f"({customer[0]['text']})" in told.agent_log


def test_customer_hears_translated_agent_speech(told: Told, sentences: list[Sentence], ear: Ear) -> None:
    """assistive_translation: "Customer hears translated agent speech"."""
    assert ear.word_errors(told.customer_heard, "de", sentences[3].translation) <= 0.34


def test_the_translation_of_the_customer_is_spoken_to_nobody(told: Told, sentences: list[Sentence]) -> None:
    plays = [turn["play"] for turn in read_json(told.folder / "transcript.json")["turns"]]
    assert plays[0] is None
    assert plays[1] is not None


def test_the_files_are_right(told: Told) -> None:
    looks_right(told.folder)
