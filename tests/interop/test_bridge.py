"""Two baresips bridged by bidirectional_translation: each hears the other in their own language."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest

from tests.interop.conftest import IDLE_DB, Place, Sentence
from tests.support import correlate
from tests.support.baresip import Baresip
from tests.support.correlate import Stretch, match
from tests.support.looks import looks_right
from tests.support.processes import pass_time
from tests.support.recognise import Ear
from tests.support.server import events, read_json, read_lines
from tests.support.waves import RATE_HZ, Pcm16, read_wav, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]


@dataclass(frozen=True, slots=True)
class Told:
    """What came of a call: who heard what, and the session's folder."""

    customer_heard: Pcm16
    agent_heard: Pcm16
    folder: Path


def hold_call(place: Place, folder: Path, number: str, customer: Pcm16, agent: Pcm16, seconds: float) -> Told:
    """A call of so many seconds in which both say their script, the customer in µ-law, the agent in A-law."""
    before = len(place.server.sessions())
    with (
        Baresip(
            folder / "agent",
            "agent",
            microphone=script(agent, 60.0),
            port=place.new_agent_port(),
            codecs="PCMA/8000/1",
        ) as bob,
        Baresip(folder / "customer", "customer", microphone=script(customer, 60.0)) as alice,
    ):
        alice.dial(place.server.uri(number))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(seconds)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
        session = place.server.session(count=before + 1)
        return Told(alice.heard().pcm, bob.heard().pcm, session)


@pytest.fixture(scope="module")
def told(place: Place, sentences: list[Sentence], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One call with one sentence each way, which several tests look at."""
    customer, agent = sentences[0], sentences[3]
    folder = tmp_path_factory.mktemp("told")
    return hold_call(place, folder, "alone", script(1.0, customer.pcm), script(6.5, agent.pcm), 12.5)


def test_each_hears_the_other_in_their_own_language(told: Told, sentences: list[Sentence], ear: Ear) -> None:
    """bidirectional_translation: "Real-time speech-to-speech translation": both ways, heard back by the recogniser."""
    assert ear.word_errors(told.agent_heard, "en", sentences[0].translation) <= 0.34
    assert ear.word_errors(told.customer_heard, "de", sentences[3].translation) <= 0.34


def test_the_original_is_not_heard_when_it_is_off(told: Told, sentences: list[Sentence]) -> None:
    assert abs(match(sentences[0].pcm, told.agent_heard).window_median) < 0.4
    assert abs(match(sentences[3].pcm, told.customer_heard).window_median) < 0.4


def test_four_tracks_of_one_length_hold_what_was_said_and_heard(told: Told, sentences: list[Sentence]) -> None:
    """bidirectional_translation: "Dual-channel recording (original + translated)"."""
    customer, customer_hz = read_wav(told.folder / "customer.wav")
    agent, agent_hz = read_wav(told.folder / "agent.wav")
    assert customer.shape == agent.shape
    assert (customer.shape[1], customer_hz, agent_hz) == (2, 8000, 8000)
    assert match(sentences[0].pcm, customer[:, 0]).window_median > 0.98
    assert match(sentences[3].pcm, agent[:, 0]).window_median > 0.98
    for recorded, heard in ((customer[:, 1], told.agent_heard), (agent[:, 1], told.customer_heard)):
        made = correlate.cut(recorded, correlate.sounds(recorded)[0])
        assert match(made, heard).window_median > 0.95


def test_the_transcript_has_both_turns_in_both_languages_at_their_place(told: Told, sentences: list[Sentence]) -> None:
    """bidirectional_translation: "Full transcript with translations"."""
    transcript = read_json(told.folder / "transcript.json")
    assert transcript["status"] == "completed"
    turns = transcript["turns"]
    assert [turn["speaker"] for turn in turns] == ["customer", "agent"]
    for turn, sentence in zip(turns, (sentences[0], sentences[3]), strict=True):
        assert plain(turn["text"]) == plain(sentence.text)
        assert plain(turn["translation"]["text"]) == plain(sentence.translation)
        recorded = read_wav(told.folder / f"{sentence.speaker}.wav")[0]
        spoken = correlate.sounds(recorded[:, 0])[0]
        assert turn["start_ms"] / 1000 == pytest.approx(spoken.start_s, abs=0.4)
        assert turn["end_ms"] / 1000 == pytest.approx(spoken.end_s, abs=0.4)
        made = correlate.sounds(recorded[:, 1])[0]
        assert turn["play"]["first_sample_ms"] / 1000 == pytest.approx(made.start_s, abs=0.2)
        assert turn["timings"]["speech_end_to_first_sample_ms"] == pytest.approx(
            turn["play"]["first_sample_ms"] - turn["end_ms"], abs=1
        )
    assert [line["sequence"] for line in read_lines(told.folder / "transcript.jsonl")] == [1, 2]
    assert sentences[0].text.split()[0] in (told.folder / "transcript.txt").read_text("utf-8")


def test_the_session_says_how_it_went(told: Told) -> None:
    looks_right(told.folder)
    facts = read_json(told.folder / "session.json")
    assert (facts["status"], facts["end_reason"]) == ("ended", "customer_hangup")
    for name, length in ((file["path"], file["samples"]) for file in facts["files"]):
        assert len(read_wav(told.folder / name)[0]) == length
    kinds = [event["type"] for event in events(told.folder)]
    assert {"session.started", "speech.started", "transcript.final", "turn.timings", "session.ended"} <= set(kinds)


@pytest.mark.parametrize(("number", "level_db"), [("under", IDLE_DB), ("open", 0.0)])
def test_the_original_is_heard_at_the_configured_level(
    place: Place, sentences: list[Sentence], tmp_path: Path, number: str, level_db: float
) -> None:
    said = sentences[0].pcm
    heard = hold_call(place, tmp_path, number, script(0.7, said), script(0.1), 4.0).agent_heard
    found = match(said, heard)
    assert found.gain_db == pytest.approx(level_db, abs=1.5), found
    assert found.window_median >= 0.95, found


def test_the_caller_hears_it_ring_while_the_agent_is_called(place: Place, tmp_path: Path) -> None:
    """answer: at_once — a European ringback tone, 425 Hz, 1 s in every 5, until the agent answers."""
    with (
        Baresip(tmp_path / "agent", "agent", port=place.new_agent_port(), answer="manual") as bob,
        Baresip(tmp_path / "customer", "customer") as alice,
    ):
        alice.dial(place.server.uri("at_once"))
        alice.wait_for("CALL_ESTABLISHED")
        bob.wait_for("CALL_INCOMING")
        pass_time(3.0)
        bob.command("accept")
        bob.wait_for("CALL_ESTABLISHED")
        pass_time(2.0)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
        heard = alice.heard().pcm
    tone = correlate.sounds(heard)
    assert tone, "nothing was heard while it rang"
    assert correlate.tone_share(correlate.cut(heard, tone[0], around_s=-0.05), hz=(425.0,)) > 0.9
    assert tone[-1].end_s < len(heard) / 8000 - 1.5, "it rang on after the agent had answered"
    assert isinstance(tone[0], Stretch)
    assert np.abs(heard).max() < 32767


def test_the_interpreter_says_what_one_said_in_the_other_language(
    place: Place, sentences: list[Sentence], ear: Ear, tmp_path: Path
) -> None:
    """sip:interpreter@ with one phone: it explains itself until one speaks, then makes the sentence over."""
    said, quiet_s = sentences[0], 4.0
    with Baresip(tmp_path / "a", "alice", microphone=script(quiet_s, said.pcm, 60.0)) as alice:
        alice.dial(place.server.uri("interpreter"))
        alice.wait_for("CALL_ESTABLISHED")
        folder = place.server.session(ended=False)
        played_s = place.server.wait_event(folder, "turn.timings", 30.0)["at_ms"] / 1000
        pass_time(2.0)
        alice.hang_up()
        place.server.session()
        heard = alice.heard().pcm
    answer_at = round((played_s - 0.4) * RATE_HZ)
    explained, hushed, made = heard[: 4 * RATE_HZ], heard[round(4.6 * RATE_HZ) : answer_at], heard[answer_at:]
    assert correlate.active_s(explained) > 2.0
    assert correlate.active_s(hushed) < 0.3, "it talks over its caller"
    assert ear.word_errors(made, "en", said.translation) <= 0.34
    turn = read_json(folder / "transcript.json")["turns"][0]
    assert (plain(turn["text"]), turn["language"]) == (plain(said.text), "de")


def plain(text: str) -> list[str]:
    """Words without case and punctuation."""
    return "".join(char.lower() if char.isalnum() else " " for char in text).split()
