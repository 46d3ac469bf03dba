"""A script carried out tick by tick, against an ear that is told what it hears."""

from __future__ import annotations

from pathlib import Path

import numpy as np

from kallglot_media.phone.ear import Ear
from kallglot_media.phone.performer import Acts, Performer
from kallglot_media.phone.script import Step, parse_script

FRAME = 160
LINE = np.arange(1, 401, dtype=np.int16)


class Stage:
    """Ticks a performer; `said` is everything it sent, `digits` every key it pressed."""

    def __init__(self, tmp_path: Path, script: str) -> None:
        (tmp_path / "a.wav").touch()
        self.ear = Ear()
        steps: tuple[Step, ...] = parse_script(script, tmp_path)
        self.performer = Performer(steps, {tmp_path / "a.wav": LINE}, self.ear)
        self.now = 0
        self.said: list[np.int16] = []
        self.digits = ""

    def ticks(self, count: int, *, heard: int = 0, keys_are_pressed: bool = False) -> Acts:
        """`count` ticks while frames of that amplitude arrive; the last tick's acts."""
        acts = Acts(np.zeros(0, np.int16))
        for _ in range(count):
            if heard:
                self.ear.hear(np.full(FRAME, heard, np.int16), self.now, 1, self.now)
            acts = self.performer.tick(self.now, keys_are_pressed=keys_are_pressed)
            self.said.extend(acts.frame)
            self.digits += acts.digits
            self.now += FRAME
        return acts

    def missed(self) -> list[tuple[int, str]]:
        return [(missed.step, missed.what) for missed in self.performer.missed]


def test_a_file_is_said_whole_padded_and_timed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "pause 40ms; play a.wav; pause 20ms")
    assert not stage.ticks(6).hang_up
    assert stage.ticks(1).hang_up
    assert np.array_equal(stage.said[320 : 320 + 400], LINE)
    assert not any(stage.said[:320])
    assert not any(stage.said[720:])
    (played,) = stage.performer.played
    assert (played.file, played.start_sample, played.end_sample) == ("a.wav", 320, 720)


def test_wait_reply_needs_speech_first_and_then_silence(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "wait reply 1s; play a.wav")
    stage.ticks(100)
    stage.ticks(50, heard=3000)
    stage.ticks(49)
    assert not any(stage.said)
    stage.ticks(2)
    assert any(stage.said)
    assert stage.missed() == []


def test_a_pause_within_a_reply_is_not_its_end(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "wait reply 1s; play a.wav")
    stage.ticks(20, heard=3000)
    stage.ticks(40)
    stage.ticks(20, heard=3000)
    stage.ticks(40)
    assert not any(stage.said)


def test_wait_speech_and_wait_silence(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "wait speech; wait silence 200ms; dtmf 5; hangup")
    stage.ticks(30)
    assert stage.digits == ""
    stage.ticks(10, heard=3000)
    stage.ticks(9)
    assert stage.digits == ""
    stage.ticks(3)
    assert stage.digits == "5"


def test_speech_before_the_wait_does_not_count(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "pause 400ms; wait speech within 100ms")
    stage.ticks(19, heard=3000)
    stage.ticks(20)
    assert stage.missed() == [(2, "wait speech: not within 100 ms")]


def test_keys_are_pressed_once_and_waited_for(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "dtmf 12; hangup")
    stage.ticks(1)
    assert not stage.ticks(10, keys_are_pressed=True).hang_up
    assert stage.ticks(1).hang_up
    assert stage.digits == "12"


def test_a_wait_that_runs_out_is_missed_and_the_script_goes_on(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "wait reply 1s within 500ms; play a.wav")
    stage.ticks(40)
    assert stage.missed() == [(1, "wait reply 1000ms: not within 500 ms")]
    assert stage.performer.played


def test_the_other_side_may_end_a_wait_for_that(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "wait hangup")
    assert not stage.ticks(10).hang_up
    stage.performer.other_side_hung_up(stage.now)
    assert stage.performer.is_done
    assert stage.missed() == []


def test_what_was_left_undone_when_the_call_ended_is_missed(tmp_path: Path) -> None:
    stage = Stage(tmp_path, "wait reply 1s; play a.wav; pause 1s; wait silence 1s; wait speech; dtmf 1; wait hangup")
    stage.ticks(5)
    stage.performer.other_side_hung_up(stage.now)
    assert [step for step, _ in stage.missed()] == [1, 2, 5, 6]
