from __future__ import annotations

import numpy as np
import pytest

from kallglot_media.audio.mix import GainRamps, gain_of_db, mix_with_gain, saturating_add


def test_sums_are_held_at_the_ends() -> None:
    a = np.array([[30_000, -30_000, 5]], np.int16)
    assert saturating_add(a, a).tolist() == [[32_767, -32_768, 10]]
    assert mix_with_gain(a, a, np.full((1, 1), 0.5, np.float32)).tolist() == [[32_767, -32_768, 8]]


def test_levels_are_factors() -> None:
    assert gain_of_db(None) == 0.0
    assert gain_of_db(0.0) == 1.0
    assert gain_of_db(-20.0) == pytest.approx(0.1)


def test_attack_and_release_take_their_time_and_land_on_the_target() -> None:
    ramps = GainRamps(2)
    ramps.set_row(0, 1.0, attack_ms=20, release_ms=300)
    ramps.set_row(1, 0.0, attack_ms=20, release_ms=40)
    down = ramps.step(np.array([0.125, 1.0], np.float32), 160)
    assert down[0, 79] == pytest.approx(0.5)
    assert down[0, -1] == np.float32(0.125)
    assert down[1, -1] == pytest.approx(0.5)
    up = ramps.step(np.array([1.0, 1.0], np.float32), 160)
    assert up[0, -1] == pytest.approx(0.125 + 20 / 300)
    assert ramps.gains[1] == 1.0
    for _ in range(20):
        ramps.step(np.array([1.0, 1.0], np.float32), 160)
    assert ramps.gains.tolist() == [1.0, 1.0]


def test_a_ramp_never_steps() -> None:
    ramps = GainRamps(1)
    ramps.set_row(0, 1.0, attack_ms=20, release_ms=100)
    rng = np.random.default_rng(3)
    gains = np.concatenate([ramps.step(rng.random(1).astype(np.float32), 160)[0] for _ in range(100)])
    assert np.abs(np.diff(gains)).max() <= 1 / 160 + 1e-6


def test_a_gain_at_its_target_costs_no_array() -> None:
    ramps = GainRamps(3)
    assert ramps.step(np.zeros(3, np.float32), 160).strides == (4, 0)


def test_rows_keep_their_state_when_legs_come_and_go() -> None:
    ramps = GainRamps(1)
    ramps.set_row(0, 0.5, attack_ms=0, release_ms=100)
    ramps.resize(3)
    assert ramps.gains.tolist() == [0.5, 0.0, 0.0]
    assert ramps.step(np.zeros(3, np.float32), 160)[0, 0] == 0.0  # 0 ms: at once
    ramps.resize(1)
    assert ramps.gains.shape == (1,)
