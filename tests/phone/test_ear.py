"""The phone's ear: places, gaps, other streams, and what counts as speech."""

from __future__ import annotations

import numpy as np

from kallglot_media.phone.ear import Ear
from tests.support.sessions import voice

FRAME = 160
LOUD = np.full(FRAME, 3000, np.int16)
SOFT = np.full(FRAME, 100, np.int16)


def test_a_lost_packet_leaves_a_gap_and_a_late_one_fills_its_place() -> None:
    ear = Ear()
    sound = voice(0.1, 7)
    frames = sound.reshape(-1, FRAME)
    for number in (0, 1, 4, 2):
        ear.hear(frames[number], (0xFFFFFFF0 + number * FRAME) % (1 << 32), 1, 800 + number * FRAME)
    heard = ear.recording(2000)
    assert len(heard) == 2000
    assert ear.first_sample == 800
    assert not heard[:800].any()
    assert np.array_equal(heard[800 : 800 + 3 * FRAME], sound[: 3 * FRAME])
    assert not heard[800 + 3 * FRAME : 800 + 4 * FRAME].any()
    assert np.array_equal(heard[800 + 4 * FRAME : 1600], sound[4 * FRAME :])


def test_jitter_does_not_move_sound_and_a_new_stream_starts_where_it_arrives() -> None:
    ear = Ear()
    ear.hear(LOUD, 1000, 1, 0)
    ear.hear(LOUD, 1160, 1, 700)
    ear.hear(SOFT, 5, 2, 3200)
    ear.hear(SOFT, 90_000, 2, 3360)
    heard = ear.recording(4000)
    assert np.flatnonzero(heard == 3000).tolist() == list(range(320))
    assert np.flatnonzero(heard == 100).tolist() == list(range(3200, 3520))


def test_an_hour_fits() -> None:
    ear = Ear()
    ear.hear(LOUD, 0, 1, 0)
    ear.hear(LOUD, 3600 * 8000, 1, 3600 * 8000)
    heard = ear.recording(3600 * 8000 + FRAME)
    assert heard[0] == heard[-1] == 3000
    assert not heard[FRAME:-FRAME].any()


def test_speech_is_loud_for_a_while() -> None:
    ear = Ear()
    for number in range(4):
        ear.hear(LOUD, number * FRAME, 1, number * FRAME)
    assert ear.quiet_for(4 * FRAME) == 4 * FRAME
    ear.hear(LOUD, 4 * FRAME, 1, 4 * FRAME)
    assert ear.speech_first_sample == 0
    assert ear.speech_last_sample == 5 * FRAME
    for number in range(5, 30):
        ear.hear(SOFT, number * FRAME, 1, number * FRAME)
    assert ear.speech_last_sample == 5 * FRAME
    assert ear.quiet_for(30 * FRAME) == 25 * FRAME


def test_a_ducked_voice_is_no_speech() -> None:
    ear = Ear()
    for number, frame in enumerate((voice(1.0, 3) * 0.125).astype(np.int16).reshape(-1, FRAME)):
        ear.hear(frame, number * FRAME, 1, number * FRAME)
    assert ear.speech_last_sample is None
