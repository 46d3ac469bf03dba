"""Somebody who changes over to the listener's language and back, with the real engines: no clock, no phones."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from kallglot_media.audio.resample import resample
from kallglot_media.call.direction import Deadlines, Direction
from kallglot_media.call.interpreter import Interpreter
from kallglot_media.media.messages import Utterance
from kallglot_media.modes.plan import Party
from kallglot_media.speech.evaluate import padded, read_set
from kallglot_media.speech.models import MODELS_VARIABLE
from kallglot_media.speech.pool import SpeechPool
from kallglot_media.speech.settings import SpeechSettings
from tests.call.test_interpreter import FakeFloor

pytestmark = [pytest.mark.engines, pytest.mark.timeout(240)]

RECORDINGS = Path(__file__).parents[1] / "data" / "speech"
LONG_S = 100.0
SAID = (
    "heldout_de_150_e.wav",
    "heldout_en_48_p.wav",
    "heldout_en_27_p.wav",
    "heldout_de_45_e.wav",
    "heldout_de_174_p.wav",
)
LANGUAGES = ["de", "en", "en", "de", "de"]


def utterance(name: str, number: int) -> Utterance:
    one = next(each for each in read_set(RECORDINGS) if each.name == name)
    pcm = resample(padded(one.pcm), 16_000, 8000)
    first = 8000 * 10 * number
    return Utterance("l", pcm.tobytes(), 8000, first, first + len(pcm), "silence")


async def test_their_own_voice_is_heard_while_they_speak_the_listeners_language(
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.delenv(MODELS_VARIABLE, raising=False)
    pool = SpeechPool(SpeechSettings(when_busy="degrade", hung_after_s=LONG_S, start_within_s=120.0, niceness=0))
    await pool.start()
    floor = FakeFloor()
    direction = Direction(Party.CUSTOMER, Party.AGENT, "de", "en")
    interpreter = Interpreter(
        direction,
        pool,
        floor,
        asyncio.get_running_loop().time,
        Deadlines(LONG_S, LONG_S, LONG_S),
        longest_line=len(SAID),
    )
    try:
        running = asyncio.create_task(interpreter.run())
        for number, name in enumerate(SAID):
            floor.idle.clear()
            interpreter.hear(utterance(name, number))
            await floor.idle.wait()
        interpreter.close()
        await running
    finally:
        await pool.stop()
    assert [turn.language for turn in floor.turns] == LANGUAGES
    assert [turn.translation is not None for turn in floor.turns] == [language == "de" for language in LANGUAGES]
    assert floor.through == [(Party.CUSTOMER, True), (Party.CUSTOMER, False)]
    kinds = [kind for kind, _ in floor.events if kind.startswith("interpreter.")]
    assert kinds == ["interpreter.through", "interpreter.through", "interpreter.back"]
    assert {fields["reason"] for kind, fields in floor.events if kind == "interpreter.through"} == {"same_language"}
    untouched = [(play_id, samples) for _, play_id, samples in floor.plays if play_id.startswith("through.")]
    said = utterance(SAID[1], 1)
    assert untouched == [(f"through.{said.first_sample}", len(said.pcm) // 2)], (
        "the first one, whole; the next was live"
    )
    made = [play_id for _, play_id, _ in floor.plays if not play_id.startswith("through.")]
    assert [play_id.split(".")[0] for play_id in made] == ["1", "4", "5"]
