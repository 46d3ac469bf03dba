"""Made speech is lent to the plane a dozen frames at a time; what is heard and told is as if it came frame by frame."""

from __future__ import annotations

import random

import numpy as np
import pytest

from kallglot_media.media import mouths
from kallglot_media.media.messages import Clear, FromMedia, Play, PlayTone, StopTone
from kallglot_media.modes.plan import AI_AGENT, Party
from tests.support.studio import FRAME, Studio

SILENCE = np.zeros(FRAME, np.int16)


def call(seed: int) -> tuple[list[FromMedia], list[bytes]]:
    """Speech of all lengths, in pieces, cleared, over a tone: what control is told, and what the two phones hear."""
    chance = random.Random(seed)
    studio = Studio()
    studio.session(plan=AI_AGENT)
    phones = [studio.leg("c", Party.CUSTOMER), studio.leg("a", Party.AGENT)]
    for n in range(400):
        for leg in ("c", "a"):
            what = chance.random()
            if what < 0.03:
                pcm = np.full(chance.choice([1, 159, 160, 161, 700, 2000, 9000]), 1000 + n, "<i2").tobytes()
                studio.apply(Play(leg, chance.choice([f"{leg}{n}", f"{leg}same"]), pcm, 8000))
            elif what < 0.035:
                studio.apply(Clear(leg))
            elif what < 0.04:
                studio.apply(PlayTone(leg, "ringback") if chance.random() < 0.5 else StopTone(leg))
        studio.step({"c": SILENCE, "a": SILENCE})
    heard = [packet.payload for phone in phones for packet in phone.received]
    return sorted(studio.events, key=lambda event: getattr(event, "leg_id", "")), heard


@pytest.mark.parametrize("seed", range(8))
def test_lending_changes_nothing(seed: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lent = call(seed)
    monkeypatch.setattr(mouths, "_LENT_FRAMES", 1)
    assert call(seed) == lent
    assert lent[0]
