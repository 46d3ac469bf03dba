"""The ears are measured before anything is measured with them."""

from __future__ import annotations

import numpy as np
import pytest

from tests.support import correlate
from tests.support.correlate import Stretch, match
from tests.support.waves import RATE_HZ, Pcm16, babble, script, silence

SENT = babble(4.0)


def scaled(pcm: Pcm16, db: float) -> Pcm16:
    return np.asarray(pcm * 10 ** (db / 20), np.int16)


def test_a_delayed_quieter_copy_is_found_at_its_lag_and_level() -> None:
    found = match(SENT, script(0.31, scaled(SENT, -6), 1.0))
    assert found.lag_samples == round(0.31 * RATE_HZ)
    assert found.correlation > 0.999
    assert found.gain_db == pytest.approx(-6, abs=0.1)
    assert found.overlap_s == 4.0


def test_a_copy_whose_start_was_missed_has_a_negative_lag() -> None:
    found = match(SENT, script(SENT[4000:], 1.0))
    assert found.lag_samples == -4000
    assert found.correlation > 0.999
    assert found.overlap_s == 3.5


def test_another_sound_does_not_correlate() -> None:
    found = match(SENT, babble(4.0, seed=8))
    assert abs(found.correlation) < 0.2
    assert found.window_median < 0.3


def test_a_sound_under_a_louder_one_keeps_its_own_level() -> None:
    made = babble(4.0, seed=9)
    heard = (scaled(SENT, -18).astype(np.int32) + made).clip(-32768, 32767).astype(np.int16)
    assert match(SENT, heard).gain_db == pytest.approx(-18, abs=1.0)


def test_windows_forgive_what_a_jitter_buffer_moves() -> None:
    moved = np.concatenate([SENT[:16000], silence(0.04), SENT[16000:]])
    found = match(SENT, moved)
    assert found.correlation < 0.8
    assert found.window_median > 0.999


def test_no_overlap_is_no_match() -> None:
    assert match(SENT, silence(1.0)).correlation == 0.0


def test_levels_count_only_the_voice() -> None:
    spoken = script(2.0, SENT, 2.0)
    assert correlate.level_dbfs(spoken) == pytest.approx(correlate.level_dbfs(SENT) - 3, abs=0.1)
    assert correlate.active_level_dbfs(spoken) == pytest.approx(correlate.active_level_dbfs(SENT), abs=0.1)
    assert correlate.active_s(spoken) == pytest.approx(4.0, abs=0.1)
    assert correlate.level_dbfs(silence(1.0)) == -np.inf
    assert correlate.active_level_dbfs(silence(1.0)) == -np.inf


def test_a_full_scale_sine_is_three_db_below_full_scale() -> None:
    sine = np.asarray(32767 * np.sin(np.arange(RATE_HZ) * 2 * np.pi * 440 / RATE_HZ), np.int16)
    assert correlate.level_dbfs(sine) == pytest.approx(-3.01, abs=0.01)
    assert correlate.tone_share(sine, hz=(440.0,)) > 0.99
    assert correlate.tone_share(SENT[:RATE_HZ], hz=(440.0,)) < 0.2


def test_gaps_are_inside_and_not_around() -> None:
    heard = script(1.0, SENT[:8000], 0.1, SENT[8000:16000], 1.0)
    assert correlate.gaps(heard) == [Stretch(2.0, 2.1)]
    assert correlate.gaps(silence(1.0)) == []


def test_sounds_join_short_pauses_and_part_long_ones() -> None:
    heard = script(1.0, SENT[:8000], 0.2, SENT[8000:16000], 1.0, SENT[16000:], 1.0)
    assert [(round(s.start_s, 2), round(s.end_s, 2)) for s in correlate.sounds(heard)] == [(1.0, 3.2), (4.2, 6.2)]
    first = correlate.cut(heard, correlate.sounds(heard)[0], around_s=0.5)
    assert len(first) == round(3.2 * RATE_HZ)
