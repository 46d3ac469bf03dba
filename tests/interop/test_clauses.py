"""Clause by clause over a real call, judged by the recording: made speech begins before its speaker ends, and every
word of it is one that was said.
"""

from __future__ import annotations

import json
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

import jiwer
import numpy as np
import pytest

from kallglot_media.measure.latency import TurnLag, lags
from kallglot_media.phone.session_folder import Session, plays, read_session
from tests.interop.conftest import Place
from tests.support.baresip import Baresip
from tests.support.correlate import match, sounds
from tests.support.processes import pass_time
from tests.support.recognise import Ear
from tests.support.waves import RATE_HZ, Pcm16, read_mono, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

RECORDINGS = Path(__file__).parents[1] / "data" / "speech"
PAUSE_S = 0.3
"""Shorter than what ends an utterance (segment.stop_ms), and than what ends a turn before that (320 ms)."""

GERMAN = ("heldout_de_129_e.wav", "heldout_de_150_e.wav", "heldout_de_174_p.wav", "heldout_de_240_p.wav")
ENGLISH = ("heldout_en_114_e.wav", "heldout_en_144_p.wav", "heldout_en_27_p.wav", "heldout_en_36_p.wav")
CUSTOMER_STARTS_S, AGENT_STARTS_S, CALL_S = 1.0, 4.0, 17.0


@dataclass(frozen=True, slots=True)
class Speech:
    """Several sentences said in one go."""

    pcm: Pcm16
    texts: tuple[str, ...]
    translations: tuple[str, ...]


def in_one_go(names: tuple[str, ...]) -> Speech:
    listed = {entry["file"]: entry for entry in json.loads((RECORDINGS / "manifest.json").read_text("utf-8"))}
    parts: list[Pcm16 | float] = []
    for name in names:
        pcm = read_mono(RECORDINGS / name)
        loud = np.flatnonzero(np.abs(pcm.astype(np.int32)) > 300)
        parts += [pcm[loud[0] : loud[-1] + 1], PAUSE_S]
    entries = [listed[name] for name in names]
    texts = tuple(entry["text"] for entry in entries)
    return Speech(script(*parts[:-1]), texts, tuple(entry["translation"] for entry in entries))


@pytest.fixture(scope="module")
def said() -> dict[str, Speech]:
    return {"customer": in_one_go(GERMAN), "agent": in_one_go(ENGLISH)}


@dataclass(frozen=True, slots=True)
class Told:
    """The recording, and what each phone heard of the other's speaker, by speaker."""

    session: Session
    heard_of: dict[str, Pcm16]


@pytest.fixture(scope="module")
def told(place: Place, said: dict[str, Speech], tmp_path_factory: pytest.TempPathFactory) -> Told:
    """One call in which both speak for seconds on end, at once for most of it."""
    folder = tmp_path_factory.mktemp("clauses")
    agent, customer = (
        script(AGENT_STARTS_S, said["agent"].pcm, 60.0),
        script(CUSTOMER_STARTS_S, said["customer"].pcm, 60.0),
    )
    before = len(place.server.sessions())
    with (
        Baresip(folder / "agent", "agent", microphone=agent, port=place.new_agent_port()) as bob,
        Baresip(folder / "customer", "customer", microphone=customer) as alice,
    ):
        alice.dial(place.server.uri("clauses"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(CALL_S)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
        session = read_session(place.server.session(count=before + 1))
        return Told(session, {"customer": bob.heard().pcm, "agent": alice.heard().pcm})


@pytest.mark.parametrize("speaker", ["customer", "agent"])
def test_made_speech_begins_before_its_speaker_ends(told: Told, said: dict[str, Speech], speaker: str) -> None:
    track = told.session.tracks[speaker]
    assert match(said[speaker].pcm, track.original).window_median > 0.95, "it is not on the recording"
    (spoken,) = sounds(track.original, join_s=0.45)
    made = sounds(track.made)
    assert made[0].start_s < spoken.end_s - 0.4 * (spoken.end_s - spoken.start_s), (made, spoken)
    assert made[0].start_s > spoken.start_s
    (lag,) = (each for each in lags(told.session) if each.speaker == speaker)
    longest = max(lag.turns, key=_length_ms)
    assert longest.gap_ms is not None
    assert longest.gap_ms < 0
    assert longest.overlap_ms > 1000


@pytest.mark.parametrize("speaker", ["customer", "agent"])
def test_no_word_is_invented(told: Told, said: dict[str, Speech], speaker: str, ear: Ear) -> None:
    """Of the words that were understood, and of those that the other phone heard."""
    turns = [turn for turn in told.session.turns if turn.speaker == speaker]
    assert len(turns) >= len(said[speaker].texts) - 1, "it was not passed on clause by clause"
    understood = jiwer.process_words(plain(said[speaker].texts), plain([turn.text for turn in turns]))
    assert (understood.insertions, understood.substitutions) == (0, 0), turns
    assert understood.wer <= 0.1, turns
    target = {"customer": "en", "agent": "de"}[speaker]
    track = told.session.tracks[speaker]
    spans = plays(told.session, speaker)
    assert [span.sequence for span in spans] == [turn.sequence for turn in turns]
    for span, turn in zip(spans, turns, strict=True):
        piece = track.made[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)]
        assert match(piece, told.heard_of[speaker]).window_median > 0.9, "the other phone did not hear it so"
        assert ear.word_errors(script(0.3, piece, 0.3), target, turn.translation or "") <= 0.34, turn
    beside = track.made.copy()
    for span in spans:
        beside[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)] = 0
    assert not beside.any(), "something was said besides the turns"


def plain(texts: Iterable[str]) -> str:
    """All words without case and punctuation."""
    joined = " ".join(texts)
    return " ".join("".join(char.lower() if char.isalnum() else " " for char in joined).split())


def _length_ms(turn: TurnLag) -> float:
    return turn.said.end_ms - turn.said.start_ms
