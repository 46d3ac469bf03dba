"""A caller who changes over to the agent's language and back in mid-call, over a real call: what is in the agent's
language already is heard as it was said, and nothing is made of it.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from pathlib import Path

import pytest

from kallglot_media.phone.session_folder import Session, plays, read_session
from tests.interop.conftest import Place
from tests.support.baresip import Baresip
from tests.support.correlate import match
from tests.support.processes import pass_time
from tests.support.server import Json, events
from tests.support.waves import RATE_HZ, Pcm16, read_mono, script

pytestmark = [pytest.mark.interop, pytest.mark.loopback, pytest.mark.engines]

RECORDINGS = Path(__file__).parents[1] / "data" / "speech"
SAID = (
    (1.0, "heldout_de_150_e.wav"),
    (7.0, "heldout_en_84_e.wav"),
    (13.0, "heldout_en_27_p.wav"),
    (19.0, "heldout_de_45_e.wav"),
)
LANGUAGES = ["de", "en", "en", "de"]
CALL_S = 26.0


@dataclass(frozen=True, slots=True)
class Told:
    """The recording, what was written of it, and what the agent heard."""

    session: Session
    happened: list[Json]
    agent_heard: Pcm16


def as_said() -> Pcm16:
    """All of it, each sentence beginning at its time."""
    parts: list[Pcm16 | float] = []
    at_s = 0.0
    for start_s, name in SAID:
        pcm = read_mono(RECORDINGS / name)
        parts += [start_s - at_s, pcm]
        at_s = start_s + len(pcm) / RATE_HZ
    return script(*parts, 60.0)


@pytest.fixture(scope="module")
def told(place: Place, tmp_path_factory: pytest.TempPathFactory) -> Told:
    folder = tmp_path_factory.mktemp("switch")
    before = len(place.server.sessions())
    with (
        Baresip(folder / "agent", "agent", microphone=script(60.0), port=place.new_agent_port()) as bob,
        Baresip(folder / "customer", "customer", microphone=as_said()) as alice,
    ):
        alice.dial(place.server.uri("alone"))
        alice.wait_for("CALL_ESTABLISHED")
        pass_time(CALL_S)
        alice.hang_up()
        bob.wait_for("CALL_CLOSED")
        path = place.server.session(count=before + 1)
        return Told(read_session(path), events(path), bob.heard().pcm)


def test_each_turn_is_in_the_language_that_it_was_said_in(told: Told) -> None:
    """Only what is not in the agent's language is translated."""
    turns = [turn for turn in told.session.turns if turn.speaker == "customer"]
    written = {one["file"]: one["text"] for one in json.loads((RECORDINGS / "manifest.json").read_text("utf-8"))}
    assert [turn.language for turn in turns] == LANGUAGES, turns
    assert [turn.text for turn in turns] == [written[name] for _, name in SAID]
    assert [turn.translation is not None for turn in turns] == [language == "de" for language in LANGUAGES]


@pytest.mark.parametrize("number", [1, 2])
def test_what_is_in_the_agents_language_is_heard_as_it_was_said(told: Told, number: int) -> None:
    """The first once it is known to be English, the second while it is said."""
    heard = match(read_mono(RECORDINGS / SAID[number][1]), told.agent_heard)
    assert heard.window_median > 0.9
    assert heard.gain_db > -3.0


def test_what_is_not_is_heard_in_the_made_voice(told: Told) -> None:
    made = [span for span in plays(told.session, "customer") if span.sequence in (1, 4)]
    assert len(made) == 2
    for span in made:
        piece = told.session.tracks["customer"].made[round(span.start_s * RATE_HZ) : round(span.end_s * RATE_HZ)]
        assert match(piece, told.agent_heard).window_median > 0.9
    assert abs(match(read_mono(RECORDINGS / SAID[0][1]), told.agent_heard).window_median) < 0.4


def test_the_server_says_when_it_changed_over(told: Told) -> None:
    kinds = [one["type"] for one in told.happened if str(one["type"]).startswith("interpreter.")]
    assert kinds == ["interpreter.through", "interpreter.through", "interpreter.back"], told.happened
