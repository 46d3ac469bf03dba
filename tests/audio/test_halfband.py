"""Between 8 and 16 kHz in pieces."""

from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.audio.halfband import DELAY_SAMPLES, Doubler, Halver
from kallglot_media.audio.pcm import Pcm16


def sine(hz: float, rate_hz: int, samples: int) -> Pcm16:
    return np.asarray(np.rint(8000 * np.sin(2 * np.pi * hz * np.arange(samples) / rate_hz)), np.int16)


def level(pcm: Pcm16) -> float:
    return float(np.sqrt(np.mean(pcm[200:].astype(float) ** 2)) * np.sqrt(2) / 8000)


@pytest.mark.parametrize("piece", [1, 7, 160, 3200], ids="{} samples a piece".format)
def test_pieces_give_what_the_whole_gives(piece: int) -> None:
    wide, narrow = sine(700, 16_000, 3200), sine(700, 8000, 1600)
    halver, doubler = Halver(), Doubler()
    halved = np.concatenate([halver.push(wide[at : at + piece]) for at in range(0, 3200, piece)])
    doubled = np.concatenate([doubler.push(narrow[at : at + piece]) for at in range(0, 1600, piece)])
    np.testing.assert_array_equal(halved, Halver().push(wide))
    np.testing.assert_array_equal(doubled, Doubler().push(narrow))
    assert (len(halved), len(doubled)) == (1600, 3200)


def test_speech_passes_and_what_would_fold_over_does_not() -> None:
    assert level(Halver().push(sine(1000, 16_000, 8000))) == pytest.approx(1.0, abs=0.01)
    assert level(Halver().push(sine(3300, 16_000, 8000))) == pytest.approx(1.0, abs=0.02)
    assert level(Halver().push(sine(5000, 16_000, 8000))) < 0.002
    assert level(Doubler().push(sine(3000, 8000, 4000))) == pytest.approx(1.0, abs=0.01)


def test_it_comes_later_by_what_the_module_says() -> None:
    click = np.zeros(400, np.int16)
    click[100] = 10_000
    assert int(np.argmax(Doubler().push(click))) == 200 + DELAY_SAMPLES
